// Light, dark, or what the system says: the choice is kept in this browser.

const NEXT = new Map([
  ["system", "light"],
  ["light", "dark"],
  ["dark", "system"],
]);
const KEY = "jobyard-theme";

export function startTheme(button) {
  show(button, stored());
  button.addEventListener("click", () => {
    const chosen = NEXT.get(button.value);
    show(button, chosen);
    keep(chosen);
  });
}

function show(button, theme) {
  button.value = theme;
  button.textContent = `Theme: ${theme}`;
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

// A browser may refuse storage to a page that was opened from a folder.
function stored() {
  try {
    const theme = localStorage.getItem(KEY);
    return NEXT.has(theme) ? theme : "system";
  } catch {
    return "system";
  }
}

function keep(theme) {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // The choice then holds until the page is closed.
  }
}
