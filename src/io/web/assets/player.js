// The recording of the open entry as two waves: any moment, slower or faster, one side, a part again and again; marks, and
// what was written when.
import { span, timeAt } from "./clock.js";
import { ask, signIn } from "./session.js";

/** As the server tells loudness: sixteenths of a doubling. */
const FULL = 192;
const FLOOR = 64;
/** Pixels by which a click may move. */
const STEADY = 4;
const STEP = 5;
const players = new WeakMap();
/** By which each is given its sound anew. */
const mounted = new WeakMap();

// Each playing has a name of its own, so that the server writes down who listened and why, once.
export function mountPlayers(shown) {
  for (const audio of shown.querySelectorAll("audio[data-play]:not([src])")) {
    if (mounted.has(audio)) {
      mounted.get(audio)();
      continue;
    }
    const box = audio.closest("[data-player]");
    const asked = (box ?? audio.closest("[data-heard]"))?.querySelector("[data-why]");
    const renew = () => {
      const why = asked?.value ?? "";
      // Where a reason is asked for, there is nothing to play without one.
      if (asked && !why) {
        if (audio.hasAttribute("src")) audio.removeAttribute("src"), audio.load();
        return;
      }
      const name = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16).padStart(8, "0")).join("");
      audio.src = `${audio.dataset.play}?play=${name}&why=${encodeURIComponent(why)}${audio.dataset.part ?? ""}`;
    };
    mounted.set(audio, renew);
    renew();
    if (box) players.set(box, player(box, audio, renew));
    else asked?.addEventListener("change", renew);
    audio.addEventListener("ended", () => players.get(box)?.again() || renew());
  }
  for (const box of shown.querySelectorAll("[data-player]")) players.get(box)?.draw();
}

