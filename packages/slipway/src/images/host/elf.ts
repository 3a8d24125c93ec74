/**
 * Reads from an ELF file what the dynamic loader needs: its interpreter, the libraries it names, and its own search
 * paths. Only the few pages that say so are read, not the (120 MB) rest.
 *
 * Source: the ELF-64 object file format (header, program headers, dynamic section) and ld.so(8).
 */
import { type FileHandle, open } from "node:fs/promises";
import { SlipwayError, systemCode } from "@slipway/base";

export interface ElfFacts {
  /** `e_machine`: 62 is x86-64, 183 is AArch64. */
  readonly machine: number;
  /** Path of the dynamic loader; undefined in libraries and in static programs. */
  readonly interpreter: string | undefined;
  /** DT_NEEDED, in order. */
  readonly needed: readonly string[];
  /** DT_RUNPATH, or DT_RPATH when there is no RUNPATH; `$ORIGIN` not yet replaced. */
  readonly runpath: readonly string[];
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_RPATH = 15n;
const DT_RUNPATH = 29n;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
}

/** Undefined when the file is not ELF. Rejects with IMAGES_HOST_ELF_UNSUPPORTED for 32-bit or big-endian ones. */
export async function readElf(path: string): Promise<ElfFacts | undefined> {
  const file = await open(path, "r");
  try {
    const header = await readAt(file, 0, 64);
    if (header.length < 64 || header.readUInt32BE(0) !== 0x7f454c46) return undefined;
    if (header[4] !== 2 || header[5] !== 1) {
      throw new SlipwayError({
        code: "IMAGES_HOST_ELF_UNSUPPORTED",
        where: path,
        message: "is not a 64-bit little-endian program",
        hint: "Base images are made from x86-64 and AArch64 programs only.",
        exitCode: 3,
      });
    }
    return await readDynamic(file, header);
  } finally {
    await file.close();
  }
}

/** False for a missing file too: loaders skip both. */
export async function isElfOf(path: string, machine: number): Promise<boolean> {
  try {
    const facts = await readElf(path);
    return facts?.machine === machine;
  } catch (error) {
    if (error instanceof SlipwayError || systemCode(error) !== undefined) return false;
    throw error;
  }
}

async function readDynamic(file: FileHandle, header: Buffer): Promise<ElfFacts> {
  const machine = header.readUInt16LE(18);
  const segments = await readSegments(file, header);
  const interpreterAt = segments.find((segment) => segment.type === PT_INTERP);
  const interpreter =
    interpreterAt === undefined
      ? undefined
      : (await readAt(file, interpreterAt.offset, interpreterAt.fileSize))
          .toString("utf8")
          .replace(/\0.*$/s, "");
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  if (dynamic === undefined) return { machine, interpreter, needed: [], runpath: [] };

  const table = await readAt(file, dynamic.offset, dynamic.fileSize);
  const entries: { tag: bigint; value: number }[] = [];
  for (let at = 0; at + 16 <= table.length; at += 16) {
    const tag = table.readBigInt64LE(at);
    if (tag === 0n) break;
    entries.push({ tag, value: Number(table.readBigUInt64LE(at + 8)) });
  }
  const strings = fileOffset(segments, entries.find((entry) => entry.tag === DT_STRTAB)?.value);
  const text = (tag: bigint): Promise<string[]> =>
    Promise.all(
      entries
        .filter((entry) => entry.tag === tag && strings !== undefined)
        .map(async (entry) =>
          (await readAt(file, (strings as number) + entry.value, 4096))
            .toString("utf8")
            .replace(/\0.*$/s, ""),
        ),
    );
  const runpath = await text(DT_RUNPATH);
  const paths = runpath.length > 0 ? runpath : await text(DT_RPATH);
  return {
    machine,
    interpreter,
    needed: await text(DT_NEEDED),
    runpath: paths.flatMap((path) => path.split(":")),
  };
}

async function readSegments(file: FileHandle, header: Buffer): Promise<readonly Segment[]> {
  const at = Number(header.readBigUInt64LE(32));
  const size = header.readUInt16LE(54);
  const count = header.readUInt16LE(56);
  const table = await readAt(file, at, size * count);
  return Array.from({ length: Math.floor(table.length / size) }, (_, index) => ({
    type: table.readUInt32LE(index * size),
    offset: Number(table.readBigUInt64LE(index * size + 8)),
    address: Number(table.readBigUInt64LE(index * size + 16)),
    fileSize: Number(table.readBigUInt64LE(index * size + 32)),
  }));
}

/** The dynamic section names addresses in memory; the loaded segment around it says where that is in the file. */
function fileOffset(segments: readonly Segment[], address: number | undefined): number | undefined {
  if (address === undefined) return undefined;
  const segment = segments.find(
    (one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.fileSize,
  );
  return segment === undefined ? undefined : address - segment.address + segment.offset;
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, offset);
  return buffer.subarray(0, bytesRead);
}
