/**
 * For tests: an observer of one folder of logs, as a process that can be killed. `node testing-observer.ts LOGS
 * WAREHOUSE`; says `ready` over IPC, then how many lines it has stored, whenever it has; ends with its parent.
 */
import { systemClock } from "@slipway/base";
import { observeOf } from "../config/observe.ts";
import { openWarehouse } from "../observe/warehouse/duckdb/open.ts";
import { startObserver } from "./observer.ts";
import { readersOf } from "./readers.ts";

const [logs, folder] = process.argv.slice(2);
const config = observeOf(undefined);
if (logs === undefined || folder === undefined || config === undefined)
  throw new Error("testing-observer LOGS WAREHOUSE");
const warehouse = await openWarehouse({ folder, clock: systemClock });
const observer = startObserver({
  ...{ service: "test", namespace: "default", config, targets: [], warehouse, clock: systemClock },
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
say("ready");
process.once("disconnect", () => void observer.close().then(() => process.exit(0)));
