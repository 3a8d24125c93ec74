/**
 * The local edge: one port in front of services in several clusters and of static buckets, as the global load
 * balancer is in production. This file joins the parts; the decisions are in `load-balancer/` and `bucket/`.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Clock, type Random, SlipwayError, systemCode } from "@slipway/base";
import type { EdgeConfig, EdgeTarget } from "../config/types.ts";
import { bucketOf } from "../observe/counts/histogram.ts";
import { type Bucket, createBucket } from "./bucket/bucket.ts";
import type { EndpointSource } from "./endpoints.ts";
import { type AccessRecord, formatAccess } from "./load-balancer/access-log.ts";
import { type Backend, Balancer } from "./load-balancer/balancer.ts";
import { type Attempt, forward } from "./load-balancer/forward.ts";
import { defaultHealthPolicy, type HealthPolicy } from "./load-balancer/health.ts";
import { forwardUpgrade } from "./load-balancer/upgrade.ts";
import { createUpstreams, type Dial, dialTcp, type Upstreams } from "./load-balancer/upstreams.ts";
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

export interface ServedCount {
  readonly cluster: string;
  readonly service: string;
  readonly replicaSet: string;
  readonly requests: number;
  /** Answers of 500 and above, the edge's own after a lost endpoint included. */
  readonly errors: number;
  /** Response times as a histogram (`observe/counts/histogram.ts`): requests by bucket, up to the last that has any. */
  readonly times: readonly number[];
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

const SERVED_KEPT = 500;

type Served = Omit<{ -readonly [K in keyof ServedCount]: ServedCount[K] }, "times"> & {
  readonly times: number[];
};

interface ServiceState {
  readonly name: string;
  readonly balancer: Balancer;
  readonly policy: HealthPolicy;
  /** Aborts when no route leads to the service any more. */
  readonly stop: AbortController;
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
  const services = new Map<string, ServiceState>();
  /** The same by the route's target itself, so that a request needs no key made. */
  const byTarget = new Map<EdgeTarget, ServiceState>();
  const buckets = new Map<string, Bucket>();
  /** By cluster, then by class of status: index 2 counts 2xx. */
  const counters = new Map<string, number[]>();
  const served: Served[] = [];
  /** The count of an endpoint's ReplicaSet, by the endpoint itself: a request makes no key. */
  const servedBy = new WeakMap<Backend, Served>();
  const lines = lineBuffer(options.accessLog, clock);

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
        options.onProblem?.(error);
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
      services: [...services.values()].map(({ name, balancer }) => ({
        name,
        endpoints: balancer.backends().map(({ backend, health, inFlight }) => ({
          id: backend.id,
          pod: backend.pod,
          state: health.state,
          reason: health.reason,
          inFlight,
        })),
      })),
      counters: Object.fromEntries(
        [...counters].flatMap(([cluster, classes]) =>
          classes.flatMap((sum, index) => (sum === 0 ? [] : [[`${cluster} ${index}xx`, sum] as const])),
        ),
      ),
      served: served.map((one) => ({ ...one, times: [...one.times] })),
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

