// What happens right now, as the server tells it. EventSource reconnects by itself, and unlike
// htmx's own SSE it goes on while the tab is in the background.
import { setNow } from "./clock.js";
import { ask, onSignedIn, signIn, told, within } from "./session.js";

/** Milliseconds without a word, after which the connection is taken for dead: a beat comes every five seconds. */
const SILENT = 12_000;
/** How long the server may take to say that it is there, and how long until it is asked again. */
const ANSWER = 5000;
const PAUSE = 2000;

/** Calls `heard(kind, data)` for each event; `refresh()` when something may have been missed. */
export function listen(heard, refresh) {
  const live = document.getElementById("live");
  const lost = document.getElementById("page-lost");
  const show = (on, alarm = !on) => {
    live.className = "chip " + (on ? "ok" : "bad");
    live.querySelector(".shape").textContent = on ? "●" : "■";
    live.querySelector(".word").textContent = on ? live.dataset.on : live.dataset.off;
    lost.hidden = !alarm;
  };
  let source = null;
  let resting = false;
  let last = null;
  const noted = () => (last = { awake: performance.now(), wall: Date.now() });
  // The wall clock goes on while the computer sleeps.
  const silent = () => Math.max(performance.now() - last.awake, Date.now() - last.wall) > SILENT;
  const close = () => {
    source?.close();
    source = null;
  };
  const connect = () => {
    close();
    if (resting) return;
    noted();
    source = new EventSource("/events");
    const on = (kind, work) => source.addEventListener(kind, (event) => {
      noted();
      work(JSON.parse(event.data));
    });
    const sign = (data) => {
      setNow(data.now);
      told(data);
    };
    on("hello", (data) => {
      sign(data);
      show(true);
      refresh();
    });
    on("beat", sign);
    on("resync", refresh);
    for (const kind of ["ringing", "entry", "escalation", "status", "levels"]) on(kind, (data) => heard(kind, data));
    source.onerror = () => {
      show(false);
      if (source.readyState !== EventSource.CLOSED) return;
      close();
      setTimeout(again, PAUSE);
    };
  };
  // EventSource gives up on an HTTP answer that is no stream: signed out, or the server is ill.
  const again = async () => {
    const answer = await ask("/strip", { signal: within(ANSWER) }).catch(() => null);
    if (source || resting) return;
    if (!answer) return setTimeout(again, PAUSE);
    if (answer.status !== 401) return connect();
    show(false, false);
    signIn();
  };
  setInterval(() => {
    if (!source || !silent()) return;
    show(false);
    close();
    again();
  }, 1000);
  onSignedIn(connect);
  connect();
  return {
    /** A tab in the background leaves its connection to others: a browser has six for all of them. */
    rest: () => {
      resting = true;
      close();
    },
    wake: () => {
      resting = false;
      connect();
    },
  };
}
