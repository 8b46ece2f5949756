// What happens right now, as the server tells it, in the foreground and in the background.
import { setNow } from "./clock.js";
import { ask, onSignedIn, renewed, signIn, told, within } from "./session.js";
import * as taps from "./taps.js";

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
    document.body.classList.toggle("lost", alarm);
  };
  let shares = "SharedWorker" in window;
  let tap = null;
  /** It is asked whether the server is there, or waited for who signs in. */
  let waits = false;
  let resting = false;
  let last = null;
  const noted = () => (last = { awake: performance.now(), wall: Date.now() });
  // The wall clock goes on while the computer sleeps.
  const silent = () => Math.max(performance.now() - last.awake, Date.now() - last.wall) > SILENT;
  const sign = (data) => {
    setNow(data.now);
    told(data);
  };
  const hear = (kind, data) => {
    noted();
    if (kind === "hello") {
      waits = false;
      sign(data);
      show(true);
      refresh();
      renewed(data.login);
    } else if (kind === "lost") {
      show(false);
      if (data.over) later();
    } else if (kind === "beat") sign(data);
    else if (kind === "resync") refresh();
    else heard(kind, data);
  };
  const close = () => {
    tap?.close();
    tap = null;
  };
  const make = () => (shares ? taps.shared(hear, fail) : taps.own(hear));
  const fail = () => {
    shares = false;
    close();
    connect();
  };
  const connect = (anew = false) => {
    waits = false;
    if (resting) return;
    noted();
    tap ??= make();
    tap.open(anew);
  };
  const later = () => {
    waits = true;
    setTimeout(again, PAUSE);
  };
  // EventSource gives up on an HTTP answer that is no stream: signed out, or the server is ill.
  const again = async () => {
    const answer = await ask("/strip", { signal: within(ANSWER) }).catch(() => null);
    if (!waits || resting) return;
    if (!answer) return later();
    if (answer.status !== 401) return connect();
    tap ??= make();
    tap.wait();
    show(false, false);
    signIn();
  };
  setInterval(() => {
    if (waits || resting || !silent()) return;
    show(false);
    tap.giveUp();
    close();
    waits = true;
    again();
  }, 1000);
  const anew = () => {
    close();
    connect();
  };
  // Another tab has given it up: its word comes sooner than a timer of a tab in the background.
  addEventListener("storage", ({ key }) => key === taps.WORKER && shares && tap && !waits && anew());
  addEventListener("pageshow", ({ persisted }) => persisted && anew());
  onSignedIn((here) => here && connect(true));
  connect();
  return {
    resting: () => resting,
    /** A tab in the background leaves a connection of its own to others. */
    rest: () => {
      if (shares) return;
      resting = true;
      close();
    },
    wake: () => {
      if (!resting) return;
      resting = false;
      connect();
    },
  };
}
