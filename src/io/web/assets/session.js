// The session: a box over the page when it is over, a warning before. The page stays as it is, and what was typed waits
// in localStorage.
import { now, timeAt } from "./clock.js";

const box = document.getElementById("sign-in");
const form = box.querySelector("form");
const why = document.getElementById("sign-in-why");
const problem = box.querySelector(".problem");
const later = box.querySelector(".sign-in-later");
const ending = document.getElementById("session-ends");
/** So many milliseconds before its end it is said. */
const SOON = 3_600_000;
const waiting = [];
let account = document.body.dataset.account ?? "";
let over = false;

/** What is to be done when somebody has signed in again; told whether it was here or in another tab. */
export const onSignedIn = (work) => waiting.push(work);

/** Asks as a script: where the session is over the answer is 401, never the page for signing in. */
export const ask = (url, how) => fetch(url, { ...how, headers: { "HX-Request": "true" } });

/** A signal for `fetch`, which waits so many milliseconds and no longer. */
export function within(milliseconds, leave = new AbortController()) {
  setTimeout(() => leave.abort(), milliseconds);
  return leave.signal;
}

/** Whose session it is and when it ends, as the server says. */
export function told({ login, ends }) {
  account = account || login;
  ending.hidden = ends - now() > SOON;
  ending.querySelector(".word").textContent = ending.dataset.text.replace("{}", timeAt(ends).slice(0, 5));
}

/** The server tells anew, to this login: where the session was over somebody has signed in in another tab. */
export function renewed(login) {
  if (over && login === account) signedIn(false);
}

/** The session is over. Nobody's cursor is taken away from what he types. */
export function signIn() {
  over = true;
  show(why.dataset.over, false);
  if (document.activeElement === document.body) form.elements.password.focus();
}

ending.addEventListener("click", () => {
  show(why.dataset.soon, true);
  form.elements.password.focus();
});
later.addEventListener("click", () => (box.hidden = true));

function show(words, optional) {
  why.textContent = words;
  later.hidden = !optional;
  if (!box.hidden) return;
  box.hidden = false;
  say("");
  form.elements.account.value = account;
}

function say(words) {
  problem.textContent = words;
  problem.hidden = words === "";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  event.submitter.disabled = true;
  const answer = await fetch("/login", { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" }).catch(() => null);
  event.submitter.disabled = false;
  // Whoever is let in is sent to a page.
  if (answer?.type !== "opaqueredirect") return say(answer ? words(await answer.text()) : box.dataset.away);
  form.elements.password.value = "";
  if (account && form.elements.account.value.trim() !== account) return location.assign(location.pathname === "/" ? location.href : "/");
  signedIn(true);
});

function signedIn(here) {
  over = false;
  box.hidden = true;
  for (const work of waiting) work(here);
}

const words = (html) => new DOMParser().parseFromString(html, "text/html").querySelector(".problem")?.textContent ?? box.dataset.away;
