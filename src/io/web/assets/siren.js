// Nobody answered: the desk sounds until a person acknowledges or the matter is withdrawn. A browser
// allows sound only after the first key or click of a person.
const every = 1500;
let audio = null;

const allow = () => {
  audio = audio ?? new AudioContext();
  audio.resume();
};
addEventListener("keydown", allow);
addEventListener("pointerdown", allow);

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
  if (audio?.state !== "running" || !document.querySelector("[data-siren]")) return;
  tone(880, 0, 0.4);
  tone(660, 0.45, 0.4);
}, every);
