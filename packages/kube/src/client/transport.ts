/**
 * HTTP to one API server over node:https: keep-alive, TLS with the cluster's own CA, a token or a client
 * certificate, deadlines, and errors that say what was tried. The only file that opens a connection.
 *
 * Nothing is retried but a GET whose kept-alive connection turned out to be closed: a write may have happened.
 */
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import type { Duplex } from "node:stream";
import { SlipwayError, systemCode } from "@slipway/base";
import type { Status, StatusReason } from "../resources/meta.ts";
import { StatusError, statusError } from "./status-error.ts";

export interface TransportOptions {
  /** The configured cluster, for messages. */
  readonly name: string;
  readonly url: string;
  readonly token?: string;
  /** For tokens that expire: asked before every request, instead of `token`. */
  readonly tokenSource?: () => Promise<string>;
  /** PEM. Without it the system's authorities are trusted. */
  readonly ca?: string;
  /** PEM, for clusters that know users by certificate. */
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** How long a request may take, for streams until their headers. Default 30,000. */
  readonly timeoutMs?: number;
}

export interface Request {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

export class Transport {
  readonly #options: TransportOptions;
  readonly #url: URL;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #closing = new AbortController();

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    const settings = { keepAlive: true, keepAliveMsecs: 15_000, scheduling: "lifo" } as const;
    this.#agent = this.#url.protocol === "http:" ? new HttpAgent(settings) : new HttpsAgent(settings);
  }

  /** The parsed body of a successful answer; rejects with a StatusError for any other. */
  async json<T>(request: Request): Promise<T> {
    const response = await this.#send(request);
    const text = await this.#text(response, request);
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw this.#error(
        "CLUSTER_ANSWER_INVALID",
        `the answer to ${request.method} ${request.path} is not JSON`,
        cause,
      );
    }
  }

  /** The body of a successful answer as it comes. Ends quietly when the request's signal aborts. */
  async *stream(request: Request): AsyncGenerator<Buffer> {
    const response = await this.#send(request);
    try {
      for await (const chunk of response) yield chunk as Buffer;
    } catch (error) {
      if (request.signal?.aborted || this.#closing.signal.aborted) return;
      throw this.#unreachable(error);
    } finally {
      response.destroy();
    }
  }

  /** The connection after a successful upgrade, with the headers of the answer. */
  async upgrade(
    request: Request,
    headers: Readonly<Record<string, string>>,
  ): Promise<{ socket: Duplex; head: Buffer; response: IncomingMessage }> {
    return this.#attempt(request, headers, (outgoing, resolve, reject) => {
      outgoing.on("upgrade", (response, socket, head) => resolve({ socket, head, response }));
      outgoing.on("response", (response) => {
        this.#text(response, request).then((text) => reject(statusFrom(response, text, this.#where)), reject);
      });
    });
  }

  close(): void {
    this.#closing.abort();
    this.#agent.destroy();
  }

  get #where(): string {
    return `clusters/${this.#options.name}`;
  }

  async #send(request: Request): Promise<IncomingMessage> {
    const response = await this.#attempt<IncomingMessage>(request, {}, (outgoing, resolve) => {
      outgoing.on("response", resolve);
    });
    const code = response.statusCode ?? 0;
    if (code >= 200 && code < 300) return response;
    throw statusFrom(response, await this.#text(response, request), this.#where);
  }

  async #attempt<T>(
    request: Request,
    headers: Readonly<Record<string, string>>,
    listen: (
      outgoing: ReturnType<typeof requestHttps>,
      resolve: (value: T) => void,
      reject: (error: unknown) => void,
    ) => void,
    isRepeated = false,
  ): Promise<T> {
    const { token, tokenSource, timeoutMs = 30_000 } = this.#options;
    if (this.#closing.signal.aborted) throw this.#error("CLUSTER_UNREACHABLE", "the client is closed");
    request.signal?.throwIfAborted();
    const bearer = tokenSource === undefined ? token : await tokenSource();
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const query = request.query === undefined || request.query.size === 0 ? "" : `?${request.query}`;
    const base = this.#url.pathname.replace(/\/$/, "");
    const open = this.#url.protocol === "http:" ? requestHttp : requestHttps;
    const signals = [this.#closing.signal, ...(request.signal === undefined ? [] : [request.signal])];
    const outgoing = open({
      protocol: this.#url.protocol,
      host: this.#url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: this.#url.port === "" ? undefined : Number(this.#url.port),
      method: request.method,
      path: `${base}${request.path}${query}`,
      agent: this.#agent,
      signal: AbortSignal.any(signals),
      ca: this.#options.ca,
      cert: this.#options.clientCertificate,
      key: this.#options.clientKey,
      rejectUnauthorized: this.#options.insecureSkipTlsVerify !== true,
      headers: {
        accept: "application/json",
        "user-agent": "slipway",
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined
          ? {}
          : {
              "content-type": request.contentType ?? "application/json",
              "content-length": Buffer.byteLength(body),
            }),
        ...headers,
      },
    });
    try {
      return await new Promise<T>((resolve, reject) => {
        const deadline = setTimeout(() => {
          outgoing.destroy(
            this.#error("CLUSTER_UNREACHABLE", `no answer from ${this.#url.origin} within ${timeoutMs} ms`),
          );
        }, timeoutMs);
        const settle =
          <V>(done: (value: V) => void) =>
          (value: V): void => {
            clearTimeout(deadline);
            done(value);
          };
        outgoing.on("error", settle(reject));
        listen(outgoing, settle(resolve), settle(reject));
        outgoing.end(body);
      });
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      const isStale = outgoing.reusedSocket && systemCode(error) === "ECONNRESET";
      if (isStale && request.method === "GET" && !isRepeated) {
        return this.#attempt(request, headers, listen, true);
      }
      throw this.#unreachable(error);
    }
  }

  async #text(response: IncomingMessage, request: Request): Promise<string> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) chunks.push(chunk as Buffer);
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      throw this.#unreachable(error);
    }
    return Buffer.concat(chunks).toString("utf8");
  }

  #unreachable(cause: unknown): SlipwayError {
    if (cause instanceof SlipwayError) return cause;
    const code = systemCode(cause) ?? "";
    const isTls = /^(ERR_TLS|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)/.test(code);
    const reason = cause instanceof Error ? cause.message : String(cause);
    // Node's own sentence goes on with advice about its command line, which helps nobody here.
    const fact = isTls ? `its certificate is not trusted (${code})` : reason;
    const hint = isTls
      ? "It is not signed by the authority that is configured for this cluster, or it is for another name."
      : "Is the cluster running, and is its address right?";
    return this.#error("CLUSTER_UNREACHABLE", `cannot reach ${this.#url.origin}: ${fact}`, cause, hint);
  }

  #error(code: string, message: string, cause?: unknown, hint?: string): SlipwayError {
    return new SlipwayError({ code, where: this.#where, message, cause, hint, exitCode: 3 });
  }
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
function statusFrom(response: IncomingMessage, text: string, where: string): StatusError {
  const code = response.statusCode ?? 500;
  const status = parseStatus(text);
  if (status !== undefined) return new StatusError({ ...status, code: status.code ?? code }, where);
  const message = text.trim().slice(0, 500) || response.statusMessage || `HTTP ${code}`;
  return new StatusError(statusError(code, REASONS[code] ?? "", message).status, where);
}

function parseStatus(text: string): Status | undefined {
  try {
    const value = JSON.parse(text) as Partial<Status>;
    return value.kind === "Status" ? (value as Status) : undefined;
  } catch {
    return undefined;
  }
}
