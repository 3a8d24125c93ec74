/**
 * Where Slack posts presses: `POST /slack/interactions`, behind a public URL with TLS that somebody else ends. Also
 * `GET /healthz`. Anything else is not found. A body has a bound, a request has a time, and nothing is parsed before its
 * signature is right. The answer goes out as soon as the press is in the ledger: Slack waits three seconds.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { reasonAgainst } from "./signature.ts";

/** Slack sends the whole message along; ours have at most some 40 kB. */
export const MAX_BODY_BYTES = 512 * 1024;
export const INTERACTIONS_PATH = "/slack/interactions";

export interface HttpOptions {
  /** Undefined: interactions are not taken over HTTP. */
  readonly signingSecret: string | undefined;
  readonly now: () => number;
  /** Resolves once the press is safe. */
  readonly onPayload: (payload: unknown) => Promise<void>;
  readonly onRefused: (reason: string) => void;
}

export function createInteractionServer(options: HttpOptions): Server {
  const server = createServer((request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      options.onRefused(error instanceof Error ? error.message : String(error));
      // Slack shows the person a warning, who presses again.
      reply(response, 500, "not taken");
    });
  });
  server.requestTimeout = 10_000;
  server.headersTimeout = 10_000;
  server.keepAliveTimeout = 5_000;
  server.maxHeadersCount = 100;
  return server;
}

async function answer(
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  if (pathname === "/healthz" && request.method === "GET") return reply(response, 200, "ok");
  if (pathname !== INTERACTIONS_PATH || options.signingSecret === undefined) {
    return reply(response, 404, "not found");
  }
  if (request.method !== "POST") return reply(response, 405, "POST only");
  const body = await bodyOf(request);
  if (body === undefined) {
    response.setHeader("connection", "close");
    return reply(response, 413, "too large");
  }
  const reason = reasonAgainst(
    {
      timestamp: single(request.headers["x-slack-request-timestamp"]),
      signature: single(request.headers["x-slack-signature"]),
      body,
    },
    options.signingSecret,
    options.now(),
  );
  if (reason !== undefined) {
    options.onRefused(reason);
    return reply(response, 401, "not from Slack");
  }
  const text = new URLSearchParams(body.toString("utf8")).get("payload");
  const payload = text === null ? undefined : parse(text);
  if (payload === undefined) return reply(response, 400, "no payload");
  await options.onPayload(payload);
  reply(response, 200, "");
}

/** Undefined when it is too long; the rest is then not read. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

const single = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? undefined : value;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reply(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) return;
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(text);
}
