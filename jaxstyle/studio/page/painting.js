// Previews, full results, focus and the command line: what the server makes of the page's settings.

import { end, send } from "./api.js";
import { $, attempt, debounced, say } from "./controls.js";

const DEBOUNCE = 150; // milliseconds

export class Painting {
  #preview = null; // what aborts the preview that is being made
  #job = null;
  #changes = 0;
  #resultOf = -1;

  constructor({ facts, stream, stage, pictures, maps }) {
    Object.assign(this, { facts, stream, stage, pictures, maps });
    this.later = debounced(DEBOUNCE, () => attempt(() => this.#paintPreview()));
    $("full").addEventListener("click", () => attempt(() => this.#begin()));
    $("cancel").addEventListener("click", () => this.#job && end(this.#job));
    $("copy").addEventListener("click", () => this.#copy());
    stage.addEventListener("focus", (event) => attempt(() => this.#focus(event.detail)));
  }

  /* Something is another: a new preview is due, and the full result is of earlier settings. */
  changed() {
    this.#changes += 1;
    $("copy").disabled = true; // until the command is that of what is seen
    this.#mark();
    this.later();
  }

  get method() {
    return this.facts.methods.find(({ name }) => name === $("method").value);
  }

  async settings() {
    const { photo, paintings } = this.pictures;
    const found = {
      photo: photo.id,
      styles: paintings.map(({ picture }) => picture.id),
      method: $("method").value,
      alpha: $("alpha").value / 100,
      refine: Number($("refine").value) || 0,
      "alpha_blend": $("alpha-blend").value,
    };
    for (const [id, field] of [["preserve-color", "preserve_color"], ["gradient", "gradient"]]) {
      if ($(id).value) found[field] = $(id).value;
    }
    if ($("style-size").value) found.style_size = Number($("style-size").value);
    if ($("size").value) found.size = Math.round(Number($("size").value));
    if (paintings.length > 1 && paintings.some(({ weight }) => weight !== paintings[0].weight)) {
      found.weights = paintings.map(({ weight }) => weight);
    }
    return { ...found, ...(await this.maps.settings()) };
  }

  /* A request about the settings, for this page or any; made once more where the server has forgotten a map meanwhile. */
  async #asked(path, signal, mine = true) {
    const page = mine ? { page: await this.stream.page } : {};
    const ask = async () => send(path, { ...page, settings: await this.settings() }, signal);
    try {
      return await ask();
    } catch (error) {
      if (error.status !== 410) throw error;
      this.maps.forgotten();
      return ask();
    }
  }

  async #paintPreview() {
    if (!this.pictures.photo || !this.pictures.paintings.length) return;
    this.#preview?.abort();
    const mine = (this.#preview = new AbortController());
    this.stage.busy(true);
    if (!this.stage.after.src) $("shown").textContent = "The first preview takes a few seconds ...";
    try {
      await this.#command(mine.signal);
      if (mine.signal.aborted) return;
      const answer = await this.#asked("preview", mine.signal);
      const url = URL.createObjectURL(await answer.blob());
      if (mine.signal.aborted) return;
      this.#show(url);
      this.stage.frame.dataset.preview = String(this.#changes);
      $("shown").textContent = "Preview, 256 px";
      const notices = JSON.parse(answer.headers.get("X-Notices") ?? "[]");
      if (notices.length) say(notices.join("; "));
    } finally {
      if (this.#preview === mine) this.stage.busy(false);
    }
  }

  #show(url) {
    const { after } = this.stage;
    const old = after.src;
    after.onload = () => old.startsWith("blob:") && URL.revokeObjectURL(old);
    after.src = url;
  }

  async #command(signal) {
    const answer = await (await this.#asked("command", signal, false)).json();
    if (signal.aborted) return;
    $("command").textContent = answer.command;
    $("copy").disabled = false;
    this.maps.names = answer;
  }

  async #copy() {
    const text = $("command").textContent;
    try {
      await navigator.clipboard.writeText(text);
      say("Copied.");
    } catch {
      getSelection().selectAllChildren($("command"));
      say("Press Ctrl+C to copy it.");
    }
  }

  // ---- the full result

  async #begin() {
    if (!this.pictures.photo || !this.pictures.paintings.length) return;
    const of = this.#changes;
    const { job } = await (await this.#asked("results")).json();
    this.#job = job;
    this.#working(true);
    const over = () => {
      this.#job = null;
      this.#working(false);
    };
    this.stream.follow(job, {
      progress: ({ done, total }) => {
        if (total > 1) Object.assign($("progress"), { max: total, value: done });
      },
      done: (facts) => {
        over();
        this.#resultOf = of;
        this.#done(facts);
      },
      failed: ({ error }) => {
        over();
        say(error, true);
      },
      cancelled: () => {
        over();
        say("Cancelled.");
      },
    });
  }

  #working(is) {
    $("full").hidden = is;
    $("working").hidden = !is;
    $("progress").removeAttribute("value");
    if (is) $("cancel").focus();
    else if (document.activeElement === document.body) $("full").focus();
  }

  #done({ result, width, height, notices }) {
    for (const link of $("downloads").querySelectorAll("a")) link.href = `results/${result}.${link.dataset.kind}`;
    $("downloads").hidden = false;
    this.#mark();
    if (this.#resultOf !== this.#changes) return;
    this.#preview?.abort();
    this.#show(`results/${result}.view`);
    $("shown").textContent = `Full result, ${width} \u00d7 ${height}`;
    say(notices.length ? notices.join("; ") : "Done.");
  }

  #mark() {
    $("downloads-note").textContent = this.#resultOf === this.#changes ? "Download" : "With earlier settings";
  }

  // ---- focus

  async #focus({ x, y }) {
    const { photo, paintings } = this.pictures;
    if (!photo || !paintings.length) return;
    say("Looking ...");
    const facts = { page: await this.stream.page, photo: photo.id, painting: paintings[0].picture.id, x, y };
    const answer = await send("focus", { ...facts, method: this.method.name });
    $("found").querySelector("img").src = URL.createObjectURL(await answer.blob());
    $("found").hidden = false;
    say("");
  }
}
