// Light or dark: as the system says, unless chosen. Runs before the page is drawn.

const THEMES = ["auto", "light", "dark"];

function chosenTheme() {
  try {
    const found = localStorage.getItem("jaxstyle-theme");
    return THEMES.includes(found) ? found : "auto";
  } catch {
    return "auto"; // no storage: nothing is remembered
  }
}

function applyTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  if (button) button.textContent = `Theme: ${theme}`;
}

applyTheme(chosenTheme());
document.addEventListener("DOMContentLoaded", () => {
  applyTheme(chosenTheme());
  document.getElementById("theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    try {
      localStorage.setItem("jaxstyle-theme", next);
    } catch {
      // it holds for this page
    }
    applyTheme(next);
  });
});
