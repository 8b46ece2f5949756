// 旁听: a call that goes on, heard a moment after it is said. Samples come as they are and are played one after the other.
import { ask, signIn } from "./session.js";

const RATE = 8000;
/** Seconds that are kept ready, and the most that may be: what is more is left out, to stay with what is said now. */
const READY = 0.2;
const MOST = 0.6;
let ends = null;

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-listen]");
  if (!button) return;
  if (ends) ends();
  else listen(button).catch(() => {});
});

async function listen(button) {
  const panel = button.closest(".recall");
  const note = panel.querySelector("[data-listen-note]");
  const words = button.textContent;
  const why = panel.querySelector("[data-listen-why]").value;
  const leaving = new AbortController();
  const heard = new AudioContext();
  ends = () => leaving.abort();
  note.hidden = true;
  button.textContent = button.dataset.stop;
  button.setAttribute("aria-pressed", "true");
  try {
    const answer = await ask(`${button.dataset.listen}?why=${encodeURIComponent(why)}`, { signal: leaving.signal });
    if (answer.status === 401) return signIn();
    if (!answer.ok) throw new Error(await answer.text());
    await play(answer.body.getReader(), heard, panel);
  } catch (fault) {
    if (fault.name !== "AbortError") {
      note.textContent = fault instanceof TypeError ? document.body.dataset.away : fault.message;
      note.hidden = false;
    }
  } finally {
    ends = null;
    heard.close();
    button.textContent = words;
    button.setAttribute("aria-pressed", "false");
  }
}

async function play(reader, heard, panel) {
  let rest = new Uint8Array(0);
  let next = 0;
  let frames = 0;
  for (;;) {
    // Another entry is open.
    if (!panel.isConnected) return ends?.();
    const { done, value } = await reader.read();
    if (done) return;
    const bytes = new Uint8Array(rest.length + value.length);
    bytes.set(rest);
    bytes.set(value, rest.length);
    const count = Math.floor(bytes.length / 4);
    rest = bytes.slice(count * 4);
    if (!count) continue;
    const samples = new DataView(bytes.buffer, 0, count * 4);
    const piece = heard.createBuffer(2, count, RATE);
    for (const side of [0, 1]) {
      const to = piece.getChannelData(side);
      for (let at = 0; at < count; at++) to[at] = samples.getInt16(at * 4 + side * 2, true) / 32768;
    }
    frames += count;
    panel.dataset.heard = frames;
    const now = heard.currentTime;
    if (next < now) next = now + READY;
    if (next > now + MOST) continue;
    const source = heard.createBufferSource();
    source.buffer = piece;
    source.connect(heard.destination);
    source.start(next);
    next += count / RATE;
  }
}
