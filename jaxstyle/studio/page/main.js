// Puts the page together: its parts, and what happens where one of them changes.

import { Stream, get } from "./api.js";
import { $, attempt, choice, option, say, slides } from "./controls.js";
import { Maps } from "./maps.js";
import { Painting } from "./painting.js";
import { Pictures } from "./pictures.js";
import { Stage } from "./stage.js";
import { Zoom } from "./zoom.js";

const HELP = {
  compare: "Drag over the picture, or use the arrow keys: the photo comes in from the left.",
  brush: "Paint where the style goes. Arrow keys move the brush, Space paints, Ctrl+Z takes back.",
  focus: "Click on the picture: which places of the first painting is it painted from?",
};

async function start() {
  const stream = new Stream((text) => say(text, true));
  const facts = await (await get("facts")).json();
  const stage = new Stage();
  const pictures = new Pictures(facts);
  const maps = new Maps(stage, pictures);
  const painting = new Painting({ facts, stream, stage, pictures, maps });
  const zoom = new Zoom({ facts, stream, pictures });
  slides();

  const mode = choice(document.querySelector(".bar .modes"), "aria-checked", (button) => {
    stage.mode = button.dataset.mode;
    $("brush").hidden = stage.mode !== "brush";
    $("found").hidden = true;
    $("stage-help").textContent = HELP[stage.mode];
  });
  const modes = Object.fromEntries([...document.querySelectorAll(".bar [data-mode]")].map((one) => [one.dataset.mode, one]));
  choice(document.querySelector(".tabs"), "aria-selected", (tab) => {
    for (const page of document.querySelectorAll("main")) page.hidden = page.id !== tab.getAttribute("aria-controls");
    zoom.pair();
  });

  $("method").replaceChildren(...facts.methods.map(({ name }) => option(name, name.replaceAll("_", " "))));
  const methodChanged = () => {
    const { attends, refines } = painting.method;
    modes.focus.hidden = !attends;
    if (!attends && stage.mode === "focus") mode(modes.compare);
    $("refine").disabled = !refines;
    if (!refines) $("refine").value = 0;
  };
  $("method").addEventListener("change", methodChanged);
  methodChanged();
  for (const id of ["method", "alpha", "style-size", "preserve-color", "size", "refine", "gradient", "alpha-blend"]) {
    $(id).addEventListener("input", () => painting.changed());
  }

  pictures.addEventListener("photo", () => {
    stage.show(pictures.photo);
    maps.reset();
    painting.changed();
    zoom.pair();
  });
  pictures.addEventListener("paintings", () => {
    maps.targets();
    painting.changed();
    zoom.pair();
  });
  maps.addEventListener("change", () => painting.changed());

  const first = (list, name) => list.find((one) => one.name.startsWith(name)) ?? list[0];
  if (facts.examples.paintings.length) pictures.takePainting(first(facts.examples.paintings, "starry-night"), false);
  if (facts.examples.photos.length) pictures.takePhoto(first(facts.examples.photos, "chelsea"));
  mode(modes.compare);
  Object.assign(window, { studio: { stage, pictures, maps, painting, zoom } }); // for tests, and for who is curious
}

attempt(start);
