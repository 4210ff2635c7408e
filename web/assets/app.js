// What helps on every page. Everything works without it.
"use strict";

// Times are shown in the reader's own zone, with UTC when the pointer rests there.
const showTimes = (within) => {
  for (const t of within.querySelectorAll("time[datetime]:not([title])")) {
    const at = new Date(t.dateTime);
    if (isNaN(at)) continue;
    t.title = t.textContent;
    t.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "seconds" in t.dataset ? "medium" : "short" });
  }
};
showTimes(document);

// A menu closes when something else is clicked, and with Escape.
const closeMenus = (except) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
};
document.addEventListener("click", (e) => closeMenus(e.target.closest("details.menu")));
document.addEventListener("keydown", (e) => {
  if (e.key !== "Escape") return;
  const menu = document.activeElement?.closest("details.menu[open]");
  closeMenus(null);
  menu?.querySelector("summary").focus();
});

// Buttons that copy the text of another element. Browsers have a clipboard on
// encrypted connections and on the own machine alone.
const showCopying = (within) => {
  for (const button of within.querySelectorAll("button[data-copy]")) button.hidden = !navigator.clipboard;
};
showCopying(document);
document.addEventListener("click", async (e) => {
  const button = e.target.closest("button[data-copy]");
  if (!button || button.dataset.label) return;
  button.dataset.label = button.textContent;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not copied";
  }
  setTimeout(() => {
    button.textContent = button.dataset.label;
    delete button.dataset.label;
  }, 2000);
});

// A notice is about what was just done: reloading the page does not show it again.
const here = new URL(location.href);
if (here.searchParams.has("notice")) {
  here.searchParams.delete("notice");
  history.replaceState(null, "", here);
}
