// How much of the open entry's recording is safe, and how loud its two sides are; red where nobody says so any more.
import { span } from "./clock.js";

/** Without a word of the recorder for so long it is taken for dead. */
const SILENT = 4000;
const FULL = 60;
let told = performance.now();

export function levels({ calls }, entry) {
  told = performance.now();
  const panel = document.querySelector("[data-taping]");
  const mine = calls.find((call) => call.entry === entry);
  if (!panel || !mine) return;
  panel.querySelector("[data-safe]").textContent = span(mine.safe, true);
  panel.querySelector("[data-left]").value = Math.max(0, FULL - mine.left);
  panel.querySelector("[data-right]").value = Math.max(0, FULL - mine.right);
}

setInterval(() => {
  const warning = document.querySelector("[data-taping] .not-recording");
  if (warning) warning.hidden = performance.now() - told < SILENT;
}, 500);

// What was said a moment ago, while the call goes on; each time anew.
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-recall]");
  if (!button) return;
  const audio = button.closest(".recall").querySelector("audio");
  audio.hidden = false;
  audio.src = `${button.dataset.recall}&at=${Date.now()}`;
  audio.play().catch(() => {});
});
