/**
 * The port to where requests and logs are kept. One process has one warehouse, opened once on its main thread
 * (`duckdb/open.ts` says why); everybody else asks that process over HTTP.
 */
import type { Dictionaries, LineBatch } from "../access/batch.ts";
import type { SourceLabels } from "../access/source.ts";

/** How far one stream has been stored. Written in the transaction of its rows: at least once becomes exactly once. */
export interface StreamOffset {
  readonly stream: string;
  /** Bytes of the stream whose lines are stored. */
  readonly position: number;
}

/** A stream, and when something of it was stored last; ms since the epoch. */
export interface HeardStream {
  readonly stream: string;
  readonly heardMs: number;
}

/** Bytes that were never seen: rotated away while nobody could take them. */
export interface Gap {
  readonly ts: number;
  readonly source: number;
  readonly from: number;
  readonly to: number;
}

export interface Commit {
  readonly lines: LineBatch;
  readonly offsets: readonly StreamOffset[];
  readonly gaps?: readonly Gap[];
}

/** What the view `releases` shows: the markers on every time axis. */
export interface ReleaseRow {
  readonly number: number;
  readonly commit: string;
  readonly kind: "deploy" | "rollback";
  readonly outcome: string;
  /** ms since the epoch. */
  readonly startedAt: number;
  readonly finishedAt: number | undefined;
}

export type CellValue = string | number | boolean | null;

export interface QueryColumn {
  readonly name: string;
  readonly type: "number" | "text" | "time" | "boolean";
}

export interface QueryAnswer {
  readonly columns: readonly QueryColumn[];
  /** Times are ISO 8601 in UTC; integers beyond 2^53 are text. */
  readonly rows: readonly (readonly CellValue[])[];
  /** More rows were there than the cap allows. */
  readonly isTruncated: boolean;
  readonly elapsedMs: number;
  /** Of the commit that the answer includes; the same number means the same data. */
  readonly committed: number;
}

export interface QueryLimits {
  /** Default 10,000. */
  readonly maxRows?: number;
  /** Default 30 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export type QueryParameters = Readonly<Record<string, CellValue>>;

/** What the store says of itself. */
export interface WarehouseFigures {
  readonly access: number;
  readonly logs: number;
  readonly quarantine: number;
  readonly gaps: number;
  /** On disk, hot and sealed. */
  readonly bytes: number;
  readonly oldestMs: number | undefined;
  readonly newestMs: number | undefined;
  readonly committed: number;
  /** Why nothing can be written at the moment: a full disk. */
  readonly problem: string | undefined;
}

export interface Warehouse {
  /** Ids for the referer, user agent and route of requests; shared with the parser. */
  readonly dictionaries: Dictionaries;
  /** The id of these labels, made when new; stored with the next commit. */
  sourceOf(labels: SourceLabels): number;
  /** Release and commit of sources that were stored without, or with others. Takes effect for all their rows. */
  relabel(
    changes: readonly { readonly source: number; readonly release: number; readonly commit: string }[],
  ): Promise<void>;
  /** Adds releases, or says the same numbers anew. */
  recordReleases(releases: readonly ReleaseRow[]): Promise<void>;
  /** How far a stream is stored; 0 when it is new. */
  offsetOf(stream: string): number;
  /** All that are known. */
  streams(): Promise<readonly HeardStream[]>;
  /** These are new from now on, but for those that were heard of at `before` or later. */
  forgetStreams(streams: readonly string[], before: number): Promise<void>;
  /**
   * All of it or nothing; when it resolves, it outlives `kill -9`. The lines must stay as they are until then. Rejects
   * with WAREHOUSE_FULL when the disk is; the same commit may then be tried again.
   */
  commit(commit: Commit): Promise<void>;
  /**
   * One SELECT by people: read-only, one statement, with caps; rejects with QUERY_NOT_SELECT, QUERY_SYNTAX, QUERY_TIMEOUT,
   * QUERY_MEMORY or QUERY_FAILED. Parameters are `$name`.
   */
  query(sql: string, parameters?: QueryParameters, limits?: QueryLimits): Promise<QueryAnswer>;
  figures(): WarehouseFigures;
  /** Called after each commit. */
  onCommit(listener: (committed: number) => void): void;
  /** Seals days that are over, drops what is too old or too much. Cheap when there is nothing to do. */
  tidy(now: number): Promise<void>;
  close(): Promise<void>;
}
