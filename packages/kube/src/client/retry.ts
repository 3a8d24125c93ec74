/**
 * Which failed requests are sent again, and when. Pure.
 *
 * What makes the difference is whether the server may have done the work although its answer was lost. A request that
 * was never delivered, or was refused before anything was looked at, may always be repeated. Any other only when doing
 * it twice is the same as doing it once (`idempotent`, see `http.ts` for which are and why).
 */
import type { Random } from "@slipway/base";

/** `once`: a second time would do something else, for example run a command twice or create a second object. */
export type Repeatable = "idempotent" | "once";

export type Failure =
  /** The server answered with an error. `retryAfterMs` is what it asked for in Retry-After. */
  | {
      readonly kind: "status";
      readonly code: number;
      readonly message: string;
      readonly retryAfterMs: number | undefined;
    }
  /** No connection came about: the request was not delivered. */
  | { readonly kind: "not-delivered" }
  /** The connection broke; whether the request was done is unknown. */
  | { readonly kind: "lost" }
  /** A kept-alive connection turned out to be closed: usual, no sign of trouble, but a write may have arrived. */
  | { readonly kind: "stale" }
  /** Asking again gives the same: an untrusted certificate, an unknown host, no credentials. */
  | { readonly kind: "lasting" };

export interface RetryPolicy {
  /** How often a request is sent at most. */
  readonly attempts: number;
  /** The pause after the first failure; it doubles with each further one. */
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Four tries within about a second: over a dropped connection, not over an outage, which the caller must hear of. */
export const RETRIES: RetryPolicy = { attempts: 4, firstMs: 100, maxMs: 5_000 };

/**
 * How long to wait before the request is sent again; undefined when it is not. `attempt` counts from 1.
 *
 * Pauses of the second failure: 200 ms, of which a random half to whole is waited, so that many clients that lost the
 * same server do not return in step.
 */
export function retryAfterMs(
  failure: Failure,
  repeatable: Repeatable,
  attempt: number,
  policy: RetryPolicy,
  random: Random,
): number | undefined {
  if (attempt >= policy.attempts || !mayRepeat(failure, repeatable)) return undefined;
  if (failure.kind === "stale") return 0;
  if (failure.kind === "status" && failure.retryAfterMs !== undefined) return failure.retryAfterMs;
  const pauseMs = Math.min(policy.firstMs * 2 ** (attempt - 1), policy.maxMs);
  return Math.ceil(pauseMs / 2) + random.int(Math.floor(pauseMs / 2) + 1);
}

function mayRepeat(failure: Failure, repeatable: Repeatable): boolean {
  switch (failure.kind) {
    case "not-delivered":
      return true;
    case "lost":
    case "stale":
      return repeatable === "idempotent";
    case "status":
      // Refused by the limits on requests in flight, before anything was done (priority and fairness, KEP-1040).
      if (failure.code === 429) return true;
      return repeatable === "idempotent" && isServerTrouble(failure.code, failure.message);
    case "lasting":
      return false;
  }
}

function isServerTrouble(code: number, message: string): boolean {
  // 1.20 answers 500 for a field that its schema does not know: the object's fault, and so again tomorrow.
  if (code === 500) return !message.includes("failed to create typed patch object");
  return code === 502 || code === 503 || code === 504;
}
