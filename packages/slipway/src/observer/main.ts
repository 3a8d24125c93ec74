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
import { serveMetrics } from "../observe/prometheus/serve.ts";
import type { FromCompanion } from "../world/companion.ts";
import { serveControl } from "../world/control.ts";
import { worldPaths } from "../world/state.ts";
import { type ImportFiles, importInto } from "./import-files.ts";
import { useFrom } from "./pages/clusters/prometheus-use.ts";
import { warehouseRows } from "./pages/warehouse-rows.ts";
import type { ObserverInput } from "./process.ts";
import { createQueries } from "./queries.ts";
import { startWatch } from "./watch.ts";
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
  const targets = world.clusters.map(({ name, url, token, ca }) => ({
    name,
    client: createHttpClient({ name, url, token, ca }),
  }));
  let link: string | undefined;
  const watch = await startWatch({
    ...{ config, observe, targets, process, log },
    places: placesOf(config.namespace, world.clusters, paths),
    folder: paths.observe,
    // Exact percentiles of ten busy days hold each of their times; with less they go by way of the disk.
    warehouse: { memoryBytes: 1_000_000_000 },
    outbox: join(paths.root, "outbox"),
    link: () => link,
    again: "`slipway local down` and `slipway local up`",
    clock: systemClock,
  });
  const { observer, warehouse } = watch;
  const rows = warehouseRows("world", warehouse, {
    clock: systemClock,
    unread: () => observer.figures().unread,
    lagMs: () => observer.figures().lagMs,
    unaccounted() {
      const { read, lines } = observer.figures();
      return read - lines;
    },
  });
  const queries = createQueries({
    root: config.root,
    clock: systemClock,
    sources: () => [rows],
    committed: () => warehouse.figures().committed,
    lastRun: (name) => scheduler.lastRun(name),
  });
  const scheduler = await watch.schedule(queries);
  const metrics = await serveMetrics({
    folder: paths.metrics,
    name: "observer",
    read: watch.metrics,
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
    alerts: watch.alerts?.port,
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
      ...watch.answers,
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
  control.close();
  metrics?.close();
  await pages?.close();
  await watch.close();
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
