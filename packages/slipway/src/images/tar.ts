/**
 * Tar archives that are the same for the same content: every header field is set here, none comes from the machine.
 * Written: ustar, with a PAX header only where ustar cannot say it (long names, big sizes). Read: ustar, PAX, GNU
 * long names and base-256 numbers. `modern-tar` would do, but it offers neither entry offsets (for reading one file
 * without unpacking) nor a say in every field.
 *
 * Source: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
 */
import type { FileHandle } from "node:fs/promises";
import { SlipwayError } from "@slipway/base";

const BLOCK = 512;
/** The most that seven octal digits hold. */
const USTAR_MAX_ID = 0o7777777;
/** How extended attributes are written in PAX records; a format of star that GNU tar, libarchive and Go share. */
const XATTR = "SCHILY.xattr.";
/** 8 GiB - 1: the most that eleven octal digits hold. */
const USTAR_MAX_SIZE = 0o77777777777;

export type TarKind = "file" | "directory" | "symlink" | "link" | "character" | "block" | "fifo";

export interface TarEntry {
  /** Relative, without `./` in front and without `/` at the end. */
  readonly path: string;
  readonly kind: TarKind;
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Target of a symlink (as written) or of a hard link (a path in the archive). */
  readonly link: string;
  /** Extended attributes: `security.capability`, `user.…`; their bytes, one per character (latin1). */
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Major and minor number of a device. */
  readonly device?: readonly [major: number, minor: number];
}

/** Where an entry's content starts in the (uncompressed) archive. */
export interface PlacedEntry extends TarEntry {
  readonly offset: number;
}

const TYPE_FLAGS: Record<TarKind, string> = {
  file: "0",
  link: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** The header blocks of an entry; its content follows, padded by `padding(size)`. */
export function tarHeader(entry: TarEntry): Buffer {
  const name = entry.kind === "directory" ? `${entry.path}/` : entry.path;
  const split = splitName(name);
  const records: [key: string, value: string | Buffer][] = [];
  if (split === undefined) records.push(["path", name]);
  if (Buffer.byteLength(entry.link) > 100) records.push(["linkpath", entry.link]);
  if (entry.size > USTAR_MAX_SIZE) records.push(["size", String(entry.size)]);
  if (entry.uid > USTAR_MAX_ID) records.push(["uid", String(entry.uid)]);
  if (entry.gid > USTAR_MAX_ID) records.push(["gid", String(entry.gid)]);
  for (const [name, value] of Object.entries(entry.xattrs ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))) {
    records.push([`${XATTR}${name}`, Buffer.from(value, "latin1")]);
  }
  const main = ustarHeader(entry, split ?? { prefix: "", name: cut(name, 100) }, TYPE_FLAGS[entry.kind]);
  if (records.length === 0) return main;
  const body = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
  const extended = { ...entry, kind: "file" as const, size: body.length, link: "", mode: 0o644 };
  const paxName = {
    prefix: "",
    name: cut(`PaxHeaders/${name.split("/").filter(Boolean).at(-1) ?? ""}`, 100),
  };
  return Buffer.concat([ustarHeader(extended, paxName, "x"), body, Buffer.alloc(padding(body.length)), main]);
}

/** Zero bytes after content of `size` bytes. */
export const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** The end of an archive: two empty blocks. */
export const TAR_END: Buffer = Buffer.alloc(2 * BLOCK);

function ustarHeader(entry: TarEntry, at: { prefix: string; name: string }, flag: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(at.name, 0, 100, "utf8");
  // Fields side by side in one go: a layer has thousands of headers. The checksum counts its own field as eight spaces.
  const numbers = [
    octal(entry.mode & 0o7777, 8),
    octal(entry.uid > USTAR_MAX_ID ? 0 : entry.uid, 8),
    octal(entry.gid > USTAR_MAX_ID ? 0 : entry.gid, 8),
    octal(entry.size > USTAR_MAX_SIZE ? 0 : entry.size, 12),
    octal(Math.max(0, Math.floor(entry.mtime)), 12),
  ];
  block.write(`${numbers.join("")}        ${flag}`, 100, 57, "latin1");
  if (entry.link !== "") block.write(cut(entry.link, 100), 157, 100, "utf8");
  block.write("ustar\u000000", 257, 8, "latin1");
  block.write(`${octal(entry.device?.[0] ?? 0, 8)}${octal(entry.device?.[1] ?? 0, 8)}`, 329, 16, "latin1");
  if (at.prefix !== "") block.write(at.prefix, 345, 155, "utf8");
  let sum = 0;
  for (let at = 0; at < BLOCK; at += 1) sum += block[at] as number;
  // Six digits, NUL, space.
  block.write(`${octal(sum, 7)} `, 148, 8, "latin1");
  return block;
}

