/**
 * Requests and other lines as columns: what the parser fills and the warehouse writes, without an object for each
 * line. Columns are valid up to `length`.
 */
import type { Dictionary } from "./dictionary.ts";
import { TextColumn } from "./text-column.ts";

/** Ids by position; a method that is none of these is `-`. */
export const METHODS = [
  "-",
  "GET",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "HEAD",
  "OPTIONS",
  "CONNECT",
  "TRACE",
  "PROPFIND",
  "OTHER",
] as const;

export const PROTOCOLS = ["-", "HTTP/0.9", "HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0", "OTHER"] as const;

/** No time was logged. */
export const NO_TIME = 0xffff_ffff;
/** The warehouse shows times as signed numbers of 32 bits: up to 24 days. */
const MAX_TIME = 0x7fff_ffff;

/** ms as they are kept; what no request can have taken is no time. */
export function timeOf(ms: number): number {
  return ms <= MAX_TIME ? ms : NO_TIME;
}

export class AccessBatch {
  readonly capacity: number;
  length = 0;
  /** End of the request, ms since the epoch. */
  readonly ts: Float64Array;
  /** Id in the warehouse's table `sources`. */
  readonly source: Uint32Array;
  readonly ip: TextColumn;
  /** Position in METHODS. */
  readonly method: Uint8Array;
  /** Redacted, with its query string. */
  readonly path: TextColumn;
  /** Position in PROTOCOLS. */
  readonly protocol: Uint8Array;
  readonly status: Uint16Array;
  /** Of the body sent. */
  readonly bytes: Float64Array;
  readonly referer: Uint32Array;
  readonly userAgent: Uint32Array;
  readonly route: Uint32Array;
  /** Whole request, ms; NO_TIME when absent. See `timeOf`. */
  readonly time: Uint32Array;
  /** Sum over the upstreams that were tried, ms; NO_TIME when absent. */
  readonly upstreamTime: Uint32Array;
  /** Upstreams tried; 0 when unknown. */
  readonly attempts: Uint8Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.ts = new Float64Array(capacity);
    this.source = new Uint32Array(capacity);
    this.ip = new TextColumn(capacity);
    this.method = new Uint8Array(capacity);
    this.path = new TextColumn(capacity);
    this.protocol = new Uint8Array(capacity);
    this.status = new Uint16Array(capacity);
    this.bytes = new Float64Array(capacity);
    this.referer = new Uint32Array(capacity);
    this.userAgent = new Uint32Array(capacity);
    this.route = new Uint32Array(capacity);
    this.time = new Uint32Array(capacity);
    this.upstreamTime = new Uint32Array(capacity);
    this.attempts = new Uint8Array(capacity);
  }

  get isFull(): boolean {
    return this.length >= this.capacity;
  }

  clear(): void {
    this.length = 0;
  }
}

/** A line that is not a request: what an application says. */
export interface LogLine {
  /** ms since the epoch. */
  readonly ts: number;
  readonly source: number;
  readonly stream: "stdout" | "stderr";
  /** Of structured logs; empty when the line has none. */
  readonly severity: string;
  readonly text: string;
}

/** A line that should have been a request and could not be read; kept as it came. */
export interface QuarantinedLine {
  readonly ts: number;
  readonly source: number;
  /** Byte position in its stream. */
  readonly position: number;
  readonly raw: Uint8Array;
  /** Stable, like `time`, `status`, `json`, `too-long`. */
  readonly reason: string;
}

export interface Dictionaries {
  readonly referer: Dictionary;
  readonly userAgent: Dictionary;
  readonly route: Dictionary;
}

/** Everything that one commit writes. Lines read = access.length + logs.length + quarantine.length + dropped parts of none. */
export interface LineBatch {
  readonly access: AccessBatch;
  readonly logs: LogLine[];
  readonly quarantine: QuarantinedLine[];
  /** Lines that a parser has read into it, counted before it was decided what they are: all are in one of the three. */
  read?: number;
}