function player(box, audio, renew) {
  const canvas = box.querySelector("canvas");
  const length = Number(box.dataset.length) / 1000;
  const out = box.querySelector("[data-place]");
  const loop = box.querySelector("[data-loop]");
  let peaks = null;
  let part = null;
  let sides = null;

  const places = (which) => [...(box.closest("article")?.querySelectorAll(which) ?? [])].map((one) => Number(one.dataset.at) / 1000);

  function draw() {
    const shown = canvas.getBoundingClientRect();
    const scale = devicePixelRatio || 1;
    const [wide, high] = [Math.round(shown.width * scale), Math.round(shown.height * scale)];
    if (!wide || !high) return;
    if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
    const ink = getComputedStyle(canvas);
    const colour = (name) => ink.getPropertyValue(name).trim();
    const pen = canvas.getContext("2d");
    const x = (seconds) => (length ? (seconds / length) * wide : 0);
    pen.clearRect(0, 0, wide, high);
    if (part) {
      pen.fillStyle = colour("--accent-soft");
      pen.fillRect(x(part.from), 0, x(part.to) - x(part.from), high);
    }
    const here = x(audio.currentTime);
    const count = peaks ? peaks.length / 2 : 0;
    for (let at = 0; count && at < wide; at++) {
      const from = Math.floor((at * count) / wide);
      const to = Math.max(from + 1, Math.floor(((at + 1) * count) / wide));
      for (const side of [0, 1]) {
        let most = 0;
        for (let bin = from; bin < to; bin++) most = Math.max(most, peaks[bin * 2 + side]);
        const tall = Math.max(scale, (Math.max(0, most - FLOOR) / (FULL - FLOOR)) * high * 0.46);
        pen.fillStyle = colour(at < here ? "--accent" : "--edge-strong");
        pen.fillRect(at, high * (side ? 0.75 : 0.25) - tall / 2, 1, tall);
      }
    }
    const line = (seconds, name, from, to) => {
      pen.fillStyle = colour(name);
      pen.fillRect(Math.min(wide - 2 * scale, x(seconds)), high * from, 2 * scale, high * (to - from));
    };
    for (const at of places("[data-typed]")) line(at, "--ok", 0.46, 0.54);
    for (const at of places("[data-bookmark]")) line(at, "--warn", 0, 1);
    line(audio.currentTime, "--bad", 0, 1);
    out.textContent = `${span(Math.floor(audio.currentTime), true)} · ${timeAt(Number(box.dataset.started) + audio.currentTime * 1000)}`;
    canvas.setAttribute("aria-valuenow", Math.floor(audio.currentTime));
    canvas.setAttribute("aria-valuetext", out.textContent);
  }

  function turn() {
    if (part && loops() && audio.currentTime >= part.to) audio.currentTime = part.from;
    draw();
    if (!audio.paused && box.isConnected) requestAnimationFrame(turn);
  }

  const loops = () => loop.getAttribute("aria-pressed") === "true";
  // A part is repeated by hand, the whole by the browser: then it does not end.
  const agree = () => (audio.loop = loops() && !part);

  function seek(seconds) {
    audio.currentTime = Math.min(length, Math.max(0, seconds));
    draw();
  }

  const at = (event) => {
    const shown = canvas.getBoundingClientRect();
    return Math.min(length, Math.max(0, ((event.clientX - shown.left) / shown.width) * length));
  };
  let pressed = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pressed = { x: event.clientX, from: at(event) };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pressed || Math.abs(event.clientX - pressed.x) < STEADY) return;
    const to = at(event);
    part = { from: Math.min(pressed.from, to), to: Math.max(pressed.from, to) };
    draw();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!pressed) return;
    const dragged = Math.abs(event.clientX - pressed.x) >= STEADY;
    if (!dragged) part = null;
    agree();
    seek(dragged ? part.from : pressed.from);
    pressed = null;
  });
  canvas.addEventListener("pointercancel", () => (pressed = null));
  canvas.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: audio.currentTime - STEP, ArrowRight: audio.currentTime + STEP, Home: 0, End: length }[event.key];
    if (to !== undefined) seek(to);
    else if (event.key === " ") play(audio.paused);
    else return;
    event.preventDefault();
  });

  const play = (on) => {
    if (on && !audio.hasAttribute("src")) box.querySelector("[data-why]").reportValidity();
    else if (on) audio.play().catch(() => {});
    else audio.pause();
  };
  loop.addEventListener("click", () => {
    loop.setAttribute("aria-pressed", loops() ? "false" : "true");
    agree();
  });
  box.querySelector("[data-speed]").addEventListener("change", (event) => {
    audio.preservesPitch = true;
    // What is loaded anew goes on as fast.
    audio.defaultPlaybackRate = audio.playbackRate = Number(event.target.value);
  });
  box.querySelector("[data-side]").addEventListener("change", (event) => {
    sides ??= route(audio);
    sides(event.target.value);
  });
  box.querySelector("[data-why]").addEventListener("change", () => {
    const [seconds, on] = [audio.currentTime, !audio.paused];
    renew();
    if (seconds) audio.currentTime = seconds;
    if (on) play(true);
  });
  audio.addEventListener("play", turn);
  for (const kind of ["seeked", "pause", "loadedmetadata", "timeupdate"]) audio.addEventListener(kind, draw);
  new ResizeObserver(draw).observe(canvas);

  ask(box.dataset.peaks)
    .then((answer) => (answer.ok ? answer.arrayBuffer() : Promise.reject(answer.status)))
    .then((bytes) => {
      peaks = new Uint8Array(bytes);
      box.dataset.drawn = peaks.length / 2;
      draw();
    })
    .catch(() => (box.querySelector("[data-no-wave]").hidden = false));
  // A part that reaches to the end is repeated as any other.
  const again = () => {
    if (!part || !loops()) return false;
    seek(part.from);
    play(true);
    return true;
  };
  return { draw, again, playFrom: (seconds) => (seek(seconds), play(true)) };
}

/** By side, which channels go to which ear. */
const EARS = {
  both: [[0, 0], [1, 1]],
  mixed: [[0, 0], [0, 1], [1, 0], [1, 1]],
  left: [[0, 0], [0, 1]],
  right: [[1, 0], [1, 1]],
};

/** Through which what is heard goes: both sides as they are, both or one of them in both ears. */
function route(audio) {
  const heard = new AudioContext();
  const source = heard.createMediaElementSource(audio);
  const splitter = heard.createChannelSplitter(2);
  const merger = heard.createChannelMerger(2);
  merger.connect(heard.destination);
  source.connect(splitter);
  return (side) => {
    heard.resume();
    splitter.disconnect();
    for (const [channel, ear] of EARS[side]) splitter.connect(merger, channel, ear);
  };
}

const playerOf = (element) => players.get(element.closest("article")?.querySelector("[data-player]"));

// A line that was written, a mark: from that moment on.
document.addEventListener("click", (event) => {
  const place = event.target.closest?.("[data-at]");
  if (place) playerOf(place)?.playFrom(Number(place.dataset.at) / 1000);
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-mark]")) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  const audio = form.closest("article").querySelector("[data-player] audio");
  if (!("id" in form.dataset)) body.set("at", Math.floor(audio.currentTime * 1000));
  const answer = await fetch(form.action, { method: "POST", body }).catch(() => null);
  if (answer?.status === 401) return signIn();
  // The live connection brings the list as it is then.
  const note = form.closest("article").querySelector("[data-mark-note]");
  note.textContent = answer?.ok ? "" : answer ? await answer.text() : document.body.dataset.away;
  note.hidden = !!answer?.ok;
  if (answer?.ok) form.reset();
});
