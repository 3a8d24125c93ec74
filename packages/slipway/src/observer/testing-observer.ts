/**
 * For tests: an observer of one folder of logs, as a process that can be killed. `node testing-observer.ts LOGS
 * WAREHOUSE`; says over IPC which pods there are, by their uids, the same at each start, then how many lines it has stored,
 * whenever it has; ends with its parent.
 */
import { seededRandom, systemClock } from "@slipway/base";
import { bootstrapCluster, createApi, createMemoryClient, createStore, type Pod } from "@slipway/kube";
import { observeOf } from "../config/observe.ts";
import { openWarehouse } from "../observe/warehouse/duckdb/open.ts";
import { startObserver } from "./observer.ts";
import { readersOf } from "./readers.ts";

const [logs, folder] = process.argv.slice(2);
const config = observeOf(undefined);
if (logs === undefined || folder === undefined || config === undefined)
  throw new Error("testing-observer LOGS WAREHOUSE");
const warehouse = await openWarehouse({ folder, clock: systemClock });
// Lines of a pod that nobody knows wait for it: most kills would be over before the first is stored.
const api = createApi({ store: createStore(), now: systemClock.now, random: seededRandom(1) });
bootstrapCluster(api);
const client = createMemoryClient({ name: "osaka", api, sleep: systemClock.sleep });
const uids: (string | undefined)[] = [];
for (const name of ["a", "b", "c"]) {
  const spec = { containers: [{ name: "web", image: "web" }] };
  const metadata = { name, namespace: "default" };
  uids.push((await client.create({ apiVersion: "v1", kind: "Pod", metadata, spec } as Pod)).metadata.uid);
}
const observer = startObserver({
  ...{ service: "test", namespace: "default", config, warehouse, clock: systemClock },
  targets: [{ name: "osaka", client }],
  places: [{ kind: "slipway", directory: logs, cluster: "osaka", node: "" }],
  readers: (sources) => readersOf(config, warehouse, sources, () => systemClock.now()),
  log: () => {},
});
const say = (message: unknown): void => {
  if (process.connected) process.send?.(message);
};
observer.onLines(() => {
  const { access, logs: lines, quarantine } = warehouse.figures();
  say(access + lines + quarantine);
});
say(uids);
process.once("disconnect", () => void observer.close().then(() => process.exit(0)));
