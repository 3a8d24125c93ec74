/**
 * One request to a registry: scheme, authentication, redirects and retries. Bodies that go out are whole buffers (at
 * most one chunk), so that every request can be sent again; bodies that come in are streams.
 *
 * Tokens are kept per registry and scope; a 401 in the middle of a push renews the token once and repeats.
 * Retried: 408, 429 (after Retry-After), 5xx and broken connections, with exponential back-off and jitter.
 */
import type { Readable } from "node:stream";
import { type Clock, type Random, SlipwayError, systemCode } from "@slipway/base";
import { DEFAULT_REGISTRY } from "../reference.ts";
import { Connections, isLoopback } from "./connections.ts";
import type { FindCredentials } from "./credentials.ts";
import { describe, parseChallenge, parseRetryAfter, reasonOf } from "./http-text.ts";

export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly registry: string;
  /** A path below the registry, or the absolute URL that a Location header gave. */
  readonly target: string;
  /** `repository:shop/web:pull,push` */
  readonly scope: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Statuses that the caller handles; every other one is thrown. */
  readonly expect: readonly number[];
  /** Sends only once: the caller has its own way to go on after a failure. */
  readonly isOnce?: boolean;
  /** Ends the request and its retries. */
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly url: string;
  readonly body: Readable;
}

/** A failure that may pass if the request is sent again. */
export class TransientError extends Error {
  override readonly name = "TransientError";
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  constructor(message: string, facts: { status?: number; retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, { cause: facts.cause });
    this.status = facts.status;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

const ATTEMPTS = 8;
/** Where nobody listens, or the name is unknown: seconds more would hardly change it, and a person waits. */
const ATTEMPTS_AT_NOBODY = 6;
const NOBODY: ReadonlySet<string | undefined> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);
/** How many tokens that never opened anything one request may be refused with before the login counts as refused. */
const FRUITLESS_LOGINS = 4;
/** How often one request may be sent again with another token: they end while others renew them, but not for ever. */
const LOGINS = 12;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 20_000;
const MANIFEST_ERROR_BYTES = 4096;

export interface HttpOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly credentials: FindCredentials;
  /** Ends every request and every wait; they reject with its reason. */
  readonly signal?: AbortSignal | undefined;
}

export class RegistryHttp {
  readonly #options: HttpOptions;
  readonly #tokens = new Map<string, string>();
  /** Tokens that opened something once: refused later, they have ended. */
  readonly #accepted = new Set<string>();
  readonly #logins = new Map<string, Promise<void>>();
  readonly #connections = new Connections();

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  send(request: HttpRequest): Promise<HttpResponse> {
    const ending = this.#ending(request);
    return this.#retried(ending, () => this.#authorized(ending));
  }

