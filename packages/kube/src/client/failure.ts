/** What an error, or an answer that is one, says of the request: whether it arrived, and whether to send it again. */
import type { IncomingMessage } from "node:http";
import { SlipwayError, systemCode } from "@slipway/base";
import type { Status, StatusReason } from "../resources/meta.ts";
import type { Failure } from "./retry.ts";
import { StatusError, statusError } from "./status-error.ts";

/** A kept-alive connection that the server had closed before it saw this request, as far as anyone can tell. */
export class StaleConnection extends Error {
  constructor(cause: unknown) {
    super((cause as Error).message, { cause });
  }
}

/** Codes of a connection that did not come about. */
const NOT_DELIVERED = new Set([
  "ECONNREFUSED",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ERR_PROXY_TUNNEL",
]);

export function mayHaveBeenDone(failure: Failure): boolean {
  return (
    failure.kind === "lost" || failure.kind === "stale" || (failure.kind === "status" && failure.code !== 429)
  );
}

export function failureOf(error: unknown): Failure {
  if (error instanceof StatusError) {
    const seconds = error.status.details?.retryAfterSeconds;
    const retryAfterMs = seconds === undefined ? undefined : seconds * 1000;
    return { kind: "status", code: error.httpCode, message: error.message, retryAfterMs };
  }
  if (!(error instanceof SlipwayError) || error.code !== "CLUSTER_UNREACHABLE") return { kind: "lasting" };
  if (error.cause instanceof StaleConnection) return { kind: "stale" };
  const code = systemCode(error.cause) ?? "";
  if (NOT_DELIVERED.has(code)) return { kind: "not-delivered" };
  return code === "ENOTFOUND" || isTlsRefusal(code) ? { kind: "lasting" } : { kind: "lost" };
}

const REASONS: Readonly<Record<number, StatusReason>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  406: "NotAcceptable",
  409: "Conflict",
  410: "Gone",
  413: "RequestEntityTooLarge",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** The server's Status, or one made from the HTTP answer of something in front of it. */
export function statusFrom(response: IncomingMessage, text: string, where: string): StatusError {
  const code = response.statusCode ?? 500;
  const retryAfterSeconds = retryAfter(response);
  const details = retryAfterSeconds === undefined ? undefined : { retryAfterSeconds };
  const status = parseStatus(text);
  if (status !== undefined) {
    const told = details === undefined ? {} : { details: { ...status.details, ...details } };
    return new StatusError({ ...status, ...told, code: status.code ?? code }, where);
  }
  const message = text.trim().slice(0, 500) || response.statusMessage || `HTTP ${code}`;
  return new StatusError(statusError(code, REASONS[code] ?? "", message, details).status, where);
}

/** Kubernetes sends seconds; the other form of the header, a date, is for caches. */
function retryAfter(response: IncomingMessage): number | undefined {
  const value = response.headers["retry-after"];
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}

function parseStatus(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Partial<Status>;
    return value.kind === "Status" ? (value as Status) : undefined;
  } catch {
    return undefined;
  }
}

export function isTlsRefusal(code: string): boolean {
  return /^(ERR_TLS|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)/.test(code);
}
