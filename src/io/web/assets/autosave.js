// Saves each field of an entry by itself. What is typed stays in localStorage until the server has
// it; what somebody else wrote meanwhile is never overwritten without asking. What is closed is changed with a reason.
import { timeOfDay } from "./clock.js";
import { onSignedIn, signIn } from "./session.js";

const pause = 600;
const states = new WeakMap();
/** Why an entry is changed, while that is on its way. */
const reasons = new WeakMap();
const { account, officer } = document.body.dataset;

const draftKey = (entry, field) => `draft:${account}:${entry}:${field}`;
const isField = (element) => element.matches?.("[data-fields] [name]");
const stateOf = (element) => {
  if (!states.has(element)) states.set(element, { base: element.value, dirty: false, saving: null, timer: 0, wait: 1000, savedAt: 0 });
  return states.get(element);
};

export const isDirty = (element) => stateOf(element).dirty;
const dirty = (article) => [...article.querySelectorAll("[data-fields] [name]")].filter(isDirty);
const asksWhy = (article) => article.querySelector(".correction");
/** What is still to be said before the entry's changes are saved; none where nothing is. */
export const lacksReason = (article) => asksWhy(article)?.querySelector("p").textContent;

function remember(element) {
  const entry = element.closest("article").dataset.entry;
  try {
    localStorage.setItem(draftKey(entry, element.name), JSON.stringify({ base: stateOf(element).base, value: element.value, at: Date.now(), officer }));
  } catch {
    // No room on this computer: the server still gets it.
  }
}

function report(article, text, bad) {
  const out = article.querySelector(".save-state");
  out.textContent = text;
  out.classList.toggle("bad", bad);
}

const patch = (entry, field, base, value, reason = "") =>
  fetch(`/entries/${entry}`, { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify({ field, base, value, reason }) });

/** Ends when the server has it or has refused it: whoever comes while it is on its way waits with it. */
function save(element) {
  const state = stateOf(element);
  state.saving ??= send(element, state).finally(() => (state.saving = null));
  return state.saving;
}

async function send(element, state) {
  const article = element.closest("article");
  clearTimeout(state.timer);
  if (element.parentElement.querySelector(".conflict")) return;
  const value = element.value;
  if (value === state.base) return clean(element);
  const why = reasons.get(article);
  if (asksWhy(article) && !why) return;
  report(article, article.dataset.saving, false);
  const answer = await patch(article.dataset.entry, element.name, state.base, value, why).catch(() => null);
  if (answer?.ok) {
    state.base = value;
    state.wait = 1000;
    state.savedAt = performance.now();
    if (element.value !== value) return send(element, state);
    clean(element);
    report(article, `● ${article.dataset.saved} ${timeOfDay()}`, false);
  } else if (answer?.status === 409) {
    conflict(element, (await answer.json()).theirs);
  } else if (answer?.status === 428) {
    report(article, "", false);
    askWhy(article);
  } else if (answer?.status === 401) {
    report(article, `▲ ${article.dataset.notSaved}`, true);
    signIn();
  } else if (answer?.status === 413 || answer?.status === 422) {
    report(article, `■ ${article.dataset.tooLong}`, true);
  } else {
    report(article, `▲ ${article.dataset.notSaved}`, true);
    state.timer = setTimeout(() => save(element), state.wait);
    state.wait = Math.min(state.wait * 2, 15_000);
  }
}

function clean(element) {
  const article = element.closest("article");
  stateOf(element).dirty = false;
  localStorage.removeItem(draftKey(article.dataset.entry, element.name));
  if (dirty(article).length === 0) asksWhy(article)?.remove();
}

