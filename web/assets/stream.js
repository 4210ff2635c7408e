// Helps with the forms of streams. Everything works without it.
"use strict";

// Enter in a search asks for it, in any other field for what the form is for. The
// server could not tell them apart.
for (const button of document.querySelectorAll("button[data-do]")) button.value = button.dataset.do;

// A search within choices hides those that have not what was entered. The button
// beside it asks the server, which may know more.
for (const search of document.querySelectorAll("input[data-narrows]")) {
  const rows = [...(document.getElementById(search.dataset.narrows)?.children ?? [])];
  search.addEventListener("input", () => {
    const text = search.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(text);
  });
  search.addEventListener("keydown", (e) => {
    if (e.key !== "Enter") return;
    e.preventDefault();
    search.nextElementSibling.click();
  });
}

// An address without encryption is told at once.
for (const warning of document.querySelectorAll("[data-plain]")) {
  const field = document.getElementById(warning.dataset.plain);
  field.addEventListener("input", () => { warning.hidden = !/^\s*http:/i.test(field.value); });
}

// A row whose fields are not in the page leads to the page that has them.
for (const row of document.querySelectorAll("details[data-address]")) {
  row.addEventListener("toggle", () => { if (row.open) location.assign(row.dataset.address + "#" + row.id); });
}

// The page of one stream shows it, however many there are.
const opened = document.querySelector("details.stream[open]");
if (opened && !location.hash && !document.querySelector("[autofocus]") && document.querySelectorAll("details.stream").length > 1) opened.scrollIntoView();
