/**
 * The API server over HTTPS: what current kubectl, client libraries and Slipway's own http client talk to. It is
 * plain node:https; what a request means is decided in `request.ts`, what happens to objects in the `Api` of kube.
 *
 * Kubernetes-compatible, not Kubernetes: answers are always JSON, nothing is authorized beyond the one token or a certificate of its authority, and
 * what is not served says so with a Status.
 *
 * @example
 * const server = await createApiServer({ api, name: "tokyo", port: 0, token, clock, pods });
 * console.log(kubeconfig({ name: "tokyo", url: server.url, ca: server.ca, token }));
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { type Clock, SlipwayError, systemCode } from "@slipway/base";
import { type Api, KUBERNETES_VERSION, resourceNotFound, statusError } from "@slipway/kube";
import type { Measurement } from "../usage.ts";
import { discoveryForm } from "./accept.ts";
import { serveAccessReview } from "./access-review.ts";
import type { AccountTokens } from "./account-tokens.ts";
import { answerError, answerJson, answerText, statusOf } from "./answer.ts";
import { type Certificates, ensureCertificates } from "./certificate.ts";
import { aggregatedDiscovery, groupVersions, legacyDiscovery } from "./discovery.ts";
import { serveExec } from "./exec.ts";
import { serveLogs } from "./logs.ts";
import { isMetricsPath, serveMetrics } from "./metrics.ts";
import { createOpenApi, emptyOpenApiV2, OPENAPI_V2_TYPE, type OpenApi } from "./openapi.ts";
import type { PodStreams } from "./pods.ts";
import { servePortForward } from "./port-forward.ts";
import { type ApiPath, parsePath, type ResourcePath } from "./request.ts";
import { type Exchange, methodNotAllowed, serveResource } from "./resources.ts";
import { rememberingJson } from "./watch.ts";

export interface ApiServerOptions {
  readonly api: Api;
  /** Names the certificate authority. */
  readonly name: string;
  /** Where the certificates are kept; without it they live as long as the server. */
  readonly directory?: string | undefined;
  /** Certificates that were made before (`ensureCertificates`), for instance because the API needs the authority. */
  readonly certificates?: Certificates | undefined;
  /** On 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  readonly token: string;
  /** Whom else it knows: the pods, by their ServiceAccounts. */
  readonly accounts?: AccountTokens | undefined;
  readonly clock: Clock;
  readonly pods: PodStreams;
  /** What containers use; without it nothing is measured. */
  readonly usage?: (() => Promise<Measurement>) | undefined;
  /** Default `KUBERNETES_VERSION`. */
  readonly version?: string | undefined;
}

export interface ApiServer {
  /** https://127.0.0.1:PORT */
  readonly url: string;
  readonly port: number;
  /** PEM of the certificate authority. */
  readonly ca: string;
  /** Ends every watch and log stream, breaks the rest, and frees the port. */
  close(): Promise<void>;
}

/** client-go keeps idle connections for 90 s; a server that closes them first resets requests on their way. */
const KEEP_ALIVE_MS = 185_000;

export async function createApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { name, directory, clock } = options;
  const certificates =
    options.certificates ?? (await ensureCertificates({ name, directory, now: clock.now() }));
  const server = createServer({
    key: certificates.key,
    cert: certificates.certificate,
    // Asked for and not demanded: who shows none has a token.
    ca: certificates.ca,
    requestCert: true,
    rejectUnauthorized: false,
    // HTTP/1.1 only: clients that offer h2 fall back by themselves.
    ALPNProtocols: ["http/1.1"],
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: KEEP_ALIVE_MS + 5_000,
    requestTimeout: 0,
    noDelay: true,
  });
  const closing = new AbortController();
  const handler = new RequestHandler(options, closing.signal);
  server.on("request", (request, response) => void handler.request(request, response));
  server.on("upgrade", (request, socket, head) => handler.upgrade(request, socket, head));
  // A client that gives up in the handshake is its own affair.
  server.on("tlsClientError", () => {});
  const port = await listen(server, options);
  handler.address = `127.0.0.1:${port}`;
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    ca: certificates.ca,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      closing.abort();
      server.closeAllConnections();
      handler.closeUpgraded();
      await closed;
    },
  };
}

