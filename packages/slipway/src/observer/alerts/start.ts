/**
 * The alerts of an observer: counts what it stores, decides, and tells. Nothing here holds up the storing of lines; what
 * fails here is told in the log, and the rest goes on.
 */
import { join } from "node:path";
import { type Clock, isProcessAlive, type ProcessIdentity, thisProcess } from "@slipway/base";
import type { ObserveConfig } from "../../config/observe.ts";
import type { Config } from "../../config/types.ts";
import { createTelling } from "../../notify/notify.ts";
import { createFileStore } from "../../notify/outbox/store.ts";
import type { AccessBatch } from "../../observe/access/batch.ts";
import { type Alerts, createAlerts } from "../../observe/alerts/alerts.ts";
import { createAlertFile } from "../../observe/alerts/kept.ts";
import { rulesOf, targetOf } from "../../observe/alerts/rules.ts";
import type { ReleaseFacts } from "../../observe/alerts/story.ts";
import { type CountedMinute, Counts } from "../../observe/counts/counts.ts";
import { chooseTarget } from "../../release/rollback.ts";
import type { Observer } from "../observer.ts";
import { alertsPort } from "../pages/alerts-port.ts";
import type { AlertsPort } from "../pages/ports.ts";
import { tellerOf } from "./tell.ts";

export interface StartAlertsOptions {
  readonly config: Pick<Config, "name" | "environment" | "notify"> & {
    readonly clusters: readonly { readonly name: string }[];
  };
  readonly observe: ObserveConfig;
  /** Started just now, with nothing awaited since. */
  readonly observer: Pick<Observer, "warehouse" | "sources" | "releases" | "onLines">;
  /** What the warehouse had before the observer was started (`restore.ts`). */
  readonly restored: readonly CountedMinute[];
  /** Where incidents are kept. */
  readonly folder: string;
  /** The outbox that the project's other messages are in. */
  readonly outbox: string;
  /** Whether a process that was sending from it still is; default: as this machine knows. */
  readonly isAlive?: (sender: ProcessIdentity) => boolean | undefined;
  readonly clock: Clock;
  readonly link: () => string | undefined;
  readonly log: (line: string) => void;
}

export interface RunningAlerts {
  readonly alerts: Alerts;
  /** What they are decided from. */
  readonly counts: Counts;
  readonly port: AlertsPort;
  close(): Promise<void>;
}

const DRAIN_EVERY_MS = 5_000;
const TIDY_EVERY_MS = 60_000;
const LAST_WORDS_MS = 2_000;

export async function startAlerts(options: StartAlertsOptions): Promise<RunningAlerts> {
  const { config, observe, observer, clock, log } = options;
  const { warehouse, sources } = observer;
  const rules = rulesOf(observe);
  const closing = new AbortController();
  const { signal } = closing;
  const counts = new Counts({
    dictionaries: warehouse.dictionaries,
    accessLog: observe.accessLog,
    targetMs: targetOf(observe),
  });
  const labelled = new Map<number, number>();
  const label = (source: number): void => {
    const labels = sources.labelsOf(source);
    if (labels === undefined) return;
    const known = labelled.get(source);
    if (known === undefined) counts.label(source, labels, clock.now());
    else if (known !== labels.release) counts.relabel(source, labels.release, labels.commit);
    labelled.set(source, labels.release);
  };

  const count = (batch: AccessBatch): void => {
    let last = -1;
    for (let line = 0; line < batch.length; line += 1) {
      const source = batch.source[line] as number;
      if (source === last) continue;
      last = source;
      label(source);
    }
    counts.add(batch, clock.now());
  };

  const telling = createTelling({
    slack: config.notify.slack,
    clock,
    store: createFileStore({
      folder: options.outbox,
      self: thisProcess(),
      isAlive: options.isAlive ?? ((sender) => isProcessAlive(sender)),
      now: () => clock.now(),
    }),
    write: log,
    onWarning: log,
  });
  if (telling.kind === "printed" && telling.missing !== undefined)
    log(`alerts are told here, not in Slack: ${telling.missing}`);
  const problem = (what: string, error: unknown): void =>
    log(`alerts: ${what}: ${error instanceof Error ? error.message : String(error)}`);
  let alerts: Alerts | undefined;
  // Before anything is awaited: no batch is stored between what was restored and the first that is counted here.
  counts.restore(options.restored);
  observer.onLines(({ access }) => {
    if (signal.aborted || access.length === 0) return;
    count(access);
    // The rest is decided every second; a failure may be the first, which is told at once.
    if (hasFailure(access)) void alerts?.evaluate();
  });
  const made = await createAlerts({
    service: config.name,
    counts,
    rules,
    store: createAlertFile(join(options.folder, "alerts.json")),
    teller: tellerOf({ telling, service: config.name, environment: config.environment, link: options.link }),
    releases: releaseFacts(config, observer),
    clock,
    onProblem: (error) => problem("deciding", error),
  });
  alerts = made;
  const every = async (ms: number, work: () => Promise<void> | void): Promise<void> => {
    while (!signal.aborted) {
      await clock.sleep(ms, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await work();
      } catch (error) {
        problem("sending", error);
      }
    }
  };
  const running = [
    made.run(signal),
    every(TIDY_EVERY_MS, () => counts.tidy(clock.now())),
    every(1_000, () => {
      for (const source of labelled.keys()) label(source);
    }),
    ...(telling.kind === "printed" ? [] : [every(DRAIN_EVERY_MS, () => telling.notifier.drain())]),
  ];
  return {
    alerts: made,
    counts,
    port: alertsPort(made),
    async close() {
      closing.abort();
      await Promise.allSettled(running);
      await telling.notifier.settle(LAST_WORDS_MS);
    },
  };
}

function hasFailure({ status, length }: AccessBatch): boolean {
  for (let line = 0; line < length; line += 1) if ((status[line] as number) >= 500) return true;
  return false;
}

/** A rollback is offered for what is live: of an older release it would change nothing. */
function releaseFacts(
  { clusters }: Pick<StartAlertsOptions["config"], "clusters">,
  observer: Pick<Observer, "releases">,
): ReleaseFacts {
  return (number) => {
    const records = observer.releases();
    const record = records.find((one) => one.number === number);
    if (record === undefined) return undefined;
    return { startedAt: record.startedAt, rollbackTo: wayBack() };

    function wayBack(): number | undefined {
      try {
        const names = clusters.map(({ name }) => name);
        const { target, leaves } = chooseTarget(records, { clusters: names, unreadable: [] });
        return leaves.number === number ? target.number : undefined;
      } catch {
        return undefined; // There is nothing to go back to.
      }
    }
  };
}
