// The function keys of the duty desk. A key pressed while Chinese is being composed is the input
// method's.
import { aimedAt, open } from "./entry.js";
import { newest } from "./ring.js";

const newestRow = () => document.querySelector(".row[data-entry]")?.dataset.entry;

// Where nothing is being written, a slash looks for an entry.
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
  if (document.activeElement?.matches("input, textarea, select")) return;
  event.preventDefault();
  location.assign("/search");
});

addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  if (!["F1", "F2", "F3", "F4", "F7", "F8"].includes(event.key)) return;
  event.preventDefault();
  if (event.repeat) return;
  const shown = aimedAt();
  if (event.key === "F4" && !shown?.querySelector('[data-key="F4"]')) return document.querySelector("#dial > summary").click();
  if (event.key === "F1" || !shown) {
    const entry = newest() ?? newestRow();
    if (entry) open(entry, true);
    return;
  }
  shown.querySelector(`[data-key="${event.key}"]:not([disabled])`)?.click();
});