function listen(server: Server, { name, port }: ApiServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      if (systemCode(error) !== "EADDRINUSE") return reject(error);
      reject(
        new SlipwayError({
          code: "CLUSTER_PORT_TAKEN",
          where: `clusters/${name}`,
          message: `port ${port} of 127.0.0.1 is taken by another program`,
          hint: "Choose another port, or 0 for a free one.",
          exitCode: 3,
          cause: error,
        }),
      );
    });
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

class RequestHandler {
  /** `127.0.0.1:PORT`, known once the server listens. */
  address = "";
  readonly #options: ApiServerOptions;
  readonly #closing: AbortSignal;
  readonly #openApi: OpenApi;
  readonly #tokenHash: Buffer;
  readonly #version: string;
  readonly #upgraded = new Set<Duplex>();
  readonly #json = rememberingJson();

  constructor(options: ApiServerOptions, closing: AbortSignal) {
    this.#options = options;
    this.#closing = closing;
    this.#version = options.version ?? KUBERNETES_VERSION;
    this.#openApi = createOpenApi(this.#version);
    this.#tokenHash = hash(options.token);
  }

  async request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on("error", () => {}); // the client went away
    try {
      const { pathname, query } = splitUrl(request);
      const exchange = { request, response, query };
      if (isPublic(pathname)) return answerText(request, response, healthText(exchange, pathname));
      this.#authenticate(request);
      await this.#route(exchange, pathname);
    } catch (error) {
      answerError(request, response, error);
      // What the client is still sending is read and dropped, or it would never see the answer.
      request.resume();
    }
  }

  async #route(exchange: Exchange, pathname: string): Promise<void> {
    if (isMetricsPath(pathname)) {
      const { api, usage = nothingMeasured } = this.#options;
      return serveMetrics({ store: api.store, usage }, exchange, pathname);
    }
    const path = parsePath(pathname);
    if (path === undefined) return this.#serveDocument(exchange, pathname);
    if (path.kind === "access-review") return serveAccessReview(exchange);
    const { pods } = this.#options;
    switch (path.subresource) {
      case "log":
        if (exchange.request.method !== "GET") throw methodNotAllowed();
        return serveLogs({ ...this.#context, pods }, exchange, path);
      case "exec":
      case "attach":
      case "portforward":
      case "proxy":
        throw notUpgraded(path);
      default:
        return serveResource(this.#context, exchange, path);
    }
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => {});
    this.#upgraded.add(socket);
    socket.once("close", () => this.#upgraded.delete(socket));
    try {
      this.#authenticate(request);
      const { pathname, query } = splitUrl(request);
      const path: ApiPath | undefined = parsePath(pathname);
      if (path?.kind !== "resource" || path.name === undefined) throw resourceNotFound();
      const context = { ...this.#context, pods: this.#options.pods };
      const upgrade = { request, socket, head };
      if (path.subresource === "exec") serveExec(context, upgrade, path, query);
      else if (path.subresource === "portforward") servePortForward(context, upgrade, path, query);
      else throw notUpgraded(path);
    } catch (error) {
      refuseUpgrade(socket, error);
    }
  }

  closeUpgraded(): void {
    for (const socket of this.#upgraded) socket.destroy();
  }

  get #context() {
    const { api, clock } = this.#options;
    return { api, clock, closing: this.#closing, json: this.#json };
  }

  /**
   * A certificate of our authority, the token, or one of a ServiceAccount that exists. Compares hashes, so that the time
   * taken tells nothing about it.
   */
  #authenticate(request: IncomingMessage): void {
    if ((request.socket as TLSSocket).authorized) return;
    const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
    if (!timingSafeEqual(hash(given), this.#tokenHash) && !this.#isAccount(given)) {
      throw statusError(401, "Unauthorized", "Unauthorized");
    }
  }

  #isAccount(token: string): boolean {
    const { accounts, api } = this.#options;
    const account = accounts?.accountOf(token);
    return (
      account !== undefined && api.store.get("ServiceAccount", account.namespace, account.name) !== undefined
    );
  }

  #serveDocument({ request, response }: Exchange, pathname: string): void {
    if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed();
    const path = pathname.length > 1 ? pathname.replace(/\/$/, "") : pathname;
    if (path === "/version") return answerJson(request, response, versionDocument(this.#version));
    if (path === "/openapi/v3") {
      return answerText(request, response, this.#openApi.index(), { contentType: "application/json" });
    }
    if (path === "/openapi/v2") return answerOpenApiV2(request, response, this.#version);
    if (path.startsWith("/openapi/v3/")) return this.#serveOpenApi(request, response, path.slice(12));
    if (path === "/") return answerJson(request, response, { paths: servedPaths() });

    if (path === "/api" || path === "/apis") {
      const form = discoveryForm(request.headers.accept);
      if (form !== "legacy") {
        const document = aggregatedDiscovery(form, path === "/api" ? "core" : "groups");
        const contentType = `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`;
        return answerJson(request, response, document, { contentType, headers: { Vary: "Accept" } });
      }
    }
    const legacy = legacyDiscovery(path, this.address);
    if (legacy === undefined) throw resourceNotFound();
    answerJson(request, response, legacy, { headers: { Vary: "Accept" } });
  }

  /** The index names each document by its hash, so what was fetched by hash never changes. */
  #serveOpenApi(request: IncomingMessage, response: ServerResponse, path: string): void {
    const document = this.#openApi.document(path.replace(/^apis?\//, ""));
    if (document === undefined) throw resourceNotFound();
    const etag = `"${document.hash}"`;
    const headers = { ETag: etag, "Cache-Control": "public, immutable", Vary: "Accept" };
    if (request.headers["if-none-match"] === etag) {
      response.writeHead(304, headers);
      response.end();
      return;
    }
    answerText(request, response, document.text, { contentType: "application/json", headers });
  }
}

async function nothingMeasured(): Promise<Measurement> {
  throw statusError(503, "ServiceUnavailable", "nothing measures what pods use");
}

/** client-go wants it as protobuf; there is no other form here. */
function answerOpenApiV2(request: IncomingMessage, response: ServerResponse, version: string): void {
  const isWanted = /proto-openapi|\*\/\*|application\/\*/.test(request.headers.accept ?? "*/*");
  if (!isWanted) throw statusError(406, "NotAcceptable", `only ${OPENAPI_V2_TYPE} is served`);
  const body = emptyOpenApiV2(version);
  response.writeHead(200, { "Content-Type": OPENAPI_V2_TYPE, "Content-Length": body.length });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** Not through `URL`, which would take `//x/y` for a host and throw on what it cannot read. */
function splitUrl(request: IncomingMessage): { readonly pathname: string; readonly query: URLSearchParams } {
  const [pathname = "/", ...query] = (request.url ?? "/").split("?");
  return { pathname, query: new URLSearchParams(query.join("?")) };
}

const HEALTH_PATHS = ["/healthz", "/readyz", "/livez"];

/** Health and version are asked by programs without a token too. */
function isPublic(pathname: string): boolean {
  return HEALTH_PATHS.some((path) => pathname === path || pathname.startsWith(`${path}/`));
}

/** The server answers only when it is up, and the store is in its own process: reaching it is being healthy. */
function healthText({ query }: Exchange, pathname: string): string {
  return query.has("verbose") ? `[+]ping ok\n${pathname.slice(1)} check passed\n` : "ok";
}

function versionDocument(gitVersion: string): unknown {
  const [major = "1", minor = "0"] = gitVersion.replace(/^v/, "").split(".");
  return {
    major,
    minor,
    gitVersion: `${gitVersion}+slipway`,
    gitCommit: "",
    gitTreeState: "clean",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: "none",
    compiler: "none",
    platform: `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`,
  };
}

function servedPaths(): string[] {
  const documents = groupVersions.map((each) => (each.includes("/") ? `/apis/${each}` : `/api/${each}`));
  const groups = documents.flatMap((path) =>
    path.startsWith("/apis/") ? [path.replace(/\/[^/]+$/, "")] : [],
  );
  return [
    ...new Set(["/api", "/apis", ...groups, ...documents, ...HEALTH_PATHS, "/openapi/v3", "/version"]),
  ].sort();
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function notUpgraded({ subresource }: ResourcePath): Error {
  if (subresource === "exec" || subresource === "portforward") {
    const message = `${subresource}: the request must be an upgrade to WebSocket or SPDY/3.1`;
    return statusError(400, "BadRequest", message);
  }
  return statusError(501, "", `pods/${subresource ?? ""}: this server does not implement it`);
}

function refuseUpgrade(socket: Duplex, error: unknown): void {
  const status = statusOf(error);
  const body = JSON.stringify(status);
  socket.end(
    `HTTP/1.1 ${status.code ?? 500} ${status.reason || "Error"}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
