/**
 * Takes passages from readers, on this machine or over the network, and commits their lines together with how far each
 * stream is stored. What waits while a commit runs goes into the next one, so that many readers cost few commits and one
 * reader waits for nobody.
 */
import type { LineBatch } from "../access/batch.ts";
import { clearLineBatch, hasNoRoom, newLineBatch } from "../access/parser.ts";
import type { SourceLabels, StreamKey } from "../access/source.ts";
import type { Gap, Warehouse } from "../warehouse/warehouse.ts";
import { Lateness, writtenAt } from "./lateness.ts";
import {
  LINE_BYTES,
  type LogOrigin,
  logKey,
  type Offsets,
  offsetsAfter,
  type Passage,
  type Piece,
  pointerOf,
  pointerTo,
  type Taker,
} from "./passage.ts";
import type { Sources } from "./sources.ts";

/** Reads the lines of one log. */
export interface LineReader {
  /**
   * Adds the whole lines of `bytes` to the batch and returns how many bytes these were; fewer than all when the batch is
   * full or a line has no end yet. `isEnd`: nothing follows, what is left is a line too. `position`: of the first byte,
   * for lines that cannot be read.
   */
  read(bytes: Uint8Array, position: number, isEnd: boolean, into: LineBatch): number;
}

export interface CollectorOptions {
  readonly warehouse: Warehouse;
  readonly sources: Sources;
  /** Undefined: not known yet; the passage is to be sent again. */
  readonly labelsOf: (log: LogOrigin) => SourceLabels | undefined;
  readonly openReader: (stream: StreamKey, source: number) => LineReader;
  /** Wall time, for the rows of gaps. */
  readonly now: () => number;
  /** What was stored, after each commit and once only; the batch is used again when this returns. */
  readonly onLines?: (lines: LineBatch) => void;
}

export interface CollectorFigures {
  /** Lines that were stored by this process. */
  readonly lines: number;
  /** Lines that were read for these commits, as the readers count them; as many, or some went nowhere. */
  readonly read: number;
  readonly gaps: number;
  /** How late lines of the last half minute were stored, where a runtime says when they were written. */
  readonly lagMs: number;
}

interface Waiting {
  readonly passages: readonly Passage[];
  readonly resolve: (offsets: Offsets) => void;
  readonly reject: (error: unknown) => void;
}

interface OpenLog {
  readonly reader: LineReader;
  readonly source: number;
}

const BATCH_LINES = 10_000;
/** Readers keep what they learned of their log's format; of logs that are long silent they learn it again. */
const MAX_OPEN = 10_000;

