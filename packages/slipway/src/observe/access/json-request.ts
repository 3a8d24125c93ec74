/**
 * Requests that are JSON objects: Google's `httpRequest` (our edge, nginx in our format, Cloud Logging), nginx's
 * `escape=json` with the keys of a given log_format, or with keys that speak for themselves.
 */
import { NO_TIME } from "./batch.ts";
import { FIELD, type Field, type JsonFormat } from "./format.ts";
import { methodId, protocolId, RequestLine } from "./request-line.ts";
import type { Row } from "./row.ts";
import type { Times } from "./time.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** `none`: not a request at all. */
export type JsonProblem = "" | "none" | "time" | "status" | "bytes" | "duration";

/** Keys of flat objects, lower case, without `$`; the first that is there wins. */
const KEYS: readonly (readonly [Field, readonly string[]])[] = [
  [FIELD.msec, ["msec"]],
  [FIELD.isoTime, ["time_iso8601", "@timestamp", "timestamp", "time", "ts", "date"]],
  [FIELD.localTime, ["time_local", "timestamp", "time"]],
  [
    FIELD.address,
    ["remote_addr", "remote_ip", "remoteip", "client_ip", "clientip", "client", "ip", "remote"],
  ],
  [FIELD.request, ["request", "request_line"]],
  [FIELD.method, ["request_method", "requestmethod", "http_method", "method", "verb"]],
  [
    FIELD.uri,
    ["request_uri", "requesturi", "requesturl", "request_url", "uri", "url", "path", "request_path"],
  ],
  [FIELD.query, ["args", "query_string", "query"]],
  [FIELD.protocol, ["server_protocol", "protocol", "http_version", "proto"]],
  [
    FIELD.status,
    ["status", "status_code", "statuscode", "response_code", "response_status", "slipway_status"],
  ],
  [FIELD.bytes, ["body_bytes_sent", "bytes_sent", "response_size", "responsesize", "bytes", "size"]],
  [FIELD.referer, ["http_referer", "http_referrer", "referer", "referrer"]],
  [FIELD.userAgent, ["http_user_agent", "user_agent", "useragent", "agent", "ua"]],
  [FIELD.requestTime, ["request_time", "requesttime", "rt", "latency", "request_duration"]],
  [FIELD.upstreamTime, ["upstream_response_time", "upstream_time", "urt"]],
  [FIELD.upstreamStatus, ["upstream_status"]],
];

const FIELD_OF_KEY = new Map<string, { readonly field: Field; readonly rank: number }[]>();
for (const [field, names] of KEYS) {
  for (const [rank, name] of names.entries()) {
    FIELD_OF_KEY.set(name, [...(FIELD_OF_KEY.get(name) ?? []), { field, rank }]);
  }
}

type Values = Partial<Record<Field, string>>;

const request = new RequestLine();

/** Fills the row. `row.ts` is NaN when the entry has no time of its own. */
export function readJsonRequest(
  entry: JsonObject,
  format: JsonFormat | undefined,
  times: Times,
  row: Row,
): JsonProblem {
  const values = valuesOf(entry, format);
  if (values === undefined) return isBrokenGoogle(entry) ? "status" : "none";
  row.reset();
  return fill(values, times, row);
}

function valuesOf(entry: JsonObject, format: JsonFormat | undefined): Values | undefined {
  if (format !== undefined) {
    const values = byFormat(entry, format);
    if (isRequest(values)) return values;
  }
  const google = googleOf(entry);
  const values = byName(google === undefined ? entry : { ...entry, ...google });
  return isRequest(values) ? values : undefined;
}

/** Where GKE's agent wants it, and where Fluent Bit's own output does. */
function googleOf(entry: JsonObject): JsonObject | undefined {
  return objectAt(entry, "httpRequest") ?? objectAt(entry, "logging.googleapis.com/http_request");
}

/** It says that it is a request, with a status that is none. */
function isBrokenGoogle(entry: JsonObject): boolean {
  const google = googleOf(entry);
  return google !== undefined && "status" in google;
}

function isRequest(values: Values): boolean {
  if (values[FIELD.status] === undefined) return false;
  if (values[FIELD.request] !== undefined) return true;
  return values[FIELD.uri] !== undefined && values[FIELD.method] !== undefined;
}

export function objectAt(entry: JsonObject, key: string): JsonObject | undefined {
  const value = entry[key];
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : undefined;
}

function byFormat(entry: JsonObject, format: JsonFormat): Values {
  const values: Values = {};
  for (const { path, field } of format.keys) {
    let value: unknown = entry;
    for (const key of path) value = isObject(value) ? value[key] : undefined;
    const text = textOf(value);
    if (text !== undefined) values[field] = text;
  }
  return values;
}

