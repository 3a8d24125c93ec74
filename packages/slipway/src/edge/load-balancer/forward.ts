/**
 * One request on its way to an endpoint and, if need be, to another one.
 *
 * A retry is safe in two cases only: nothing was sent yet (refused, unreachable, connect timeout): any method; or
 * the connection broke before the first byte of the answer and the method is idempotent (RFC 9110, section 9.2.2).
 * A POST that was sent and lost may have been carried out, so it is answered 502 and never repeated.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { Readable } from "node:stream";
import { type Clock, systemCode } from "@slipway/base";
import type { Dispatcher } from "undici";
import type { Backend, Balancer } from "./balancer.ts";
import { type ForwardedFor, requestHeaders, responseHeaders } from "./headers.ts";
import type { Upstreams } from "./upstreams.ts";

export interface Attempt {
  readonly backend: Backend;
  readonly startedAt: number;
  ms: number;
  /** 0 while unanswered or when the attempt failed. */
  status: number;
}

export interface ForwardOptions {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly balancer: Balancer;
  readonly upstreams: Upstreams;
  readonly clock: Clock;
  readonly forwarded: ForwardedFor;
  /** Endpoints to try after the first; 0 turns retries off. */
  readonly retries: number;
  readonly service: string;
  /** Called once, when the answer has ended or was given up. */
  readonly onDone: (attempts: readonly Attempt[], sentBytes: number) => void;
}

/** Bodies up to this size are kept for a retry of an idempotent request. */
const REPLAY_LIMIT_BYTES = 64 * 1024;
const SMALL_BODY_BYTES = 16 * 1024;
/** undici's codes for a request that it refuses to write. */
const UNSENDABLE = new Set(["UND_ERR_INVALID_ARG", "UND_ERR_NOT_SUPPORTED"]);
const IDEMPOTENT = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]);

type Body =
  | { readonly kind: "none" }
  | { readonly kind: "buffer"; readonly bytes: Buffer }
  | { readonly kind: "stream"; used: boolean };

/** Synchronous unless a body has to be read first: most requests have none, and need no promise. */
export function forward(options: ForwardOptions): void | Promise<void> {
  const { request } = options;
  if (!hasBody(request)) return new Exchange(options, NO_BODY).begin();
  return readBody(request).then((body) => {
    if (body === undefined) return options.onDone([], 0); // the client left while it was still sending
    new Exchange(options, body).begin();
  });
}

/** The request, over all its attempts. A class rather than closures: there is one for every request. */
class Exchange {
  readonly options: ForwardOptions;
  readonly body: Body;
  readonly attempts: Attempt[] = [];
  sentBytes = 0;
  readonly #headers: string[];
  readonly #tried = new Set<string>();
  #isDone = false;
  #current: Try | undefined;

  constructor(options: ForwardOptions, body: Body) {
    const { request } = options;
    this.options = options;
    this.body = body;
    this.#headers = requestHeaders(request.rawHeaders, request.headers.connection, options.forwarded);
    const length = request.headers["content-length"];
    if (body.kind === "stream" && length !== undefined) this.#headers.push("content-length", length);
  }

  begin(): void {
    this.options.response.on("close", () => {
      if (!this.options.response.writableFinished) this.#current?.abort(new Error("client left"));
      this.finish();
    });
    this.#attempt();
  }

  finish(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.options.onDone(this.attempts, this.sentBytes);
  }

  #attempt(): void {
    const { balancer, service, clock, upstreams, request } = this.options;
    const backend = balancer.pick(this.#tried);
    if (backend === undefined) {
      return this.#tried.size === 0
        ? this.answerError(503, `service ${service} has no endpoint in any cluster`)
        : this.answerError(502, `no other endpoint of ${service} is left`);
    }
    this.#tried.add(backend.id);
    const record: Attempt = { backend, startedAt: clock.monotonic(), ms: 0, status: 0 };
    this.attempts.push(record);
    balancer.started(backend.id);
    this.#current = new Try(this, record);
    upstreams.pool(backend).dispatch(
      {
        path: request.url as string,
        method: request.method as Dispatcher.HttpMethod,
        headers: this.#headers,
        body: bodyOf(request, this.body),
      },
      this.#current,
    );
  }

