// The duty desk: the list, the status strip, the pop-up and the open entry, kept up to date.
import "./dial.js";
import "./keys.js";
import { sendLeftDrafts } from "./autosave.js";
import { tick } from "./clock.js";
import "./drafts.js";
import * as entry from "./entry.js";
import { listen } from "./live.js";
import "./overhear.js";
import * as ring from "./ring.js";
import * as rows from "./rows.js";
import { onSignedIn, signIn } from "./session.js";
import "./siren.js";
import { soon } from "./soon.js";
import * as taping from "./taping.js";

const list = document.getElementById("list");

// Each asks from a place of its own: what is asked from one place waits for one another, or is dropped.
const refreshRows = soon(() => htmx.ajax("GET", list.querySelector(".rows")?.dataset.url ?? "/rows", { source: "#list", target: "#list", swap: "innerMorph" }));
const refreshStatus = soon(() => htmx.ajax("GET", "/strip", { source: "#status", target: "#status", swap: "innerHTML" }));
const refreshEntry = soon(entry.refresh);

function heard(kind, data) {
  if (kind === "status") return refreshStatus();
  if (kind === "levels") return taping.levels(data, entry.openEntry());
  if (kind === "ringing") {
    ring.ring(data);
    if (!entry.article()) entry.open(data.entry);
  }
  refreshRows();
  if (kind === "escalation") refreshStatus();
  entry.changed(data.entry);
  if (data.entry === entry.openEntry()) refreshEntry();
}

function refreshAll() {
  refreshRows();
  refreshStatus();
  refreshEntry();
}

document.addEventListener("htmx:after:swap", () => {
  ring.agree(list);
  entry.mounted();
  entry.mark();
  rows.mark();
  tick();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-open]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  entry.open(link.dataset.open);
});

document.addEventListener("htmx:response:error", (event) => {
  if (event.detail.ctx.response.status === 401) signIn();
});

ring.onOpen((id) => entry.open(id, true));

const demo = document.getElementById("demo-call");
demo?.addEventListener("click", async () => {
  const answer = await fetch("/demo/call", { method: "POST" }).catch(() => null);
  document.getElementById("demo-note").textContent = answer?.ok ? "" : demo.dataset.busy;
});

entry.mounted();
ring.agree(list);
tick();
listen(heard, refreshAll);
sendLeftDrafts(entry.openEntry());
onSignedIn(() => sendLeftDrafts(entry.openEntry()));
