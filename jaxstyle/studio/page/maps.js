// The alpha map and the masks: which one the brush paints, its buttons, and what the server is sent of them.

import { get, sendBytes, upload } from "./api.js";
import { GreyMap, rest } from "./brush.js";
import { $, attempt, choice, option, say } from "./controls.js";
import { plainName } from "./pictures.js";

const HUES = [[0, 122, 110], [190, 84, 30], [92, 72, 190], [30, 110, 200], [176, 40, 100], [120, 120, 20], [60, 60, 60], [150, 90, 60]];

/* Event for its owner: `change` where a map is another one. */
export class Maps extends EventTarget {
  constructor(stage, pictures) {
    super();
    this.stage = stage;
    this.pictures = pictures;
    this.alpha = null;
    this.names = { alpha_map: null, mask: [] }; // what they are called when they are saved
    $("target").addEventListener("change", () => this.#aim());
    choice($("strokes"), "aria-checked", (button) => (stage.brush.mode = button.dataset.stroke));
    const brush = () => {
      stage.brush.size = $("brush-size").value / 100;
      stage.brush.hardness = $("hardness").value / 100;
      stage.brush.strength = $("strength").value / 100;
    };
    for (const id of ["brush-size", "hardness", "strength"]) $(id).addEventListener("input", brush);
    brush();
    stage.addEventListener("begin", () => this.ensure());
    stage.addEventListener("stroke", () => this.#changed());
    $("undo").addEventListener("click", () => this.#do((map) => map.undo()));
    $("redo").addEventListener("click", () => this.#do((map) => map.redo()));
    $("fill").addEventListener("click", () => this.#do((map) => map.fill(255)));
    $("clear").addEventListener("click", () => this.#do((map) => map.fill(0)));
    $("invert").addEventListener("click", () => this.#do((map) => map.invert()));
    $("do-feather").addEventListener("click", () => this.#do((map) => map.feather(Number($("feather").value) || 1)));
    $("no-map").addEventListener("click", () => this.#remove());
    $("map-file").addEventListener("change", (event) => attempt(() => this.#load(event.target)));
    $("save-map").addEventListener("click", () => attempt(() => this.#save()));
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  /* A new photo has no maps. */
  reset() {
    this.alpha = null;
    this.targets();
  }

  /* What the brush can paint: the alpha map, and a mask for each painting. */
  targets() {
    const before = $("target").value;
    const masks = this.pictures.paintings.map(({ picture }, i) => option(String(i), `mask of ${plainName(picture.name)}`));
    $("target").replaceChildren(option("alpha", "degree of style"), ...masks);
    $("target").value = [...$("target").options].some((one) => one.value === before) ? before : "alpha";
    this.#aim();
  }

  get #target() {
    const value = $("target").value;
    return value === "alpha" ? null : this.pictures.paintings[Number(value)];
  }

  get map() {
    const painting = this.#target;
    return painting ? painting.mask : this.alpha;
  }

  /* The map that the brush paints, made where it is not there yet: black, so that a stroke brings the style. */
  ensure() {
    if (this.map || !this.pictures.photo) return;
    const made = new GreyMap(this.pictures.photo.width, this.pictures.photo.height);
    if (this.#target) this.#target.mask = made;
    else this.alpha = made;
    this.stage.map = made;
  }

  #aim() {
    const painting = this.#target;
    this.stage.map = this.map;
    this.stage.tint = HUES[painting ? (1 + Number($("target").value)) % HUES.length : 0];
    this.stage.redraw();
    this.#buttons();
  }

  #buttons() {
    $("undo").disabled = !this.map?.canUndo;
    $("redo").disabled = !this.map?.canRedo;
  }

  #changed() {
    this.#buttons();
    if (this.#target) this.pictures.changed();
    else this.dispatchEvent(new CustomEvent("change"));
  }

  #do(change) {
    this.ensure();
    if (!this.map) return;
    change(this.map);
    this.stage.redraw();
    this.#changed();
  }

  #remove() {
    const painting = this.#target;
    if (painting) painting.mask = null;
    else this.alpha = null;
    this.stage.map = null;
    this.stage.redraw();
    this.#changed();
    say("Removed: the next stroke begins a new map.");
  }

  #key(event) {
    if (this.stage.mode !== "brush" || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    if (event.target.matches?.("input[type=number]")) return;
    event.preventDefault();
    this.#do((map) => (event.shiftKey ? map.redo() : map.undo()));
  }

  async #load(input) {
    const [file] = input.files;
    input.value = "";
    const { photo } = this.pictures;
    if (!file || !photo) return;
    const { id } = await upload(`maps?width=${photo.width}&height=${photo.height}`, file);
    const bytes = new Uint8Array(await (await get(`maps/${id}`)).arrayBuffer());
    this.#do((map) => map.set(bytes));
  }

  async #save() {
    this.ensure();
    const id = await this.#sent(this.map);
    const i = $("target").value;
    const name = (i === "alpha" ? this.names.alpha_map : this.names.mask[Number(i)]) ?? "map.png";
    Object.assign(document.createElement("a"), { href: `maps/${id}.png`, download: name }).click();
  }

  // ---- what the server is sent

  async #sent(map) {
    map.id ??= (await sendBytes(`maps?width=${map.width}&height=${map.height}`, map.data)).id;
    return map.id;
  }

  /* The server has forgotten them: they are sent again. */
  forgotten() {
    for (const map of [this.alpha, ...this.pictures.paintings.map(({ mask }) => mask)]) if (map) map.id = null;
  }

  /* The maps of a request. Where some paintings have masks, those without one have the rest of the picture. */
  async settings() {
    const { photo, paintings } = this.pictures;
    const found = {};
    if (this.alpha) found.alpha_map = await this.#sent(this.alpha);
    const masks = paintings.map(({ mask }) => mask);
    if (masks.some((mask) => mask)) {
      let left = null;
      if (masks.some((mask) => !mask)) left = rest(photo.width, photo.height, masks.filter((mask) => mask));
      found.mask = [];
      for (const mask of masks) found.mask.push(await this.#sent(mask ?? left));
    }
    return found;
  }
}
