// The server's clock, and everything on the page that counts seconds.
const zone = "Asia/Shanghai";
const hours = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("sv-SE", { timeZone: zone });
let ahead = 0;

/** Milliseconds since 1970 by the server's clock. */
export const now = () => Date.now() + ahead;

export function setNow(milliseconds) {
  ahead = milliseconds - Date.now();
  tick();
}

export const timeAt = (milliseconds) => hours.format(milliseconds);
export const timeOfDay = () => timeAt(now());

export const span = (seconds, clock) => {
  if (seconds < 60 && !clock) return String(seconds);
  const minutes = Math.floor(seconds / 60);
  const rest = String(seconds % 60).padStart(2, "0");
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
};

export function tick() {
  const clock = document.getElementById("clock");
  clock.textContent = hours.format(now());
  clock.title = day.format(now());
  for (const element of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.floor((now() - Number(element.dataset.since)) / 1000));
    element.textContent = span(seconds, "clock" in element.dataset);
    const limit = Number(element.dataset.limit);
    if (limit) element.parentElement.classList.toggle("late", seconds >= limit);
  }
}

setInterval(tick, 1000);
