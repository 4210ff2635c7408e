// What is still being counted is put in its place when it is there, and the log is
// followed: new events are put on top of the list while they are accepted.
"use strict";

(async () => {
  const counting = () => document.querySelectorAll("[data-counting]");
  for (let wait = 500; counting().length && wait < 60_000; wait *= 2) {
    await new Promise((done) => setTimeout(done, wait));
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok || answer.redirected) continue;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const old of counting()) {
      const now = page.getElementById(old.id);
      if (now && "counting" in now.dataset) continue;
      if (now && old.localName === "select") {
        const chosen = old.value;
        old.replaceChildren(...now.children);
        old.value = chosen;
        delete old.dataset.counting;
        document.getElementById("phrases").replaceChildren(...page.getElementById("phrases").children);
      } else if (now) {
        old.replaceWith(now);
      } else {
        old.remove(); // there is nothing to show
      }
    }
  }
})();

(() => {
  const button = document.getElementById("live");
  const list = document.getElementById("events");
  const blank = document.getElementById("live-event");
  if (!button || !list || !blank) return;
  const state = document.getElementById("live-state");
  const members = JSON.parse(button.dataset.members);
  const most = 200; // rows that the page keeps
  const mostText = 200; // characters of a text
  const mostJSON = 3 << 10; // characters of an event's JSON

  // What cannot be seen, or turns the direction of text, is shown as an escape.
  const seen = (text, as) => text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu, as);
  const plain = (text) => {
    const line = seen(String(text).trim().replace(/[\r\n\t]/g, " "), "\ufffd");
    return line.length > mostText ? line.slice(0, mostText) + "…" : line;
  };

  // textOf returns the first text among some members of an event.
  const textOf = (event, names) => {
    for (const name of names) {
      let value = event;
      for (const part of name.split(".")) value = value?.constructor === Object && Object.hasOwn(value, part) ? value[part] : undefined;
      if (Array.isArray(value)) value = value[0];
      if (typeof value === "number" || typeof value === "string" && value.trim()) return value;
    }
    return "";
  };

  const inWords = (type) => {
    if (Object.hasOwn(members.words, type)) return members.words[type];
    const words = type.replace(/[._]/g, " ");
    return words.charAt(0).toUpperCase() + words.slice(1);
  };

  // pretty sets JSON out over lines. Numbers stay as they are written, which
  // reading and writing them would not do.
  const pretty = (raw) => {
    let text = "", depth = 0;
    const line = () => "\n" + "  ".repeat(Math.min(depth, 24));
    for (const [token] of raw.matchAll(/"(?:[^"\\]|\\.)*"?|[{[](?=[}\]])[}\]]|[{}[\],:]|[^{}[\],:"]+/g)) {
      if (text.length > mostJSON) return text + "…";
      if (token === "{" || token === "[") {
        depth++;
        text += token + line();
      } else if (token === "}" || token === "]") {
        depth--;
        text += line() + token;
      } else if (token === ",") {
        text += token + line();
      } else if (token === ":") {
        text += ": ";
      } else {
        text += seen(token.slice(0, mostJSON), (c) => [...Array(c.length).keys()].map((i) => "\\u" + c.charCodeAt(i).toString(16).padStart(4, "0")).join(""));
      }
    }
    return text;
  };

  // rowOf makes the row of an event from the message that told of it.
  const rowOf = (data) => {
    const found = JSON.parse(data);
    const { event } = found;
    const name = found.partition + "-" + found.seq;
    if (document.getElementById("event-" + name)) return null;
    const raw = data.slice('{"event":'.length, data.lastIndexOf(',"partition":"'));
    const row = blank.content.firstElementChild.cloneNode(true);
    row.id = "event-" + name;
    row.classList.add("fresh");
    const put = (selector, text) => { row.querySelector(selector).textContent = text; };
    const type = plain(textOf(event, members.type));
    put(".event-actor", plain(textOf(event, members.actor)) || "Somebody");
    put(".event-words", plain(textOf(event, members.message)) || inWords(type));
    put(".event-type", type);
    for (const [part, text] of [["target", textOf(event, members.target)], ["path", found.namespace], ["ip", textOf(event, members.address)]]) {
      if (plain(text)) put(".event-" + part, plain(text));
      else row.querySelector(".event-" + part + "-part").remove();
    }
    const source = row.querySelector(".event-source");
    source.dataset.source = found.source;
    const same = list.querySelector(`[data-source="${CSS.escape(found.source)}"]`);
    source.textContent = same ? same.textContent : "by way of " + (found.source === "sluice" ? "Sluice" : "token " + found.source);
    const told = textOf(event, members.time);
    let at = new Date(told || found.accepted_at);
    if (isNaN(at)) at = new Date(found.accepted_at);
    const time = row.querySelector("time");
    time.dateTime = at.toISOString();
    time.textContent = at.toUTCString();
    const code = row.querySelector("pre code");
    code.id = "json-" + name;
    code.textContent = pretty(raw.slice(0, 8 * mostJSON));
    const copy = row.querySelector("[data-copy]");
    if (code.textContent.length > mostJSON) copy.remove(); // it is not all of it
    else copy.dataset.copy = code.id;
    row.querySelector(".event-links a").href += "/" + name;
    return row;
  };

  const put = (row) => {
    showTimes(row);
    showCopying(row);
    list.prepend(row);
    document.getElementById("no-events")?.remove();
    while (list.children.length > most) {
      list.lastElementChild.remove();
      for (const nav of document.querySelectorAll(".pager")) nav.hidden = true; // it would leave out what was removed
    }
  };

  let source = null, cursor = "", fresh = 0;
  const say = (text) => { state.textContent = text; };
  const stop = (text) => {
    source?.close();
    source = null;
    button.textContent = "Follow live";
    button.setAttribute("aria-pressed", "false");
    say(text);
  };
  const start = () => {
    const address = new URL(button.dataset.live, location.href);
    if (cursor) address.searchParams.set("after", cursor);
    const mine = source = new EventSource(address);
    button.textContent = "Pause";
    button.setAttribute("aria-pressed", "true");
    say("Connecting");
    mine.onopen = () => say(fresh ? "" : "Waiting for events");
    mine.onmessage = (e) => {
      if (mine !== source) return;
      cursor = e.lastEventId;
      const row = rowOf(e.data);
      if (!row) return;
      put(row);
      fresh++;
      say(fresh + (fresh === 1 ? " new event" : " new events") + (fresh > most ? ", the newest " + most + " are shown" : ""));
    };
    mine.addEventListener("gap", () => stop("Some events were left out here: load the page again."));
    mine.onerror = () => {
      if (mine !== source) return;
      if (mine.readyState === EventSource.CLOSED) stop("Following has ended: load the page again.");
      else say("Connecting again");
    };
  };
  button.addEventListener("click", () => (source ? stop("Paused. Nothing is left out when you go on.") : start()));
  button.hidden = false;
})();
