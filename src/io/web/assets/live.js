// What happens right now, as the server tells it. EventSource reconnects by itself, and unlike
// htmx's own SSE it goes on while the tab is in the background.
import { setNow } from "./clock.js";
import { signIn } from "./session.js";

/** Calls `heard(kind, data)` for each event; `refresh()` when something may have been missed. */
export function listen(heard, refresh) {
  const live = document.getElementById("live");
  const lost = document.getElementById("page-lost");
  const show = (on) => {
    live.className = "chip " + (on ? "ok" : "bad");
    live.querySelector(".shape").textContent = on ? "●" : "■";
    live.querySelector(".word").textContent = on ? live.dataset.on : live.dataset.off;
    lost.hidden = on;
  };
  let source = null;
  const connect = () => {
    source = new EventSource("/events");
    source.addEventListener("hello", (event) => {
      setNow(JSON.parse(event.data).now);
      show(true);
      refresh();
    });
    source.addEventListener("resync", refresh);
    for (const kind of ["ringing", "entry", "escalation", "status", "levels"]) {
      source.addEventListener(kind, (event) => heard(kind, JSON.parse(event.data)));
    }
    source.onerror = () => {
      show(false);
      if (source.readyState === EventSource.CLOSED) setTimeout(again, 2000);
    };
  };
  // EventSource gives up on an HTTP answer that is no stream: signed out, or the server is ill.
  const again = async () => {
    const answer = await fetch("/rows").catch(() => null);
    if (answer?.status === 401) signIn();
    else connect();
  };
  connect();
}
