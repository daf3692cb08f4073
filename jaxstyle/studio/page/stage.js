// The picture on the page: before and after, the brush and its map, a click for focus.

const LARGEST_OVERLAY = 1600;

/* Events for its owner: `begin` before a stroke, when there must be a map, `stroke` after it, `focus` with {x, y} in [0, 1). */
export class Stage extends EventTarget {
  constructor() {
    super();
    this.frame = document.getElementById("stage");
    this.before = document.getElementById("before");
    this.after = document.getElementById("after");
    this.slider = document.getElementById("compare");
    this.overlay = document.getElementById("overlay");
    this.cursor = document.getElementById("cursor");
    this.map = null;
    this.tint = [0, 122, 110];
    this.brush = { mode: "paint", strength: 1, hardness: 0.6, size: 0.12 };
    this.at = [0.5, 0.5]; // of the brush, for the keyboard
    this.slider.addEventListener("input", () => this.split(this.slider.value));
    this.frame.addEventListener("pointerdown", (event) => this.#down(event));
    this.frame.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) this.frame.addEventListener(kind, (event) => this.#up(event));
    this.frame.addEventListener("pointerleave", () => this.cursor.classList.remove("seen"));
    this.frame.addEventListener("keydown", (event) => this.#key(event));
    this.split(0);
  }

  get mode() {
    return this.frame.dataset.mode;
  }

  set mode(mode) {
    this.frame.dataset.mode = mode;
    this.slider.tabIndex = mode === "compare" ? 0 : -1;
    this.slider.disabled = mode !== "compare";
    this.redraw();
  }

  show(photo) {
    this.photo = photo;
    this.frame.parentElement.style.setProperty("--aspect", photo.width / photo.height);
    this.before.src = `pictures/${photo.id}?side=2048`;
    this.after.removeAttribute("src");
    const scale = Math.min(1, LARGEST_OVERLAY / Math.max(photo.width, photo.height));
    this.overlay.width = Math.max(1, Math.round(photo.width * scale));
    this.overlay.height = Math.max(1, Math.round(photo.height * scale));
  }

  split(percent) {
    this.slider.value = percent;
    this.frame.style.setProperty("--at", `${percent}%`);
    this.slider.setAttribute("aria-valuetext", `${Math.round(percent)} % photo`);
  }

  busy(is) {
    this.frame.classList.toggle("busy", is);
  }

  // ---- the map, tinted

  redraw(rect = null) {
    const { overlay, map } = this;
    const context = overlay.getContext("2d");
    if (this.mode !== "brush" || !map) {
      context.clearRect(0, 0, overlay.width, overlay.height);
      return;
    }
    const sx = map.width / overlay.width;
    const sy = map.height / overlay.height;
    const left = rect ? Math.max(0, Math.floor(rect.left / sx) - 1) : 0;
    const top = rect ? Math.max(0, Math.floor(rect.top / sy) - 1) : 0;
    const right = rect ? Math.min(overlay.width, Math.ceil(rect.right / sx) + 1) : overlay.width;
    const bottom = rect ? Math.min(overlay.height, Math.ceil(rect.bottom / sy) + 1) : overlay.height;
    if (left >= right || top >= bottom) return;
    const [red, green, blue] = this.tint;
    const pixels = context.createImageData(right - left, bottom - top);
    let to = 0;
    for (let row = top; row < bottom; row++) {
      const line = Math.min(map.height - 1, Math.floor((row + 0.5) * sy)) * map.width;
      for (let column = left; column < right; column++) {
        const value = map.data[line + Math.min(map.width - 1, Math.floor((column + 0.5) * sx))];
        pixels.data[to++] = red;
        pixels.data[to++] = green;
        pixels.data[to++] = blue;
        pixels.data[to++] = value * 0.62;
      }
    }
    context.putImageData(pixels, left, top);
  }

  // ---- pointer and keys

  get radius() {
    return (this.brush.size * Math.min(this.photo.width, this.photo.height)) / 2;
  }

  #place(event) {
    const box = this.frame.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  #pixel([x, y]) {
    return [x * this.photo.width, y * this.photo.height];
  }

  #follow() {
    const box = this.frame.getBoundingClientRect();
    const side = (2 * this.radius * box.width) / this.photo.width;
    Object.assign(this.cursor.style, {
      width: `${side}px`,
      height: `${side}px`,
      left: `${this.at[0] * 100}%`,
      top: `${this.at[1] * 100}%`,
    });
    this.cursor.classList.add("seen");
  }

  #down(event) {
    if (!this.photo || event.button > 0) return;
    this.at = this.#place(event);
    if (this.mode === "focus") {
      const [x, y] = this.at.map((place) => Math.min(Math.max(place, 0), 0.9999));
      this.dispatchEvent(new CustomEvent("focus", { detail: { x, y } }));
    }
    if (this.mode !== "brush") return;
    event.preventDefault();
    this.frame.focus({ preventScroll: true });
    this.frame.setPointerCapture(event.pointerId);
    this.stroking = event.pointerId;
    this.frame.classList.add("stroking");
    this.dispatchEvent(new CustomEvent("begin"));
    this.map.begin({ ...this.brush, radius: this.radius });
    this.redraw(this.map.to(...this.#pixel(this.at)));
  }

  #move(event) {
    if (this.mode !== "brush" || !this.photo) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const one of events.length ? events : [event]) {
      this.at = this.#place(one);
      if (this.stroking === event.pointerId) this.redraw(this.map.to(...this.#pixel(this.at)));
    }
    this.#follow();
  }

  #up(event) {
    if (this.stroking !== event.pointerId) return;
    this.stroking = null;
    this.frame.classList.remove("stroking");
    this.map.finish();
    this.dispatchEvent(new CustomEvent("stroke"));
  }

  #key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.target !== this.frame || !this.photo || this.mode === "compare") return;
    if (moves[event.key]) {
      const step = event.shiftKey ? 0.1 : 0.02;
      this.at = this.at.map((place, i) => Math.min(0.9999, Math.max(0, place + step * moves[event.key][i])));
    } else if (event.key === " " || event.key === "Enter") {
      if (this.mode === "focus") {
        this.dispatchEvent(new CustomEvent("focus", { detail: { x: this.at[0], y: this.at[1] } }));
      } else {
        this.dispatchEvent(new CustomEvent("begin"));
        this.map.begin({ ...this.brush, radius: this.radius });
        this.redraw(this.map.to(...this.#pixel(this.at)));
        this.map.finish();
        this.dispatchEvent(new CustomEvent("stroke"));
      }
    } else {
      return;
    }
    event.preventDefault();
    this.#follow();
  }
}
