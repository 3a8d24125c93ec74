/**
 * Events are kept for one hour, as Kubernetes keeps them (`--event-ttl`): long enough to explain a rollout, and a
 * cluster that stays up for days does not fill with them.
 */
import type { Event } from "../resources/cluster.ts";
import type { Reader } from "../store/store.ts";

const EVENT_TTL_MS = 3_600_000;

/** Looking at every event is only worth it now and then: after this many new ones. */
export const EVENTS_BETWEEN_SWEEPS = 200;

/** The events that were last seen more than an hour before `now`. */
export function outdatedEvents(reader: Reader, now: number): readonly Event[] {
  return reader.list("Event").filter((event) => lastSeen(event) < now - EVENT_TTL_MS);
}

function lastSeen({ series, lastTimestamp, eventTime, metadata }: Event): number {
  const times = [series?.lastObservedTime, lastTimestamp, eventTime, metadata.creationTimestamp];
  return Math.max(...times.map((time) => (time ? Date.parse(time) : 0)));
}