function byName(entry: JsonObject): Values {
  const values: Values = {};
  const ranks: Partial<Record<Field, number>> = {};
  for (const key of Object.keys(entry)) {
    const known = FIELD_OF_KEY.get(key) ?? FIELD_OF_KEY.get(key.toLowerCase());
    if (known === undefined) continue;
    const text = textOf(entry[key]);
    if (text === undefined) continue;
    for (const { field, rank } of known) {
      if (rank >= (ranks[field] ?? Number.POSITIVE_INFINITY)) continue;
      ranks[field] = rank;
      values[field] = text;
    }
  }
  return values;
}

const isObject = (value: unknown): value is JsonObject => typeof value === "object" && value !== null;

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" ? String(value) : undefined;
}

function fill(values: Values, times: Times, row: Row): JsonProblem {
  const ts = timeOf(values, times);
  if (ts === undefined) return "time";
  row.ts = ts;
  const status = wholeNumber(values[FIELD.status]);
  if (status < 0 || status > 999) return "status";
  row.status = status;
  row.bytes = wholeNumber(values[FIELD.bytes]);
  if (row.bytes < 0) return "bytes";
  const time = milliseconds(values[FIELD.requestTime]);
  if (time === undefined) return "duration";
  row.time = time;
  const upstream = upstreamOf(values[FIELD.upstreamTime]);
  if (upstream === undefined) return "duration";
  row.upstreamTime = upstream.sum;
  row.attempts = upstream.attempts;
  row.ip = present(values[FIELD.address]);
  row.referer = present(values[FIELD.referer]);
  row.userAgent = present(values[FIELD.userAgent]);
  const line = values[FIELD.request];
  if (line !== undefined && values[FIELD.uri] === undefined) {
    request.read(line, 0, line.length);
    row.method = request.method;
    row.protocol = request.protocol;
    row.setPath(line, request.pathStart, request.pathEnd);
    return "";
  }
  row.method = methodId(values[FIELD.method] ?? line?.slice(0, line.indexOf(" ")) ?? "-");
  row.protocol = protocolId(values[FIELD.protocol] ?? "");
  const query = values[FIELD.query];
  const path = present(values[FIELD.uri]);
  const url = query === undefined || query === "" || path.includes("?") ? path : `${path}?${query}`;
  row.setPath(url, 0, url.length);
  return "";
}

/** NaN: none was written. Undefined: none of those written can be read. */
function timeOf(values: Values, times: Times): number | undefined {
  const msec = values[FIELD.msec];
  if (msec !== undefined && /^\d{9,11}(\.\d+)?$/.test(msec)) return Math.round(Number(msec) * 1000);
  const iso = values[FIELD.isoTime];
  if (iso !== undefined && iso !== "") {
    const ms = instantOf(iso, times);
    if (!Number.isNaN(ms)) return ms;
  }
  const local = values[FIELD.localTime];
  if (local !== undefined && local.length === 26) {
    const ms = times.local(local, 0);
    if (!Number.isNaN(ms)) return ms;
  }
  return [msec, iso, local].every((text) => text === undefined || text === "") ? Number.NaN : undefined;
}

/** RFC 3339, or seconds, ms, µs or ns since the epoch, told apart by their size. */
export function instantOf(text: string, times: Times): number {
  if (!/^\d{9,19}(\.\d+)?$/.test(text)) return times.iso(text, 0, text.length);
  let value = Number(text);
  if (value < 1e11) value *= 1000;
  else if (value >= 1e17) value /= 1e6;
  else if (value >= 1e14) value /= 1e3;
  return Math.round(value);
}

/** Also what is no JSON number unquoted: `000`. Nothing and `-` are 0. */
function wholeNumber(text: string | undefined): number {
  if (text === undefined || text === "" || text === "-") return 0;
  return /^\d{1,15}$/.test(text) ? Number(text) : -1;
}

/** `0.123`, `0.123s`, `12ms`, as ms; NO_TIME for nothing. */
function milliseconds(text: string | undefined): number | undefined {
  if (text === undefined || text === "" || text === "-" || text === "s" || text === "-s") return NO_TIME;
  const match = /^(\d{1,9}(?:\.\d+)?(?:e-\d+)?)(ms|s)?$/.exec(text);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * (match[2] === "ms" ? 1 : 1000));
}

function upstreamOf(text: string | undefined): { sum: number; attempts: number } | undefined {
  const none = { sum: NO_TIME, attempts: 0 };
  if (text === undefined || text === "" || text === "-") return none;
  const items = text.split(/, | : |,/).map((item) => milliseconds(item));
  let sum = NO_TIME;
  for (const item of items) {
    if (item === undefined) return undefined;
    if (item !== NO_TIME) sum = sum === NO_TIME ? item : sum + item;
  }
  return { sum, attempts: Math.min(255, items.length) };
}

const present = (text: string | undefined): string => (text === undefined || text === "" ? "-" : text);
