/**
 * What one cluster holds now, for as long as the pages are served. A cluster that cannot be reached is tried again and
 * again, and says so meanwhile; what it held last stays.
 */
import type { Clock } from "@slipway/base";
import {
  NOTHING_OBSERVED,
  type Observation,
  type Observer,
  observe,
} from "../../../release/engine/observe.ts";
import type { WorkloadKind } from "../../../release/judge/workload.ts";
import type { Target } from "../../../release/model.ts";
import { sentenceOf } from "../rows.ts";

const AGAIN_MS = 2000;
const APPS: readonly [WorkloadKind, string][] = [
  ["StatefulSet", "apps/v1"],
  ["DaemonSet", "apps/v1"],
  ["Job", "batch/v1"],
];

export interface Sight {
  readonly name: string;
  readonly target: Target;
  readonly seen: Observation;
  /** Why it does not answer; undefined when it does. */
  readonly away: string | undefined;
}

export interface ClusterWatch {
  readonly name: string;
  sight(): Sight;
  /** Counts changes; read it before `sight()` and give it to `changed`, then no change is missed between them. */
  version(): number;
  /** Resolves when the version is no longer `since`, or after `atMostMs`. */
  changed(since: number, atMostMs: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

export function watchCluster(target: Target, namespaces: readonly string[], clock: Clock): ClusterWatch {
  const closing = new AbortController();
  let observer: Observer | undefined;
  let problem: string | undefined = "has not answered yet";
  const opened = Promise.withResolvers<void>();

  void (async () => {
    while (!closing.signal.aborted) {
      try {
        const kinds = await servedKinds(target);
        if (closing.signal.aborted) return;
        const made = observe(target.client, { namespaces, kinds: ["Deployment", ...kinds], clock });
        observer = made;
        // What may not be listed, for want of rights, is missing; the rest is there.
        problem = await made.ready.then(() => undefined, sentenceOf);
        return opened.resolve();
      } catch (error) {
        problem = sentenceOf(error);
        await clock.sleep(AGAIN_MS, closing.signal).catch(() => undefined);
      }
    }
  })();

  return {
    name: target.name,
    sight() {
      const since = observer?.unreachableSince();
      return {
        name: target.name,
        target,
        seen: observer?.current() ?? NOTHING_OBSERVED,
        away: since === undefined ? problem : (observer?.lastError() ?? problem),
      };
    },
    version: () => observer?.version() ?? -1,
    async changed(since, atMostMs, signal) {
      if (observer === undefined) {
        const waiting = new AbortController();
        const either = AbortSignal.any([signal, waiting.signal]);
        await Promise.race([opened.promise, clock.sleep(atMostMs, either).catch(() => undefined)]);
        return waiting.abort();
      }
      await observer.changed(since, atMostMs, signal);
    },
    close() {
      closing.abort();
      observer?.close();
    },
  };
}

/** Asking for a kind that a cluster does not have would look like a cluster that does not answer. */
async function servedKinds({ client }: Target): Promise<readonly WorkloadKind[]> {
  const served = await Promise.all(
    APPS.map(async ([kind, apiVersion]) => ((await client.serves({ apiVersion, kind })) ? [kind] : [])),
  );
  return served.flat();
}
