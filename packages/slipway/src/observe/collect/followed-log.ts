/** The files of one log, from the oldest that is not stored to the one that is being written. */
import type { Clock } from "@slipway/base";
import { compressedFile, type Found, fingerprintOf, type LogFile, openFound, plainFile } from "./log-file.ts";
import type { RotatedFile } from "./log-folder.ts";
import {
  type LogOrigin,
  logKey,
  type Offsets,
  type Passage,
  type Piece,
  pointerOf,
  pointerTo,
} from "./passage.ts";

/** A writer that has the file still open may add to it for a moment after its successor appeared. */
const SETTLE_MS = 2000;
/** A last line that nobody has ended for so long is a line: what a program said as it crashed. */
const QUIET_MS = 5000;
/** More deleted files than this are not held open for a log when the store is behind: the disk is not ours to fill. */
const MAX_HELD = 8;

export interface Candidate {
  readonly stream: string;
  readonly found: Found;
}

type Gap = NonNullable<Passage["gap"]>;

export class FollowedLog {
  readonly key: string;
  readonly origin: LogOrigin;
  /** Its files have changed without a change of their folder. */
  wantsLook = true;
  readonly #clock: Clock;
  #files: LogFile[] = [];
  /** Streams that are stored whole and whose files are still there. */
  #finished = new Set<string>();
  #names: readonly string[] = [];
  #gap: Gap | undefined;
  #isKnown = false;
  #isOver = false;
  #size = 0;
  #grewAt: number;

  constructor(origin: LogOrigin, clock: Clock) {
    this.origin = origin;
    this.key = logKey(origin);
    this.#clock = clock;
    this.#grewAt = clock.monotonic();
  }

  /**
   * Looks at the files that are there now, the oldest first. Returns those that are new here; whoever calls asks the
   * store how far they are stored and calls `adopt`.
   */
  look(directory: string, files: readonly RotatedFile[]): readonly Candidate[] {
    this.wantsLook = false;
    const candidates: Candidate[] = [];
    const streams: string[] = [];
    for (const { name, isCompressed } of files) {
      const found = openFound(`${directory}/${name}`, isCompressed);
      if (found === undefined) {
        this.wantsLook = true; // renamed in this moment
        continue;
      }
      const held = this.#files.find(({ inode }) => inode === found.inode);
      const mark = this.#markOf(found, held);
      const stream = mark === undefined ? held?.stream : `${this.key}/${mark}`;
      if (stream === undefined)
        this.wantsLook = true; // its first line is not whole yet
      else streams.push(stream);
      const isNew =
        mark !== undefined &&
        stream !== undefined &&
        !this.#finished.has(stream) &&
        !this.#files.some((file) => file.stream === stream) &&
        !candidates.some((candidate) => candidate.stream === stream);
      if (isNew) candidates.push({ stream, found });
      else this.#closeFound(found);
    }
    this.#names = streams;
    this.#finished = new Set(streams.filter((stream) => this.#finished.has(stream)));
    return candidates;
  }

