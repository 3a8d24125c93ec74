/**
 * The watch over a service, all of its parts wired once: what reads and stores, alerts, scheduled queries, their figures
 * and answers. Beside a local world (`main.ts`) and in a cluster (`collector/main.ts`) it is the same; where lines come
 * from, what alerts are told with, and who may ask over what, is theirs.
 */
import { join } from "node:path";
import { type Clock, type ProcessIdentity, SlipwayError } from "@slipway/base";
import type { ObserveConfig } from "../config/observe.ts";
import { type Exposition, exposition } from "../observe/prometheus/metrics.ts";
import { type ProcessFacts, processFamilies } from "../observe/prometheus/process.ts";
import type { Scheduler } from "../observe/queries/scheduler.ts";
import type { DuckWarehouse } from "../observe/warehouse/duckdb/duckdb.ts";
import { openDuckWarehouse, type WarehouseOptions } from "../observe/warehouse/duckdb/open.ts";
import { type AlertAnswers, alertAnswers } from "./alerts/answers.ts";
import { countedMinutes } from "./alerts/restore.ts";
import { type RunningAlerts, type StartAlertsOptions, startAlerts } from "./alerts/start.ts";
import { type Answers, answersOf } from "./answers.ts";
import { observerFamilies } from "./metrics.ts";
import { type Observer, type ObserverOptions, startObserver } from "./observer.ts";
import { readersOf } from "./readers.ts";
import { openScheduled, runScheduled, type ScheduledOptions } from "./scheduled.ts";

export interface WatchOptions extends Pick<ObserverOptions, "targets" | "places" | "scope"> {
  /** Whose requests and alerts these are. */
  readonly config: StartAlertsOptions["config"] & { readonly namespace: string };
  readonly observe: ObserveConfig;
  /** Of the warehouse, the incidents, and what ran when. */
  readonly folder: string;
  readonly warehouse?: Pick<WarehouseOptions, "memoryBytes" | "onRunaway">;
  readonly outbox: string;
  /** Whether a process that was sending from the outbox still is; default: as this machine knows. */
  readonly isAlive?: (sender: ProcessIdentity) => boolean | undefined;
  /** The dashboard's page of alerts, once there is one. */
  readonly link?: () => string | undefined;
  /** How all of it is started again: for whoever repairs a rule. */
  readonly again: string;
  /** Whose memory and processor the figures tell. */
  readonly process: ProcessFacts;
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

export interface Watch {
  readonly warehouse: DuckWarehouse;
  readonly observer: Observer;
  /** Undefined when they could not be started; the answers say why. */
  readonly alerts: RunningAlerts | undefined;
  readonly answers: Answers & AlertAnswers;
  readonly metrics: Exposition;
  /** Runs what these queries have a schedule for, until the end. Once. */
  schedule(queries: ScheduledOptions["queries"]): Promise<Pick<Scheduler, "lastRun">>;
  close(): Promise<void>;
}

/** Rejects where the warehouse cannot be opened; what else is wrong costs its part alone. */
export async function startWatch(options: WatchOptions): Promise<Watch> {
  const { config, observe, folder, clock, log } = options;
  const warehouse = await openDuckWarehouse({
    folder,
    clock,
    accessLog: observe.accessLog,
    keepForMs: observe.keepForMs,
    maxBytes: observe.maxBytes,
    ...options.warehouse,
  });
  // Before the first line is stored by this process: the counts go on from here.
  const restored = await countedMinutes(warehouse, clock.now()).catch((error: unknown) => {
    log(`alerts begin without what was counted before: ${String(error)}`);
    return [];
  });
  const observer = startObserver({
    service: config.name,
    namespace: config.namespace,
    config: observe,
    targets: options.targets,
    places: options.places,
    ...(options.scope === undefined ? {} : { scope: options.scope }),
    warehouse,
    readers: (sources) => readersOf(observe, warehouse, sources, () => clock.now()),
    clock,
    log,
  });
  let noAlerts = "";
  const alerts = await startAlerts({
    config,
    observe,
    observer,
    restored,
    folder,
    outbox: options.outbox,
    ...(options.isAlive === undefined ? {} : { isAlive: options.isAlive }),
    clock,
    link: options.link ?? (() => undefined),
    log,
  }).catch((error: unknown) => {
    // What is wrong with a rule must not cost the logs.
    noAlerts = reasonOf(error);
    log(`no alerts: ${noAlerts}`);
    return undefined;
  });
  const closing = new AbortController();
  let scheduled: Promise<void> | undefined;

  return {
    warehouse,
    observer,
    alerts,
    answers: { ...answersOf(observer), ...alertAnswers(alerts?.alerts, noAlerts, clock, options.again) },
    metrics: exposition([
      ...observerFamilies({ observer, observe, alerts: measured(alerts), now: () => clock.now() }),
      ...processFamilies(options.process, clock.now()),
    ]),
    async schedule(queries) {
      const scheduler = await openScheduled({
        queries,
        alerts: alerts?.alerts,
        slack: config.notify.slack,
        file: join(folder, "scheduled.json"),
        clock,
        log,
      });
      scheduled = runScheduled(scheduler, { clock, log, signal: closing.signal });
      return scheduler;
    },
    async close() {
      closing.abort();
      await scheduled;
      await alerts?.close();
      await observer.close();
    },
  };
}

function measured(alerts: RunningAlerts | undefined): Parameters<typeof observerFamilies>[0]["alerts"] {
  return alerts === undefined
    ? undefined
    : { counts: alerts.counts, standing: () => alerts.alerts.standing() };
}

function reasonOf(error: unknown): string {
  const where = error instanceof SlipwayError && error.where !== undefined ? `${error.where}: ` : "";
  return `${where}${error instanceof Error ? error.message : String(error)}`;
}
