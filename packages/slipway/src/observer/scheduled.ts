/**
 * The scheduled queries of a project beside the observer: what fails and what is beyond a threshold is an alert, a report
 * goes to Slack. What ran when is in one file.
 */
import { readFile } from "node:fs/promises";
import { type Clock, SlipwayError, writeAtomic } from "@slipway/base";
import type { SlackConfig } from "../config/types.ts";
import { missingForSlack } from "../notify/notify.ts";
import { sendReport } from "../notify/slack/report.ts";
import type { Signal } from "../observe/alerts/alert.ts";
import type { Alerts } from "../observe/alerts/alerts.ts";
import { pngOf } from "../observe/queries/picture/png.ts";
import type { NamedQuery } from "../observe/queries/query-file.ts";
import type { ScheduledRun } from "../observe/queries/schedule.ts";
import { createScheduler, type Report, type Scheduler } from "../observe/queries/scheduler.ts";
import type { Queries } from "./queries.ts";

export interface ScheduledOptions {
  readonly queries: Pick<Queries, "library" | "runner">;
  /** Undefined: alerts are turned off. */
  readonly alerts: Pick<Alerts, "report"> | undefined;
  readonly slack: SlackConfig | undefined;
  /** Where what ran when is kept. */
  readonly file: string;
  readonly clock: Clock;
  readonly log: (line: string) => void;
}

const EVERY_MS = 5_000;
const ROWS_TOLD = 20;

export async function openScheduled(options: ScheduledOptions): Promise<Scheduler> {
  const { alerts, slack, file, clock, log } = options;
  const say = (source: string, signals: readonly Signal[]): void => {
    void alerts
      ?.report(source, signals)
      .catch((error: unknown) => log(error instanceof Error ? error.message : String(error)));
  };
  const told = (
    { name }: { readonly name: string },
    kind: "failed" | "rows",
    signals: readonly Signal[],
  ): void => say(`query ${name} ${kind}`, signals);
  return createScheduler({
    library: options.queries.library,
    runner: options.queries.runner,
    clock,
    memory: { read: () => readRuns(file), write: (runs) => writeAtomic(file, JSON.stringify(runs)) },
    outlet: {
      failed(query, problem) {
        log(`query ${query.name}: ${problem}`);
        told(query, "failed", [
          signalOf(query, "query failed", "", `the scheduled query ${query.name} failed`, problem),
        ]);
      },
      succeeded: (query) => told(query, "failed", []),
      beyond: (query, rows) =>
        told(
          query,
          "rows",
          rows
            .slice(0, ROWS_TOLD)
            .map(({ key, text }) => signalOf(query, query.name, key, `${query.title}: ${text}`, "")),
        ),
      gone(name) {
        told({ name }, "failed", []);
        told({ name }, "rows", []);
      },
      unreadable(problems) {
        for (const { where, message } of problems) log(`${where}: ${message}`);
        say(
          "query files",
          problems.map(({ where = "", message }) =>
            signalOf({ file: where }, "file", where, `${where}: its query does not run`, message),
          ),
        );
      },
      report:
        slack === undefined || missingForSlack(slack) !== undefined
          ? undefined
          : (report) => send(slack, report, clock),
    },
  });
}

/** Ticks until the signal; a tick that fails is told and the next one comes all the same. */
export async function runScheduled(
  scheduler: Scheduler,
  { clock, log, signal }: Pick<ScheduledOptions, "clock" | "log"> & { readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    await scheduler
      .tick()
      .catch((error: unknown) => log(error instanceof Error ? error.message : String(error)));
    await clock.sleep(EVERY_MS, signal).catch(() => undefined);
  }
}

function signalOf(
  { file }: Pick<NamedQuery, "file">,
  rule: string,
  key: string,
  title: string,
  problem: string,
): Signal {
  return {
    rule: `query ${rule}`,
    key,
    severity: "ticket",
    service: "",
    cluster: "",
    release: undefined,
    title,
    facts: [{ name: "query", value: file }, ...(problem === "" ? [] : [{ name: "problem", value: problem }])],
  };
}

async function send(slack: SlackConfig, report: Report, clock: Clock): Promise<void> {
  const png = report.svg === undefined ? undefined : await pngOf(report.svg);
  const { botToken: token, webhookUrl, channel = "", apiUrl } = slack;
  await sendReport(
    { token, webhookUrl, channel, apiUrl },
    { title: report.title, text: report.text, png },
    clock,
  );
}

/** A file that cannot be read is no reason to run nothing: what was due since is made up for once. */
async function readRuns(file: string): Promise<Readonly<Record<string, ScheduledRun>>> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Readonly<Record<string, ScheduledRun>>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT" || error instanceof SyntaxError) return {};
    throw new SlipwayError({ code: "SCHEDULE_FILE", where: file, message: String(error), cause: error });
  }
}
