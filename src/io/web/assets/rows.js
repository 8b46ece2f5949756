// What is done in the list itself; the live connection brings the row as it is then. What was refused or lost is said
// below its row, for a while and whatever is drawn anew.
import { signIn } from "./session.js";

const list = document.getElementById("list");
const SAID = 30_000;
const notes = new Map();

/** The list was drawn anew. */
export function mark() {
  for (const [entry, text] of notes) {
    const row = list.querySelector(`.row[data-entry="${CSS.escape(entry)}"]`);
    if (!row) continue;
    let out = row.querySelector(".row-note");
    if (!out) {
      out = document.createElement("p");
      out.className = "problem row-note";
      out.setAttribute("role", "alert");
      row.append(out);
    }
    out.textContent = text;
  }
}

function say(entry, text) {
  notes.set(entry, text);
  mark();
  setTimeout(() => notes.get(entry) === text && forget(entry), SAID);
}

function forget(entry) {
  notes.delete(entry);
  list.querySelector(`.row[data-entry="${CSS.escape(entry)}"] .row-note`)?.remove();
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-row-action]")) return;
  event.preventDefault();
  const { entry } = form.closest(".row").dataset;
  const body = new URLSearchParams(new FormData(form));
  if (event.submitter?.name) body.set(event.submitter.name, event.submitter.value);
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
  for (const button of form.querySelectorAll("button")) button.disabled = false;
  if (answer?.ok) return forget(entry);
  const { refused, away, signedOut } = document.body.dataset;
  if (answer?.status === 401) signIn();
  say(entry, refused + (answer?.status === 401 ? signedOut : answer ? await answer.text() : away));
});
