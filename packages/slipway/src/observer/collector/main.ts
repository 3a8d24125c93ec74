/**
 * Entry of the collector in a cluster: takes what agents send, knows pods and releases from the API server, owns the
 * warehouse on its volume, and answers questions that come through the API server. Installed by `slipway observe install`.
 */
import { readFile, rm } from "node:fs/promises";
import { createServer } from "node:https";
import { join } from "node:path";
import { SlipwayError, systemClock } from "@slipway/base";
import { createHttpClient } from "@slipway/kube";
import { observeOf } from "../../config/observe.ts";
import { createReceiver } from "../../observe/collect/receiver.ts";
import { exposition } from "../../observe/prometheus/metrics.ts";
import { processFamilies } from "../../observe/prometheus/process.ts";
import { metricsHandler } from "../../observe/prometheus/serve.ts";
import { openWarehouse } from "../../observe/warehouse/duckdb/open.ts";
import { answersOf } from "../answers.ts";
import { observerFamilies } from "../metrics.ts";
import { startObserver } from "../observer.ts";
import { readersOf } from "../readers.ts";
import { createAnswerer } from "./answerer.ts";
import { collectorInputSchema, MOUNTED, PORT, sloOf } from "./input.ts";

const log = (line: string): void => console.log(line);
const ended = new Promise<void>((resolve) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
});

const mounted = async (name: string): Promise<string> => (await readFile(join(MOUNTED, name), "utf8")).trim();
const input = collectorInputSchema.parse(JSON.parse(await mounted("collector.json")));
const defaults = observeOf(undefined);
if (defaults === undefined) throw new Error("no defaults");
const observe = {
  ...defaults,
  ...input.observe,
  slo: sloOf(input.observe.slo),
  sloOf: Object.fromEntries(Object.entries(input.observe.sloOf).map(([name, slo]) => [name, sloOf(slo)])),
};
const folder = "/data";
// Whoever held it was another container, whose process cannot be seen from here. It is gone: this is the only pod
// (Recreate) with this volume (ReadWriteOnce), and kubelet starts a container when the one before has ended. Should all
// of that fail, the lock that DuckDB has in the kernel still stands.
await rm(join(folder, "warehouse.lock"), { force: true });
const warehouse = await openWarehouse({
  folder,
  clock: systemClock,
  accessLog: observe.accessLog,
  keepForMs: observe.keepForMs,
  maxBytes: observe.maxBytes,
});
const observer = startObserver({
  service: input.service,
  namespace: input.namespace,
  config: observe,
  targets: [{ name: input.cluster, client: await ownCluster(input.cluster) }],
  scope: { namespace: input.namespace, readsReleases: input.readsReleases },
  places: [],
  warehouse,
  readers: (sources) => readersOf(observe, warehouse, sources, () => systemClock.now()),
  clock: systemClock,
  log,
});
const receive = createReceiver({
  taker: observer.collector,
  cluster: input.cluster,
  token: await mounted("agent-token"),
  onProblem: (error) => log(error instanceof Error ? (error.stack ?? error.message) : String(error)),
});
const measure = metricsHandler(
  exposition([
    ...observerFamilies({ observer, observe, alerts: undefined, now: () => systemClock.now() }),
    ...processFamilies(process, systemClock.now()),
  ]),
  await mounted("metrics-token"),
  (error) => log(`metrics: ${String(error)}`),
);
const answer = createAnswerer(answersOf(observer), await mounted("read-token"));
const server = createServer(
  {
    key: await mounted("tls.key"),
    cert: await mounted("tls.crt"),
    requestTimeout: 60_000,
    headersTimeout: 10_000,
  },
  (request, response) => {
    if (receive(request, response) || answer(request, response) || measure(request, response)) return;
    response.writeHead(request.url === "/healthz" ? 200 : 404).end();
  },
);
server.listen(PORT, () => log(`collects for ${input.service} in ${input.cluster}, port ${PORT}`));

await ended;
server.close();
server.closeAllConnections();
await observer.close();
process.exit(0);

/** As the pod's own ServiceAccount; its token is renewed by kubelet and read anew. */
async function ownCluster(name: string) {
  const account = "/var/run/secrets/kubernetes.io/serviceaccount";
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  if (host === undefined)
    throw new SlipwayError({ code: "COLLECTOR_OUTSIDE", message: "runs in no cluster: it is for pods" });
  return createHttpClient({
    name,
    url: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ca: await readFile(join(account, "ca.crt"), "utf8"),
    credentials: {
      current: async () => ({
        headers: { authorization: `Bearer ${(await readFile(join(account, "token"), "utf8")).trim()}` },
      }),
      refused: async () => true,
    },
  });
}
