// The pop-up of a call that rings: beside the form, never over it, and never takes the focus.
import { now } from "./clock.js";

const stack = document.getElementById("ring");
const { title } = document;
const hidden = new Set();
let open = () => {};

export function onOpen(callback) {
  open = callback;
}

const card = (entry) => stack.querySelector(`[data-entry="${CSS.escape(entry)}"]`);

export const newest = () => stack.querySelector("[data-entry]")?.dataset.entry;

export function ring({ entry, caller, name, vouched, called, diverted, at }) {
  if (hidden.has(entry)) return;
  let shown = card(entry);
  if (!shown) {
    shown = document.getElementById("ring-card").content.firstElementChild.cloneNode(true);
    shown.dataset.entry = entry;
    shown.querySelector(".ring-seconds").dataset.since = new Date(at).getTime();
    const heading = shown.querySelector(".ring-title");
    heading.textContent = heading.dataset.ringing;
    shown.querySelector(".ring-open").onclick = () => open(entry);
    shown.querySelector(".ring-hide").onclick = () => hide(entry);
    stack.prepend(shown);
    performance.mark("ring-shown");
  }
  const number = shown.querySelector(".ring-number");
  const who = shown.querySelector(".ring-name");
  number.textContent = number.title = caller || number.dataset.none;
  who.textContent = who.title = name;
  const way = shown.querySelector(".ring-way");
  const by = Array.isArray(diverted) ? diverted.join(way.dataset.comma) : diverted;
  const parts = [called ? way.dataset.called.replace("{}", () => called) : "", vouched ? "" : way.dataset.unverified, by ? way.dataset.by.replace("{}", () => by) : ""];
  way.textContent = way.title = parts.filter(Boolean).join(" · ");
  retitle();
}

/** The call was taken or is over. */
export function settled(entry, answered) {
  const shown = card(entry);
  if (!shown || shown.classList.contains("settled")) return;
  if (!answered) return remove(entry);
  shown.classList.add("settled");
  const heading = shown.querySelector(".ring-title");
  heading.textContent = heading.dataset.answered;
  shown.querySelector(".ring-time").remove();
  setTimeout(() => remove(entry), 6000);
  retitle();
}

function hide(entry) {
  hidden.add(entry);
  remove(entry);
}

export function remove(entry) {
  card(entry)?.remove();
  retitle();
}

function retitle() {
  const ringing = stack.querySelector(".ring-card:not(.settled) .ring-number");
  document.title = ringing ? `【${document.getElementById("ring-card").content.querySelector(".ring-title").dataset.ringing}】${ringing.textContent}` : title;
}

/** Makes the pop-ups agree with what the log says rings. */
export function agree(list) {
  const ringing = new Set();
  for (const item of list.querySelectorAll(".ringing-now li")) {
    ringing.add(item.dataset.entry);
    ring({ entry: item.dataset.entry, caller: item.dataset.caller, name: item.dataset.name, vouched: item.dataset.vouched === "true", called: item.dataset.called, diverted: item.dataset.diverted, at: Number(item.dataset.at) });
  }
  for (const shown of stack.querySelectorAll("[data-entry]")) {
    const entry = shown.dataset.entry;
    if (ringing.has(entry)) continue;
    const row = list.querySelector(`.row[data-entry="${CSS.escape(entry)}"]`);
    // A call whose entry cannot be stored yet rings all the same and is in no list.
    const since = Number(shown.querySelector(".ring-seconds")?.dataset.since ?? now());
    if (row) settled(entry, row.dataset.state === "in-call");
    else if (now() - since > 120_000) remove(entry);
  }
}
