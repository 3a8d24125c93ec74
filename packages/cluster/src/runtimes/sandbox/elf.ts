/**
 * As much of a program as the kernel looks at before it gives up what ran until then: after that no other program gets a turn,
 * whatever is wrong with it. Source: load_elf_binary and load_elf_phdrs in fs/binfmt_elf.c, Linux 6.12; elf(5).
 */
import { readSync } from "node:fs";
import { endianness } from "node:os";

export const ELF = Buffer.from("\u007fELF", "latin1");

export type Elf =
  | {
      readonly bits: 32 | 64;
      /** Its loader, as it names it (PT_INTERP). */
      readonly interpreter: string | undefined;
    }
  | { readonly refusal: "exec format error" | "input/output error" };

/** The layout that the kernel reads by `e_machine`, of each architecture as Node names it. The class of a file it does not look at. */
const MACHINES: Readonly<Record<string, Readonly<Record<number, 32 | 64>>>> = {
  arm64: { 183: 64, 40: 32 },
  ppc64: { 21: 64 },
  riscv64: { 243: 64 },
  s390x: { 22: 64 },
  x64: { 62: 64, 3: 32, 6: 32 },
};

interface Layout {
  /** Of the header of the file, and of one of its parts. */
  readonly sizes: readonly [header: number, part: number];
  /** Where the header says: where the parts begin, how large one is, how many. */
  readonly parts: readonly [offset: number, size: number, count: number];
  /** Where a part says: where it lies in the file, how long it is. */
  readonly part: readonly [offset: number, size: number];
}
const LAYOUTS: Readonly<Record<32 | 64, Layout>> = {
  32: { sizes: [52, 32], parts: [28, 42, 44], part: [4, 16] },
  64: { sizes: [64, 56], parts: [32, 54, 56], part: [8, 32] },
};
const ET_EXEC = 2;
const ET_DYN = 3;
const PT_INTERP = 3;
const PARTS_MAX_BYTES = 65_536;
const PATH_MAX = 4096;

const REFUSED = { refusal: "exec format error" } as const;

/** Of a file that begins with `ELF`. Undefined for an architecture of this machine of which nothing is known here. */
export function readElf(file: number, architecture: string): Elf | undefined {
  const machines = MACHINES[architecture];
  if (machines === undefined) return undefined;
  const header = Buffer.alloc(64);
  readSync(file, header, 0, header.length, 0);
  const bits = machines[number(header, 18, 2)];
  const type = number(header, 16, 2);
  if (bits === undefined || (type !== ET_EXEC && type !== ET_DYN)) return REFUSED;
  const { sizes, parts, part } = LAYOUTS[bits];
  const word = bits / 8;
  const [partsAt, size, count] = [
    number(header, parts[0], word),
    number(header, parts[1], 2),
    number(header, parts[2], 2),
  ];
  if (size !== sizes[1] || count === 0 || size * count > PARTS_MAX_BYTES) return REFUSED;
  const table = bytesAt(file, partsAt, size * count);
  if (table === undefined) return REFUSED;
  for (let at = 0; at < table.length; at += size) {
    if (number(table, at, 4) !== PT_INTERP) continue;
    const length = number(table, at + part[1], word);
    if (length < 2 || length > PATH_MAX) return REFUSED;
    const name = bytesAt(file, number(table, at + part[0], word), length);
    if (name === undefined) return { refusal: "input/output error" };
    if (name.at(-1) !== 0) return REFUSED;
    return { bits, interpreter: name.toString("utf8", 0, name.indexOf(0)) };
  }
  return { bits, interpreter: undefined };
}

/** Whether the kernel takes a file as the loader of a program. */
export function loaderRefusal(
  file: number,
  bits: 32 | 64,
  architecture: string,
): "input/output error" | "accessing a corrupted shared library" | undefined {
  const head = bytesAt(file, 0, LAYOUTS[bits].sizes[0]);
  if (head === undefined) return "input/output error";
  const loader = head.subarray(0, ELF.length).equals(ELF) ? readElf(file, architecture) : REFUSED;
  if (loader === undefined) return undefined;
  return "bits" in loader && loader.bits === bits ? undefined : "accessing a corrupted shared library";
}

/** Of the machine's own byte order, as the kernel reads. */
function number(bytes: Buffer, at: number, length: number): number {
  const isLittle = endianness() === "LE";
  if (length === 8) return Number(isLittle ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  return isLittle ? bytes.readUIntLE(at, length) : bytes.readUIntBE(at, length);
}

/** Undefined when the file ends before. */
function bytesAt(file: number, at: number, length: number): Buffer | undefined {
  if (!Number.isSafeInteger(at)) return undefined;
  const bytes = Buffer.alloc(length);
  return readSync(file, bytes, 0, length, at) === length ? bytes : undefined;
}