  /** Follows the services that routes lead to, and lets go of those that none leads to any more. */
  function openTargets(): void {
    const wanted = new Map(table.services.map((target) => [serviceKey(target), target]));
    for (const [key, state] of services) {
      if (wanted.has(key)) continue;
      state.stop.abort();
      services.delete(key);
    }
    for (const [key, target] of wanted) {
      if (services.has(key)) continue;
      const policy = { ...defaultHealthPolicy, path: target.health };
      const state: ServiceState = {
        name: target.name,
        balancer: new Balancer(policy),
        policy,
        stop: new AbortController(),
      };
      stop.signal.addEventListener("abort", () => state.stop.abort(), { once: true });
      services.set(key, state);
      for (const source of options.sources) followCluster(source, target, state);
      checkForEver(state).catch((error: unknown) => options.onProblem?.(error));
    }
    byTarget.clear();
    for (const target of table.services)
      byTarget.set(target, services.get(serviceKey(target)) as ServiceState);
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
    const state = byTarget.get(route.target) as ServiceState;
    return forward({
      request,
      response,
      balancer: state.balancer,
      upstreams,
      clock,
      forwarded: { remoteIp: remoteIp(request), proto: "http", requestId },
      retries: config.retries,
      service: state.name,
      onDone: (attempts, bytes) =>
        record(request, response, { startedAt, requestId, service: state.name, attempts, bytes }),
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
    const state = byTarget.get(route.target) as ServiceState;
    const requestId = requestIdOf(request);
    forwardUpgrade({
      request,
      socket,
      head,
      balancer: state.balancer,
      dial,
      upstreams,
      forwarded: { remoteIp: remoteIp(request), proto: "http", requestId },
      retries: config.retries,
      onDone: (backend, status) => {
        count(backend, state.name, status);
        if (options.accessLog === undefined) return;
        const attempts =
          backend === undefined ? [] : [{ backend, startedAt, ms: clock.monotonic() - startedAt, status }];
        lines.add(
          formatAccess(
            accessRecord(request, status, { startedAt, requestId, service: state.name, attempts, bytes: 0 }),
          ),
        );
      },
    }).catch((error: unknown) => options.onProblem?.(error));
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

  interface Outcome {
    readonly startedAt: number;
    readonly requestId: string;
    readonly service: string;
    readonly attempts: readonly Attempt[];
    readonly bytes: number;
  }

  function record(request: IncomingMessage, response: ServerResponse, outcome: Outcome): void {
    // 499 is nginx's word for a client that left before the answer; it is nobody's error.
    const status = response.headersSent ? response.statusCode : 499;
    const backend = outcome.attempts.at(-1)?.backend;
    count(backend, outcome.service, status, clock.monotonic() - outcome.startedAt);
    if (options.accessLog !== undefined) lines.add(formatAccess(accessRecord(request, status, outcome)));
  }

  /** `ms` undefined: the connection was handed over, and how long it lasts is no response time. */
  function count(backend: Backend | undefined, service: string, status: number, ms?: number): void {
    const cluster = backend?.cluster ?? "edge";
    if (backend !== undefined) {
      const sums = servedBy.get(backend) ?? servedOf(backend, service);
      sums.requests += 1;
      if (status >= 500) sums.errors += 1;
      if (ms !== undefined) {
        const bucket = bucketOf(Math.round(ms));
        while (sums.times.length <= bucket) sums.times.push(0);
        sums.times[bucket] = (sums.times[bucket] as number) + 1;
      }
    }
    const known = counters.get(cluster);
    const classes = known ?? [0, 0, 0, 0, 0, 0];
    if (known === undefined) counters.set(cluster, classes);
    const index = Math.floor(status / 100);
    classes[index] = (classes[index] ?? 0) + 1;
  }

  function servedOf(backend: Backend, service: string): Served {
    const { cluster } = backend;
    const replicaSet = options.replicaSetOf?.(backend) ?? "";
    let sums = served.find(
      (one) => one.cluster === cluster && one.service === service && one.replicaSet === replicaSet,
    );
    if (sums === undefined) {
      // Releases come and go while the edge stays: the oldest counts are dropped.
      if (served.length >= SERVED_KEPT) served.shift();
      sums = { cluster, service, replicaSet, requests: 0, errors: 0, times: [] };
      served.push(sums);
    }
    servedBy.set(backend, sums);
    return sums;
  }

  function accessRecord(request: IncomingMessage, status: number, outcome: Outcome): AccessRecord {
    const last = outcome.attempts.at(-1)?.backend;
    return {
      endMs: clock.now(),
      durationMs: clock.monotonic() - outcome.startedAt,
      method: request.method ?? "",
      url: request.url ?? "",
      requestSize: Number(request.headers["content-length"] ?? 0),
      status,
      responseSize: outcome.bytes,
      userAgent: request.headers["user-agent"] ?? "",
      remoteIp: remoteIp(request),
      referer: request.headers.referer ?? "",
      protocol: `HTTP/${request.httpVersion}`,
      upstreamMs: outcome.attempts.map(({ ms }) => ms),
      upstreamStatus: outcome.attempts.map((attempt) => attempt.status),
      upstreamAddr: outcome.attempts.map(({ backend }) => `${backend.ip}:${backend.port}`),
      requestId: outcome.requestId,
      cluster: last?.cluster ?? "",
      pod: last?.pod ?? "",
      service: outcome.service,
      release: last === undefined ? "" : (options.releaseOf?.(last) ?? ""),
    };
  }

  function followCluster(
    source: EndpointSource,
    target: { namespace: string; name: string; port: number | string },
    state: ServiceState,
  ): void {
    const onChange = (backends: readonly Backend[]): void => {
      const { removed } = state.balancer.setCluster(source.cluster, backends);
      for (const backend of removed)
        upstreams.drain(backend).catch((error: unknown) => options.onProblem?.(error));
    };
    source.follow(target, onChange, state.stop.signal).catch((error: unknown) => options.onProblem?.(error));
  }

  async function checkForEver(state: ServiceState): Promise<void> {
    const { balancer, policy } = state;
    const { signal } = state.stop;
    while (!signal.aborted) {
      await clock.sleep(policy.intervalMs, signal).catch(() => {});
      if (signal.aborted) return;
      await Promise.all(
        balancer.backends().map(async ({ backend }) => {
          const problem = await check(backend, policy, { dial, upstreams });
          balancer.checked(backend.id, problem === undefined, problem);
        }),
      );
    }
  }
}

/** Undefined when the endpoint is well, else what was wrong. */
async function check(
  backend: Backend,
  policy: HealthPolicy,
  via: { dial: Dial; upstreams: Upstreams },
): Promise<string | undefined> {
  try {
    if (policy.path === undefined) {
      (await via.dial(backend, policy.timeoutMs)).destroy();
      return undefined;
    }
    const answer = await via.upstreams.pool(backend).request({
      path: policy.path,
      method: "GET",
      headers: { "user-agent": "slipway-edge-health-check" },
      signal: AbortSignal.timeout(policy.timeoutMs),
    });
    await answer.body.dump();
    return answer.statusCode < 400 ? undefined : `health check answered ${answer.statusCode}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function serviceKey(target: {
  readonly namespace: string;
  readonly name: string;
  readonly port: number | string;
  readonly health: string | undefined;
}): string {
  return `${target.namespace}/${target.name}:${target.port}${target.health ?? ""}`;
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

function remoteIp(request: IncomingMessage): string {
  return (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
}

const LOG_EVERY_MS = 25;

/** Lines are handed over in batches, so that logging costs one write for many requests. */
function lineBuffer(
  sink: ((lines: string) => void) | undefined,
  clock: Clock,
): { add(line: string): void; flush(): void } {
  let pending = "";
  const flush = (): void => {
    if (pending === "") return;
    const text = pending;
    pending = "";
    sink?.(text);
  };
  return {
    add(line) {
      if (pending === "") void clock.sleep(LOG_EVERY_MS).then(flush);
      pending += line;
    },
    flush,
  };
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
