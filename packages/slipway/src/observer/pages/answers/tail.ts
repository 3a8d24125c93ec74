/**
 * Lines as they come. Rows have no number of their own and late ones come with an earlier time: of a cluster whose agent
 * is behind, or of a node whose clock is. So each look goes some way back, and what was told before is left out.
 */
import type { LogEntry } from "../../../server/api.ts";

export const OVERLAP_MS = 30_000;

export interface Tail {
  /** Since when a look at this moment has to ask. */
  fromMs(now: number): number;
  /** Those of a look that were not told before, oldest first. */
  take(entries: readonly LogEntry[]): readonly LogEntry[];
}

export function createTail(startMs: number): Tail {
  let newestMs = startMs;
  let fromMs = startMs;
  /** How often each line was told, within the overlap. */
  let told = new Map<string, { readonly ts: number; readonly times: number }>();
  return {
    fromMs(now) {
      // A line from ahead of the time does not make the others late.
      fromMs = Math.max(startMs, Math.min(newestMs, now) - OVERLAP_MS);
      return fromMs;
    },
    take(entries) {
      const inThis = new Map<string, number>();
      const fresh = entries.filter((entry) => {
        const key = keyOf(entry);
        // The same words at the same moment twice are two lines.
        const nth = (inThis.get(key) ?? 0) + 1;
        inThis.set(key, nth);
        if (nth <= (told.get(key)?.times ?? 0)) return false;
        told.set(key, { ts: entry.ts, times: nth });
        return true;
      });
      for (const { ts } of fresh) newestMs = Math.max(newestMs, ts);
      told = new Map([...told].filter(([, { ts }]) => ts >= fromMs));
      return fresh;
    },
  };
}

function keyOf({ ts, cluster, pod, container, stream, text }: LogEntry): string {
  return JSON.stringify([ts, cluster, pod, container, stream, text]);
}
