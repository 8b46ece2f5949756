// The one connection that all tabs of a browser share: over HTTP/1.1 it has six to a server, and a seventh would wait for ever.
import { stream } from "./stream.js";

/** So many beats without a word of a tab: it is closed or frozen, and comes again by itself. */
const MISSED = 6;
/** How long nobody is left before the worker ends: it may be an old one that was given up. */
const ALONE = 60_000;
/** Beats that each tab has not answered. */
const tabs = new Map();
let source = null;
let lost = false;
/** What the server said last of the session and its clock, and when. */
let sign = null;
let signed = 0;

function open() {
  source?.close();
  sign = null;
  lost = false;
  source = stream(hear);
}

function close() {
  source?.close();
  source = null;
}

function hear(kind, data) {
  lost = kind === "lost";
  if (lost && data.over) close();
  if (kind === "hello" || kind === "beat") {
    sign = data;
    signed = performance.now();
  }
  for (const [tab, unanswered] of tabs) {
    tab.postMessage([kind, data]);
    if (kind !== "beat") continue;
    if (unanswered < MISSED) tabs.set(tab, unanswered + 1);
    else leave(tab);
  }
}

/** Of another account than the connection, or signed in anew: the session is another. */
function join(tab, { account, anew }) {
  const another = account !== "" && sign !== null && sign.login !== account;
  if (source === null || anew || another) return open();
  if (lost) return tab.postMessage(["lost", { over: false }]);
  if (sign) tab.postMessage(["hello", { ...sign, now: sign.now + performance.now() - signed }]);
}

function leave(tab) {
  tabs.delete(tab);
  if (tabs.size > 0) return;
  close();
  setTimeout(() => tabs.size === 0 && self.close(), ALONE);
}

self.onconnect = ({ ports: [tab] }) => {
  tab.onmessage = ({ data }) => {
    if (data === "leave") return leave(tab);
    tabs.set(tab, 0);
    if (data !== "here") join(tab, data);
  };
};
