/**
 * The local edge: one port in front of services in several clusters and of static buckets, as the global load
 * balancer is in production. This file joins the parts; the decisions are in `load-balancer/` and `bucket/`.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Clock, type Random, SlipwayError, systemCode } from "@slipway/base";
import type { EdgeConfig } from "../config/types.ts";
import { type Bucket, createBucket } from "./bucket/bucket.ts";
import type { EndpointSource } from "./endpoints.ts";
import { createAccessLines, type Outcome } from "./load-balancer/access-lines.ts";
import type { Backend } from "./load-balancer/balancer.ts";
import { forward } from "./load-balancer/forward.ts";
import { remoteIp } from "./load-balancer/headers.ts";
import { createServices } from "./load-balancer/services.ts";
import { type ServedCount, Totals } from "./load-balancer/totals.ts";
import { forwardUpgrade } from "./load-balancer/upgrade.ts";
import { createUpstreams, type Dial, dialTcp } from "./load-balancer/upstreams.ts";
import { compileRoutes, type MatchedRoute } from "./routes.ts";

export interface EdgeOptions {
  readonly config: EdgeConfig;
  readonly sources: readonly EndpointSource[];
  /** How to reach an endpoint; a plain TCP connection when absent. */
  readonly dial?: Dial;
  readonly clock: Clock;
  readonly random: Random;
  readonly host?: string;
  /** Gets whole access log lines; nothing is formatted without it. */
  readonly accessLog?: (lines: string) => void;
  /** The release of a pod, for the access log; empty when unknown. */
  readonly releaseOf?: (backend: Backend) => string;
  /** The ReplicaSet of a pod, for the counters; empty when unknown. Asked once for each endpoint. */
  readonly replicaSetOf?: (backend: Backend) => string;
  readonly onProblem?: (error: unknown) => void;
}

export interface EdgeStatus {
  readonly services: readonly {
    readonly name: string;
    readonly endpoints: readonly {
      readonly id: string;
      readonly pod: string;
      readonly state: string;
      readonly reason: string | undefined;
      readonly inFlight: number;
    }[];
  }[];
  /** Since the start, by cluster and class of status: `tokyo 2xx`. */
  readonly counters: Readonly<Record<string, number>>;
  /** Since the start: what the pods of each ReplicaSet answered, whether they still exist or not. */
  readonly served: readonly ServedCount[];
}

export interface Edge {
  readonly url: string;
  readonly port: number;
  /** New hosts, routes and retries, from the next request on; connections and requests in flight are not touched. */
  update(config: EdgeConfig): void;
  status(): EdgeStatus;
  /** Stops listening, lets what runs finish within the drain time, then closes. */
  close(): Promise<void>;
}

