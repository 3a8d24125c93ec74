/** Programs of a few bytes for tests: what the kernel looks at, and nothing that does something. */

export interface ElfOptions {
  readonly machine?: number;
  readonly bits?: 32 | 64;
  readonly type?: number;
  /** Its loader. */
  readonly interpreter?: string;
}

/** Of x86-64 unless told; with one part, which names the loader or is nothing. */
export function elf({ machine = 62, bits = 64, type = 2, interpreter }: ElfOptions = {}): Buffer {
  const name = Buffer.from(interpreter === undefined ? "" : `${interpreter}\0`);
  const [headBytes, partBytes] = bits === 64 ? [64, 56] : [52, 32];
  const bytes = Buffer.alloc(headBytes + partBytes);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, bits / 32, 1, 1]);
  bytes.writeUInt16LE(type, 16);
  bytes.writeUInt16LE(machine, 18);
  bytes.writeUInt8(headBytes, bits === 64 ? 32 : 28);
  bytes.writeUInt16LE(partBytes, bits === 64 ? 54 : 42);
  bytes.writeUInt16LE(1, bits === 64 ? 56 : 44);
  bytes.writeUInt32LE(interpreter === undefined ? 0 : 3, headBytes);
  bytes.writeUInt8(bytes.length, headBytes + (bits === 64 ? 8 : 4));
  bytes.writeUInt32LE(name.length, headBytes + (bits === 64 ? 32 : 16));
  return Buffer.concat([bytes, name]);
}
