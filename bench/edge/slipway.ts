/** The edge alone in a process: `node slipway.ts PORT BACKEND_PORT…`, with its access log on, as it always is. */
import { createWriteStream } from "node:fs";
import { seededRandom, systemClock } from "../../packages/base/src/index.ts";
import { startEdge } from "../../packages/slipway/src/edge/edge.ts";

const [port, ...backendPorts] = process.argv.slice(2).map(Number) as [number, ...number[]];
const log = createWriteStream("/dev/null");
await startEdge({
  config: {
    hosts: [],
    routes: [
      {
        path: "/*",
        target: { kind: "service", name: "web", namespace: "default", port: 80, health: undefined },
      },
    ],
    port,
    retries: 2,
    drainMs: 1000,
  },
  sources: [
    {
      cluster: "bench",
      follow: async (_service, onChange) =>
        onChange(
          backendPorts.map((backend) => ({
            id: `bench/127.0.0.1:${backend}`,
            cluster: "bench",
            ip: "127.0.0.1",
            port: backend,
            pod: `pod-${backend}`,
          })),
        ),
      refresh: async () => {},
    },
  ],
  clock: systemClock,
  random: seededRandom(1),
  accessLog: (lines) => log.write(lines),
});
