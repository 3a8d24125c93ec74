/**
 * Entry of the collector in a cluster: takes what agents send, knows pods and releases from the API server, owns the
 * warehouse on its volume, and answers questions that come through the API server. Installed by `slipway observe install`.
 */
import { readFile, rm } from "node:fs/promises";
import { createServer } from "node:https";
import { join } from "node:path";
import { SlipwayError, systemClock, systemCode } from "@slipway/base";
import { createHttpClient } from "@slipway/kube";
import type { SlackConfig } from "../../config/types.ts";
import { createReceiver } from "../../observe/collect/receiver.ts";
import { metricsHandler } from "../../observe/prometheus/serve.ts";
import { startWatch } from "../watch.ts";
import { createAnswerer } from "./answerer.ts";
import { type CollectorInput, collectorInputSchema, MOUNTED, observeOfInput, PORT } from "./input.ts";
import { handedQueries } from "./queries.ts";

const log = (line: string): void => console.log(line);
const ended = new Promise<void>((resolve) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
});

const mounted = async (name: string): Promise<string> => (await readFile(join(MOUNTED, name), "utf8")).trim();
const input = collectorInputSchema.parse(JSON.parse(await mounted("collector.json")));
const observe = observeOfInput(input);
const folder = "/data";
// Whoever held it was another container, whose process cannot be seen from here. It is gone: this is the only pod
// (Recreate) with this volume (ReadWriteOnce), and kubelet starts a container when the one before has ended. Should all
// of that fail, the lock that DuckDB has in the kernel still stands.
await rm(join(folder, "warehouse.lock"), { force: true });
const client = await ownCluster(input.cluster);
const watch = await startWatch({
  config: {
    name: input.service,
    environment: input.environment,
    namespace: input.namespace,
    // It knows the releases of its own cluster, and what they would go back to there.
    clusters: [{ name: input.cluster }],
    notify: { slack: await slackOf(input) },
  },
  observe,
  targets: [{ name: input.cluster, client }],
  scope: { namespace: input.namespace, readsReleases: input.readsReleases },
  places: [],
  folder,
  warehouse: {
    onRunaway(why) {
      log(`${why}: ends, and is started again`);
      process.abort(); // the first process of a container heeds no signal of its own, and an orderly end would wait
    },
  },
  outbox: join(folder, "outbox"),
  // As of the warehouse's lock: whoever sent from this volume before is gone.
  isAlive: () => false,
  again: "`slipway observe install`",
  ...{ process, clock: systemClock, log },
});
await watch.schedule(handedQueries(input.queries, watch.warehouse));
const receive = createReceiver({
  taker: watch.observer.collector,
  cluster: input.cluster,
  token: await mounted("agent-token"),
  onProblem: (error) => log(error instanceof Error ? (error.stack ?? error.message) : String(error)),
});
const measure = metricsHandler(watch.metrics, await mounted("metrics-token"), (error) =>
  log(`metrics: ${String(error)}`),
);
const { alertmanager, ...asked } = watch.answers;
const answer = createAnswerer(asked, await mounted("read-token"));
// Who may tell of alerts may not read lines: it has a token of its own.
const hear = createAnswerer({ alertmanager }, await mounted("alertmanager-token"));
const server = createServer(
  {
    key: await mounted("tls.key"),
    cert: await mounted("tls.crt"),
    requestTimeout: 60_000,
    headersTimeout: 10_000,
  },
  (request, response) => {
    if (receive(request, response) || answer(request, response)) return;
    if (measure(request, response) || hear(request, response)) return;
    response.writeHead(request.url === "/healthz" ? 200 : 404).end();
  },
);
server.listen(PORT, () => log(`collects for ${input.service} in ${input.cluster}, port ${PORT}`));

await ended;
server.close();
server.closeAllConnections();
await watch.close();
process.exit(0);

/** Where nothing was given for Slack, or its tokens are gone, incidents are told in this pod's log. */
async function slackOf({ slack: place }: CollectorInput): Promise<SlackConfig | undefined> {
  const given = (name: string): Promise<string | undefined> =>
    mounted(name).catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    });
  if (place === null) return undefined;
  const [botToken, webhookUrl] = [await given("slack-bot-token"), await given("slack-webhook-url")];
  const { channel, apiUrl, mentions } = place;
  return {
    mentions,
    ...(botToken === undefined ? {} : { botToken }),
    ...(webhookUrl === undefined ? {} : { webhookUrl }),
    ...(channel === null ? {} : { channel }),
    ...(apiUrl === null ? {} : { apiUrl }),
  };
}

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
