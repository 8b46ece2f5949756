// Every page but the desk, and the ladder that is opened beside it: what rings, what is wrong and the siren are there too.
import { listen } from "./live.js";
import * as ring from "./ring.js";
import { ask, signIn } from "./session.js";
import "./siren.js";
import { soon } from "./soon.js";

const status = document.getElementById("status");
/** How often a tab that has no connection in the background looks for alarms. */
const LOOK = 10_000;

async function fragment(path) {
  const answer = await ask(path).catch(() => null);
  if (answer?.status === 401) signIn();
  return answer?.ok ? new DOMParser().parseFromString(await answer.text(), "text/html").body : null;
}

const refreshStatus = soon(async () => {
  const fresh = await fragment("/strip");
  if (fresh) status.replaceChildren(...fresh.childNodes);
});
const refreshRing = soon(async () => {
  const fresh = await fragment("/rows");
  if (fresh) ring.agree(fresh);
});

function heard(kind, data) {
  if (kind === "levels") return;
  if (kind === "status" || kind === "escalation") refreshStatus();
  if (kind === "ringing") ring.ring(data);
  if (ring.newest()) refreshRing();
}

const live = listen(heard, () => {
  refreshStatus();
  refreshRing();
});
document.addEventListener("visibilitychange", () => (document.hidden ? live.rest() : live.wake()));
setInterval(() => live.resting() && refreshStatus(), LOOK);

const open = (entry) => location.assign(`/?entry=${entry}`);
ring.onOpen(open);
addEventListener("keydown", (event) => {
  if (event.key !== "F1" || event.isComposing || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  const entry = ring.newest();
  if (!entry) return;
  event.preventDefault();
  open(entry);
});