/** Ends with NUL. */
const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;

/** Name ≤ 100 bytes, or a split at a slash into prefix ≤ 155 and name ≤ 100; undefined when neither fits. */
function splitName(name: string): { prefix: string; name: string } | undefined {
  if (Buffer.byteLength(name) <= 100) return { prefix: "", name };
  for (let slash = name.indexOf("/"); slash > 0; slash = name.indexOf("/", slash + 1)) {
    const rest = name.slice(slash + 1);
    if (rest === "" || Buffer.byteLength(rest) > 100) continue;
    return Buffer.byteLength(name.slice(0, slash)) <= 155
      ? { prefix: name.slice(0, slash), name: rest }
      : undefined;
  }
  return undefined;
}

/** Shortens to whole characters: half a UTF-8 sequence would be a different name to every reader. */
function cut(text: string, bytes: number): string {
  let short = text;
  while (Buffer.byteLength(short) > bytes) short = short.slice(0, -1);
  return short;
}

/** `<length> <key>=<value>\n`, where the length counts itself. */
function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

// Reading

/** Answers `length` bytes at `offset`, fewer at the end. */
export type ReadAt = (offset: number, length: number) => Promise<Buffer>;

export function readerOf(file: FileHandle): ReadAt {
  return async (offset, length) => {
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  };
}

/** Walks the headers of an uncompressed archive and skips the contents. */
export async function* readTar(readAt: ReadAt, where: string): AsyncGenerator<PlacedEntry> {
  const walk = new HeaderWalk(where);
  let offset = 0;
  for (;;) {
    const block = await readAt(offset, BLOCK);
    if (block.length === 0) return; // some writers leave the end blocks out
    if (block.length < BLOCK) throw damaged(where, offset, "it ends in the middle of a header");
    const step = walk.header(block, offset);
    if (step.kind === "end") return;
    offset += BLOCK;
    if (step.kind === "extension") walk.extension(step.flag, await readAt(offset, step.size), offset);
    else yield step.entry;
    const size = step.kind === "extension" ? step.size : step.entry.kind === "file" ? step.entry.size : 0;
    offset += size + padding(size);
  }
}

type Step =
  | { readonly kind: "end" }
  | { readonly kind: "extension"; readonly flag: string; readonly size: number }
  | { readonly kind: "entry"; readonly entry: PlacedEntry };

/** The state between headers: what PAX and GNU extension entries said about the next real one. */
export class HeaderWalk {
  readonly #where: string;
  #next: Record<string, string> = {};
  #global: Record<string, string> = {};
  #sawZero = false;

  constructor(where: string) {
    this.#where = where;
  }