export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const { clock } = options;
  const idPrefix = options.random.name(8);
  let requests = 0;
  let config = options.config;
  const dial: Dial = options.dial ?? ((backend, timeoutMs) => dialTcp(backend.ip, backend.port, timeoutMs));
  let table = compileRoutes(config.hosts, config.routes);
  const stop = new AbortController();
  const upstreams = createUpstreams({ dial: options.dial, clock, drainMs: config.drainMs });
  const onProblem = (error: unknown): void => options.onProblem?.(error);
  const services = createServices({
    ...{ sources: options.sources, upstreams, dial, clock, onProblem },
    signal: stop.signal,
  });
  const buckets = new Map<string, Bucket>();
  const totals = new Totals(options.replicaSetOf ?? (() => ""));
  const lines = createAccessLines({
    sink: options.accessLog,
    releaseOf: options.releaseOf ?? (() => ""),
    clock,
  });

  openTargets();

  const server = createServer(
    {
      keepAliveTimeout: 620_000,
      headersTimeout: 625_000,
      requestTimeout: 0,
      // An offer to speak HTTP/2, not a wish to leave HTTP: answered as if it were not there (RFC 9110, section 7.8).
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() !== "h2c",
    },
    (request, response) => {
      const fail = (error: unknown): void => {
        onProblem(error);
        if (response.headersSent) response.destroy();
        else response.writeHead(500, { "content-length": 0 }).end();
      };
      try {
        handle(request, response)?.catch(fail);
      } catch (error) {
        fail(error);
      }
    },
  );
  server.on("upgrade", (request, socket, head) => handleUpgrade(request, socket, head));
  server.on("connection", (socket: Socket) => socket.setNoDelay(true));
  await listen(server, config.port, options.host ?? "127.0.0.1").catch((error: unknown) => {
    stop.abort();
    throw error;
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    update(next) {
      config = next;
      table = compileRoutes(next.hosts, next.routes);
      openTargets();
    },
    status: () => ({
      services: services.all().map(({ name, balancer }) => ({
        name,
        endpoints: balancer.backends().map(({ backend, health, inFlight }) => ({
          id: backend.id,
          pod: backend.pod,
          state: health.state,
          reason: health.reason,
          inFlight,
        })),
      })),
      counters: totals.counters(),
      served: totals.served(),
    }),
    async close() {
      stop.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const giveUp = new AbortController();
      await Promise.race([
        closed,
        clock.sleep(Math.min(config.drainMs, 5000), giveUp.signal).catch(() => {}),
      ]);
      giveUp.abort();
      server.closeAllConnections();
      upstreams.cutUpgraded();
      await closed;
      await upstreams.close();
      lines.flush();
    },
  };

  function openTargets(): void {
    services.open(table.services);
    buckets.clear();
    for (const { target } of config.routes) {
      if (target.kind === "bucket") buckets.set(target.name, createBucket(target.from));
    }
  }

  function handle(request: IncomingMessage, response: ServerResponse): void | Promise<void> {
    const startedAt = clock.monotonic();
    const host = takeAuthority(request) ?? request.headers.host;
    if (stop.signal.aborted) response.setHeader("connection", "close");
    const path = (request.url ?? "/").split("?", 1)[0] as string;
    const route = table.match(host, path);
    if (route === undefined) return noRoute(request, response, startedAt);
    const requestId = requestIdOf(request);
    if (route.target.kind === "bucket") {
      const name = route.target.name;
      response.on("close", () =>
        record(request, response, {
          startedAt,
          requestId,
          service: name,
          attempts: [],
          bytes: Number(response.getHeader("content-length") ?? 0),
        }),
      );
      return (buckets.get(name) as Bucket).handle(request, response, route.rest);
    }
    const { name, balancer } = services.of(route.target);
    return forward({
      request,
      response,
      balancer,
      upstreams,
      clock,
      forwarded: { remoteIp: remoteIp(request), proto: "http", requestId },
      retries: config.retries,
      service: name,
      onDone: (attempts, bytes) =>
        record(request, response, { startedAt, requestId, service: name, attempts, bytes }),
    });
  }

  function handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const startedAt = clock.monotonic();
    const host = takeAuthority(request) ?? request.headers.host;
    const route: MatchedRoute | undefined = table.match(
      host,
      (request.url ?? "/").split("?", 1)[0] as string,
    );
    if (route?.target.kind !== "service") {
      socket.end("HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
      return;
    }
    const { name, balancer } = services.of(route.target);
    const requestId = requestIdOf(request);
    forwardUpgrade({
      request,
      socket,
      head,
      balancer,
      dial,
      upstreams,
      forwarded: { remoteIp: remoteIp(request), proto: "http", requestId },
      retries: config.retries,
      onDone: (backend, status) => {
        totals.count(backend, name, status);
        const attempts =
          backend === undefined ? [] : [{ backend, startedAt, ms: clock.monotonic() - startedAt, status }];
        lines.add(request, status, { startedAt, requestId, service: name, attempts, bytes: 0 });
      },
    }).catch(onProblem);
  }

  function noRoute(request: IncomingMessage, response: ServerResponse, startedAt: number): void {
    const text = `404 Not Found: no route for ${request.headers.host ?? ""}${request.url}\n`;
    response.writeHead(404, {
      "content-type": "text/plain; charset=utf-8",
      "content-length": Buffer.byteLength(text),
      "x-slipway-edge": "no-route",
    });
    response.end(text);
    record(request, response, {
      startedAt,
      requestId: requestIdOf(request),
      service: "",
      attempts: [],
      bytes: text.length,
    });
  }

  /** The client's own id when it is a plain one; else one that no other request of this edge has. */
  function requestIdOf(request: IncomingMessage): string {
    const given = request.headers["x-request-id"];
    if (typeof given === "string" && /^[\w.-]{1,128}$/.test(given)) return given;
    requests += 1;
    return `${idPrefix}${requests.toString(36).padStart(8, "0")}`;
  }

  function record(request: IncomingMessage, response: ServerResponse, outcome: Outcome): void {
    // 499 is nginx's word for a client that left before the answer; it is nobody's error.
    const status = response.headersSent ? response.statusCode : 499;
    const backend = outcome.attempts.at(-1)?.backend;
    totals.count(backend, outcome.service, status, clock.monotonic() - outcome.startedAt);
    lines.add(request, status, outcome);
  }
}

/**
 * A client may send the whole URL as if to a proxy (RFC 9112, section 3.2.2); its authority then stands above the
 * Host header. The request goes on with the path alone.
 */
function takeAuthority(request: IncomingMessage): string | undefined {
  const match = /^https?:\/\/([^/?#]*)([^#]*)/i.exec(request.url ?? "");
  if (match === null) return undefined;
  const rest = match[2] as string;
  request.url = rest.startsWith("/") ? rest : `/${rest}`;
  return match[1];
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    if (systemCode(cause) !== "EADDRINUSE") throw cause;
    throw new SlipwayError({
      code: "EDGE_PORT_TAKEN",
      where: "edge/port",
      message: `port ${port} is taken by another program`,
      hint: `Stop that program (see who it is with "ss -ltnp sport = :${port}"), or set edge.port to another port; 0 takes a free one.`,
      cause,
      exitCode: 3,
    });
  }
}
