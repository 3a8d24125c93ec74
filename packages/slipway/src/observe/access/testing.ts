/** Parsers for tests: whole texts in, rows as objects out. */
import { type LineBatch, METHODS, NO_TIME, PROTOCOLS } from "./batch.ts";
import { ParseContext, type ParseOptions } from "./context.ts";
import { Dictionary } from "./dictionary.ts";
import { clearLineBatch, hasNoRoom, LineParser, MIN_CAPACITY, newLineBatch } from "./parser.ts";
import type { SourceLabels, StreamKey } from "./source.ts";

export const LABELS: SourceLabels = {
  origin: "pod",
  cluster: "local",
  namespace: "default",
  node: "node-1",
  pod: "web-1",
  container: "nginx",
  service: "web",
  release: 0,
  commit: "",
};

export const NOW = Date.UTC(2026, 0, 5, 12);

export interface ReadRow {
  readonly ts: string;
  readonly source: number;
  readonly ip: string;
  readonly method: string;
  readonly path: string;
  readonly route: string;
  readonly protocol: string;
  readonly status: number;
  readonly bytes: number;
  readonly referer: string;
  readonly userAgent: string;
  readonly ms: number | undefined;
  readonly upstreamMs: number | undefined;
  readonly attempts: number;
}

export interface ReadLines {
  readonly rows: readonly ReadRow[];
  readonly logs: readonly string[];
  readonly quarantine: readonly string[];
  readonly parser: LineParser;
  readonly sources: readonly SourceLabels[];
}

export interface ReadOptions extends Partial<Omit<ParseOptions, "sourceOf" | "dictionaries">> {
  readonly framing?: StreamKey["framing"];
  readonly labels?: Partial<SourceLabels>;
  /** Lines in a batch before it is emptied. */
  readonly capacity?: number;
  /** The stream goes on: what has no end yet is not taken. */
  readonly isCut?: boolean;
  /** Is told what came out of each chunk. */
  readonly afterChunk?: (read: Pick<ReadLines, "rows" | "logs" | "quarantine">) => void;
}

/** Everything that comes out of these chunks. A string is UTF-8. */
export function readLines(input: string | Buffer | readonly Buffer[], options: ReadOptions = {}): ReadLines {
  const chunks = typeof input === "string" ? [Buffer.from(input)] : Buffer.isBuffer(input) ? [input] : input;
  const sources: SourceLabels[] = [];
  const dictionaries = {
    referer: new Dictionary("referer", 1000),
    userAgent: new Dictionary("userAgent", 1000),
    route: new Dictionary("route", 1000),
  };
  const values = new Map<string, string>();
  const context = new ParseContext({
    now: () => NOW,
    ...options,
    dictionaries,
    sourceOf: (labels) => {
      sources.push(labels);
      return sources.length;
    },
  });
  const labels = { ...LABELS, ...options.labels };
  const parser = new LineParser({ key: "k", labels, framing: options.framing ?? "plain" }, context, 0);
  const batch = newLineBatch(options.capacity ?? Math.max(MIN_CAPACITY, 10_000));
  const read = { rows: [] as ReadRow[], logs: [] as string[], quarantine: [] as string[] };
  const flush = (): void => {
    for (const dictionary of Object.values(dictionaries)) {
      for (const { id, value } of dictionary.takeUnsaved()) values.set(`${dictionary.kind} ${id}`, value);
    }
    for (let at = 0; at < batch.access.length; at += 1) read.rows.push(rowOf(batch, at, values));
    for (const { ts, source, stream, severity, text } of batch.logs) {
      read.logs.push(`${instant(ts)} ${source} ${stream} ${severity === "" ? "-" : severity} ${text}`);
    }
    for (const { position, raw, reason } of batch.quarantine) {
      read.quarantine.push(`${position} ${reason} ${Buffer.from(raw).toString("latin1")}`);
    }
    clearLineBatch(batch);
  };
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      at += parser.feed(chunk.subarray(at), batch);
      if (hasNoRoom(batch)) flush();
    }
    if (options.afterChunk !== undefined) {
      flush();
      options.afterChunk(read);
      for (const part of Object.values(read)) part.length = 0;
    }
  }
  if (options.isCut !== true) parser.end(batch);
  flush();
  return { ...read, parser, sources };
}

function rowOf({ access }: LineBatch, at: number, values: ReadonlyMap<string, string>): ReadRow {
  const value = (kind: string, id: number | undefined): string =>
    id === 0 ? "other" : (values.get(`${kind} ${id}`) ?? "?");
  const ms = (time: number | undefined): number | undefined => (time === NO_TIME ? undefined : time);
  return {
    ts: instant(access.ts[at] as number),
    source: access.source[at] as number,
    ip: access.ip.at(at),
    method: METHODS[access.method[at] as number] ?? "?",
    path: access.path.at(at),
    route: value("route", access.route[at]),
    protocol: PROTOCOLS[access.protocol[at] as number] ?? "?",
    status: access.status[at] as number,
    bytes: access.bytes[at] as number,
    referer: value("referer", access.referer[at]),
    userAgent: value("userAgent", access.userAgent[at]),
    ms: ms(access.time[at]),
    upstreamMs: ms(access.upstreamTime[at]),
    attempts: access.attempts[at] as number,
  };
}

/** ISO 8601, also of what is beyond a Date. */
function instant(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms);
}
