/** Restart policies as Docker has them: whether, and after how long. */
import type { ServiceSpec } from "../engine.ts";

const FIRST_MS = 100;
const MOST_MS = 60_000;
/** A container that ran this long begins again with the shortest wait. */
const STEADY_MS = 10_000;

export function isRestarted(policy: ServiceSpec["restart"], exitCode: number): boolean {
  return policy === "always" || policy === "unless-stopped" || (policy === "on-failure" && exitCode !== 0);
}

/** The wait before the next attempt: doubled each time. `previousMs` undefined: this is the first restart. */
export function restartDelay(previousMs: number | undefined, ranMs: number): number {
  if (previousMs === undefined || ranMs >= STEADY_MS) return FIRST_MS;
  return Math.min(previousMs * 2, MOST_MS);
}
