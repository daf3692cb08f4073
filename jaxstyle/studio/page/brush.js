// A grey map at the photo's size, 0 to 255, and strokes on it. Knows numbers only, no page.
//
// A stroke keeps, for every pixel, how far the brush covered it at most: going over a place twice changes nothing.
// "paint" writes the maximum of what was there and the stroke, "erase" takes away down to it, "replace" writes the
// strength, with a hard edge. So no order and no repetition of strokes adds up.

const MOST_UNDO_BYTES = 256 << 20;

export class GreyMap {
  constructor(width, height, value = 0) {
    this.width = width;
    this.height = height;
    this.data = new Uint8Array(width * height).fill(value);
    this.version = 0;
    this.id = null; // the server's name for this version
    this.#done = [];
    this.#undone = [];
  }

  #done;
  #undone;
  #before = null;
  #cover = null;
  #stroke = null;
  #last = null;
  #dirty = null;

  /* A stroke begins: mode "paint", "replace" or "erase", strength and hardness 0 to 1, radius in pixels. */
  begin(stroke) {
    this.#stroke = stroke;
    this.#before = this.data.slice();
    this.#cover = new Uint8Array(this.data.length);
    this.#last = null;
    this.#dirty = null;
  }

  /* It goes on to (x, y), in pixels; returns the rectangle that changed. */
  to(x, y) {
    const step = Math.max(0.5, this.#stroke.radius / 4);
    const from = this.#last ?? [x, y];
    const count = Math.max(1, Math.ceil(Math.hypot(x - from[0], y - from[1]) / step));
    let changed = null;
    for (let i = this.#last ? 1 : 0; i <= count; i++) {
      const at = i / count;
      changed = union(changed, this.#stamp(from[0] + (x - from[0]) * at, from[1] + (y - from[1]) * at));
      if (!this.#last && i === 0 && from[0] === x && from[1] === y) break;
    }
    this.#last = [x, y];
    this.#dirty = union(this.#dirty, changed);
    return changed;
  }

  /* It is over, and can be undone. */
  finish() {
    const rect = this.#dirty;
    const before = this.#before;
    this.#before = this.#cover = this.#stroke = null;
    if (rect) this.#keep(rect, cut(before, this.width, rect));
  }

  #stamp(x, y) {
    const { mode, strength, hardness, radius } = this.#stroke;
    const left = Math.max(0, Math.floor(x - radius));
    const right = Math.min(this.width, Math.ceil(x + radius) + 1);
    const top = Math.max(0, Math.floor(y - radius));
    const bottom = Math.min(this.height, Math.ceil(y + radius) + 1);
    if (left >= right || top >= bottom) return null;
    const { data } = this;
    const before = this.#before;
    const cover = this.#cover;
    const level = 255 * strength;
    const soft = Math.max(1e-6, 1 - hardness);
    for (let row = top; row < bottom; row++) {
      const dy = row + 0.5 - y;
      for (let column = left; column < right; column++) {
        const dx = column + 0.5 - x;
        const far = Math.sqrt(dx * dx + dy * dy) / radius;
        if (far >= 1) continue;
        const t = far <= hardness ? 1 : (1 - far) / soft;
        const covered = Math.round(255 * t * t * (3 - 2 * t));
        const i = row * this.width + column;
        if (covered <= cover[i]) continue;
        cover[i] = covered;
        const part = Math.round((level * covered) / 255);
        if (mode === "paint") data[i] = Math.max(before[i], part);
        else if (mode === "erase") data[i] = Math.min(before[i], 255 - part);
        else data[i] = covered >= 128 ? Math.round(level) : before[i];
      }
    }
    return { left, top, right, bottom };
  }

  // ---- all of it at once

  #whole(change) {
    const before = this.data;
    this.data = before.slice();
    change(this.data);
    const rect = { left: 0, top: 0, right: this.width, bottom: this.height };
    this.#keep(rect, before);
    return rect;
  }

  fill(value) {
    return this.#whole((data) => data.fill(value));
  }

  invert() {
    return this.#whole((data) => data.forEach((value, i) => (data[i] = 255 - value)));
  }

  set(values) {
    return this.#whole((data) => data.set(values));
  }

  /* Softens all edges: three means over boxes, which is nearly a Gaussian of this radius in pixels. */
  feather(radius) {
    const r = Math.max(1, Math.round(radius / 2));
    return this.#whole((data) => {
      const other = new Uint8Array(data.length);
      for (let i = 0; i < 3; i++) {
        blur(data, other, this.height, this.width, this.width, 1, r);
        blur(other, data, this.width, this.height, 1, this.width, r);
      }
    });
  }

  // ---- undo and redo

  #keep(rect, before) {
    this.version += 1;
    this.id = null;
    this.#done.push({ rect, before, after: cut(this.data, this.width, rect) });
    this.#undone = [];
    let bytes = 0;
    for (let i = this.#done.length - 1; i >= 0; i--) {
      bytes += 2 * this.#done[i].before.length;
      if (bytes > MOST_UNDO_BYTES && i < this.#done.length - 1) {
        this.#done.splice(0, i + 1);
        break;
      }
    }
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  undo() {
    return this.#move(this.#done, this.#undone, "before");
  }

  redo() {
    return this.#move(this.#undone, this.#done, "after");
  }

  #move(from, to, which) {
    const one = from.pop();
    if (!one) return null;
    to.push(one);
    paste(this.data, this.width, one.rect, one[which]);
    this.version += 1;
    this.id = null;
    return one.rect;
  }
}

/* What the maps leave: 255 less their sum. */
export function rest(width, height, maps) {
  const found = new GreyMap(width, height, 255);
  for (const map of maps) map.data.forEach((value, i) => (found.data[i] = Math.max(0, found.data[i] - value)));
  return found;
}

export function union(a, b) {
  if (!a || !b) return a ?? b;
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}

function cut(data, width, { left, top, right, bottom }) {
  const out = new Uint8Array((right - left) * (bottom - top));
  for (let row = top; row < bottom; row++) {
    out.set(data.subarray(row * width + left, row * width + right), (row - top) * (right - left));
  }
  return out;
}

function paste(data, width, { left, top, right, bottom }, values) {
  const wide = right - left;
  for (let row = top; row < bottom; row++) {
    data.set(values.subarray((row - top) * wide, (row - top + 1) * wide), row * width + left);
  }
}

/* The mean over 2 r + 1 neighbours along lines, ends repeated: `lines` of them, `along` values each. */
function blur(from, to, lines, along, betweenLines, between, r) {
  const count = 2 * r + 1;
  for (let line = 0; line < lines; line++) {
    const start = line * betweenLines;
    const at = (i) => from[start + Math.min(Math.max(i, 0), along - 1) * between];
    let sum = 0;
    for (let i = -r; i <= r; i++) sum += at(i);
    for (let i = 0; i < along; i++) {
      to[start + i * between] = Math.round(sum / count);
      sum += at(i + r + 1) - at(i - r);
    }
  }
}
