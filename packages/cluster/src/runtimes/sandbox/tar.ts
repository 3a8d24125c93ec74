/**
 * Reads tar archives as container layers use them: ustar, with the long names of pax and of GNU. Content is
 * handed over piece by piece, so that a layer of any size needs little memory.
 */
export interface TarEntry {
  /** As stored, without `./` in front and `/` behind. */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";
  /** What a link points to. */
  readonly link: string;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly size: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

export interface TarHandler {
  entry(entry: TarEntry): void;
  /** Follows `entry` for files, as often as needed; pieces are only valid during the call. */
  data(piece: Buffer): void;
  end(): void;
}

const BLOCK = 512;
const TYPES: Readonly<Record<string, TarEntry["type"]>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};

/** Rejects with the place of the fault when the archive is cut short or no tar. */
export async function readTar(source: AsyncIterable<Buffer>, handler: TarHandler): Promise<void> {
  const reader = new TarReader(handler);
  for await (const chunk of source) reader.push(chunk);
  reader.finish();
}

class TarReader {
  readonly #handler: TarHandler;
  #pending: Buffer = Buffer.alloc(0);
  /** Bytes of the current entry's content still to come, and of the padding after it. */
  #content = 0;
  #padding = 0;
  /** What the content is for: a file's data, or the attributes of the next entry. */
  #collects: "data" | "pax" | "pax-global" | "long-name" | "long-link" | "skip" = "skip";
  #collected: Buffer[] = [];
  #pax: Record<string, string> = {};
  #global: Record<string, string> = {};
  #offset = 0;
  #ended = false;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  push(chunk: Buffer): void {
    let data: Buffer = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#pending = Buffer.alloc(0);
    while (data.length > 0 && !this.#ended) {
      const used = this.#step(data);
      if (used === 0) {
        this.#pending = data;
        return;
      }
      this.#offset += used;
      data = data.subarray(used);
    }
  }

  finish(): void {
    // Two zero blocks should end an archive, but some writers leave them out; a cut in the middle is a fault.
    if (this.#content > 0 || (this.#pending.length > 0 && !this.#ended)) {
      throw new Error(`archive is cut short at byte ${this.#offset}`);
    }
  }

  /** Takes one piece from the front of `data`; returns how much, 0 when more is needed first. */
  #step(data: Buffer): number {
    if (this.#content > 0) {
      const piece = data.subarray(0, this.#content);
      this.#content -= piece.length;
      if (this.#collects === "data") this.#handler.data(piece);
      else if (this.#collects !== "skip") this.#collected.push(Buffer.from(piece));
      if (this.#content === 0) this.#contentDone();
      return piece.length;
    }
    if (this.#padding > 0) {
      const skipped = Math.min(this.#padding, data.length);
      this.#padding -= skipped;
      return skipped;
    }
    if (data.length < BLOCK) return 0;
    this.#header(data.subarray(0, BLOCK));
    return BLOCK;
  }

  #header(block: Buffer): void {
    if (block.every((byte) => byte === 0)) {
      this.#ended = true;
      return;
    }
    checkSum(block, this.#offset);
    const type = String.fromCharCode(block[156] as number);
    const pax = { ...this.#global, ...this.#pax };
    const size =
      pax["size"] === undefined || "xgLK".includes(type) ? number(block, 124, 12) : Number(pax["size"]);
    this.#content = size;
    this.#padding = (BLOCK - (size % BLOCK)) % BLOCK;
    this.#collected = [];
    const special = { x: "pax", g: "pax-global", L: "long-name", K: "long-link" } as const;
    if (type in special) {
      this.#collects = special[type as keyof typeof special];
      if (size === 0) this.#contentDone();
      return;
    }
    this.#pax = {};
    const kind = TYPES[type];
    if (kind === undefined) {
      this.#collects = "skip";
      return;
    }
    const prefix = text(block, 257, 5) === "ustar" && block[263] === 0x30 ? text(block, 345, 155) : "";
    const name = text(block, 0, 100);
    this.#collects = kind === "file" ? "data" : "skip";
    this.#handler.entry({
      path: tidy(pax["path"] ?? (prefix === "" ? name : `${prefix}/${name}`)),
      type: kind === "file" && name.endsWith("/") && pax["path"] === undefined ? "directory" : kind,
      link: pax["linkpath"] ?? text(block, 157, 100),
      mode: number(block, 100, 8) & 0o7777,
      uid: pax["uid"] === undefined ? number(block, 108, 8) : Number(pax["uid"]),
      gid: pax["gid"] === undefined ? number(block, 116, 8) : Number(pax["gid"]),
      mtimeSeconds: pax["mtime"] === undefined ? number(block, 136, 12) : Number(pax["mtime"]),
      size,
      deviceMajor: number(block, 329, 8),
      deviceMinor: number(block, 337, 8),
    });
    if (size === 0) this.#contentDone();
  }

  #contentDone(): void {
    const content = Buffer.concat(this.#collected);
    if (this.#collects === "data" || this.#collects === "skip") this.#handler.end();
    else if (this.#collects === "pax") Object.assign(this.#pax, parsePax(content));
    else if (this.#collects === "pax-global") Object.assign(this.#global, parsePax(content));
    else this.#pax[this.#collects === "long-name" ? "path" : "linkpath"] = cString(content);
    this.#collects = "skip";
  }
}

function checkSum(block: Buffer, offset: number): void {
  let sum = 0;
  for (let index = 0; index < BLOCK; index += 1)
    sum += index >= 148 && index < 156 ? 0x20 : (block[index] as number);
  if (sum !== number(block, 148, 8)) throw new Error(`no tar header at byte ${offset}`);
}

/** `LENGTH KEY=VALUE\n`, the length counting the whole record in bytes. */
function parsePax(content: Buffer): Record<string, string> {
  const values: Record<string, string> = {};
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(0x20, at);
    const length = Number(content.toString("latin1", at, space));
    if (space < 0 || !Number.isInteger(length) || length <= 0) break;
    const record = content.toString("utf8", space + 1, at + length - 1);
    const equals = record.indexOf("=");
    if (equals > 0) values[record.slice(0, equals)] = record.slice(equals + 1);
    at += length;
  }
  return values;
}

/** Octal text, or big-endian binary when the first bit is set (sizes over 8 GiB, ids over 2097151). */
function number(block: Buffer, at: number, length: number): number {
  if (((block[at] as number) & 0x80) !== 0) {
    let value = (block[at] as number) & 0x7f;
    for (let index = 1; index < length; index += 1) value = value * 256 + (block[at + index] as number);
    return value;
  }
  return Number.parseInt(text(block, at, length).trim() || "0", 8);
}

function text(block: Buffer, at: number, length: number): string {
  return cString(block.subarray(at, at + length));
}

function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

function tidy(path: string): string {
  return path.replace(/^(\.?\/)+/, "").replace(/\/+$/, "") || ".";
}
