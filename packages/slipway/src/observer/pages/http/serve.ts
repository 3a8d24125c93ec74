/**
 * The pages' HTTP server. In this order: is the request made for this server by its own page (`guard.ts`), is there a
 * session, does a POST carry the session's CSRF value, does a change carry the token again; only then is anything of it
 * parsed or looked up. Bodies have a bound, requests a time, and nothing of a request is ever logged but its path.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { type Clock, SlipwayError } from "@slipway/base";
import type { SessionAnswer } from "../../../server/api.ts";
import { type Asset, type Assets, encodingOf } from "./assets.ts";
import { type Refusal, refusalOf } from "./guard.ts";
import { type Call, findRoute, type Route, statusOf } from "./route.ts";
import { SECURITY_HEADERS } from "./security.ts";
import { SESSION_MS, type Session, type Sessions } from "./sessions.ts";
import { openStream } from "./streams.ts";

/** Not imported: an import reads all its exports, and WebSocket among them loads the whole of Node's own fetch. */
const http = process.getBuiltinModule("node:http");

export const MAX_BODY_BYTES = 256 * 1024;
const CSRF_HEADER = "x-slipway-csrf";
/** Readers of streams at a time; a browser has one for each open page. */
const MOST_STREAMS = 64;
/** Cookies do not know ports: two dashboards on one machine would take each other's. */
const COOKIE = "slipway-session";

