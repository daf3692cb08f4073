// Fits and the deep zoom: a picture without resolution, of which the server renders the tiles that are looked at.

import { end, send, upload } from "./api.js";
import { $, attempt, debounced, dropTarget, option, say } from "./controls.js";

const DEEPEST = 20; // levels of the zoom: a million times as wide; the server goes further
const NOTES = { paper: "The paper's own optimisation: hours on a processor." };

export class Zoom {
  #job = null;
  #fit = null;
  #viewer = null;

  constructor({ facts, stream, pictures }) {
    Object.assign(this, { stream, pictures, deepest: Math.min(DEEPEST, facts.deepest) });
    $("preset").replaceChildren(...facts.presets.map(({ name, steps }) => option(name, `${name} (${steps} steps)`)));
    if (facts.presets.some(({ name }) => name === "preview")) $("preset").value = "preview";
    const note = () => ($("preset-note").textContent = NOTES[$("preset").value] ?? "Seconds to minutes on a processor.");
    $("preset").addEventListener("change", note);
    note();
    $("fit").addEventListener("click", () => attempt(() => this.#begin()));
    $("fit-cancel").addEventListener("click", () => this.#job && end(this.#job));
    $("fit-file").addEventListener("change", (event) => attempt(() => this.#open(event.target)));
    dropTarget($("zoom"), ([file]) => attempt(async () => this.show(await upload("fits/open", file))));
    $("zoom-in").addEventListener("click", () => this.#by(2));
    $("zoom-out").addEventListener("click", () => this.#by(0.5));
    $("zoom-home").addEventListener("click", () => this.#viewer?.viewport.goHome());
    $("zoom-alpha").addEventListener("input", debounced(80, () => this.#layer()));
  }

  get alpha() {
    return ($("zoom-alpha").value / 100).toFixed(2);
  }

  /* The pair is that of the other page. */
  pair() {
    const [painting] = this.pictures.paintings;
    for (const [id, picture] of [["pair-photo", this.pictures.photo], ["pair-painting", painting?.picture]]) {
      if (picture) $(id).src = `pictures/${picture.id}?side=256`;
    }
  }

  // ---- fitting

  async #begin() {
    const { photo, paintings } = this.pictures;
    if (!photo || !paintings.length) return;
    const fit = { photo: photo.id, painting: paintings[0].picture.id, preset: $("preset").value };
    const { job } = await (await send("fits", { page: await this.stream.page, fit })).json();
    this.#job = job;
    this.#fitting(true);
    const over = (text, problem) => {
      this.#job = null;
      this.#fitting(false);
      say(text, problem);
    };
    this.stream.follow(job, {
      progress: ({ done, total }) => Object.assign($("fit-progress"), { max: total, value: done }),
      strip: ({ number }) => {
        $("strip").src = `jobs/${job}/strip.jpg?number=${number}`;
        $("strip").hidden = false;
        $("nothing").hidden = true;
      },
      done: (facts) => {
        over("Fitted: zoom in, and change the degree of style.");
        this.show(facts);
      },
      failed: ({ error }) => over(error, true),
      cancelled: () => over("Cancelled."),
    });
  }

  #fitting(is) {
    $("fit").hidden = is;
    $("fitting").hidden = !is;
    $("fit-progress").removeAttribute("value");
    if (!is) {
      $("strip").hidden = true;
      $("nothing").hidden = this.#fit !== null;
    }
  }

  async #open(input) {
    const [file] = input.files;
    input.value = "";
    if (file) this.show(await upload("fits/open", file));
  }

  // ---- looking

  show(facts) {
    this.#fit = facts;
    $("nothing").hidden = true;
    $("zoom-alpha").disabled = false;
    $("fit-save").href = `fits/${facts.fit}.safetensors`;
    $("fit-save").hidden = false;
    $("zoom-command").textContent = facts.command;
    if (!this.#viewer) {
      this.#viewer = OpenSeadragon({
        element: $("viewer"),
        drawer: "canvas",
        showNavigationControl: false,
        showNavigator: false,
        animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.6,
        maxZoomPixelRatio: 4,
        visibilityRatio: 0.6,
        imageLoaderLimit: 4,
        crossOriginPolicy: false,
      });
      for (const event of ["zoom", "resize", "open", "animation-finish"]) {
        this.#viewer.addHandler(event, () => this.#told());
      }
    }
    this.#viewer.open(this.#source());
  }

  #source() {
    const { fit, width, height, tile } = this.#fit;
    const { alpha, deepest } = this;
    return {
      width: width * 2 ** deepest,
      height: height * 2 ** deepest,
      tileSize: tile,
      minLevel: 0,
      maxLevel: deepest,
      getTileUrl: (level, x, y) => `tile/${fit}/${level}/${x}_${y}.png?alpha=${alpha}`,
    };
  }

  /* The same place at another degree of style: the new tiles are put over the old ones, which go when all are there. */
  #layer() {
    if (!this.#viewer?.world.getItemCount()) return;
    const { world } = this.#viewer;
    while (world.getItemCount() > 1) world.removeItem(world.getItemAt(1)); // never seen as a whole
    this.#viewer.addTiledImage({
      tileSource: this.#source(),
      success: ({ item }) => {
        const done = () => {
          for (const other of [...Array(world.getItemCount()).keys()].map((i) => world.getItemAt(i))) {
            if (other !== item && world.getIndexOfItem(item) >= 0) world.removeItem(other);
          }
          $("viewer").dataset.alpha = this.alpha;
        };
        if (item.getFullyLoaded()) done();
        else item.addOnceHandler("fully-loaded-change", done);
      },
    });
  }

  #by(factor) {
    this.#viewer?.viewport.zoomBy(factor).applyConstraints();
  }

  /* How deep one looks: 2 to the level times the size that was fitted. */
  #told() {
    const item = this.#viewer.world.getItemAt(0);
    if (!item) return;
    const zoom = item.viewportToImageZoom(this.#viewer.viewport.getZoom(true)) * 2 ** this.deepest;
    const level = Math.max(0, Math.log2(zoom));
    $("depth").textContent = `level ${level.toFixed(1)} \u00b7 ${Math.round(Math.max(zoom, 0.01) * 100) / 100}\u00d7`;
    $("viewer").dataset.level = level.toFixed(2);
  }

  /* Whether all that is in view has been drawn. */
  get whole() {
    return this.#viewer?.world.getItemAt(0)?.getFullyLoaded() ?? false;
  }

  /* For whoever wants to look at one place, in [0, 1], at one level. */
  go(level, x, y) {
    const item = this.#viewer.world.getItemAt(0);
    const { viewport } = this.#viewer;
    viewport.zoomTo(item.imageToViewportZoom(2 ** (level - this.deepest)), null, true);
    viewport.panTo(item.imageToViewportCoordinates(x * item.source.dimensions.x, y * item.source.dimensions.y), true);
  }
}
