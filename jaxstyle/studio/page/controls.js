// Small parts of the page that several others use.

export const $ = (id) => document.getElementById(id);

let clearing;

/* A line for the user, read aloud by screen readers; problems stay longer. */
export function say(text, problem = false) {
  const line = $("status");
  line.textContent = text;
  line.classList.toggle("problem", problem);
  clearTimeout(clearing);
  if (text) clearing = setTimeout(() => say(""), problem ? 12000 : 5000);
}

/* Shows what goes wrong in a task, but for what was cancelled. */
export async function attempt(task) {
  try {
    return await task();
  } catch (error) {
    if (error.name !== "AbortError" && error.status !== 409) say(error.message, true);
    return null;
  }
}

/* Sliders say their value. */
export function slides(root = document) {
  for (const label of root.querySelectorAll(".slide")) {
    const input = label.querySelector("input");
    const output = label.querySelector("output");
    const tell = () => (output.textContent = `${Number(input.value)}${input.dataset.unit ?? ""}`);
    input.addEventListener("input", tell);
    tell();
  }
}

/* Buttons of which one is chosen: radios, tabs. Arrow keys go from one to the next. */
export function choice(group, attribute, chosen) {
  const buttons = [...group.querySelectorAll("button")];
  const take = (button) => {
    for (const other of buttons) {
      other.setAttribute(attribute, String(other === button));
      other.tabIndex = other === button ? 0 : -1;
    }
    chosen(button);
  };
  for (const button of buttons) button.addEventListener("click", () => take(button));
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const seen = buttons.filter((button) => !button.hidden);
    const at = seen.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    const next = seen[(at + step + seen.length) % seen.length];
    next.focus();
    take(next);
  });
  return take;
}

/* Runs a task a while after the last call. */
export function debounced(milliseconds, task) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(task, milliseconds);
  };
}

export function option(value, text) {
  return Object.assign(document.createElement("option"), { value, textContent: text });
}

/* Files of a drop or a paste. */
export function filesOf(transfer) {
  return [...(transfer?.files ?? [])];
}

/* Makes an element take files that are dropped on it. */
export function dropTarget(element, take) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    element.classList.remove("over");
    const files = filesOf(event.dataTransfer);
    if (files.length) take(files);
  });
}
