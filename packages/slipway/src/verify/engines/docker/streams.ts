/**
 * Output of a container without a terminal comes as frames: one byte for the stream, three of padding, the length as
 * 32 bits, then the bytes; a frame may be cut anywhere by the transport.
 *
 * Source: Docker Engine API 1.41, "Attach to a container", stream format.
 */
const HEADER = 8;
const STDERR = 2;

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Collects both streams, keeping at most the last `limit` bytes of each. */
export class Demultiplexer {
  readonly #limit: number;
  #pending = Buffer.alloc(0);
  readonly #parts: Record<"stdout" | "stderr", Buffer[]> = { stdout: [], stderr: [] };
  readonly #sizes = { stdout: 0, stderr: 0 };

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Uint8Array): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= HEADER) {
      const length = this.#pending.readUInt32BE(4);
      if (this.#pending.length < HEADER + length) return;
      const stream = this.#pending[0] === STDERR ? "stderr" : "stdout";
      this.#keep(stream, Buffer.from(this.#pending.subarray(HEADER, HEADER + length)));
      this.#pending = this.#pending.subarray(HEADER + length);
    }
  }

  #keep(stream: "stdout" | "stderr", part: Buffer): void {
    const parts = this.#parts[stream];
    parts.push(part);
    this.#sizes[stream] += part.length;
    while (parts.length > 1 && this.#sizes[stream] - (parts[0] as Buffer).length >= this.#limit) {
      this.#sizes[stream] -= (parts.shift() as Buffer).length;
    }
  }

  output(): Output {
    const text = (stream: "stdout" | "stderr"): string => {
      const all = Buffer.concat(this.#parts[stream]);
      return all.subarray(Math.max(0, all.length - this.#limit)).toString("utf8");
    };
    return { stdout: text("stdout"), stderr: text("stderr") };
  }
}
