/** What a commit holds, as columns of the tables. */
import {
  type AccessBatch,
  type LogLine,
  METHODS,
  NO_TIME,
  PROTOCOLS,
  type QuarantinedLine,
} from "../../access/batch.ts";
import type { Gap } from "../warehouse.ts";
import type { Rows } from "./columns.ts";

export function accessRows(batch: AccessBatch): Rows {
  return {
    table: "hot_access",
    length: batch.length,
    columns: [
      { kind: "time", values: batch.ts },
      { kind: "u32", values: batch.source },
      { kind: "texts", values: batch.ip },
      { kind: "enum", values: batch.method, names: METHODS },
      { kind: "texts", values: batch.path },
      { kind: "enum", values: batch.protocol, names: PROTOCOLS },
      { kind: "u16", values: batch.status },
      { kind: "u64", values: batch.bytes },
      { kind: "u32", values: batch.referer },
      { kind: "u32", values: batch.userAgent },
      { kind: "u32", values: batch.route },
      { kind: "u32", values: batch.time, absent: NO_TIME },
      { kind: "u32", values: batch.upstreamTime, absent: NO_TIME },
      { kind: "u8", values: batch.attempts },
    ],
  };
}

const STREAMS = ["stdout", "stderr"] as const;

export function logRows(lines: readonly LogLine[]): Rows {
  return {
    table: "hot_logs",
    length: lines.length,
    columns: [
      { kind: "time", values: Float64Array.from(lines, ({ ts }) => ts) },
      { kind: "u32", values: Uint32Array.from(lines, ({ source }) => source) },
      {
        kind: "enum",
        values: Uint8Array.from(lines, ({ stream }) => STREAMS.indexOf(stream)),
        names: STREAMS,
      },
      { kind: "text", values: lines.map(({ severity }) => severity) },
      { kind: "text", values: lines.map(({ text }) => text) },
    ],
  };
}

export function quarantineRows(lines: readonly QuarantinedLine[]): Rows {
  return {
    table: "hot_quarantine",
    length: lines.length,
    columns: [
      { kind: "time", values: Float64Array.from(lines, ({ ts }) => ts) },
      { kind: "u32", values: Uint32Array.from(lines, ({ source }) => source) },
      { kind: "u64", values: Float64Array.from(lines, ({ position }) => position) },
      { kind: "blob", values: lines.map(({ raw }) => raw) },
      { kind: "text", values: lines.map(({ reason }) => reason) },
    ],
  };
}

export function gapRows(gaps: readonly Gap[]): Rows {
  return {
    table: "hot_gaps",
    length: gaps.length,
    columns: [
      { kind: "time", values: Float64Array.from(gaps, ({ ts }) => ts) },
      { kind: "u32", values: Uint32Array.from(gaps, ({ source }) => source) },
      { kind: "u64", values: Float64Array.from(gaps, ({ from }) => from) },
      { kind: "u64", values: Float64Array.from(gaps, ({ to }) => to) },
    ],
  };
}
