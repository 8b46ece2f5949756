// Calls somebody over the duty line: from an entry, the directory, or a number that is typed. Which
// telephone rings first is remembered on this computer.
import { flush, isDirty } from "./autosave.js";
import { article, open } from "./entry.js";
import { ask, signIn } from "./session.js";

const panel = document.getElementById("dial");
const phone = document.getElementById("dial-phone");
const found = document.getElementById("dial-found");
const find = document.getElementById("dial-number");
const KEPT = "dutyline-phone";

function say(form, text) {
  const inEntry = form.closest("article.entry");
  const out = inEntry ? inEntry.querySelector(".action-note") : document.getElementById("dial-note");
  out.textContent = text;
  out.hidden = text === "";
}

async function dial(form, submitter) {
  const body = new URLSearchParams(new FormData(form));
  if (submitter?.name) body.set(submitter.name, submitter.value);
  if (phone) body.set("phone", phone.value);
  const buttons = form.querySelectorAll("button");
  for (const button of buttons) button.disabled = true;
  // The number may just have been typed into the entry.
  const entry = body.has("about") ? article() : null;
  if (entry) await flush(entry);
  const unsaved = entry && isDirty(entry.querySelector("[name=caller_phone]"));
  const answer = unsaved ? null : await fetch("/dial", { method: "POST", body }).catch(() => null);
  for (const button of buttons) button.disabled = false;
  if (unsaved) return say(form, entry.dataset.notSaved);
  if (answer?.status === 401) return signIn();
  if (!answer?.ok) return say(form, answer ? await answer.text() : document.body.dataset.away);
  say(form, "");
  panel.open = false;
  await open((await answer.json()).entry, true);
}

let asked = 0;
async function look() {
  const mine = ++asked;
  const answer = await ask(`/contacts?find=${encodeURIComponent(find.value)}`).catch(() => null);
  if (answer?.status === 401) return signIn();
  if (!answer?.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine === asked) found.replaceChildren(...fresh.body.childNodes);
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-dial]")) return;
  event.preventDefault();
  dial(form, event.submitter);
});

panel.addEventListener("toggle", () => {
  if (!panel.open) return;
  say(find.form, "");
  look();
  find.focus();
});
panel.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  panel.open = false;
  panel.querySelector("summary").focus();
});
document.addEventListener("pointerdown", (event) => {
  if (panel.open && !panel.contains(event.target)) panel.open = false;
});
let timer = 0;
find.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(look, 150);
});

if (phone) {
  const kept = localStorage.getItem(KEPT);
  if ([...phone.options].some((option) => option.value === kept)) phone.value = kept;
  phone.addEventListener("change", () => localStorage.setItem(KEPT, phone.value));
}
