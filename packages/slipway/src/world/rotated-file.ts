/**
 * A log that cannot fill the disk: when the file is large enough it is renamed to `.1`, and the ones before to `.2` …, as
 * the node agent does with pods' logs. Only its owner may read it: queries are in it as they came. Whoever follows it stays with the renamed file until it was read.
 */
import {
  createWriteStream,
  existsSync,
  fchmodSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  type WriteStream,
} from "node:fs";

export interface RotatedFileOptions {
  /** Default 64 MiB. */
  readonly maxBytes?: number;
  /** Besides the newest. Default 4. */
  readonly keep?: number;
  readonly onProblem: (error: unknown) => void;
}

export class RotatedFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #keep: number;
  readonly #onProblem: (error: unknown) => void;
  #stream: WriteStream;
  #size: number;
  #closing: Promise<void> = Promise.resolve();

  constructor(path: string, { maxBytes = 64 * 1024 * 1024, keep = 4, onProblem }: RotatedFileOptions) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#keep = keep;
    this.#onProblem = onProblem;
    this.#size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    this.#stream = this.#open();
  }

  /** Whole lines: a file never ends within one. */
  write(lines: string): void {
    this.#stream.write(lines);
    this.#size += Buffer.byteLength(lines);
    if (this.#size >= this.#maxBytes) this.#rotate();
  }

  async end(): Promise<void> {
    await Promise.all([this.#closing, closed(this.#stream)]);
  }

  /** Opened at once: a file that is not there yet could not be renamed when it is already full. */
  #open(): WriteStream {
    const descriptor = openSync(this.#path, "a", 0o600);
    fchmodSync(descriptor, 0o600); // one that was there before may be open to all
    const stream = createWriteStream(this.#path, { fd: descriptor });
    stream.on("error", this.#onProblem);
    return stream;
  }

  /** What the old stream still holds goes into the file that it has open, whatever that is called by then. */
  #rotate(): void {
    const old = this.#stream;
    // Where the next file cannot be opened this one goes on, and it is tried again as much later.
    this.#size = 0;
    try {
      rmSync(`${this.#path}.${this.#keep}`, { force: true });
      for (let age = this.#keep - 1; age >= 1; age -= 1)
        if (existsSync(`${this.#path}.${age}`))
          renameSync(`${this.#path}.${age}`, `${this.#path}.${age + 1}`);
      if (existsSync(this.#path)) renameSync(this.#path, `${this.#path}.1`);
      this.#stream = this.#open();
    } catch (error) {
      this.#onProblem(error);
      return;
    }
    this.#closing = Promise.all([this.#closing, closed(old)]).then(() => undefined);
  }
}

function closed(stream: WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.once("error", () => resolve());
    stream.end(() => resolve());
  });
}
