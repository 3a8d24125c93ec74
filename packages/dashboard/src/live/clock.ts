/** The browser's clock and timers: the only place of the pages that knows them. */
import { useSyncExternalStore } from "react";

/** Ms that the server's clock is ahead of the browser's. */
let ahead = 0;

/** The server's now: what it tells of is dated by its clock, and a laptop's may be minutes off. */
export function now(): number {
  return Date.now() + ahead;
}

/** The server says what time it is. A difference within the time that a message takes is none. */
export function serverSays(at: number): void {
  const difference = at - Date.now();
  ahead = Math.abs(difference) < 5_000 ? 0 : difference;
}

/** Calls once, later; returns how to forget it. */
export function later(ms: number, call: () => void): () => void {
  const timer = setTimeout(call, ms);
  return () => clearTimeout(timer);
}

export function every(ms: number, call: () => void): () => void {
  const timer = setInterval(call, ms);
  return () => clearInterval(timer);
}

/** One timer for everything that says "3 min ago". */
const listeners = new Set<() => void>();
let second = Math.floor(now() / 1_000) * 1_000;
every(1_000, () => {
  if (document.hidden) return;
  second = Math.floor(now() / 1_000) * 1_000;
  for (const listener of listeners) listener();
});

/** Now, renewed each second while the page is looked at. */
export function useNow(): number {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => second,
  );
}
