/** A release that was cut off, in one sentence: `kill -9` of the process, Ctrl-C, or a lost lock. */
import type { ReleaseRecord } from "../model.ts";

/** `release 7 (deploy) by aki was cut off in wave 2 of 2: tokyo healthy, osaka applying`. */
export function describeInterruption(record: ReleaseRecord): string {
  const begun = record.waves.findLastIndex((wave) =>
    wave.some((name) => record.clusters[name]?.startedAt !== undefined),
  );
  const where = begun < 0 ? "before the first wave" : `in wave ${begun + 1} of ${record.waves.length}`;
  const clusters = Object.entries(record.clusters).map(([name, cluster]) => {
    if (cluster.verdict === "healthy") return `${name} healthy`;
    if (cluster.restored !== undefined) return `${name} back at release ${cluster.restored.to}`;
    if (cluster.runs === undefined && (cluster.step === "pending" || cluster.verdict === "not-started"))
      return `${name} untouched`;
    return cluster.step === "done" ? `${name} ${cluster.verdict}` : `${name} ${cluster.step}`;
  });
  return `release ${record.number} (${record.kind}) by ${record.who} was cut off ${where}: ${clusters.join(", ")}`;
}

export const AFTER_INTERRUPTION = "Finish it with slipway deploy --resume, or go back with slipway rollback.";
