/** An observer of one log file with its alerts, to Slack's stand-in: what tests and the benchmark of alerts run. */
import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "@slipway/base";
import { type ObserveConfig, observeOf } from "../../config/observe.ts";
import type { SlackConfig } from "../../config/types.ts";
import { startWatch } from "../watch.ts";
import type { RunningAlerts } from "./start.ts";

export interface WatchedLog {
  readonly running: RunningAlerts;
  /** Lines as nginx writes them, now. */
  append(statuses: readonly number[]): Promise<void>;
  /** Requests that were stored by this start. */
  stored(): number;
  close(): Promise<void>;
}

export async function watchLog(options: {
  readonly folder: string;
  readonly slack: Pick<SlackConfig, "botToken" | "webhookUrl" | "channel" | "apiUrl">;
  readonly observe?: Parameters<typeof observeOf>[0];
  readonly log?: (line: string) => void;
}): Promise<WatchedLog> {
  const { folder, log = () => undefined } = options;
  const clock = systemClock;
  const observe = observeOf(options.observe ?? {}) as ObserveConfig;
  const path = join(folder, "access.log");
  await mkdir(folder, { recursive: true });
  await writeFile(path, "", { flag: "a" });
  const { warehouse, alerts, close } = await startWatch({
    config: {
      name: "shop",
      environment: "production",
      namespace: "shop",
      clusters: [],
      notify: { slack: { mentions: {}, ...options.slack } },
    },
    observe,
    targets: [],
    places: [
      {
        kind: "file",
        path,
        log: {
          origin: "edge",
          ...{ cluster: "tokyo", node: "", namespace: "shop", pod: "web-1", podUid: "edge" },
          ...{ container: "access.log", attempt: 0, framing: "plain" },
        },
      },
    ],
    folder: join(folder, "observe"),
    outbox: join(folder, "outbox"),
    again: "start it again",
    ...{ process, clock, log },
  });
  if (alerts === undefined) throw new Error("no alerts: see the log");
  return {
    running: alerts,
    append: (statuses) => appendFile(path, statuses.map((status) => lineOf(status, clock.now())).join("")),
    stored: () => warehouse.figures().access,
    close,
  };
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

export function lineOf(status: number, at: number): string {
  const [date = "", time = ""] = new Date(at).toISOString().split("T");
  const [year, month, day] = date.split("-");
  const local = `${day}/${MONTHS[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000`;
  return `192.0.2.7 - - [${local}] "GET /pay?token=secret HTTP/1.1" ${status} 12 "-" "curl/8.5.0" 0.031 0.030\n`;
}
