/** What is asked and who answers it. A path may have one variable part: `/api/releases/:number`. */
import { SlipwayError } from "@slipway/base";
import type { Stream } from "./streams.ts";

export interface Call {
  /** What stands for the variable part. */
  readonly part: string;
  readonly query: URLSearchParams;
  /** Parsed JSON of a POST; undefined for GET. */
  readonly body: unknown;
  /** Aborts when the reader leaves. */
  readonly signal: AbortSignal;
}

export type Route = { readonly path: string } & (
  | { readonly kind: "read"; readonly answer: (call: Call) => Promise<unknown> }
  /** Sends until its stream is closed. */
  | { readonly kind: "stream"; readonly open: (call: Call, stream: Stream) => void }
  /** POST that changes nothing. */
  | { readonly kind: "ask"; readonly answer: (call: Call) => Promise<unknown> }
  /** POST that changes something: the token is in the body once more. */
  | { readonly kind: "change"; readonly answer: (call: Call) => Promise<unknown> }
);

/** The route of a path, and what its variable part is. */
export function findRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): { readonly route: Route; readonly part: string } | "wrong-method" | undefined {
  const found = routes.flatMap((route) => {
    const part = partOf(route.path, path);
    return part === undefined ? [] : [{ route, part }];
  });
  const isPost = method === "POST";
  const fitting = found.find(({ route }) => isPost === (route.kind === "ask" || route.kind === "change"));
  return fitting ?? (found.length > 0 ? "wrong-method" : undefined);
}

function partOf(pattern: string, path: string): string | undefined {
  if (pattern === path) return "";
  const at = pattern.indexOf(":");
  if (at < 0 || !path.startsWith(pattern.slice(0, at))) return undefined;
  const part = path.slice(at);
  return /^[\w.-]{1,100}$/.test(part) ? part : undefined;
}

/** What was asked is not a question of ours. */
export function badRequest(where: string, message: string, hint?: string): SlipwayError {
  return new SlipwayError({ code: "REQUEST_INVALID", where, message, hint });
}

export function releaseNumber(where: string, text: string | null): number {
  const number = Number(text === null || text === "" ? Number.NaN : text);
  if (!Number.isSafeInteger(number) || number < 0)
    throw badRequest(where, "should be the number of a release");
  return number;
}

/** Nobody has plugged in what was asked for. */
export function missing(where: string, message: string): SlipwayError {
  return new SlipwayError({ code: "PAGES_MISSING", where, message });
}

/** Status of the answer that tells of this error. */
export function statusOf(code: string): number {
  if (code.endsWith("_NOT_FOUND") || code === "RELEASE_UNKNOWN") return 404;
  if (code === "REQUEST_INVALID" || code.startsWith("QUERY_")) return 400;
  if (code.startsWith("ROLLBACK_") || code.startsWith("LOCK") || code === "PROMISE_BROKEN") return 409;
  if (code.startsWith("CLUSTER_") || code.startsWith("WAREHOUSE_") || code === "OBSERVE_NOTHING") return 503;
  return 422;
}