/** Once for all that is changed, however many fields it is; what is typed goes on. */
function askWhy(article) {
  if (asksWhy(article)) return;
  const box = document.getElementById("correction").content.firstElementChild.cloneNode(true);
  const reason = box.querySelector("input");
  const keep = async () => {
    const why = reason.value.trim();
    if (why === "") return reason.focus();
    reasons.set(article, why);
    await flush(article);
    reasons.delete(article);
  };
  box.querySelector(".keep").onclick = keep;
  reason.addEventListener("keydown", (event) => event.key === "Enter" && !event.isComposing && keep());
  box.querySelector(".drop").onclick = () => {
    for (const element of dirty(article)) {
      element.value = stateOf(element).base;
      clean(element);
    }
    report(article, "", false);
  };
  article.querySelector("[data-fields]").append(box);
  // Never over the field that is being typed into.
  if (article.contains(document.activeElement)) document.activeElement.scrollIntoView({ block: "nearest" });
}

function conflict(element, theirs) {
  const state = stateOf(element);
  const article = element.closest("article");
  state.base = theirs;
  if (theirs === element.value) {
    clean(element);
    return report(article, `● ${article.dataset.saved} ${timeOfDay()}`, false);
  }
  const box = document.getElementById("conflict").content.firstElementChild.cloneNode(true);
  box.querySelector(".theirs").textContent = theirs;
  box.querySelector(".keep").onclick = () => {
    box.remove();
    save(element);
  };
  box.querySelector(".take").onclick = () => {
    element.value = theirs;
    box.remove();
    clean(element);
    report(article, "", false);
  };
  element.after(box);
  report(article, "", false);
}

function changed(element) {
  const state = stateOf(element);
  state.dirty = true;
  remember(element);
  clearTimeout(state.timer);
  state.timer = setTimeout(() => save(element), element.tagName === "SELECT" ? 0 : pause);
}

document.addEventListener("input", (event) => {
  if (isField(event.target) && !event.isComposing) changed(event.target);
});
document.addEventListener("compositionend", (event) => {
  if (isField(event.target)) changed(event.target);
});
document.addEventListener("focusout", (event) => {
  if (isField(event.target) && isDirty(event.target)) save(event.target);
});
document.addEventListener("submit", (event) => {
  if (event.target.matches("[data-fields]")) event.preventDefault();
});

/** Sends what waits, before the form is put away or an action depends on it. */
export const flush = (article) => Promise.all(dirty(article).map(save));

onSignedIn(() => document.querySelectorAll("article.entry").forEach(flush));

/** An entry was opened: what was typed before and never reached the server is taken up again. */
export function mount(article) {
  for (const element of article.querySelectorAll("[data-fields] [name]")) {
    const state = stateOf(element);
    const draft = readDraft(draftKey(article.dataset.entry, element.name));
    if (!draft || draft.value === element.value) continue;
    state.base = draft.base;
    element.value = draft.value;
    state.dirty = true;
    report(article, article.dataset.draft, false);
    save(element);
  }
}

/** Takes over what the server has now, but in no field that is being worked on. */
export function merge(article, fresh, asked) {
  for (const element of article.querySelectorAll("[data-fields] [name]")) {
    const theirs = fresh.querySelector(`[data-fields] [name="${element.name}"]`);
    const state = stateOf(element);
    if (!theirs || state.dirty || state.saving || state.savedAt > asked) continue;
    if (element === document.activeElement && theirs.value !== element.value) continue;
    element.value = state.base = theirs.value;
  }
}

function readDraft(key) {
  try {
    const draft = JSON.parse(localStorage.getItem(key));
    return typeof draft?.value === "string" && typeof draft?.base === "string" ? draft : null;
  } catch {
    return null;
  }
}

/** Entries that are not open have drafts too: they are sent once; a conflict waits for the form. */
export async function sendLeftDrafts(openEntry) {
  const mine = Object.keys(localStorage).filter((key) => key.startsWith(`draft:${account}:`));
  for (const key of mine) {
    const [, , entry, field] = key.split(":");
    const draft = readDraft(key);
    if (!draft) localStorage.removeItem(key);
    if (!draft || entry === openEntry) continue;
    const answer = await patch(entry, field, draft.base, draft.value).catch(() => null);
    if (answer?.ok || answer?.status === 404) localStorage.removeItem(key);
  }
}
