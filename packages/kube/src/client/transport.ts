/**
 * HTTP to one API server over node:https: keep-alive, TLS with the cluster's own CA, credentials, a proxy, deadlines,
 * retries, and errors that say what was tried. The only file that opens a connection.
 *
 * Every request has a deadline that covers all its attempts and the answer's body, so that no server, however sick,
 * holds up whoever asks several. What an error says is read in `failure.ts`, what is sent again decided in `retry.ts`.
 */
import type { AgentOptions, Agent as HttpAgent, IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import type { Duplex } from "node:stream";
import { type Clock, type Random, SlipwayError, systemClock, systemCode, systemRandom } from "@slipway/base";
import type { CredentialSource, Credentials } from "./credentials.ts";
import { failureOf, isTlsRefusal, mayHaveBeenDone, StaleConnection, statusFrom } from "./failure.ts";
import { RETRIES, type Repeatable, type RetryPolicy, retryAfterMs } from "./retry.ts";
import { StatusError } from "./status-error.ts";

/** Not imported: an import reads all its exports, and WebSocket among them loads the whole of Node's own fetch. */
const http = process.getBuiltinModule("node:http");

export interface TransportOptions {
  /** The configured cluster, for messages. */
  readonly name: string;
  readonly url: string;
  readonly token?: string;
  /** For credentials that change; asked before every request, instead of `token` and the client certificate here. */
  readonly credentials?: CredentialSource;
  /** PEM. Without it the system's authorities are trusted. */
  readonly ca?: string;
  /** PEM, for clusters that know users by certificate. */
  readonly clientCertificate?: string;
  readonly clientKey?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** The name that the server's certificate must have, where it is not the one in `url`. */
  readonly tlsServerName?: string;
  /** `http://proxy:3128`, `https://user:password@proxy`: tunnelled through with CONNECT. */
  readonly proxyUrl?: string;
  /** Connects in another way, for example through SOCKS. */
  readonly agent?: HttpAgent;
  /** How long a request may take with all its attempts and its answer, for streams until their headers. Default 30,000. */
  readonly timeoutMs?: number;
  readonly retries?: RetryPolicy;
  /** Waits between attempts. */
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface Request {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly repeatable: Repeatable;
  readonly query?: URLSearchParams;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** Told when an answer was lost and the request is sent again: then an earlier attempt may have been done. */
  readonly onLost?: () => void;
}

/** How long a stream may last, or be silent, once it has begun; without, as long as it likes. */
export interface StreamLimits {
  readonly lastsAtMostMs?: number;
  readonly silentAtMostMs?: number;
}

type Outgoing = ReturnType<typeof requestHttps>;
type Listen<T> = (outgoing: Outgoing, resolve: (value: T) => void, reject: (error: unknown) => void) => void;

export class Transport {
  readonly #options: TransportOptions;
  readonly #url: URL;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #closing = new AbortController();
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    this.#agent = options.agent ?? agentFor(this.#url, options.proxyUrl);
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom();
  }

  /** The parsed body of a successful answer; rejects with a StatusError for any other. */
  async json<T>(request: Request): Promise<T> {
    const text = await this.#repeating(request, async (attempt) =>
      this.#text(await this.#send(request, attempt)),
    );
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
  async *stream(request: Request, limits: StreamLimits = {}): AsyncGenerator<Buffer> {
    const response = await this.#repeating(request, (attempt) => this.#send(request, attempt));
    const { lastsAtMostMs, silentAtMostMs } = limits;
    const end = (ms: number): NodeJS.Timeout =>
      setTimeout(() => response.destroy(this.#silent(ms)), ms).unref();
    const last = lastsAtMostMs === undefined ? undefined : end(lastsAtMostMs);
    let silence = silentAtMostMs === undefined ? undefined : end(silentAtMostMs);
    try {
      for await (const chunk of response) {
        clearTimeout(silence);
        yield chunk as Buffer;
        if (silentAtMostMs !== undefined) silence = end(silentAtMostMs);
      }
    } catch (error) {
      if (request.signal?.aborted || this.#closing.signal.aborted) return;
      throw this.#unreachable(error);
    } finally {
      clearTimeout(last);
      clearTimeout(silence);
      response.destroy();
    }
  }

  /** The connection after a successful upgrade, with the headers of the answer. */
  async upgrade(
    request: Request,
    headers: Readonly<Record<string, string>>,
  ): Promise<{ socket: Duplex; head: Buffer; response: IncomingMessage }> {
    return this.#repeating(request, (attempt) =>
      this.#attempt(request, attempt, headers, (outgoing, resolve, reject) => {
        outgoing.on("upgrade", (response, socket, head) => resolve({ socket, head, response }));
        outgoing.on("response", (response) => {
          this.#text(response).then((text) => reject(statusFrom(response, text, this.#where)), reject);
        });
      }),
    );
  }

  close(): void {
    this.#closing.abort();
    this.#agent.destroy();
  }

  get #where(): string {
    return `clusters/${this.#options.name}`;
  }

  /** Until it succeeds, may not be sent again, or its time is over. */
  async #repeating<T>(request: Request, once: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { timeoutMs = 30_000 } = this.#options;
    // A plugin that asks a person, or a slow one, has a deadline of its own; the server's begins after it.
    const first = await this.#credentials();
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), timeoutMs);
    const own = request.signal === undefined ? [] : [request.signal];
    const signal = AbortSignal.any([deadline.signal, this.#closing.signal, ...own]);
    const endMs = this.#clock.monotonic() + timeoutMs;
    try {
      return await this.#untilItSucceeds(request, once, first, { signal, endMs });
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      if (deadline.signal.aborted) throw this.#silent(timeoutMs);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #untilItSucceeds<T>(
    request: Request,
    once: (attempt: Attempt) => Promise<T>,
    first: Credentials,
    { signal, endMs }: { readonly signal: AbortSignal; readonly endMs: number },
  ): Promise<T> {
    const { retries = RETRIES } = this.#options;
    let isRenewed = false;
    let credentials = first;
    for (let attempt = 1; ; ) {
      if (this.#closing.signal.aborted) throw this.#error("CLUSTER_UNREACHABLE", "the client is closed");
      signal.throwIfAborted();
      try {
        return await once({ signal, credentials });
      } catch (error) {
        if (signal.aborted) throw error;
        // Who asks is looked at before what is asked: nothing was done, so anything may be sent again.
        if (!isRenewed && (await this.#isRenewed(error, credentials))) {
          isRenewed = true;
          credentials = await this.#credentials();
          continue;
        }
        const failure = failureOf(error);
        const waitMs = retryAfterMs(failure, request.repeatable, attempt, retries, this.#random);
        if (waitMs === undefined || this.#clock.monotonic() + waitMs >= endMs) throw error;
        if (mayHaveBeenDone(failure)) request.onLost?.();
        await this.#clock.sleep(waitMs, signal);
        attempt += 1;
        credentials = await this.#credentials();
      }
    }
  }

  async #credentials(): Promise<Credentials> {
    const { credentials, token, clientCertificate, clientKey } = this.#options;
    if (credentials !== undefined) return credentials.current();
    return {
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
      ...(clientCertificate === undefined ? {} : { clientCertificate }),
      ...(clientKey === undefined ? {} : { clientKey }),
    };
  }

  async #isRenewed(error: unknown, used: Credentials): Promise<boolean> {
    const source = this.#options.credentials;
    if (source === undefined || !(error instanceof StatusError) || error.httpCode !== 401) return false;
    return source.refused(used);
  }

  async #send(request: Request, attempt: Attempt): Promise<IncomingMessage> {
    const response = await this.#attempt<IncomingMessage>(request, attempt, {}, (outgoing, resolve) => {
      outgoing.on("response", resolve);
    });
    const code = response.statusCode ?? 0;
    if (code >= 200 && code < 300) return response;
    throw statusFrom(response, await this.#text(response), this.#where);
  }

  async #attempt<T>(
    request: Request,
    { signal, credentials }: Attempt,
    headers: Readonly<Record<string, string>>,
    listen: Listen<T>,
  ): Promise<T> {
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const query = request.query === undefined || request.query.size === 0 ? "" : `?${request.query}`;
    const base = this.#url.pathname.replace(/\/$/, "");
    const open = this.#url.protocol === "http:" ? http.request : requestHttps;
    const { ca, insecureSkipTlsVerify, tlsServerName } = this.#options;
    const outgoing = open({
      protocol: this.#url.protocol,
      host: this.#url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: this.#url.port === "" ? undefined : Number(this.#url.port),
      method: request.method,
      path: `${base}${request.path}${query}`,
      agent: this.#agent,
      signal,
      ca,
      cert: credentials.clientCertificate,
      key: credentials.clientKey,
      rejectUnauthorized: insecureSkipTlsVerify !== true,
      ...(tlsServerName === undefined ? {} : { servername: tlsServerName }),
      headers: {
        accept: "application/json",
        "user-agent": "slipway",
        ...(credentials.headers as Record<string, string | string[]> | undefined),
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
        outgoing.on("error", reject);
        listen(outgoing, resolve, reject);
        outgoing.end(body);
      });
    } catch (error) {
      if (outgoing.reusedSocket && systemCode(error) === "ECONNRESET") {
        throw this.#unreachable(new StaleConnection(error));
      }
      throw this.#unreachable(error);
    }
  }

  async #text(response: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) chunks.push(chunk as Buffer);
    } catch (error) {
      throw this.#unreachable(error);
    }
    return Buffer.concat(chunks).toString("utf8");
  }

  #silent(timeoutMs: number): SlipwayError {
    return this.#error("CLUSTER_UNREACHABLE", `no answer from ${this.#url.origin} within ${timeoutMs} ms`);
  }

  #unreachable(cause: unknown): SlipwayError {
    if (cause instanceof SlipwayError) return cause;
    const code = systemCode(cause) ?? "";
    const isTls = isTlsRefusal(code);
    const reason = cause instanceof Error ? cause.message : String(cause);
    // Node's own sentence goes on with advice about its command line, which helps nobody here.
    const fact = isTls ? `its certificate is not trusted (${code})` : reason;
    const hint = isTls
      ? "It is not signed by the authority that is configured for this cluster, or it is for another name."
      : "Is the cluster running, and is its address right?";
    const via =
      this.#options.proxyUrl === undefined ? "" : ` through ${withoutPassword(this.#options.proxyUrl)}`;
    return this.#error("CLUSTER_UNREACHABLE", `cannot reach ${this.#url.origin}${via}: ${fact}`, cause, hint);
  }

  #error(code: string, message: string, cause?: unknown, hint?: string): SlipwayError {
    return new SlipwayError({ code, where: this.#where, message, cause, hint, exitCode: 3 });
  }
}

interface Attempt {
  readonly signal: AbortSignal;
  readonly credentials: Credentials;
}

function agentFor(url: URL, proxyUrl: string | undefined): HttpAgent | HttpsAgent {
  const settings: AgentOptions = {
    keepAlive: true,
    keepAliveMsecs: 15_000,
    scheduling: "lifo",
    ...(proxyUrl === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl } }),
  };
  return url.protocol === "http:" ? new http.Agent(settings) : new HttpsAgent(settings);
}

function withoutPassword(proxyUrl: string): string {
  const url = new URL(proxyUrl);
  url.username = "";
  url.password = "";
  return url.href.replace(/\/$/, "");
}
