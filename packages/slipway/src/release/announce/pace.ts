/** How long a release took, beside what is usual: a number alone says nothing to whoever reads it. */
import { formatDuration } from "@slipway/base";
import type { ReleaseRecord } from "../model.ts";

type Timed = Pick<ReleaseRecord, "number" | "kind" | "outcome" | "environment" | "startedAt" | "finishedAt">;

const MOST = 10;

/** The median, in ms, of the newest ten healthy releases of this kind before `record`; undefined when there is none. */
export function usualDuration(
  record: Timed,
  past: readonly Timed[],
): { readonly medianMs: number; readonly of: number } | undefined {
  const durations = [...past]
    .filter(
      (one) =>
        one.number < record.number &&
        one.kind === record.kind &&
        one.environment === record.environment &&
        one.outcome === "healthy" &&
        one.finishedAt !== undefined,
    )
    .sort((a, b) => b.number - a.number)
    .slice(0, MOST)
    .map((one) => (one.finishedAt as number) - one.startedAt)
    .sort((a, b) => a - b);
  if (durations.length === 0) return undefined;
  const middle = Math.floor(durations.length / 2);
  const upper = durations[middle] as number;
  const medianMs = durations.length % 2 === 1 ? upper : (upper + (durations[middle - 1] as number)) / 2;
  return { medianMs, of: durations.length };
}

/** `3 min 12 s, median of the last 10: 2 min 40 s`. */
export function paceText(record: Timed, past: readonly Timed[], durationMs: number): string {
  const usual = usualDuration(record, past);
  const took = formatDuration(durationMs);
  if (usual === undefined) return took;
  const median = formatDuration(usual.medianMs);
  return usual.of === 1
    ? `${took}, the last one: ${median}`
    : `${took}, median of the last ${usual.of}: ${median}`;
}
