// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

// The pages work without this. With it, sections that have changed are replaced as the server sends them, ages grow, and forms open above the page.

const main = document.getElementById("main");
const live = document.getElementById("live");
const dialog = document.getElementById("dialog");

// What was done is said once: a page that is loaded again says nothing.
const here = new URL(location.href);
if (here.searchParams.has("did")) {
  here.searchParams.delete("did");
  history.replaceState(null, "", here);
}

// human writes a span of seconds as Kubernetes does.
function human(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
  if (s < 120) return `${s}s`;
  if (m < 10) return s % 60 ? `${m}m${s % 60}s` : `${m}m`;
  if (m < 180) return `${m}m`;
  if (h < 8) return m % 60 ? `${h}h${m % 60}m` : `${h}h`;
  if (h < 48) return `${h}h`;
  if (d < 8) return h % 24 ? `${d}d${h % 24}h` : `${d}d`;
  if (d < 730) return `${d}d`;
  return `${Math.floor(d / 365)}y`;
}

function grow() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const span = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const text = human(time.dataset.age === "left" ? -span : span);
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(grow, 1000);

// place puts a section on the page. The focus stays where it was, and so does what is selected: such a section waits.
const waiting = new Map();
function place(change) {
  const selection = getSelection();
  let section = document.getElementById(change.id);
  if (section && !selection.isCollapsed && section.contains(selection.anchorNode)) {
    waiting.set(change.id, change);
    return;
  }
  waiting.delete(change.id);
  if (change.gone) {
    section?.remove();
    return;
  }
  if (!section) {
    section = document.createElement("section");
    section.id = change.id;
    const before = change.after && document.getElementById(change.after);
    if (before) before.after(section);
    else main.append(section);
  }
  const focused = section.contains(document.activeElement) && document.activeElement.getAttribute("href");
  // The server has escaped what others have written, and the policy of the page lets no script in it run.
  section.innerHTML = change.html ?? "";
  if (focused) section.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  if (change.announce && section.dataset.announce !== change.announce) {
    section.dataset.announce = change.announce;
    document.getElementById("announce").textContent = change.announce;
  }
}
document.addEventListener("selectionchange", () => {
  if (getSelection().isCollapsed) for (const change of [...waiting.values()]) place(change);
});

let source;
function say(text, tone) {
  live.hidden = false;
  live.textContent = text;
  live.className = `live ${tone}`;
}
function listen() {
  source = new EventSource(location.href);
  source.addEventListener("open", () => say("live", "on"));
  source.addEventListener("error", () => say(source.readyState === EventSource.CLOSED ? "ended" : "reconnecting", "off"));
  source.addEventListener("section", (event) => {
    place(JSON.parse(event.data));
    grow();
  });
}
// A browser has six connections to a host: a page that nobody sees gives its own back.
if ("live" in document.body.dataset) {
  listen();
  document.addEventListener("visibilitychange", () => {
    source.close();
    if (!document.hidden) listen();
  });
  addEventListener("pagehide", () => source.close());
}

// Forms open above the page. Where that fails, the link leads to the form itself.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  if ("cancel" in link.dataset && dialog.open) {
    event.preventDefault();
    dialog.close();
  }
  if (!("act" in link.dataset)) return;
  event.preventDefault();
  try {
    const answer = await fetch(link.href);
    const form = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("form.act");
    if (!form) throw new Error("there is no form");
    dialog.replaceChildren(document.adoptNode(form));
    dialog.showModal();
    dialog.querySelector("textarea, button")?.focus();
  } catch {
    location.assign(link.href);
  }
});
