// The open entry: shown, kept up to date around what is being typed, acted on.
import * as autosave from "./autosave.js";
import { tick } from "./clock.js";
import { mountPlayers } from "./player.js";
import { ask, onSignedIn, signIn, within } from "./session.js";

/** How long the server may take for an entry; how soon it is said that nothing has come; how often it is asked again. */
const ANSWER = 8000;
const LATE = 1500;
const AGAIN = 3000;
const detail = document.getElementById("detail");
const heard = new Map();
let asking = null;
let opening = null;
let wanted = false;
// A button that is replaced while it is held down is never clicked.
let held = false;
let putOff = false;

export const article = () => detail.querySelector("article.entry");
export const openEntry = () => article()?.dataset.entry;

const parse = (html) => new DOMParser().parseFromString(html, "text/html").querySelector("article.entry");

/** An entry that could not be shown has an article in its place, whose keys are about that call. */
const unread = () => article()?.matches(".unread") ?? false;

/** The entry as the server has it; none where it has none, or does not answer. */
async function read(entry, leave) {
  try {
    const answer = await ask(`/entries/${entry}`, { signal: within(ANSWER, leave) });
    if (answer.status === 401) signIn();
    return answer.ok ? parse(await answer.text()) : null;
  } catch {
    // The live connection reports a lost server, and comes back with a refresh.
    return null;
  }
}

function place(fresh) {
  detail.replaceChildren(fresh);
  detail.scrollTop = 0;
  mounted();
  mark();
  tick();
}

function inPlaceOf(entry) {
  const shown = document.getElementById("unread").content.firstElementChild.cloneNode(true);
  const name = CSS.escape(entry);
  const known = document.querySelector(`.ring-card[data-entry="${name}"] .ring-number, .row[data-entry="${name}"] .caller`);
  shown.dataset.entry = entry;
  shown.querySelector(".number").textContent = known?.textContent ?? "";
  shown.querySelector("form").action = `/entries/${entry}/urgency`;
  return shown;
}

/** Shows an entry; `focus` puts the cursor into its first empty field, and nothing into the one before it. */
export async function open(entry, focus = false) {
  wanted = focus;
  if (openEntry() !== entry || unread()) {
    if (article()) autosave.flush(article());
    if (focus && detail.contains(document.activeElement)) document.activeElement.blur();
    opening?.leave.abort();
    const mine = { entry, overtaken: false, leave: new AbortController() };
    opening = mine;
    const late = setTimeout(() => opening === mine && openEntry() !== entry && place(inPlaceOf(entry)), LATE);
    const fresh = await read(entry, mine.leave);
    clearTimeout(late);
    if (opening !== mine) return;
    opening = null;
    // A key that was pressed meanwhile may have brought it already.
    const there = openEntry() === entry && !unread();
    if (!there && (fresh || openEntry() !== entry)) place(fresh ?? inPlaceOf(entry));
    if (there || mine.overtaken) refresh();
  }
  if (focus && !unread()) firstEmpty()?.focus();
}

setInterval(() => {
  if (unread() && !opening) refresh();
}, AGAIN);

/** The entry that a key is about: the one that was asked for last, though it may be on its way. */
export function aimedAt() {
  if (opening && openEntry() !== opening.entry) place(inPlaceOf(opening.entry));
  return article();
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
  if (!shown || shown.dataset.mounted || unread()) return;
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
  merge(shown, await read(shown.dataset.entry, asking), asked);
}

function merge(shown, fresh, asked) {
  if (!fresh || shown !== article() || shown.dataset.entry !== fresh.dataset.entry) return;
  if (held) {
    putOff = true;
    return;
  }
  if (unread()) {
    place(fresh);
    if (wanted && document.activeElement === document.body) firstEmpty()?.focus();
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

const spot = (field) => `form[action="${field.form?.getAttribute("action")}"] [name="${field.name}"]`;

/** What is being typed into a part that is drawn anew stays there, and so do the cursor and what is unfolded. */
function keepFocus(part, replace) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const typed = [...part.querySelectorAll("form[action] input[name]")].filter((field) => field.value !== field.defaultValue);
  const unfolded = [...part.querySelectorAll("details")].map((one) => one.open);
  replace();
  const folds = part.querySelectorAll("details");
  if (folds.length === unfolded.length) folds.forEach((one, at) => (one.open = unfolded[at]));
  for (const field of typed) {
    const again = part.querySelector(spot(field));
    if (again) again.value = field.value;
  }
  if (!focused) return;
  const again = focused.dataset.key ? part.querySelector(`[data-key="${focused.dataset.key}"]`) : focused.name ? part.querySelector(spot(focused)) : null;
  (again && !again.disabled ? again : firstEmpty())?.focus({ preventScroll: true });
}

/** Says it where it was done, or with whose number where another entry is open by now. */
function note(shown, text) {
  const out = (shown.isConnected ? shown : article())?.querySelector(".action-note");
  if (!out) return;
  out.textContent = shown.isConnected || text === "" ? text : `${shown.querySelector(".number").textContent} ${text}`;
  out.hidden = text === "";
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-action]")) return;
  event.preventDefault();
  const shown = article();
  const body = new URLSearchParams(new FormData(form));
  if (event.submitter?.name) body.set(event.submitter.name, event.submitter.value);
  if (event.submitter) event.submitter.disabled = true;
  // An urgent flag does not wait for a field to be saved.
  if (form.matches(".close-form")) {
    await autosave.flush(shown);
    const lacking = autosave.lacksReason(shown);
    if (event.submitter && lacking) event.submitter.disabled = false;
    if (lacking) return note(shown, document.body.dataset.refused + lacking);
  }
  const asked = performance.now();
  const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
  if (event.submitter) event.submitter.disabled = false;
  const { refused, away, signedOut } = document.body.dataset;
  if (answer?.status === 401) {
    signIn();
    note(shown, refused + signedOut);
  } else if (answer?.status === 202) {
    note(shown, await answer.text());
  } else if (answer?.ok) {
    form.reset();
    note(shown, "");
    merge(shown, parse(await answer.text()), asked);
  } else {
    note(shown, refused + (answer ? await answer.text() : away));
  }
});

onSignedIn(refresh);
