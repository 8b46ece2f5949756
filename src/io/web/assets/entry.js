// The open entry: shown, kept up to date around what is being typed, acted on.
import * as autosave from "./autosave.js";
import { tick } from "./clock.js";
import { mountPlayers } from "./player.js";
import { signIn } from "./session.js";

const detail = document.getElementById("detail");
const heard = new Map();
let asking = null;
let opening = null;
// A button that is replaced while it is held down is never clicked.
let held = false;
let putOff = false;

export const article = () => detail.querySelector("article.entry");
export const openEntry = () => article()?.dataset.entry;

const parse = (html) => new DOMParser().parseFromString(html, "text/html").querySelector("article.entry");

/** Shows an entry; `focus` puts the cursor into its first empty field. */
export async function open(entry, focus = false) {
  if (openEntry() !== entry) {
    if (article()) autosave.flush(article());
    const mine = { entry, overtaken: false };
    opening = mine;
    await htmx.ajax("GET", `/entries/${entry}`, { source: "#detail", target: "#detail", swap: "innerHTML" });
    if (opening === mine) opening = null;
    if (mine.overtaken) refresh();
  }
  if (focus) firstEmpty()?.focus();
}

/** Something happened to this entry: what is on its way here may be older. */
export function changed(entry) {
  if (opening?.entry === entry) opening.overtaken = true;
}

function firstEmpty() {
  const fields = [...detail.querySelectorAll("[data-fields] input, [data-fields] textarea")];
  return fields.find((field) => field.value === "") ?? fields[0];
}

/** A new article is in place. */
export function mounted() {
  const shown = article();
  if (!shown || shown.dataset.mounted) return;
  shown.dataset.mounted = "1";
  heard.clear();
  for (const part of shown.querySelectorAll("[data-part]")) heard.set(part.dataset.part, part.innerHTML);
  autosave.mount(shown);
  mountPlayers(shown);
  history.replaceState(null, "", `/?entry=${shown.dataset.entry}`);
  mark();
  tick();
}

/** The list shows which entry is open. */
export function mark() {
  for (const link of document.querySelectorAll(".row a")) {
    if (link.parentElement.dataset.entry === openEntry()) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

export async function refresh() {
  const shown = article();
  if (!shown) return;
  asking?.abort();
  asking = new AbortController();
  const asked = performance.now();
  try {
    const answer = await fetch(`/entries/${shown.dataset.entry}`, { headers: { "HX-Request": "true" }, signal: asking.signal });
    if (answer.ok) merge(shown, parse(await answer.text()), asked);
  } catch {
    // The live connection reports a lost server, and comes back with a refresh.
  }
}

function merge(shown, fresh, asked) {
  if (!fresh || shown !== article() || shown.dataset.entry !== fresh.dataset.entry) return;
  if (held) {
    putOff = true;
    return;
  }
  shown.className = fresh.className;
  for (const part of shown.querySelectorAll("[data-part]")) {
    const now = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
    if (!now || heard.get(part.dataset.part) === now.innerHTML) continue;
    heard.set(part.dataset.part, now.innerHTML);
    keepFocus(part, () => part.replaceChildren(...now.childNodes));
  }
  for (const label of shown.querySelectorAll("[data-field]")) {
    const now = fresh.querySelector(`[data-field="${label.dataset.field}"]`);
    if (now) label.className = now.className;
  }
  autosave.merge(shown, fresh, asked);
  mountPlayers(shown);
  tick();
}

// A scroll bar that is pressed tells of no end.
addEventListener("pointerdown", (event) => (held = event.target.closest("button, a, summary") !== null), true);
for (const end of ["pointerup", "pointercancel"]) {
  // Its click comes first.
  addEventListener(end, () => setTimeout(() => {
    held = false;
    if (putOff) refresh();
    putOff = false;
  }), true);
}

function keepFocus(part, replace) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  replace();
  if (!focused) return;
  const again = focused.dataset.key ? part.querySelector(`[data-key="${focused.dataset.key}"]`) : null;
  (again && !again.disabled ? again : firstEmpty())?.focus({ preventScroll: true });
}

function note(text) {
  const out = article()?.querySelector(".action-note");
  if (!out) return;
  out.textContent = text;
  out.hidden = text === "";
}

// What is done in the list itself; the live connection brings the row as it is then.
async function actOnRow(event, form) {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  if (event.submitter?.name) body.set(event.submitter.name, event.submitter.value);
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
  for (const button of form.querySelectorAll("button")) button.disabled = false;
  if (answer?.status === 401) signIn();
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.matches("[data-row-action]")) return actOnRow(event, form);
  if (!form.matches("[data-action]")) return;
  event.preventDefault();
  const shown = article();
  const body = new URLSearchParams(new FormData(form));
  if (event.submitter?.name) body.set(event.submitter.name, event.submitter.value);
  if (event.submitter) event.submitter.disabled = true;
  // An urgent flag does not wait for a field to be saved.
  if (form.matches(".close-form")) await autosave.flush(shown);
  const asked = performance.now();
  const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
  if (event.submitter) event.submitter.disabled = false;
  if (answer?.status === 401) return signIn();
  if (answer?.ok) {
    note("");
    merge(shown, parse(await answer.text()), asked);
  } else {
    note(shown.dataset.refused + (answer ? await answer.text() : shown.dataset.away));
  }
});