  /** Which streams the store is to be asked for. */
  questions(candidates: readonly Candidate[]): readonly string[] {
    return [...(this.#isKnown ? [] : [pointerOf(this.key)]), ...candidates.map(({ stream }) => stream)];
  }

  adopt(candidates: readonly Candidate[], offsets: Offsets): void {
    if (!this.#isKnown && this.#names.length > 0) {
      this.#isKnown = true;
      this.#gap = this.#gapAtStart(offsets.get(pointerOf(this.key)) ?? 0);
    }
    for (const { stream, found } of candidates) {
      const position = offsets.get(stream) ?? 0;
      this.#files.push(
        found.isCompressed ? compressedFile(found, stream, position) : plainFile(found, stream, position),
      );
    }
    // What is not listed any more was rotated away, and is older than all that is.
    const rank = new Map(this.#names.map((stream, index) => [stream, index]));
    this.#files = this.#files.toSorted((a, b) => (rank.get(a.stream) ?? -1) - (rank.get(b.stream) ?? -1));
    const now = this.#clock.monotonic();
    for (const file of this.#files.slice(0, -1)) file.supersededAt ??= now;
    // Those that are listed cost nothing; those that are not are on the disk because they are held open here.
    const isHeld = ({ stream }: LogFile): boolean => !rank.has(stream);
    while (this.#files.filter(isHeld).length > MAX_HELD) this.#drop();
  }

  /** The store could not be asked: the files are found again by the next look. */
  giveUp(candidates: readonly Candidate[]): void {
    for (const { found } of candidates) this.#closeFound(found);
    this.wantsLook = true;
  }

  /** The container has ended, or its pod is gone: nothing will be written any more. */
  end(): void {
    this.#isOver = true;
  }

  /** Bytes that are there and not stored. */
  unread(): number {
    let unread = 0;
    let size = 0;
    for (const file of this.#files) {
      const here = file.size();
      size += here;
      if (here >= file.seen) file.seen = here;
      // Smaller than what is stored of it: cut off, which `next` sees to.
      unread += here < file.position ? 1 : here - file.position;
    }
    if (size !== this.#size) {
      this.#size = size;
      this.#grewAt = this.#clock.monotonic();
    }
    return unread;
  }

  /** The next bytes; undefined when there are none. */
  async next(maxBytes: number): Promise<Passage | undefined> {
    this.#leaveReplaced();
    const pieces: Piece[] = [];
    let left = maxBytes;
    for (const file of this.#files) {
      const bytes = await file.read(file.position, left);
      if (bytes.length > 0) pieces.push({ stream: file.stream, start: file.position, bytes });
      left -= bytes.length;
      if (left === 0) break;
    }
    if (pieces.length === 0) return undefined;
    const isQuiet = this.#clock.monotonic() - this.#grewAt >= QUIET_MS;
    return { log: this.origin, pieces, isEnd: left > 0 && (this.#isOver || isQuiet), gap: this.#gap };
  }

  /** Whether anything was stored since. */
  taken(offsets: Offsets): boolean {
    let moved = false;
    for (const file of this.#files) {
      const stored = offsets.get(file.stream);
      if (stored === undefined || stored === file.position) continue;
      moved = true;
      file.position = stored;
    }
    if (moved) this.#gap = undefined;
    return moved;
  }

  /** Lets go of files that are stored whole. True when none is left and none will come. */
  release(): boolean {
    const now = this.#clock.monotonic();
    const isSettled = ({ supersededAt }: LogFile): boolean =>
      supersededAt !== undefined && now - supersededAt >= SETTLE_MS;
    this.#files = this.#files.filter((file, index) => {
      if (index === this.#files.length - 1 && this.#isOver) file.supersededAt ??= now;
      if (!isSettled(file) || file.position < file.size()) return true;
      file.close();
      this.#finished.add(file.stream);
      return false;
    });
    return this.#isOver && this.#files.length === 0;
  }

  close(): void {
    for (const file of this.#files) file.close();
    this.#files = [];
  }

  /** Of a file that is not held, or is another one by now. */
  #markOf(found: Found, held: LogFile | undefined): string | undefined {
    try {
      return held === undefined || held.isReplaced() ? fingerprintOf(found) : undefined;
    } catch (error) {
      this.#closeFound(found);
      this.wantsLook = true;
      throw error;
    }
  }

  #closeFound(found: Found): void {
    plainFile(found, "", 0).close();
  }

  /** Cut off by somebody (`truncate`, logrotate's copytruncate): it is another file now, found by the next look. */
  #leaveReplaced(): void {
    this.#files = this.#files.filter((file) => {
      if (!file.isReplaced()) return true;
      if (file.seen > file.position)
        this.#gap ??= { stream: file.stream, from: file.position, to: file.seen };
      this.wantsLook = true;
      file.close();
      return false;
    });
  }

  #drop(): void {
    const file = this.#files.shift() as LogFile;
    const size = file.size();
    // Of several files in a row the first is told; what it stands for is that lines are missing.
    if (size > file.position) this.#gap ??= { stream: file.stream, from: file.position, to: size };
    file.close();
    this.#finished.add(file.stream);
  }

  /** The newest file that was stored is not there any more: it went, and perhaps others, while nobody read. */
  #gapAtStart(pointer: number): Gap | undefined {
    const [oldest] = this.#names;
    if (pointer === 0 || oldest === undefined) return undefined;
    if (this.#names.some((stream) => pointerTo(stream) === pointer)) return undefined;
    return { stream: pointerOf(this.key), from: pointer, to: pointerTo(oldest) };
  }
}
