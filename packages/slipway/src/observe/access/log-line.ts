/** What is said of a line that is no request: how bad it is, when, and what; from structured logs and nginx's own. */
import { instantOf, type JsonObject, objectAt } from "./json-request.ts";
import type { Times } from "./time.ts";

export interface Said {
  /** NaN: the line has no time of its own. */
  readonly ts: number;
  /** Cloud Logging's words: DEBUG, INFO, NOTICE, WARNING, ERROR, CRITICAL, ALERT, EMERGENCY; or empty. */
  readonly severity: string;
  readonly text: string;
}

const SEVERITIES: Readonly<Record<string, string>> = {
  trace: "DEBUG",
  debug: "DEBUG",
  info: "INFO",
  information: "INFO",
  notice: "NOTICE",
  warn: "WARNING",
  warning: "WARNING",
  error: "ERROR",
  err: "ERROR",
  crit: "CRITICAL",
  critical: "CRITICAL",
  fatal: "CRITICAL",
  panic: "CRITICAL",
  alert: "ALERT",
  emerg: "EMERGENCY",
  emergency: "EMERGENCY",
  // pino and bunyan count.
  "10": "DEBUG",
  "20": "DEBUG",
  "30": "INFO",
  "40": "WARNING",
  "50": "ERROR",
  "60": "CRITICAL",
};

const SEVERITY_KEYS = ["severity", "level", "lvl", "loglevel", "log.level"];
const MESSAGE_KEYS = ["message", "msg"];
const TIME_KEYS = ["time", "timestamp", "ts", "@timestamp"];

/** Text that is no JSON. nginx's error log names its level: `2026/01/05 13:55:36 [error] 29#29: …`. */
export function plainLine(text: string): Said {
  const isNginx = text.charCodeAt(4) === 47 && text.charCodeAt(7) === 47 && text.charCodeAt(20) === 91;
  const level = isNginx ? text.slice(21, text.indexOf("]", 21)) : "";
  return { ts: Number.NaN, severity: SEVERITIES[level] ?? "", text };
}

/** The message first, then what else there is as JSON; the line as it came when it has no message. */
export function structuredLine(entry: JsonObject, line: string, times: Times): Said {
  const severityKey = SEVERITY_KEYS.find((key) => isScalar(entry[key]));
  const level = severityKey === undefined ? "" : String(entry[severityKey]);
  const severity =
    SEVERITIES[level.toLowerCase()] ?? (/^[A-Za-z]{1,16}$/.test(level) ? level.toUpperCase() : "");
  const { ts, keys } = timeOf(entry, times);
  const messageKey = MESSAGE_KEYS.find((key) => typeof entry[key] === "string");
  if (messageKey === undefined) return { ts, severity, text: line };
  const lifted = new Set([messageKey, ...keys, ...(severity === "" ? [] : [severityKey as string])]);
  const rest = Object.entries(entry).filter(([key]) => !lifted.has(key));
  const message = entry[messageKey] as string;
  return {
    ts,
    severity,
    text: rest.length === 0 ? message : `${message} ${JSON.stringify(Object.fromEntries(rest))}`,
  };
}

const isScalar = (value: unknown): boolean => typeof value === "string" || typeof value === "number";

function timeOf(entry: JsonObject, times: Times): { readonly ts: number; readonly keys: readonly string[] } {
  const parts = objectAt(entry, "timestamp");
  if (parts !== undefined && typeof parts["seconds"] === "number") {
    return { ts: secondsAndNanos(parts["seconds"], parts["nanos"]), keys: ["timestamp"] };
  }
  if (typeof entry["timestampSeconds"] === "number") {
    const ts = secondsAndNanos(entry["timestampSeconds"], entry["timestampNanos"]);
    return { ts, keys: ["timestampSeconds", "timestampNanos"] };
  }
  for (const key of TIME_KEYS) {
    if (!isScalar(entry[key])) continue;
    const ts = instantOf(String(entry[key]), times);
    if (!Number.isNaN(ts)) return { ts, keys: [key] };
  }
  return { ts: Number.NaN, keys: [] };
}

function secondsAndNanos(seconds: number, nanos: unknown): number {
  return Math.round(seconds * 1000 + (typeof nanos === "number" ? nanos / 1e6 : 0));
}
