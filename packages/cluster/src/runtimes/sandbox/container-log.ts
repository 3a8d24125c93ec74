/**
 * Container logs on disk in the CRI format (`2026-01-02T03:04:05.000000000Z stdout F line`), as any kubelet keeps
 * them, rotated as kubelet does: 10 MiB a file, five files. `LogWriter` is used by the node agent, `readLog` by
 * the world; they meet only in the files, so logs outlive both.
 *
 *   DIRECTORY/POD-UID/CONTAINER/ATTEMPT.log     the newest; .log.1 … .log.4 the older ones
 */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock } from "@slipway/base";
import type { RuntimeLogOptions } from "../runtime.ts";

const ROTATE_BYTES = 10 * 1024 * 1024;
const FILES_MAX = 5;
/** What applications say is not for everybody on the machine. */
const MODE = 0o600;
/** A longer line is stored in parts, as containerd does. */
const LINE_MAX = 16 * 1024;
const FOLLOW_EVERY_MS = 50;
const NEWLINE = 0x0a;

export function logPath(directory: string, podUid: string, container: string, attempt: number): string {
  return join(directory, podUid, container, `${attempt}.log`);
}

export class LogWriter {
  readonly #path: string;
  readonly #now: () => number;
  readonly #rotateBytes: number;
  #descriptor: number;
  #size = 0;
  readonly #rest: Record<"stdout" | "stderr", Buffer> = {
    stdout: Buffer.alloc(0),
    stderr: Buffer.alloc(0),
  };
  /** The last bytes of stderr, for the reason why a container could not run. */
  tail = "";

  /** `now` in milliseconds since the epoch; fractions become the digits after. */
  constructor(path: string, now: () => number, rotateBytes = ROTATE_BYTES) {
    mkdirSync(dirname(path), { recursive: true });
    this.#path = path;
    this.#now = now;
    this.#rotateBytes = rotateBytes;
    this.#descriptor = openSync(path, "a", MODE);
  }

  /** Written at once and in order: the page cache takes it in microseconds, and nothing is lost with the process. */
  write(stream: "stdout" | "stderr", chunk: Buffer): void {
    let data = this.#rest[stream].length === 0 ? chunk : Buffer.concat([this.#rest[stream], chunk]);
    const stamp = timestamp(this.#now());
    const parts: Buffer[] = [];
    for (;;) {
      const newline = data.indexOf(NEWLINE);
      if (newline >= 0 && newline <= LINE_MAX) {
        parts.push(Buffer.from(`${stamp} ${stream} F `), data.subarray(0, newline + 1));
        data = data.subarray(newline + 1);
      } else if (data.length > LINE_MAX) {
        parts.push(Buffer.from(`${stamp} ${stream} P `), data.subarray(0, LINE_MAX), Buffer.from("\n"));
        data = data.subarray(LINE_MAX);
      } else break;
    }
    this.#rest[stream] = Buffer.from(data);
    if (stream === "stderr") this.tail = (this.tail + chunk.toString("utf8")).slice(-4096);
    if (parts.length > 0) this.#append(Buffer.concat(parts));
  }

  /** A last line without its newline is stored as a part, as containerd does, so that no newline is invented. */
  close(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      if (this.#rest[stream].length === 0) continue;
      this.#append(
        Buffer.concat([
          Buffer.from(`${timestamp(this.#now())} ${stream} P `),
          this.#rest[stream],
          Buffer.from("\n"),
        ]),
      );
    }
    closeSync(this.#descriptor);
  }

  #append(data: Buffer): void {
    for (let at = 0; at < data.length; ) at += writeSync(this.#descriptor, data, at);
    this.#size += data.length;
    if (this.#size >= this.#rotateBytes) this.#rotate();
  }

  #rotate(): void {
    closeSync(this.#descriptor);
    rmSync(`${this.#path}.${FILES_MAX - 1}`, { force: true });
    for (let age = FILES_MAX - 2; age >= 1; age -= 1) {
      if (existsSync(`${this.#path}.${age}`)) renameSync(`${this.#path}.${age}`, `${this.#path}.${age + 1}`);
    }
    renameSync(this.#path, `${this.#path}.1`);
    this.#descriptor = openSync(this.#path, "a", MODE);
    this.#size = 0;
  }
}

/** RFC 3339 with nanoseconds, of which the last three digits are always zero. */
function timestamp(nowMs: number): string {
  const micros = Math.floor((nowMs % 1) * 1000);
  return `${new Date(Math.floor(nowMs)).toISOString().slice(0, -1)}${String(micros).padStart(3, "0")}000Z`;
}

export interface LogSource {
  readonly path: string;
  readonly clock: Clock;
  /** Whether the container still writes; once false, what is in the files is all. */
  isRunning(): boolean;
}

/** The lines of one attempt, each with its newline; `follow` ends when the container has. */
export async function* readLog(source: LogSource, options: RuntimeLogOptions): AsyncGenerator<Uint8Array> {
  const filter = lineFilter(options);
  const follower = new Follower(source.path);
  try {
    if (options.tailLines !== undefined) {
      // The end of the log is only known once all of it was read; keep no more than what is asked for.
      const kept: Buffer[] = [];
      for await (const line of follower.available()) {
        const shown = filter.select(line);
        if (shown === undefined) continue;
        kept.push(shown);
        if (kept.length > options.tailLines) kept.shift();
      }
      for (const line of kept) {
        yield filter.limit(line);
        if (filter.isFull()) return;
      }
    }
    for (;;) {
      const running = source.isRunning(); // asked before reading: what was written before the end is then read
      for await (const line of follower.available()) {
        const shown = filter.select(line);
        if (shown === undefined) continue;
        yield filter.limit(shown);
        if (filter.isFull()) return;
      }
      if (!options.follow || !running || options.signal.aborted) return;
      await source.clock.sleep(FOLLOW_EVERY_MS, options.signal).catch(() => {});
      if (options.signal.aborted) return;
    }
  } finally {
    await follower.close();
  }
}

/** Reads the files from the oldest on and stays with its file when that is renamed by a rotation. */
class Follower {
  readonly #path: string;
  #file: { readonly handle: FileHandle; readonly inode: bigint } | undefined;
  #position = 0;
  #rest = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  async *available(): AsyncGenerator<Buffer> {
    this.#file ??= await this.#openOldest();
    while (this.#file !== undefined) {
      yield* this.#lines(this.#file.handle);
      const next = await this.#openNewer(this.#file.inode);
      if (next === undefined) return;
      yield* this.#lines(this.#file.handle); // written between our last read and the rotation
      await this.#file.handle.close();
      this.#file = next;
      this.#position = 0;
    }
  }

  async close(): Promise<void> {
    await this.#file?.handle.close();
  }

  async *#lines(handle: FileHandle): AsyncGenerator<Buffer> {
    const buffer = Buffer.alloc(64 * 1024);
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, this.#position);
      if (bytesRead === 0) return;
      this.#position += bytesRead;
      this.#rest = Buffer.concat([this.#rest, buffer.subarray(0, bytesRead)]);
      let start = 0;
      for (;;) {
        const newline = this.#rest.indexOf(NEWLINE, start);
        if (newline < 0) break;
        yield Buffer.from(this.#rest.subarray(start, newline + 1));
        start = newline + 1;
      }
      this.#rest = Buffer.from(this.#rest.subarray(start));
    }
  }

  async #ages(): Promise<string[]> {
    const name = this.#path.slice(dirname(this.#path).length + 1);
    const names = await readdir(dirname(this.#path)).catch(() => []);
    const age = (file: string): number => Number(file.slice(name.length + 1) || 0);
    return names
      .filter((file) => file === name || (file.startsWith(`${name}.`) && Number.isInteger(age(file))))
      .sort((a, b) => age(b) - age(a))
      .map((file) => join(dirname(this.#path), file));
  }

  async #openOldest(): Promise<{ handle: FileHandle; inode: bigint } | undefined> {
    const [oldest] = await this.#ages();
    return oldest === undefined ? undefined : await openFile(oldest);
  }

  /** The file written after the one with this inode; undefined when that is still the newest. */
  async #openNewer(inode: bigint): Promise<{ handle: FileHandle; inode: bigint } | undefined> {
    const current = await openFile(this.#path);
    if (current === undefined) return undefined;
    if (current.inode === inode) {
      await current.handle.close();
      return undefined;
    }
    await current.handle.close();
    const files = await this.#ages();
    for (const [index, path] of files.entries()) {
      const candidate = await openFile(path);
      await candidate?.handle.close();
      if (candidate?.inode === inode) return await openFile(files[index + 1] as string);
    }
    return await this.#openOldest(); // ours was rotated away altogether
  }
}

async function openFile(path: string): Promise<{ handle: FileHandle; inode: bigint } | undefined> {
  try {
    const handle = await open(path, "r");
    return { handle, inode: (await handle.stat({ bigint: true })).ino };
  } catch {
    return undefined; // renamed by a rotation in this instant; the next round finds it
  }
}

interface LineFilter {
  /** What a stored line shows, or undefined when it is too old. */
  select(line: Buffer): Buffer | undefined;
  limit(line: Buffer): Buffer;
  isFull(): boolean;
}

function lineFilter(options: RuntimeLogOptions): LineFilter {
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  let inLine = false; // a stored part without its end came just before
  return {
    select(line) {
      const stampEnd = line.indexOf(0x20);
      const streamEnd = line.indexOf(0x20, stampEnd + 1);
      const tagEnd = line.indexOf(0x20, streamEnd + 1);
      if (tagEnd < 0) return undefined;
      const stamp = line.toString("latin1", 0, stampEnd);
      if (options.sinceMs !== undefined && Date.parse(stamp) < options.sinceMs) return undefined;
      if (options.stream !== undefined && line.toString("latin1", stampEnd + 1, streamEnd) !== options.stream)
        return undefined;
      const partial = line[streamEnd + 1] === 0x50; // P
      const content = line.subarray(tagEnd + 1, partial ? line.length - 1 : line.length);
      const head = options.timestamps && !inLine ? Buffer.from(`${stamp} `) : Buffer.alloc(0);
      inLine = partial;
      return Buffer.concat([head, content]);
    },
    limit(line) {
      const shown = line.length <= left ? line : line.subarray(0, left);
      left -= shown.length;
      return shown;
    },
    isFull: () => left <= 0,
  };
}