  /** After an attempt that brought no answer: another endpoint where that is safe, else the end. */
  failed({ backend }: Attempt, error: Error, wasSent: boolean): void {
    const { balancer, request, retries } = this.options;
    // What can be sent to no endpoint (two Host headers, say) is the client's fault, not the endpoint's.
    if (UNSENDABLE.has(systemCode(error) ?? "")) return this.answerError(400, error.message);
    if (!wasSent) balancer.refused(backend.id, error.message);
    const canReplay = this.body.kind !== "stream" || !this.body.used;
    const isSafe = !wasSent || IDEMPOTENT.has(request.method ?? "");
    if (canReplay && isSafe && this.#tried.size <= retries) return this.#attempt();
    this.answerError(502, `${backend.cluster}/${backend.pod}: ${error.message || error.name}`, wasSent);
  }

  /** `wasSent`: the service may have acted on the request, so the client must not simply repeat it. */
  answerError(status: number, reason: string, wasSent = false): void {
    const { response } = this.options;
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return this.finish();
    }
    const text = `${status} ${STATUS_CODES[status]}: ${reason}\n`;
    this.sentBytes = Buffer.byteLength(text);
    response.writeHead(status, {
      "content-type": "text/plain; charset=utf-8",
      "content-length": this.sentBytes,
      "x-slipway-edge": wasSent ? "lost-after-send" : "not-sent",
    });
    response.end(text);
  }
}

/** One attempt: undici calls these methods as the answer comes. */
class Try implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #record: Attempt;
  readonly #response: ServerResponse;
  #controller: Dispatcher.DispatchController | undefined;
  #hasAnswer = false;
  #isOver = false;
  #expectedBytes = -1;

  constructor(exchange: Exchange, record: Attempt) {
    this.#exchange = exchange;
    this.#record = record;
    this.#response = exchange.options.response;
  }

  abort(reason: Error): void {
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#response.destroyed) controller.abort(new Error("client left"));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
    statusMessage?: string,
  ): void {
    if (statusCode < 200) return; // 100 Continue and 103 Early Hints stay between the edge and the pod
    this.#hasAnswer = true;
    this.#record.status = statusCode;
    const isHead = this.#exchange.options.request.method === "HEAD";
    this.#expectedBytes = isHead ? -1 : Number(headers["content-length"] ?? -1);
    this.#response.writeHead(statusCode, statusMessage, responseHeaders(headers));
    if (this.#response.destroyed) controller.abort(new Error("client left"));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const exchange = this.#exchange;
    // A small body that is complete leaves in one write with the head: Node joins the two only for strings.
    if (
      exchange.sentBytes === 0 &&
      chunk.length === this.#expectedBytes &&
      chunk.length <= SMALL_BODY_BYTES
    ) {
      exchange.sentBytes = chunk.length;
      this.#response.end(chunk.toString("latin1"), "latin1");
      return;
    }
    exchange.sentBytes += chunk.length;
    if (!this.#response.write(chunk)) {
      controller.pause();
      this.#response.once("drain", () => controller.resume());
    }
  }

  onResponseEnd(): void {
    this.#over();
    if (!this.#response.writableEnded) this.#response.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#over();
    if (this.#response.destroyed) return this.#exchange.finish();
    if (this.#hasAnswer) {
      // Too late for another endpoint: breaking the connection tells the client that the answer is not whole.
      this.#response.destroy();
      return this.#exchange.finish();
    }
    this.#exchange.failed(this.#record, error, this.#controller !== undefined);
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { clock, balancer } = this.#exchange.options;
    this.#record.ms = clock.monotonic() - this.#record.startedAt;
    balancer.finished(this.#record.backend.id);
  }
}

const NO_BODY: Body = { kind: "none" };

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers["content-length"];
  return length === undefined ? headers["transfer-encoding"] !== undefined : length !== "0";
}

/** Undefined when the client went away before its body was complete. */
async function readBody(request: IncomingMessage): Promise<Body | undefined> {
  const length = request.headers["content-length"];
  if (length === undefined || Number(length) > REPLAY_LIMIT_BYTES) return { kind: "stream", used: false };
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return undefined;
  }
  return { kind: "buffer", bytes: Buffer.concat(chunks) };
}

function bodyOf(request: IncomingMessage, body: Body): Buffer | Readable | null {
  if (body.kind === "none") return null;
  if (body.kind === "buffer") return body.bytes;
  // A generator is not started before the connection stands, so a refused connection leaves the body unread.
  return Readable.from(
    (async function* () {
      body.used = true;
      for await (const chunk of request) yield chunk as Uint8Array;
    })(),
    { objectMode: false },
  );
}
