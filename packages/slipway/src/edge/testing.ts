/** Endpoints, sources and edges for the tests of this folder. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, seededRandom, systemClock } from "@slipway/base";
import type { EdgeConfig } from "../config/types.ts";
import { type Edge, type EdgeOptions, startEdge } from "./edge.ts";
import type { EndpointSource } from "./endpoints.ts";
import type { Backend } from "./load-balancer/balancer.ts";
import { defaultHealthPolicy } from "./load-balancer/health.ts";

export const cleanups: (() => Promise<unknown> | unknown)[] = [];

/** For `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

/** A source whose endpoints the test sets. */
export function manualSource(cluster: string): EndpointSource & { set(ports: readonly number[]): void } {
  let publish: (backends: readonly Backend[]) => void = () => {};
  let current: readonly Backend[] = [];
  return {
    cluster,
    set(ports) {
      current = ports.map((port) => ({
        id: `${cluster}/127.0.0.1:${port}`,
        cluster,
        ip: "127.0.0.1",
        port,
        pod: `pod-${port}`,
      }));
      publish(current);
    },
    async follow(_service, onChange) {
      publish = onChange;
      onChange(current);
    },
    refresh: async () => publish(current),
  };
}

export async function backend(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ port: number; server: Server }> {
  const server = createServer(handle);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, server };
}

/** Nothing listens there; one that was free a moment ago may be somebody else's. */
export const DEAD_PORT = 1;

/**
 * No check of endpoints comes by itself: one that a busy machine makes late would change what a test looks at. Tests of
 * the checks pass the system's clock.
 */
const unchecked: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms === defaultHealthPolicy.intervalMs ? 3_600_000 : ms, signal),
};

export async function edgeFor(
  sources: readonly EndpointSource[],
  config: Partial<EdgeConfig> = {},
  rest: Partial<EdgeOptions> = {},
): Promise<Edge> {
  const edge = await startEdge({
    config: {
      hosts: [],
      routes: [
        {
          path: "/*",
          target: { kind: "service", name: "web", namespace: "default", port: 80, health: undefined },
        },
      ],
      port: 0,
      retries: 2,
      drainMs: 60_000,
      ...config,
    },
    sources,
    clock: unchecked,
    random: seededRandom(1),
    ...rest,
  });
  cleanups.push(() => edge.close());
  return edge;
}
