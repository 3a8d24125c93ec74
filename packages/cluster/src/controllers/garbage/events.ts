/** Events live for one hour after they were last seen, as `--event-ttl` has it; else a long-lived cluster fills up. */
import type { Event } from "@slipway/kube";
import { type Controller, type Decision, type Key, keyOf, type Snapshot, splitKey } from "../controller.ts";

export const EVENT_TTL_MS = 3_600_000;

export const eventTtlController: Controller = {
  name: "event-ttl-controller",
  watches: [{ kind: "Event", keys: (event) => [keyOf(event)] }],
  decide(snapshot: Snapshot, key: Key, now: number): Decision {
    const { namespace, name } = splitKey(key);
    const event = snapshot.get("Event", namespace, name);
    if (event === undefined) return { commands: [] };
    const left = lastSeenMs(event) + EVENT_TTL_MS - now;
    // Not a number when no time can be read: such an event stays, which is the harmless side.
    if (Number.isNaN(left)) return { commands: [] };
    if (left > 0) return { commands: [], requeueAfterMs: left };
    return { commands: [{ do: "delete", kind: "Event", namespace, name }] };
  },
};

function lastSeenMs(event: Event): number {
  return Date.parse(
    event.series?.lastObservedTime ??
      event.lastTimestamp ??
      event.eventTime ??
      event.metadata.creationTimestamp ??
      "",
  );
}