export interface ServeOptions {
  readonly routes: readonly Route[];
  /** Undefined when the pages are not built. */
  readonly assets: Promise<Assets | undefined>;
  readonly sessions: Sessions;
  readonly about: Omit<SessionAnswer, "csrf">;
  /** Under which it may be asked, beside localhost and addresses. */
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

export function createPagesServer(options: ServeOptions): Server {
  const state: State = { streams: 0, told: new Map() };
  const server = http.createServer((request, response) => {
    answer({ options, state }, request, response).catch((error: unknown) => {
      if (response.headersSent) return void response.destroy();
      const known = error instanceof SlipwayError;
      if (!known) options.log(`${pathOf(request)}: ${error instanceof Error ? error.stack : String(error)}`);
      const facts = known
        ? error.toJSON()
        : { code: "PAGES_FAILED", message: "this answer failed; see the log" };
      reply(response, known ? statusOf(error.code) : 500, { error: facts });
    });
  });
  server.requestTimeout = 30_000;
  server.headersTimeout = 10_000;
  server.keepAliveTimeout = 15_000;
  server.maxHeadersCount = 100;
  server.maxConnections = 512;
  return server;
}

interface Serving {
  readonly options: ServeOptions;
  readonly state: State;
}

interface State {
  streams: number;
  /** When a refusal of this kind was last told. */
  readonly told: Map<string, number>;
}

async function answer(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { options, state } = serving;
  const { clock, sessions } = options;
  const refusal = refusalOf({ method: request.method ?? "", headers: request.headers }, options.names);
  if (refusal !== undefined) return refuse(serving, request, response, refusal);
  const url = urlOf(request);
  if (url === undefined) return refuse(serving, request, response, notFound());
  const { pathname } = url;
  if (!pathname.startsWith("/api/")) return sendPage(options, request, response, pathname);

  const address = request.socket.remoteAddress ?? "";
  const port = request.socket.localPort ?? 0;
  if (pathname === "/api/session" && request.method === "POST")
    return openSession(serving, request, response, address);
  const session = sessions.of(cookieOf(request, port), clock.now());
  if (session === undefined) {
    return refuse(serving, request, response, {
      status: 401,
      code: "SESSION_MISSING",
      message: "not signed in, or the session is over",
      hint: "Open the link that `slipway dashboard` prints, or give its token.",
    });
  }
  if (pathname === "/api/session" && request.method === "GET")
    return reply(response, 200, sessionAnswer(options, session));

  if (request.method === "POST" && !sessions.isCsrf(session, request.headers[CSRF_HEADER])) {
    return refuse(serving, request, response, {
      status: 403,
      code: "CSRF_WRONG",
      message: `the header ${CSRF_HEADER} is not the one of this session`,
      hint: "Load the page again.",
    });
  }
  if (pathname === "/api/session/end" && request.method === "POST") {
    response.setHeader("set-cookie", `${COOKIE}-${port}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`);
    return reply(response, 200, {});
  }
  const found = findRoute(options.routes, request.method ?? "", pathname);
  if (found === undefined) return refuse(serving, request, response, notFound());
  if (found === "wrong-method")
    return refuse(serving, request, response, {
      status: 405,
      code: "METHOD_WRONG",
      message: `${pathname} is not asked with ${request.method}`,
    });
  const { route, part } = found;
  const leaving = new AbortController();
  response.once("close", () => leaving.abort());
  const call = { part, query: url.searchParams, body: undefined, signal: leaving.signal } satisfies Call;
  switch (route.kind) {
    case "read":
      return reply(response, 200, await route.answer(call));
    case "stream": {
      if (state.streams >= MOST_STREAMS)
        return refuse(serving, request, response, {
          status: 503,
          code: "STREAMS_FULL",
          message: `${MOST_STREAMS} pages are open already`,
          hint: "Close some.",
        });
      state.streams += 1;
      response.once("close", () => {
        state.streams -= 1;
      });
      return route.open(call, openStream(response, clock));
    }
    case "ask":
    case "change": {
      const body = await jsonOf(request);
      if (body === undefined) return refuse(serving, request, response, badBody());
      if (route.kind === "change") {
        const confirmed = sessions.confirm(body["confirm"], address, clock.now());
        if (confirmed !== "right") return refuse(serving, request, response, unconfirmed(confirmed));
      }
      return reply(response, 200, await route.answer({ ...call, body }));
    }
  }
}

async function openSession(
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
  address: string,
): Promise<void> {
  const { options } = serving;
  const body = await jsonOf(request);
  if (body === undefined) return refuse(serving, request, response, badBody());
  const admission = options.sessions.admit(body["token"], address, options.clock.now());
  switch (admission.kind) {
    case "limited":
      response.setHeader("retry-after", Math.ceil(admission.retryAfterMs / 1000));
      return refuse(serving, request, response, tooManyWrong());
    case "wrong":
      return refuse(serving, request, response, {
        status: 401,
        code: "TOKEN_WRONG",
        message: "this is not the token of this dashboard",
        hint: "`slipway dashboard` prints the right one.",
      });
    case "admitted": {
      const name = `${COOKIE}-${request.socket.localPort ?? 0}`;
      // Behind somebody who ends TLS the browser must not send it over plain HTTP, as it must on loopback.
      const secure = request.headers.origin?.startsWith("https:") === true ? "; Secure" : "";
      response.setHeader(
        "set-cookie",
        `${name}=${admission.cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${SESSION_MS / 1000}${secure}`,
      );
      return reply(response, 200, sessionAnswer(options, admission.session));
    }
  }
}

function sessionAnswer({ about }: ServeOptions, { csrf }: Session): SessionAnswer {
  return { csrf, ...about };
}

const notFound = (): Refusal => ({ status: 404, code: "PAGE_NOT_FOUND", message: "there is no such page" });

const badBody = (): Refusal => ({
  status: 400,
  code: "REQUEST_INVALID",
  message: `the body should be a JSON object (content-type: application/json) of at most ${MAX_BODY_BYTES / 1024} KiB`,
});

const tooManyWrong = (): Refusal => ({
  status: 429,
  code: "TOKEN_LIMITED",
  message: "too many wrong tokens; wait a minute",
});

function unconfirmed(kind: "wrong" | "limited"): Refusal {
  if (kind === "limited") return tooManyWrong();
  return {
    status: 403,
    code: "CONFIRM_WRONG",
    message: "what changes something needs the token again, and this is not it",
  };
}

const TELL_EVERY_MS = 1000;

/** Told in the log at most once a second for each kind: whoever is refused chooses how often. */
function refuse(
  { options: { log, clock }, state: { told } }: Serving,
  request: IncomingMessage,
  response: ServerResponse,
  refusal: Refusal,
): void {
  const { status, ...facts } = refusal;
  const now = clock.monotonic();
  const isNews = now - (told.get(facts.code) ?? Number.NEGATIVE_INFINITY) >= TELL_EVERY_MS;
  if (isNews && status !== 404 && facts.code !== "SESSION_MISSING") {
    told.set(facts.code, now);
    log(`refused ${request.method} ${pathOf(request)}: ${facts.code}`);
  }
  // What is left of its body is not read.
  if (!request.complete) response.setHeader("connection", "close");
  reply(response, status, { error: facts });
}

function reply(response: ServerResponse, status: number, value: unknown): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(value);
  response
    .writeHead(status, {
      ...SECURITY_HEADERS,
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "content-length": Buffer.byteLength(text),
    })
    .end(text);
}

