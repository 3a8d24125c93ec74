/** Answers: JSON (packed when it is large and the client can unpack it), and errors as Kubernetes' Status objects. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, gzipSync } from "node:zlib";
import { SlipwayError } from "@slipway/base";
import { type Status, StatusError, statusError } from "@slipway/kube";

/** Below this, packing costs more than it saves; Kubernetes' own limit. */
const GZIP_FROM_BYTES = 128 * 1024;

export interface AnswerOptions {
  readonly status?: number;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly warnings?: readonly string[];
}

export function answerJson(
  request: IncomingMessage,
  response: ServerResponse,
  value: unknown,
  options: AnswerOptions = {},
): void {
  answerText(request, response, `${JSON.stringify(value)}\n`, {
    contentType: "application/json",
    ...options,
  });
}

export function answerText(
  request: IncomingMessage,
  response: ServerResponse,
  text: string,
  options: AnswerOptions = {},
): void {
  const plain = Buffer.from(text);
  const isPacked =
    plain.length >= GZIP_FROM_BYTES && /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));
  const body = isPacked ? gzipSync(plain, { level: constants.Z_BEST_SPEED }) : plain;
  for (const warning of options.warnings ?? []) {
    response.appendHeader("Warning", `299 - ${quoted(warning)}`);
  }
  response.writeHead(options.status ?? 200, {
    "Cache-Control": "no-cache, private",
    "Content-Type": options.contentType ?? "text/plain; charset=utf-8",
    "Content-Length": body.length,
    ...(isPacked ? { "Content-Encoding": "gzip", Vary: "Accept-Encoding" } : {}),
    ...options.headers,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** A quoted-string of RFC 9110; header values cannot hold line ends or characters beyond Latin-1. */
function quoted(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "\\$&");
  return `"${clean}"`;
}

export function answerError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const status = statusOf(error);
  if (response.headersSent) {
    // Too late for a Status: breaking the connection at least tells the client that the answer is not whole.
    response.destroy();
    return;
  }
  const retryAfter = status.details?.retryAfterSeconds;
  answerJson(request, response, status, {
    status: status.code ?? 500,
    ...(retryAfter === undefined ? {} : { headers: { "Retry-After": String(retryAfter) } }),
  });
}

/** Any error as a Status. One that is not ours is a bug, and says so as an InternalError with its message. */
export function statusOf(error: unknown): Status {
  if (error instanceof StatusError) return error.status;
  const message = error instanceof Error ? error.message : String(error);
  const place = error instanceof SlipwayError && error.where !== undefined ? `${error.where}: ` : "";
  return statusError(500, "InternalError", `Internal error occurred: ${place}${message}`).status;
}
