/**
 * The releases that the clusters remember, read again when somebody asks and something has changed since. Records are large,
 * so they are watched rather than read again and again, where the rights allow that; and never read twice at a time.
 */
import type { Clock } from "@slipway/base";
import { readKnowledge } from "../../release/history/knowledge.ts";
import { RECORD_LABEL } from "../../release/history/records.ts";
import { readLock } from "../../release/lock/lease.ts";
import { SERVICE_LABEL } from "../../release/manifests/render.ts";
import type { ReleaseContext, ReleaseRecord, Target } from "../../release/model.ts";
import type { Known } from "./answers/releases.ts";
import { atMost } from "./at-most.ts";

/** While they are watched; only the lock, which tells an interrupted release, changes without their changing. */
const WATCHED_FRESH_MS = 30_000;
const FRESH_MS = 5000;
const RUNNING_FRESH_MS = 1500;
const PATIENCE_MS = 3000;
/** A page does not wait longer for a cluster that may be dead; what was known before will do. */
const WAIT_MS = 300;
const WATCH_SECONDS = 120;
const AGAIN_MS = 3000;

export interface Records {
  /** As they are now, or, while a cluster keeps one waiting, were a few seconds ago. Never rejects: a cluster that does not answer is in `unreachable`. */
  current(): Promise<Known>;
  /** Something has changed: the next `current` reads. */
  expire(): void;
  close(): void;
}

export function createRecords(context: ReleaseContext, clock: Clock): Records {
  const closing = new AbortController();
  /** Clusters whose records are watched at the moment. */
  const watched = new Set<string>();
  let known: { readonly at: number; readonly value: Known } | undefined;
  let reading: Promise<Known> | undefined;
  let changes = 0;
  const expire = (): void => {
    changes += 1;
    known = known === undefined ? undefined : { ...known, at: Number.NEGATIVE_INFINITY };
  };
  for (const target of context.targets)
    void watchRecords(context, target, { clock, watched, expire, signal: closing.signal });

  const read = async (): Promise<Known> => {
    const before = changes;
    const at = clock.monotonic();
    const value = await readKnown(context);
    // What changed while it was read may be missing in it.
    known = { at: changes === before ? at : Number.NEGATIVE_INFINITY, value };
    return value;
  };
  const freshMs = ({ records, isInterrupted, unreachable }: Known): number => {
    if (records[0]?.outcome === "in-progress" && !isInterrupted) return RUNNING_FRESH_MS;
    const isWatched = context.targets.every(({ name }) => watched.has(name));
    return isWatched && unreachable.size === 0 ? WATCHED_FRESH_MS : FRESH_MS;
  };

  return {
    async current() {
      if (known !== undefined && clock.monotonic() - known.at < freshMs(known.value)) return known.value;
      reading ??= read().finally(() => {
        reading = undefined;
      });
      if (known === undefined) return reading;
      const before = known.value;
      return atMost(clock, WAIT_MS, reading, () => before);
    },
    expire,
    close: () => closing.abort(),
  };
}

async function watchRecords(
  { service, namespace }: ReleaseContext,
  { name, client }: Target,
  to: {
    readonly clock: Clock;
    readonly watched: Set<string>;
    readonly expire: () => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const type = { apiVersion: "v1", kind: "Secret" };
  const of = { namespace, labelSelector: `${SERVICE_LABEL}=${service},${RECORD_LABEL}` };
  while (!to.signal.aborted) {
    try {
      const { metadata } = await client.list(type, { ...of, limit: 1 });
      const since = metadata.resourceVersion;
      const from = since === undefined ? {} : { resourceVersion: since };
      const events = client.watch(type, { ...of, ...from, timeoutSeconds: WATCH_SECONDS, signal: to.signal });
      to.watched.add(name);
      to.expire();
      for await (const _event of events) to.expire();
    } catch {
      // No rights to watch, or no answer: then they are read more often.
      to.watched.delete(name);
      await to.clock.sleep(AGAIN_MS, to.signal).catch(() => undefined);
    }
  }
}

async function readKnown(context: ReleaseContext): Promise<Known> {
  const { records, unreachable, unreadable } = await readKnowledge(context, { patienceMs: PATIENCE_MS });
  return {
    records,
    clusters: context.targets.map(({ name }) => name),
    unreachable,
    unreadable,
    isInterrupted: await isCutOff(context, records[0], unreachable),
  };
}

/** In progress by its record, and yet nobody holds the lock in any cluster that can be asked. */
async function isCutOff(
  context: ReleaseContext,
  newest: ReleaseRecord | undefined,
  unreachable: ReadonlyMap<string, string>,
): Promise<boolean> {
  if (newest?.outcome !== "in-progress") return false;
  const asked = context.targets.filter(({ name }) => !unreachable.has(name));
  const locks = await Promise.allSettled(asked.map(({ client }) => readLock(client, context)));
  return (
    locks.length > 0 &&
    locks.every(
      (lock) => lock.status === "fulfilled" && (lock.value.holder === undefined || lock.value.isStale),
    )
  );
}