const NOT_BUILT = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Slipway</title>
<h1>The pages are not built</h1><p>The server runs and its answers are below <code>/api/</code>.
In a checkout, <code>npm run build -w @slipway/dashboard</code> says what is missing.</p></html>
`;

/** Places inside the pages stand behind `#`, so each path is a file. */
async function sendPage(
  { assets: reading }: ServeOptions,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  if (request.method === "POST") {
    return reply(response, 405, { error: { code: "METHOD_WRONG", message: "pages are read" } });
  }
  const assets = await reading;
  if (assets === undefined) {
    response.writeHead(503, {
      ...SECURITY_HEADERS,
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
    });
    return void response.end(request.method === "HEAD" ? undefined : NOT_BUILT);
  }
  const asset = assets.get(path);
  if (asset === undefined)
    return reply(response, 404, { error: { code: "PAGE_NOT_FOUND", message: "no such file" } });
  sendAsset(asset, request, response);
}

function sendAsset(asset: Asset, request: IncomingMessage, response: ServerResponse): void {
  const headers = {
    ...SECURITY_HEADERS,
    etag: asset.etag,
    "cache-control": asset.cacheControl,
    vary: "accept-encoding",
  };
  if (request.headers["if-none-match"]?.split(/\s*,\s*/).includes(asset.etag) === true) {
    return void response.writeHead(304, headers).end();
  }
  const accepted = request.headers["accept-encoding"];
  const encoding = encodingOf(typeof accepted === "string" ? accepted : undefined, asset);
  const body = asset.bodies[encoding] as Buffer;
  response.writeHead(200, {
    ...headers,
    "content-type": asset.type,
    "content-length": body.length,
    ...(encoding === "identity" ? {} : { "content-encoding": encoding }),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** Undefined for what is no path: `//host`, `http://…`, `*`, broken escapes. */
function urlOf({ url = "" }: IncomingMessage): URL | undefined {
  if (!url.startsWith("/") || url.startsWith("//") || url.length > 8192) return undefined;
  return URL.canParse(url, "http://localhost") ? new URL(url, "http://localhost") : undefined;
}

function pathOf({ url = "" }: IncomingMessage): string {
  return JSON.stringify((url.split(/[?#]/)[0] as string).slice(0, 200));
}

/** Two of one name are nobody's. */
function cookieOf(request: IncomingMessage, port: number): string | undefined {
  const prefix = `${COOKIE}-${port}=`;
  const all = (request.headers.cookie ?? "").split(/;\s*/).filter((part) => part.startsWith(prefix));
  return all.length === 1 ? (all[0] as string).slice(prefix.length) : undefined;
}

/** Undefined when it is no JSON object, or too long; the rest is then not read. */
async function jsonOf(request: IncomingMessage): Promise<Record<string, unknown> | undefined> {
  if (!/^application\/json(?:\s*;|$)/i.test(request.headers["content-type"] ?? "")) return undefined;
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
