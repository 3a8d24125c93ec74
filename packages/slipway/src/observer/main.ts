/**
 * Entry of the observer's process beside a local world. Gets an ObserverInput on standard input and talks to the world
 * over IPC (`world/companion.ts`); its output is in `.slipway/world.log`. It ends when the world does.
 */

import { setPriority } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { newSecret, SlipwayError, systemClock, systemRandom } from "@slipway/base";
import { createHttpClient } from "@slipway/kube";
import type { LogPlace } from "../observe/collect/tail.ts";
import { exposition } from "../observe/prometheus/metrics.ts";
import { processFamilies } from "../observe/prometheus/process.ts";
import { serveMetrics } from "../observe/prometheus/serve.ts";
import { openDuckWarehouse } from "../observe/warehouse/duckdb/open.ts";
import type { FromCompanion } from "../world/companion.ts";
import { serveControl } from "../world/control.ts";
import { worldPaths } from "../world/state.ts";
import { alertAnswers } from "./alerts/answers.ts";
import { countedMinutes } from "./alerts/restore.ts";
import { startAlerts } from "./alerts/start.ts";
import { answersOf } from "./answers.ts";
import { type ImportFiles, importInto } from "./import-files.ts";
import { observerFamilies } from "./metrics.ts";
import { startObserver } from "./observer.ts";
import { useFrom } from "./pages/clusters/prometheus-use.ts";
import { sentenceOf } from "./pages/rows.ts";
import { warehouseRows } from "./pages/warehouse-rows.ts";
import type { ObserverInput } from "./process.ts";
import { createQueries } from "./queries.ts";
import { readersOf } from "./readers.ts";
import { openScheduled, runScheduled } from "./scheduled.ts";
import { startWorldPages } from "./world-pages.ts";

const log = (line: string): void =>
  console.log(`${new Date(systemClock.now()).toISOString()} observer: ${line}`);
const say = (message: FromCompanion): void => {
  if (process.connected) process.send?.(message);
};

// What is watched goes first.
setPriority(5);
const worldIsGone = new Promise<void>((resolve) => void process.once("disconnect", resolve));
for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => {}); // they are meant for the world
const asked = new Promise<void>((resolve) => void process.once("SIGTERM", () => resolve()));

try {
  const { config, world } = JSON.parse(await text(process.stdin)) as ObserverInput;
  const { observe } = config;
  if (observe === undefined) throw new Error("started although observe is false");
  const paths = worldPaths(config.root);
  const warehouse = await openDuckWarehouse({
    folder: paths.observe,
    clock: systemClock,
    accessLog: observe.accessLog,
    keepForMs: observe.keepForMs,
    maxBytes: observe.maxBytes,
    // Exact percentiles of ten busy days hold each of their times; with less they go by way of the disk.
    memoryBytes: 1_000_000_000,
  });
  const targets = world.clusters.map(({ name, url, token, ca }) => ({
    name,
    client: createHttpClient({ name, url, token, ca }),
  }));
  // Before the first line is stored by this process: the counts go on from here.
  const restored = await countedMinutes(warehouse, systemClock.now()).catch((error: unknown) => {
    log(`alerts begin without what was counted before: ${String(error)}`);
    return [];
  });
  const observer = startObserver({
    service: config.name,
    namespace: config.namespace,
    config: observe,
    targets,
    places: placesOf(config.namespace, world.clusters, paths),
    warehouse,
    readers: (sources) => readersOf(observe, warehouse, sources, () => systemClock.now()),
    clock: systemClock,
    log,
  });
  let link: string | undefined;
  let noAlerts = "";
  const alerts = await startAlerts({
    config,
    observe,
    observer,
    restored,
    folder: paths.observe,
    outbox: join(paths.root, "outbox"),
    clock: systemClock,
    link: () => link,
    log,
  }).catch((error: unknown) => {
    // What is wrong with a rule must not cost the logs.
    const where = error instanceof SlipwayError && error.where !== undefined ? `${error.where}: ` : "";
    noAlerts = `${where}${sentenceOf(error)}`;
    log(`no alerts: ${noAlerts}`);
    return undefined;
  });
  const rows = warehouseRows("world", warehouse, {
    clock: systemClock,
    unread: () => observer.figures().unread,
  });
  const queries = createQueries({
    root: config.root,
    clock: systemClock,
    sources: () => [rows],
    committed: () => warehouse.figures().committed,
    lastRun: (name) => scheduler.lastRun(name),
  });
  const scheduler = await openScheduled({
    queries,
    alerts: alerts?.alerts,
    slack: config.notify.slack,
    file: join(paths.observe, "scheduled.json"),
    clock: systemClock,
    log,
  });
  const closing = new AbortController();
  const scheduled = runScheduled(scheduler, { clock: systemClock, log, signal: closing.signal });
  const metrics = await serveMetrics({
    folder: paths.metrics,
    name: "observer",
    read: exposition([
      ...observerFamilies({
        observer,
        observe,
        alerts:
          alerts === undefined
            ? undefined
            : { counts: alerts.counts, standing: () => alerts.alerts.standing() },
        now: () => systemClock.now(),
      }),
      ...processFamilies(process, systemClock.now()),
    ]),
    onProblem: (error) => log(`metrics: ${String(error)}`),
  }).catch((error: unknown) => {
    log(`no metrics: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  });
  // Without pages it still collects, and says why there are none.
  const pages = await startWorldPages({
    config,
    observe,
    targets,
    observer,
    alerts: alerts?.port,
    use: useFrom(observe, process.env),
    rows,
    queries,
    clock: systemClock,
    random: systemRandom(),
    env: process.env,
    log,
  }).catch((error: unknown) => {
    log(error instanceof Error ? error.message : String(error));
    return undefined;
  });
  link = pages === undefined ? undefined : `${pages.url}/#/alerts`;
  process.on("message", () => say({ kind: "figures", figures: observer.figures() }));
  const token = newSecret();
  const control = await serveControl(
    {
      ...answersOf(observer),
      ...alertAnswers(alerts?.alerts, noAlerts, systemClock),
      import: (what) => importInto(warehouse, observe, what as ImportFiles, { clock: systemClock }),
    },
    token,
  );
  say({
    kind: "ready",
    metrics: metrics?.url,
    url: pages?.url,
    token: pages?.token,
    control: { url: control.url, token },
  });
  if (pages === undefined) say({ kind: "problem", text: "the pages cannot be served; see world.log" });
  await Promise.race([worldIsGone, asked]);
  closing.abort();
  control.close();
  metrics?.close();
  await pages?.close();
  await alerts?.close();
  await scheduled;
  await observer.close();
  process.exit(0);
} catch (error) {
  log(error instanceof Error ? (error.stack ?? error.message) : String(error));
  say({ kind: "problem", text: error instanceof SlipwayError ? error.message : String(error) });
  process.exit(1);
}

/** The logs of every local cluster, as its node agent writes them, and the edge's. */
function placesOf(
  namespace: string,
  clusters: readonly { readonly name: string }[],
  paths: ReturnType<typeof worldPaths>,
): readonly LogPlace[] {
  return [
    ...clusters.map(({ name }): LogPlace => {
      const directory = join(paths.cluster(name), "sandbox", "logs");
      return { kind: "slipway", directory, cluster: name, node: "" };
    }),
    {
      kind: "file",
      path: paths.accessLog,
      log: {
        origin: "edge",
        cluster: "",
        node: "",
        namespace,
        pod: "",
        podUid: "edge",
        container: "access.log",
        attempt: 0,
        framing: "plain",
      },
    },
  ];
}
