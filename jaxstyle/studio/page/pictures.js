// The photo and the paintings: opened, dropped, pasted, or taken from what is shipped; weights and masks of paintings.

import { upload } from "./api.js";
import { $, attempt, dropTarget, filesOf, say } from "./controls.js";

/* Events for its owner: `photo` with a new photo, `paintings` where they, their weights or their masks have changed. */
export class Pictures extends EventTarget {
  constructor(facts) {
    super();
    this.photo = null;
    this.paintings = []; // {picture, weight, mask}
    this.most = facts.most_styles;
    this.examples = facts.examples;
    for (const [kind, list] of [["photo", facts.examples.photos], ["painting", facts.examples.paintings]]) {
      $(`${kind}-examples`).replaceChildren(...list.map((picture) => this.#example(kind, picture)));
    }
    $("photo-file").addEventListener("change", (event) => this.openPhoto(taken(event.target)[0]));
    $("painting-file").addEventListener("change", (event) => this.addPaintings(taken(event.target)));
    dropTarget($("stage"), (files) => this.openPhoto(files[0]));
    dropTarget($("photo"), (files) => this.openPhoto(files[0]));
    dropTarget($("paintings"), (files) => this.addPaintings(files));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => event.preventDefault()); // else the browser would leave the page
    document.addEventListener("paste", (event) => this.#pasted(event));
  }

  async openPhoto(file) {
    const found = file && (await attempt(() => this.#sent(file)));
    if (found) this.takePhoto(found);
  }

  takePhoto(picture) {
    this.photo = picture;
    const row = $("photo-examples");
    if (![...row.children].some(({ dataset }) => dataset.id === picture.id)) row.prepend(this.#example("photo", picture));
    for (const painting of this.paintings) painting.mask = null;
    this.#list();
    this.#marked();
    this.dispatchEvent(new CustomEvent("photo"));
  }

  async addPaintings(files) {
    for (const [number, file] of [...files].entries()) {
      const found = await attempt(() => this.#sent(file));
      if (found) this.takePainting(found, number > 0 || $("mix").checked);
    }
  }

  /* A painting instead of all others, or with `more` beside them; one that is there already is then taken away. */
  takePainting(picture, more) {
    const painting = { picture, weight: 1, mask: null };
    const others = this.paintings.filter((one) => one.picture.id !== picture.id);
    if (!more) {
      this.paintings = [painting];
    } else if (others.length && others.length < this.paintings.length) {
      this.paintings = others;
    } else if (this.paintings.length >= this.most) {
      say(`At most ${this.most} paintings are mixed.`, true);
      return;
    } else {
      this.paintings = [...this.paintings, painting];
    }
    this.changed();
  }

  changed() {
    this.#list();
    this.#marked();
    this.dispatchEvent(new CustomEvent("paintings"));
  }

  async #sent(file) {
    say(`Sending ${file.name} ...`);
    const found = await upload("pictures", file);
    say("");
    return found;
  }

  #pasted(event) {
    const files = filesOf(event.clipboardData).filter((file) => file.type.startsWith("image/"));
    if (!files.length) return;
    event.preventDefault();
    if ($("paintings").contains(document.activeElement)) this.addPaintings(files);
    else this.openPhoto(files[0]);
  }

  #example(kind, picture) {
    const button = document.createElement("button");
    const name = plainName(picture.name);
    button.title = name;
    button.setAttribute("aria-label", name);
    button.dataset.id = picture.id;
    button.append(thumbnail(picture));
    button.addEventListener("click", (event) => {
      if (kind === "photo") this.takePhoto(picture);
      else this.takePainting(picture, event.shiftKey || $("mix").checked);
    });
    return button;
  }

  #marked() {
    const used = new Set([this.photo?.id, ...this.paintings.map(({ picture }) => picture.id)]);
    for (const button of document.querySelectorAll(".examples button")) {
      button.setAttribute("aria-pressed", String(used.has(button.dataset.id)));
    }
  }

  #list() {
    const many = this.paintings.length > 1;
    $("chosen").replaceChildren(
      ...this.paintings.map((painting) => {
        const item = document.createElement("li");
        const name = plainName(painting.picture.name);
        const words = document.createElement("span");
        words.textContent = painting.mask ? `${name}, masked` : name;
        item.append(thumbnail(painting.picture), words);
        if (!many) return item;
        const weight = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 4, step: 0.1 });
        weight.value = painting.weight;
        weight.setAttribute("aria-label", `Weight of ${name}`);
        weight.title = `Weight ${painting.weight}`;
        weight.addEventListener("input", () => {
          painting.weight = Number(weight.value);
          weight.title = `Weight ${painting.weight}`;
          this.dispatchEvent(new CustomEvent("paintings"));
        });
        const remove = Object.assign(document.createElement("button"), { className: "quiet", textContent: "\u00d7" });
        remove.setAttribute("aria-label", `Remove ${name}`);
        remove.addEventListener("click", () => {
          this.takePainting(painting.picture, true);
          $("painting-file").focus();
        });
        item.append(weight, remove);
        return item;
      }),
    );
  }
}

export function plainName(name) {
  return name.replace(/\.[^.]*$/, "").replaceAll("_", " ");
}

export function thumbnail(picture) {
  return Object.assign(new Image(), { src: `pictures/${picture.id}?side=256`, alt: "", loading: "lazy", draggable: false });
}

/* The files that were chosen; the same may be chosen again. */
function taken(input) {
  const files = [...input.files];
  input.value = "";
  return files;
}
