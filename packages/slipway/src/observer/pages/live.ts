/** What pages are told without asking again: what is now, and the newest release, whenever it would look different. */
import type { Clock } from "@slipway/base";
import type { ServerEvent } from "../../server/api.ts";
import { cellsOf } from "./clusters/cells.ts";
import type { PodChanges } from "./clusters/changes.ts";
import type { ClusterWatch } from "./clusters/watch.ts";
import type { Current } from "./current.ts";
import type { Hub } from "./http/streams.ts";
import type { Pulse } from "./pulse.ts";
import type { Records } from "./records.ts";
import { sentenceOf } from "./rows.ts";

const NOW_EVERY_MS = 1000;
const LOOK_EVERY_MS = 2000;
/** Pods change in bursts; what is shorter than this is no step of theirs. */
const STEP_MS = 100;

export interface LiveOptions {
  readonly current: Current;
  readonly records: Pick<Records, "current">;
  readonly watches: readonly ClusterWatch[];
  readonly changes: Pick<PodChanges, "look">;
  /** Beats with each commit. */
  readonly commits: Pulse;
  readonly hub: Pick<Hub<ServerEvent>, "size" | "publish">;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Until the signal. */
export async function tellLive(options: LiveOptions): Promise<void> {
  const following = options.watches.map((watch) => followPods(watch, options));
  await Promise.allSettled([tellNow(options), tellRelease(options), ...following]);
}

/** While somebody looks: after each commit, at most each second; without commits every few. */
async function tellNow({ current, commits, hub, clock, signal }: LiveOptions): Promise<void> {
  while (!signal.aborted) {
    await commits.next(LOOK_EVERY_MS, signal);
    if (hub.size === 0 || signal.aborted) continue;
    await current.now().then(
      (answer) => hub.publish({ kind: "now", now: answer }),
      (error: unknown) => hub.publish({ kind: "problem", text: sentenceOf(error) }),
    );
    await clock.sleep(NOW_EVERY_MS, signal).catch(() => undefined);
  }
}

/** What pods go through is kept whether somebody looks or not: a release is looked at when it is over, too. */
async function followPods(
  watch: ClusterWatch,
  { records, changes, clock, signal }: LiveOptions,
): Promise<void> {
  while (!signal.aborted) {
    const version = watch.version();
    const sight = watch.sight();
    if (sight.away === undefined) {
      const [newest] = await records.current().then(
        (known) => known.records,
        () => [],
      );
      if (newest !== undefined) {
        const at = clock.now();
        changes.look(newest.number, watch.name, cellsOf(watch.name, newest, sight.seen, at), at);
      }
    }
    await clock.sleep(STEP_MS, signal).catch(() => undefined);
    await watch.changed(version, LOOK_EVERY_MS, signal);
  }
}

async function tellRelease({ current, records, hub, clock, signal }: LiveOptions): Promise<void> {
  let told = "";
  while (!signal.aborted) {
    await clock.sleep(NOW_EVERY_MS, signal).catch(() => undefined);
    if (hub.size === 0 || signal.aborted) continue;
    try {
      const known = await records.current();
      const newest = known.records[0];
      if (newest === undefined) continue;
      const answer = current.release(known, newest.number);
      const text = JSON.stringify(answer);
      if (text === told) continue;
      told = text;
      hub.publish({ kind: "release", number: newest.number, release: answer });
    } catch (error) {
      hub.publish({ kind: "problem", text: sentenceOf(error) });
    }
  }
}