  /** For documents: the whole body too, and one that breaks off is asked for again. */
  sendWhole(request: HttpRequest): Promise<{ readonly response: HttpResponse; readonly body: Buffer }> {
    const ending = this.#ending(request);
    return this.#retried(ending, async () => {
      const response = await this.#authorized(ending);
      return { response, body: await wholeBody(response) };
    });
  }

  /** Ends with the client, or before. */
  #ending(request: HttpRequest): HttpRequest {
    const { signal } = this.#options;
    if (signal === undefined) return request;
    return {
      ...request,
      signal: request.signal === undefined ? signal : AbortSignal.any([signal, request.signal]),
    };
  }

  async #retried<T>(request: HttpRequest, once: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await once();
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        this.#options.signal?.throwIfAborted();
        if (request.isOnce === true) throw error;
        const isNobody = NOBODY.has(systemCode(error.cause));
        if (attempt >= (isNobody ? ATTEMPTS_AT_NOBODY : ATTEMPTS) || request.signal?.aborted === true)
          throw gaveUp(request, error, attempt);
        await this.pause(attempt, error, request.signal).catch(() => {
          this.#options.signal?.throwIfAborted();
          throw gaveUp(request, error, attempt);
        });
      }
    }
  }

  /** Waits before attempt + 1: what the server asked for, else 100 ms · 2^n, half of it random. */
  async pause(attempt: number, error: TransientError, signal = this.#options.signal): Promise<void> {
    const ceiling = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1));
    const jittered = ceiling / 2 + this.#options.random.int(Math.max(1, Math.round(ceiling / 2)));
    await this.#options.clock.sleep(Math.min(LONGEST_WAIT_MS * 3, error.retryAfterMs ?? jittered), signal);
  }

  prepare(): void {
    this.#connections.prepare();
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  async #authorized(request: HttpRequest): Promise<HttpResponse> {
    const key = `${request.registry} ${request.scope}`;
    for (let attempt = 1, fruitless = 0; ; attempt += 1) {
      const used = this.#tokens.get(key);
      const response = await this.#follow(request, used);
      if (response.status !== 401) {
        if (used !== undefined) this.#accepted.add(used);
        return this.#checked(request, response);
      }
      await discard(response);
      if (used !== undefined && !this.#accepted.has(used)) fruitless += 1;
      if (fruitless >= FRUITLESS_LOGINS || attempt > LOGINS)
        throw refused(request, 401, "the login was refused");
      // Another request may have renewed the token, or be about to: then its token is tried first.
      if (this.#tokens.get(key) !== used) continue;
      await this.#login(key, request, response);
      if (this.#tokens.get(key) === used) throw refused(request, 401, "the login was refused"); // a password stays wrong
    }
  }

  /** Several requests that were refused at once share one login. */
  #login(key: string, request: HttpRequest, response: HttpResponse): Promise<void> {
    const pending = this.#logins.get(key);
    if (pending !== undefined) return pending;
    const login = this.#authorization(request, response.headers["www-authenticate"])
      .then((authorization) => {
        if (authorization === undefined) throw refused(request, 401, "it asks for a login");
        this.#tokens.set(key, authorization);
      })
      .finally(() => this.#logins.delete(key));
    this.#logins.set(key, login);
    return login;
  }

  async #checked(request: HttpRequest, response: HttpResponse): Promise<HttpResponse> {
    if (request.expect.includes(response.status)) return response;
    const text = (await wholeBody(response).catch(() => "")).toString("utf8").slice(0, MANIFEST_ERROR_BYTES);
    const message = describe(text) ?? `HTTP ${response.status}`;
    if (isTransient(response.status)) {
      const retryAfterMs = parseRetryAfter(response.headers["retry-after"], this.#options.clock.now());
      throw new TransientError(message, {
        status: response.status,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      });
    }
    throw refused(request, response.status, message);
  }

  /** Blob stores redirect to other hosts, which must not see our token. */
  async #follow(request: HttpRequest, authorization: string | undefined): Promise<HttpResponse> {
    let url = absolute(request);
    const home = new URL(url).host;
    for (let hop = 0; hop < 5; hop += 1) {
      const isHome = new URL(url).host === home;
      const response = await this.#exchange(url, request, isHome ? authorization : undefined);
      const location = response.headers["location"];
      if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined) return response;
      await discard(response);
      url = new URL(location, url).href;
    }
    throw refused(request, 310, "too many redirects");
  }

  async #exchange(
    url: string,
    request: Pick<HttpRequest, "method" | "headers" | "body" | "signal">,
    authorization: string | undefined,
  ): Promise<HttpResponse> {
    try {
      const answer = await this.#connections.exchange(url, {
        method: request.method,
        headers: {
          "user-agent": "slipway",
          ...request.headers,
          ...(authorization === undefined ? {} : { authorization }),
        },
        body: request.body,
        signal: request.signal,
      });
      return { ...answer, url };
    } catch (cause) {
      throw new TransientError(reasonOf(cause), { cause });
    }
  }

  async #authorization(request: HttpRequest, challenge: string | undefined): Promise<string | undefined> {
    const credentials = await this.#options.credentials(request.registry);
    const { scheme, parameters } = parseChallenge(challenge ?? "");
    const basic =
      credentials?.kind === "basic"
        ? `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString("base64")}`
        : undefined;
    if (scheme === "basic") return basic;
    const realm = parameters["realm"];
    if (scheme !== "bearer" || realm === undefined) return undefined;
    const scope = parameters["scope"] ?? request.scope;
    const service = parameters["service"];
    let response: HttpResponse;
    if (credentials?.kind === "identity") {
      const form = new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: credentials.token,
        client_id: "slipway",
        scope,
        ...(service === undefined ? {} : { service }),
      });
      response = await this.#exchange(
        realm,
        {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body: Buffer.from(form.toString()),
          signal: request.signal,
        },
        undefined,
      );
    } else {
      const url = new URL(realm);
      for (const one of scope.split(" ")) url.searchParams.append("scope", one);
      if (service !== undefined) url.searchParams.set("service", service);
      response = await this.#exchange(url.href, { method: "GET", signal: request.signal }, basic);
    }
    const text = (await wholeBody(response)).toString("utf8");
    if (isTransient(response.status))
      throw new TransientError(`token service: HTTP ${response.status}`, { status: response.status });
    if (response.status !== 200)
      throw refused(request, response.status, describe(text) ?? "the login was refused");
    const answer = JSON.parse(text) as { token?: string; access_token?: string };
    const token = answer.token ?? answer.access_token;
    return token === undefined ? undefined : `Bearer ${token}`;
  }
}

