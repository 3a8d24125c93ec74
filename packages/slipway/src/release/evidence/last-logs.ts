/**
 * Logs of containers that died, read when the death is seen: the log of a previous container is gone as soon as the
 * next one ends or its pod is deleted, and a node that is lost takes all of them along.
 */
import type { Clock } from "@slipway/base";
import type { KubeClient, Pod } from "@slipway/kube";
import { containerKey, terminationsOf } from "../judge/crash.ts";
import { statusesOf } from "../judge/finding.ts";
import { hasLines, type LogEnds, readLogEnds } from "./log-ends.ts";

export interface LastLogs {
  /** By pod uid and container. */
  readonly ends: ReadonlyMap<string, LogEnds>;
  /** The same lines, to be searched. */
  readonly texts: ReadonlyMap<string, string>;
  /** Reads what is new in these pods, without waiting for it. */
  look(pods: readonly Pod[]): void;
  /** Resolves when what was begun is read, or after `atMostMs`. */
  settled(atMostMs: number): Promise<void>;
}

/** The same program fails alike in all its pods: a few logs are enough. */
const CONTAINERS_KEPT = 6;
const LOG_BYTES = 64 * 1024;

export function keepLastLogs(input: {
  readonly client: Pick<KubeClient, "logs">;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Ends that had happened before. */
  readonly baseline: ReadonlyMap<string, number>;
}): LastLogs {
  const all = new Map<string, LogEnds>();
  const texts = new Map<string, string>();
  const read = new Map<string, number>();
  const reading = new Set<Promise<void>>();

  const readOne = async (pod: Pod, container: string, previous: boolean): Promise<void> => {
    const place = { namespace: pod.metadata.namespace ?? "default", name: pod.metadata.name };
    const options = { container, previous, maxBytes: LOG_BYTES, signal: input.signal };
    const ends = await readLogEnds(input.client, place, options);
    if (!hasLines(ends)) return;
    all.set(containerKey(pod, container), ends);
    texts.set(containerKey(pod, container), [...ends.head, ...ends.tail].join("\n"));
  };

  return {
    ends: all,
    texts,
    look: (pods) => {
      for (const pod of pods) {
        for (const status of statusesOf(pod)) {
          const key = containerKey(pod, status.name);
          const ends = terminationsOf(status);
          const isNew = ends > (read.get(key) ?? input.baseline.get(key) ?? 0);
          if (!isNew || (!read.has(key) && read.size >= CONTAINERS_KEPT)) continue;
          read.set(key, ends);
          const previous = status.state?.terminated === undefined && status.restartCount > 0;
          // A log that cannot be read now is tried again with the evidence.
          const task = readOne(pod, status.name, previous).catch(() => undefined);
          reading.add(task);
          void task.then(() => reading.delete(task));
        }
      }
    },
    settled: async (atMostMs) => {
      if (reading.size === 0) return;
      const timer = new AbortController();
      const limit = input.clock.sleep(atMostMs, timer.signal).catch(() => undefined);
      await Promise.race([Promise.all(reading), limit]);
      timer.abort();
    },
  };
}
