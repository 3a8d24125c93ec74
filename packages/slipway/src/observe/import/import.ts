/**
 * Log files that exist already → the warehouse, each line once: the position is stored with the rows, under a key made
 * of how the file begins. Importing the same file again adds nothing, one that has grown adds what is new, and after a
 * `kill -9` the same command goes on where it was.
 */
import { ParseContext } from "../access/context.ts";
import { clearLineBatch, hasNoRoom, LineParser, newLineBatch } from "../access/parser.ts";
import type { SourceLabels, StreamKey } from "../access/source.ts";
import { type Backfill, PART_ROWS } from "../warehouse/duckdb/backfill.ts";
import type { Warehouse } from "../warehouse/warehouse.ts";
import { HEAD_BYTES, streamKeys } from "./fingerprint.ts";
import { readLog } from "./read.ts";

export interface ImportOptions {
  readonly warehouse: Pick<Warehouse, "dictionaries" | "sourceOf" | "offsetOf"> & {
    backfill(): Promise<Backfill>;
  };
  readonly service: string;
  readonly cluster?: string;
  /** Of all lines in the files. Default: 0, unknown. */
  readonly release?: number;
  /** nginx's log_format. Default: found by looking. */
  readonly format?: string;
  readonly redact?: readonly string[];
  readonly truncateIp?: boolean;
  /** For lines that do not say when. */
  readonly now: () => number;
  readonly signal?: AbortSignal;
  /** Rows of one transaction. Default: PART_ROWS. */
  readonly partRows?: number;
}

export interface ImportedFile {
  readonly file: string;
  readonly lines: number;
  readonly requests: number;
  readonly logs: number;
  readonly quarantine: number;
  /** Of the file's bytes, before compression: those that were stored by an earlier import. */
  readonly skippedBytes: number;
  readonly bytes: number;
  /** Name of the text format that was found. */
  readonly format: string | undefined;
}

/**
 * DuckDB's, where nobody else asks it: one part is written while the next is parsed. With two they wait for each other
 * while the parser needs the core, which costs a tenth of all.
 */
export const THREADS_BESIDE_PARSER = 1;

const BATCH_LINES = 4_096;
const CONTAINER = "import";

/** In the order given; `onFile` after each. Rejects with IMPORT_FILE, LOG_FORMAT_INVALID or WAREHOUSE_FULL. */
export async function importFiles(
  files: readonly string[],
  options: ImportOptions,
  onFile: (imported: ImportedFile) => void = () => undefined,
): Promise<void> {
  const context = new ParseContext({
    sourceOf: (labels) => options.warehouse.sourceOf(labels),
    dictionaries: options.warehouse.dictionaries,
    now: options.now,
    formats: options.format === undefined ? {} : { [CONTAINER]: options.format },
    ...(options.redact === undefined ? {} : { redact: options.redact }),
    ...(options.truncateIp === undefined ? {} : { truncateIp: options.truncateIp }),
  });
  const backfill = await options.warehouse.backfill();
  try {
    for (const file of files) onFile(await importFile(file, options, context, backfill));
  } finally {
    await backfill.end();
  }
}

async function importFile(
  file: string,
  options: ImportOptions,
  context: ParseContext,
  backfill: Backfill,
): Promise<ImportedFile> {
  const batch = newLineBatch(Math.min(BATCH_LINES, options.partRows ?? BATCH_LINES));
  const labels = labelsOf(options);
  let parser: LineParser | undefined;
  let skipped = 0;
  let bytes = 0;
  let head: Buffer = Buffer.alloc(0);

  const store = async (isEnd: boolean): Promise<void> => {
    backfill.add(batch.access);
    batch.access.clear();
    const waiting = batch.logs.length + batch.quarantine.length;
    if (isEnd || backfill.rows() + waiting >= (options.partRows ?? PART_ROWS) || waiting >= BATCH_LINES / 2) {
      await backfill.store({
        logs: batch.logs,
        quarantine: batch.quarantine,
        offsets: parser?.offsets() ?? [],
      });
      clearLineBatch(batch);
    }
  };
  const feed = async (chunk: Buffer): Promise<void> => {
    for (let at = 0; at < chunk.length; ) {
      at += (parser as LineParser).feed(chunk.subarray(at), batch);
      if (hasNoRoom(batch)) await store(false);
    }
  };
  /** The first bytes decide where to begin. */
  const begin = async (): Promise<void> => {
    const stream = streamOf(head, options, labels);
    skipped = options.warehouse.offsetOf(stream.key);
    parser = new LineParser(stream, context, skipped);
    if (skipped < head.length) await feed(head.subarray(skipped));
  };

  const finish = async (): Promise<void> => {
    if (parser === undefined || bytes <= skipped) return;
    if (hasNoRoom(batch)) await store(false);
    await store(true);
    // The next file may be the same one, which only shows when this one's position is stored.
    await backfill.settle();
  };

  try {
    for await (const chunk of readLog(file)) {
      options.signal?.throwIfAborted();
      const at = bytes;
      bytes += chunk.length;
      if (parser !== undefined) {
        if (bytes > skipped) await feed(at >= skipped ? chunk : chunk.subarray(skipped - at));
        continue;
      }
      head = Buffer.concat([head, chunk]);
      if (head.length >= HEAD_BYTES) await begin();
    }
  } catch (error) {
    // A file that is cut off, or Ctrl-C: what was read whole is kept, and the next import goes on from there.
    await finish();
    throw error;
  }
  if (parser === undefined && bytes > 0) await begin();
  if (bytes > skipped) {
    if (hasNoRoom(batch)) await store(false);
    (parser as LineParser | undefined)?.end(batch);
    await finish();
  }
  const { lines = 0, access = 0, logs = 0, quarantine = 0 } = parser?.counts ?? {};
  const skippedBytes = Math.min(skipped, bytes);
  return { file, lines, requests: access, logs, quarantine, skippedBytes, bytes, format: parser?.format };
}

function labelsOf({ service, cluster, release }: ImportOptions): SourceLabels {
  return {
    origin: "import",
    cluster: cluster ?? "",
    namespace: "",
    node: "",
    pod: "",
    container: CONTAINER,
    service,
    release: release ?? 0,
    commit: "",
  };
}

function streamOf(head: Buffer, { warehouse, service }: ImportOptions, labels: SourceLabels): StreamKey {
  const keys = streamKeys(head, service);
  const known = keys.find((key) => warehouse.offsetOf(key) > 0);
  // As kubelet writes it: 2026-01-05T12:00:00.000000000Z stdout F …
  const isCri = /^\d{4}-\d\d-\d\dT[\d:.]+\S* std(?:out|err) [FP] /.test(head.toString("latin1", 0, 80));
  return { key: known ?? (keys[0] as string), labels, framing: isCri ? "cri" : "plain" };
}
