/**
 * Entry of the agent on each node: follows the log files of the namespace's pods and sends them to the collector. It asks
 * no API server and keeps nothing: the node's files are its spool. Installed by `slipway observe install`.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { SlipwayError, systemClock, systemRandom } from "@slipway/base";
import { createSender } from "../../observe/collect/sender.ts";
import { Tail } from "../../observe/collect/tail.ts";
import { exposition } from "../../observe/prometheus/metrics.ts";
import { processFamilies } from "../../observe/prometheus/process.ts";
import { metricsHandler } from "../../observe/prometheus/serve.ts";
import { AGENT_METRICS_PORT, collectorUrl, MOUNTED, PODS_LOGS } from "../collector/input.ts";
import { agentFamilies } from "./metrics.ts";

const {
  SLIPWAY_COLLECTOR: collector,
  SLIPWAY_NODE: node,
  SLIPWAY_NAMESPACE: namespace,
  SLIPWAY_CLUSTER: cluster,
} = process.env;
if (collector === undefined || node === undefined || namespace === undefined || cluster === undefined)
  throw new SlipwayError({ code: "AGENT_OUTSIDE", message: "runs in no cluster: it is for pods" });

const url = collectorUrl(collector);
const ending = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => ending.abort());

const mounted = (name: string): string => readFileSync(join(MOUNTED, name), "utf8").trim();
// Read anew for each batch: a new token takes no restart.
const sender = createSender({ url, token: () => mounted("agent-token"), ca: mounted("ca.crt") });
let said = "";
const tail = new Tail({
  places: [{ kind: "kubelet", directory: PODS_LOGS, cluster, node }],
  taker: sender,
  clock: systemClock,
  random: systemRandom(),
  // What it and the collector say about lines must not become lines.
  wants: (log) => log.namespace === namespace && !/^slipway-.+-(?:agent|collector)-/.test(log.pod),
  onProblem(error) {
    const line = error instanceof Error ? error.message : String(error);
    if (line !== said) console.log(line);
    said = line;
  },
});
const measure = metricsHandler(
  exposition([
    ...agentFamilies(
      () => tail.figures(),
      () => sender.figures(),
    ),
    ...processFamilies(process, systemClock.now()),
  ]),
  mounted("metrics-token"),
  (error) => console.log(`metrics: ${String(error)}`),
);
createServer((request, response) => {
  if (!measure(request, response)) response.writeHead(404).end();
}).listen(AGENT_METRICS_PORT);
console.log(`follows the logs of ${namespace} on ${node}, sends to ${url}`);
await tail.run(ending.signal);
sender.close();
process.exit(0);
