/**
 * One JSON line for each request, in the shape that Google's log agent lifts into LogEntry.httpRequest and that
 * nginx can write too (`log_format slipway escape=json`), so that one parser reads the edge, nginx and the cloud.
 *
 * Lengths are strings (int64 in protobuf's JSON), `latency` is seconds with the unit `s`, `upstream_time` and
 * `upstream_status` list every attempt in order, joined by ", " as nginx does.
 */
export interface AccessRecord {
  /** Wall time at the end of the request, ms since the epoch. */
  readonly endMs: number;
  readonly durationMs: number;
  readonly method: string;
  readonly url: string;
  readonly requestSize: number;
  readonly status: number;
  readonly responseSize: number;
  readonly userAgent: string;
  readonly remoteIp: string;
  readonly referer: string;
  readonly protocol: string;
  readonly upstreamMs: readonly number[];
  readonly upstreamStatus: readonly number[];
  readonly upstreamAddr: readonly string[];
  readonly requestId: string;
  readonly cluster: string;
  readonly pod: string;
  readonly service: string;
  readonly release: string;
}

export function formatAccess(record: AccessRecord): string {
  const severity = record.status >= 500 ? "ERROR" : "INFO";
  const latency = seconds(record.durationMs);
  const request =
    `{"requestMethod":${quote(record.method)},"requestUrl":${quote(record.url)},"requestSize":"${record.requestSize}"` +
    `,"status":${record.status},"responseSize":"${record.responseSize}","userAgent":${quote(record.userAgent)}` +
    `,"remoteIp":${quote(record.remoteIp)},"referer":${quote(record.referer)},"latency":"${latency}s","protocol":${quote(record.protocol)}}`;
  return (
    `{"time":"${isoTime(record.endMs)}","msec":"${seconds(record.endMs)}","severity":"${severity}"` +
    `,"httpRequest":${request}` +
    `,"upstream_time":"${listed(record.upstreamMs, seconds)}"` +
    `,"upstream_status":"${listed(record.upstreamStatus, statusText)}"` +
    `,"upstream_addr":"${listed(record.upstreamAddr, String)}","req_id":${quote(record.requestId)}` +
    `,"cluster":${quote(record.cluster)},"service":${quote(record.service)},"pod":${quote(record.pod)},"release":${quote(record.release)}}\n`
  );
}

/** Nearly every request has one attempt, for which no list has to be made. */
function listed<T>(values: readonly T[], write: (value: T) => string): string {
  return values.length === 1 ? write(values[0] as T) : values.map(write).join(", ");
}

const statusText = (status: number): string => (status === 0 ? "-" : String(status));

/** Seconds with three decimals; by whole numbers, because every request is written. */
function seconds(ms: number): string {
  const whole = Math.round(ms);
  const rest = whole % 1000;
  return `${(whole - rest) / 1000}.${rest < 10 ? "00" : rest < 100 ? "0" : ""}${rest}`;
}

let second = Number.NaN;
let secondText = "";

/** RFC 3339 with milliseconds; only the first line of a second pays for the calendar. */
function isoTime(ms: number): string {
  const whole = Math.floor(ms / 1000);
  if (whole !== second) {
    second = whole;
    secondText = new Date(whole * 1000).toISOString().slice(0, 20);
  }
  return `${secondText}${String(Math.floor(ms - whole * 1000)).padStart(3, "0")}Z`;
}

const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** JSON.stringify is the slow part of a line; most values need no escape. */
function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}
