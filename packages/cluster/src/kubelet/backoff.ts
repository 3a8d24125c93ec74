/**
 * The kubelet's back-off: 10 s, doubling to 300 s, forgotten after ten quiet minutes. The first failure costs
 * nothing: it only opens the account, so a container's first restart is immediate and the second waits 10 s.
 */
export interface Backoff {
  readonly delayMs: number;
  readonly updatedAtMs: number;
}

const INITIAL_BACKOFF_MS = 10_000;
const MAX_BACKOFF_MS = 300_000;

/** Stable for twice the longest delay counts as healed. */
function isForgotten(backoff: Backoff, failedAtMs: number): boolean {
  return failedAtMs - backoff.updatedAtMs > 2 * MAX_BACKOFF_MS;
}

/** Milliseconds still to wait before trying again after a failure at `failedAtMs`; 0 when it may go ahead. */
export function backoffLeftMs(backoff: Backoff | undefined, failedAtMs: number, now: number): number {
  if (backoff === undefined || isForgotten(backoff, failedAtMs)) return 0;
  return Math.max(0, failedAtMs + backoff.delayMs - now);
}

/** The account after going ahead at `now`. */
export function nextBackoff(backoff: Backoff | undefined, failedAtMs: number, now: number): Backoff {
  if (backoff === undefined || isForgotten(backoff, failedAtMs)) {
    return { delayMs: INITIAL_BACKOFF_MS, updatedAtMs: now };
  }
  return { delayMs: Math.min(backoff.delayMs * 2, MAX_BACKOFF_MS), updatedAtMs: now };
}

/** Go's spelling of whole seconds, as in `back-off 1m20s restarting failed container=…`. */
export function goDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${seconds % 60}s`;
  return `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds % 60}s`;
}
