// What helps on every page. Everything works without it.
"use strict";

// Times are shown in the reader's own zone, with UTC when the pointer rests there.
for (const t of document.querySelectorAll("time[datetime]")) {
  const at = new Date(t.dateTime);
  if (isNaN(at)) continue;
  t.title = t.textContent;
  t.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

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
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// A notice is about what was just done: reloading the page does not show it again.
const here = new URL(location.href);
if (here.searchParams.has("notice")) {
  here.searchParams.delete("notice");
  history.replaceState(null, "", here);
}
