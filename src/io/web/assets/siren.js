// Nobody answered: the page sounds until a person acknowledges or the matter is withdrawn. Unless its computer is told
// otherwise, a browser allows sound only after a key or a click; until then the page says that it is dumb.
const every = 1500;
const dumb = document.getElementById("siren-off");
const audio = new AudioContext();

const say = () => (dumb.hidden = audio.state === "running");
const allow = () => {
  if (audio.state !== "running") audio.resume();
};
addEventListener("keydown", allow);
addEventListener("pointerdown", allow);
audio.addEventListener("statechange", say);
// A moment for a browser that allows it.
setTimeout(say, 500);

function tone(hertz, from, lasts) {
  const source = audio.createOscillator();
  const volume = audio.createGain();
  source.type = "square";
  source.frequency.value = hertz;
  volume.gain.value = 0.15;
  source.connect(volume).connect(audio.destination);
  source.start(audio.currentTime + from);
  source.stop(audio.currentTime + from + lasts);
}

setInterval(() => {
  if (audio.state !== "running" || !document.querySelector("[data-siren]")) return;
  tone(880, 0, 0.4);
  tone(660, 0.45, 0.4);
}, every);