  header(block: Buffer, offset: number): Step {
    if (block.every((byte) => byte === 0)) {
      if (this.#sawZero) return { kind: "end" };
      this.#sawZero = true;
      return { kind: "extension", flag: "empty", size: 0 };
    }
    this.#sawZero = false;
    this.#verify(block, offset);
    const flag = String.fromCharCode(block[156] as number);
    const size = readNumber(block, 124, 12);
    if (flag === "x" || flag === "g" || flag === "L" || flag === "K")
      return { kind: "extension", flag, size };
    const entry = this.#entry(block, flag, offset, size);
    this.#next = {};
    return { kind: "entry", entry };
  }

  extension(flag: string, body: Buffer, offset: number): void {
    const text = (): string => body.toString("utf8").replace(/\0.*$/s, "");
    if (flag === "L") this.#next["path"] = text();
    else if (flag === "K") this.#next["linkpath"] = text();
    else if (flag === "x") this.#next = { ...this.#next, ...readPax(body, this.#where, offset) };
    else if (flag === "g") this.#global = { ...this.#global, ...readPax(body, this.#where, offset) };
  }

  #entry(block: Buffer, flag: string, offset: number, headerSize: number): PlacedEntry {
    const said = { ...this.#global, ...this.#next };
    const isUstar = block.toString("latin1", 257, 262) === "ustar";
    const prefix = isUstar && block[263] !== 0x20 ? readText(block, 345, 155) : ""; // GNU's magic has no prefix
    const name = readText(block, 0, 100);
    const raw = said["path"] ?? (prefix === "" ? name : `${prefix}/${name}`);
    const kind = kindOf(flag, raw);
    if (kind === undefined) {
      throw damaged(this.#where, offset, `entry "${raw}" has the unknown type "${flag}"`);
    }
    const xattrs = Object.entries(said).flatMap(([key, value]) =>
      key.startsWith(XATTR) ? [[key.slice(XATTR.length), value] as const] : [],
    );
    const isDevice = kind === "character" || kind === "block";
    return {
      path: normalPath(raw),
      kind,
      mode: readNumber(block, 100, 8) & 0o7777,
      uid: Number(said["uid"] ?? readNumber(block, 108, 8)),
      gid: Number(said["gid"] ?? readNumber(block, 116, 8)),
      size: kind === "file" ? Number(said["size"] ?? headerSize) : 0,
      mtime: Number(said["mtime"] ?? readNumber(block, 136, 12)),
      link: said["linkpath"] ?? readText(block, 157, 100),
      ...(xattrs.length === 0 ? {} : { xattrs: Object.fromEntries(xattrs) }),
      ...(isDevice ? { device: [readNumber(block, 329, 8), readNumber(block, 337, 8)] as const } : {}),
      offset: offset + BLOCK,
    };
  }

  #verify(block: Buffer, offset: number): void {
    let sum = 0;
    for (let index = 0; index < BLOCK; index += 1) {
      sum += index >= 148 && index < 156 ? 0x20 : (block[index] as number);
    }
    if (sum !== readNumber(block, 148, 8)) throw damaged(this.#where, offset, "a header's checksum is wrong");
  }
}

function kindOf(flag: string, path: string): TarKind | undefined {
  switch (flag) {
    case "\0":
    case "0":
    case "7": // contiguous file
      return path.endsWith("/") ? "directory" : "file";
    case "1":
      return "link";
    case "2":
      return "symlink";
    case "3":
      return "character";
    case "4":
      return "block";
    case "5":
      return "directory";
    case "6":
      return "fifo";
    default:
      return undefined;
  }
}

/** `./a//b/../c/` → `a/c`; what climbs out of the root stays at the root, as in every extractor. */
export function normalPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return parts.join("/");
}

function readText(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString("utf8", offset, end < 0 || end > offset + length ? offset + length : end);
}

/** Octal text, or base 256 when the top bit is set. */
function readNumber(block: Buffer, offset: number, length: number): number {
  if (((block[offset] as number) & 0x80) !== 0) {
    let value = (block[offset] as number) & 0x7f;
    for (let index = 1; index < length; index += 1) value = value * 256 + (block[offset + index] as number);
    return value;
  }
  const text = block
    .toString("latin1", offset, offset + length)
    .replace(/\0.*$/s, "")
    .trim();
  return text === "" ? 0 : Number.parseInt(text, 8);
}

function readPax(body: Buffer, where: string, offset: number): Record<string, string> {
  const records: Record<string, string> = {};
  let at = 0;
  while (at < body.length) {
    const space = body.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(body.toString("latin1", at, space));
    if (!Number.isInteger(length) || length <= 0 || at + length > body.length) {
      throw damaged(where, offset, "a PAX record is malformed");
    }
    const equals = body.indexOf(0x3d, space);
    const key = body.toString("utf8", space + 1, equals);
    // Attributes are bytes; everything else is UTF-8.
    records[key] = body.toString(key.startsWith(XATTR) ? "latin1" : "utf8", equals + 1, at + length - 1);
    at += length;
  }
  return records;
}

function damaged(where: string, offset: number, why: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_ARCHIVE_DAMAGED",
    where,
    message: `is not a tar archive that can be read (at byte ${offset}): ${why}`,
    hint: "Make the archive again; `tar -tvf` should list it.",
    exitCode: 1,
  });
}
