// Where a tab hears what the server tells: at the connection that all tabs share, or at one of its own in a browser without
// shared workers.
import { stream } from "./stream.js";

/** Which of the workers is listened to: one that fell silent is left by all. */
export const WORKER = "dutyline-live";

const worker = () => localStorage.getItem(WORKER) ?? "0";

export function shared(hear, failed) {
  const name = worker();
  const made = new SharedWorker("/static/live-worker.js", { type: "module", name });
  const { port } = made;
  const leave = () => port.postMessage("leave");
  made.onerror = failed;
  port.onmessage = ({ data: [kind, data] }) => {
    if (kind === "beat") port.postMessage("here");
    hear(kind, data);
  };
  addEventListener("pagehide", leave);
  return {
    open: (anew) => port.postMessage({ account: document.body.dataset.account ?? "", anew }),
    /** To be told of a connection that somebody else opens. */
    wait: () => port.postMessage("here"),
    close: () => {
      port.onmessage = null;
      leave();
      removeEventListener("pagehide", leave);
    },
    /** It is silent: once for all tabs. */
    giveUp: () => name === worker() && localStorage.setItem(WORKER, String(Number(name) + 1)),
  };
}

export function own(hear) {
  let source = null;
  const close = () => source?.close();
  const open = () => {
    close();
    source = stream(hear);
  };
  return { open, close, wait: () => {}, giveUp: () => {} };
}