export class Collector implements Taker {
  readonly #options: CollectorOptions;
  readonly #batch: LineBatch = newLineBatch(BATCH_LINES);
  readonly #open = new Map<string, OpenLog>();
  #queue: Waiting[] = [];
  #isWorking = false;
  /** Of what is in the batch and not committed. */
  #offsets = new Map<string, number>();
  #gaps: Gap[] = [];
  /** When the newest line of each of its passages was written. */
  #written: number[] = [];
  readonly #lateness = new Lateness();
  #lines = 0;
  #linesRead = 0;
  #gapCount = 0;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  async offsets(streams: readonly string[]): Promise<Offsets> {
    return new Map(streams.map((stream) => [stream, this.#options.warehouse.offsetOf(stream)]));
  }

  take(passages: readonly Passage[]): Promise<Offsets> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ passages, resolve, reject });
      if (!this.#isWorking) void this.#work();
    });
  }

  /** Resolves when nothing is being written. */
  async settled(): Promise<void> {
    while (this.#isWorking) await this.take([]).catch(() => undefined);
  }

  figures(): CollectorFigures {
    const lagMs = this.#lateness.longest(this.#options.now());
    return { lines: this.#lines, read: this.#linesRead, gaps: this.#gapCount, lagMs };
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    while (this.#queue.length > 0) {
      const waiting = this.#queue;
      this.#queue = [];
      try {
        for (const { passages } of waiting) for (const passage of passages) await this.#read(passage);
        await this.#commit();
        for (const { passages, resolve } of waiting) resolve(this.#standOf(passages));
      } catch (error) {
        this.#discard();
        for (const { reject } of waiting) reject(error);
      }
    }
    this.#isWorking = false;
  }

  async #read(passage: Passage): Promise<void> {
    const { log } = passage;
    const pieces = this.#untaken(passage.pieces);
    const key = logKey(log);
    const open = pieces === undefined ? undefined : this.#openLog(key, log, pieces);
    if (pieces === undefined || open === undefined) return;
    this.#noteGap(passage, open.source);
    const bytes =
      pieces.length === 1 ? (pieces[0] as Piece).bytes : Buffer.concat(pieces.map((piece) => piece.bytes));
    let { isEnd } = passage;
    let taken = 0;
    while (taken < bytes.length) {
      const position = (pieces[0] as Piece).start + taken;
      const here = open.reader.read(bytes.subarray(taken), position, isEnd, this.#batch);
      taken += here;
      if (here > 0) this.#advance(key, pieces, taken);
      if (hasNoRoom(this.#batch)) await this.#commit();
      else if (here === 0 && taken === 0 && bytes.length >= LINE_BYTES && !isEnd) isEnd = true;
      else if (here === 0) break;
    }
    if (taken > 0) this.#noteWritten(log, bytes.subarray(0, taken));
  }

  /** The edge's requests say themselves when they were. */
  #noteWritten({ framing }: LogOrigin, lines: Uint8Array): void {
    const { ts, length } = this.#batch.access;
    const at = framing === "cri" ? writtenAt(lines) : length === 0 ? undefined : ts[length - 1];
    if (at !== undefined) this.#written.push(at);
  }

  /** What of the pieces is not stored; undefined when they begin beyond what is, so that bytes between are missing. */
  #untaken(pieces: readonly Piece[]): readonly Piece[] | undefined {
    const left: Piece[] = [];
    for (const { stream, start, bytes } of pieces) {
      const stored = this.#at(stream);
      if (start > stored) return undefined;
      if (start + bytes.length > stored)
        left.push({ stream, start: stored, bytes: bytes.subarray(stored - start) });
    }
    return left.length === 0 ? undefined : left;
  }

  #openLog(key: string, log: LogOrigin, pieces: readonly Piece[]): OpenLog | undefined {
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const labels = this.#options.labelsOf(log);
    if (labels === undefined) return undefined;
    const source = this.#options.sources.of(labels);
    const stream = { key: (pieces[0] as Piece).stream, labels, framing: log.framing };
    const open = { reader: this.#options.openReader(stream, source), source };
    if (this.#open.size >= MAX_OPEN) this.#open.delete(this.#open.keys().next().value as string);
    this.#open.set(key, open);
    return open;
  }

  /** A gap moves its stream on, so that one that is told again finds itself noted. */
  #noteGap({ gap }: Passage, source: number): void {
    if (gap === undefined || this.#at(gap.stream) !== gap.from) return;
    const isCounted = !gap.stream.endsWith(pointerOf(""));
    this.#gaps.push({
      ts: this.#options.now(),
      source,
      from: isCounted ? gap.from : 0,
      to: isCounted ? gap.to : 0,
    });
    this.#offsets.set(gap.stream, gap.to);
  }

  #advance(key: string, pieces: readonly Piece[], taken: number): void {
    const offsets = offsetsAfter(pieces, taken);
    for (const [stream, position] of offsets) this.#offsets.set(stream, position);
    this.#offsets.set(pointerOf(key), pointerTo([...offsets.keys()].at(-1) as string));
  }

  #at(stream: string): number {
    return this.#offsets.get(stream) ?? this.#options.warehouse.offsetOf(stream);
  }

  async #commit(): Promise<void> {
    if (this.#offsets.size === 0) return;
    const offsets = [...this.#offsets].map(([stream, position]) => ({ stream, position }));
    await this.#options.warehouse.commit({ lines: this.#batch, offsets, gaps: this.#gaps });
    const { access, logs, quarantine } = this.#batch;
    const lines = access.length + logs.length + quarantine.length;
    this.#lines += lines;
    this.#linesRead += this.#batch.read ?? lines;
    this.#gapCount += this.#gaps.length;
    for (const at of this.#written) this.#lateness.add(at, this.#options.now());
    this.#options.onLines?.(this.#batch);
    this.#discard();
  }

  #discard(): void {
    clearLineBatch(this.#batch);
    this.#offsets = new Map();
    this.#gaps = [];
    this.#written = [];
  }

  #standOf(passages: readonly Passage[]): Offsets {
    const streams = passages.flatMap(({ pieces }) => pieces.map(({ stream }) => stream));
    return new Map(streams.map((stream) => [stream, this.#options.warehouse.offsetOf(stream)]));
  }
}
