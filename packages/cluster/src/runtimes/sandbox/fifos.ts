/**
 * Named pipes for the output of containers. Node's own stdio pipes are sockets, and `/dev/stdout` on a socket
 * cannot be opened (ENXIO): nginx, whose image links its logs there, would exit. A FIFO that belongs to the
 * container's user can. They are made in batches, because Node has no mkfifo and a process per pipe is slow.
 */
import { execFile } from "node:child_process";
import { chownSync, closeSync, constants, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const BATCH = 32;

export interface OutputPipe {
  /** For the child's stdio; close it once the child has it. */
  readonly writeEnd: number;
  /** Ends when the last writer is gone. */
  readonly reader: Socket;
}

export class Fifos {
  readonly #directory: string;
  readonly #mkfifo: string;
  #ready: string[] = [];
  #made = 0;
  #making: Promise<void> | undefined;

  constructor(directory: string, mkfifo: string) {
    this.#directory = directory;
    this.#mkfifo = mkfifo;
  }

  async fill(): Promise<void> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    await this.#making;
  }

  async #make(): Promise<void> {
    const paths = Array.from({ length: BATCH }, (_, index) => join(this.#directory, `${this.#made + index}`));
    this.#made += BATCH;
    await run(this.#mkfifo, ["-m", "600", "--", ...paths]);
    this.#ready.push(...paths);
  }

  async #take(): Promise<string> {
    while (this.#ready.length === 0) await this.fill();
    const path = this.#ready.pop() as string;
    if (this.#ready.length < BATCH / 4) void this.fill().catch(() => {});
    return path;
  }

  /**
   * A pipe that a process of `owner` writes to. The name is removed at once: /proc/self/fd/1 still opens it, by
   * its inode. The reader opens first (without blocking), then the writer (which so need not wait).
   */
  async output(owner: { uid: number; gid: number } | undefined): Promise<OutputPipe> {
    const path = await this.#take();
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
    const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writeEnd = openSync(path, constants.O_WRONLY);
    rmSync(path);
    return { writeEnd, reader: new Socket({ fd: readEnd, readable: true, writable: false }) };
  }

  /** A pipe that a process of `owner` reads from; the writer is ours. */
  async input(owner: { uid: number; gid: number } | undefined): Promise<{ readEnd: number; writer: Socket }> {
    const path = await this.#take();
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
    const first = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writeEnd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    const readEnd = openSync(path, constants.O_RDONLY);
    closeSync(first);
    rmSync(path);
    return { readEnd, writer: new Socket({ fd: writeEnd, readable: false, writable: true }) };
  }
}
