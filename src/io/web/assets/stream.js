// A connection to what the server tells, which EventSource makes anew by itself where it breaks.
const KINDS = ["hello", "beat", "resync", "ringing", "entry", "escalation", "status", "levels"];

/** Calls `hear(kind, data)` for each event, and for "lost", where it broke; `over`: and is not made anew. */
export function stream(hear) {
  const source = new EventSource("/events");
  for (const kind of KINDS) source.addEventListener(kind, (event) => hear(kind, JSON.parse(event.data)));
  source.onerror = () => hear("lost", { over: source.readyState === EventSource.CLOSED });
  return source;
}