async function wholeBody(response: HttpResponse): Promise<Buffer> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of response.body) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  } catch (cause) {
    throw new TransientError(reasonOf(cause), { cause });
  }
}

/** Reads what is left of a body, so that the connection can be used again. */
export async function discard(response: HttpResponse): Promise<void> {
  await wholeBody(response).catch(() => {});
}

function absolute(request: HttpRequest): string {
  if (/^https?:\/\//.test(request.target)) return request.target;
  const host = request.registry === DEFAULT_REGISTRY ? `registry-1.${DEFAULT_REGISTRY}` : request.registry;
  const scheme = isLoopback(new URL(`http://${host}`).hostname) ? "http" : "https";
  return `${scheme}://${host}${request.target}`;
}

const isTransient = (status: number): boolean =>
  status === 408 || status === 429 || (status >= 500 && status !== 501);

function gaveUp(request: HttpRequest, error: TransientError, attempts: number): SlipwayError {
  return new SlipwayError({
    code: error.status === undefined ? "REGISTRY_UNREACHABLE" : "REGISTRY_FAILED",
    where: placeOf(request),
    message:
      error.status === undefined
        ? `the registry cannot be reached (${attempts} tries): ${error.message}`
        : `the registry answered ${error.status} (${attempts} tries): ${error.message}`,
    hint: "Check the name and the network (and HTTPS_PROXY), or use an image that is here: { archive }, slipway/node.",
    cause: error,
    exitCode: 3,
  });
}

function refused(request: HttpRequest, status: number, why: string): SlipwayError {
  const isLogin = status === 401 || status === 403;
  const isMissing = status === 404;
  return new SlipwayError({
    code: isLogin ? "REGISTRY_DENIED" : isMissing ? "REGISTRY_NOT_FOUND" : "REGISTRY_REFUSED",
    where: placeOf(request),
    message: isMissing ? `not found: ${why}` : `the registry refused (${status}): ${why}`,
    hint: isLogin
      ? `Run docker login ${request.registry}, or set DOCKER_CONFIG to the folder that holds its config.json.`
      : isMissing
        ? "Check the repository, the tag and the spelling."
        : undefined,
    exitCode: 3,
  });
}

function placeOf(request: HttpRequest): string {
  const repository = /^repository:(.+):[a-z,]+$/.exec(request.scope.split(" ")[0] ?? "")?.[1];
  return repository === undefined ? request.registry : `${request.registry}/${repository}`;
}
