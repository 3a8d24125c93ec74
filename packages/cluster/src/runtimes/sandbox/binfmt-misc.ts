/**
 * What the kernel's binfmt_misc has an interpreter for: programs of other architectures (QEMU's user mode), and files that are
 * no programs by themselves (a jar, a program for Windows).
 *
 * Source: Documentation/admin-guide/binfmt-misc.rst, and of the entries' texts fs/binfmt_misc.c (entry_status), Linux 6.12.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readTextIfExists, systemCode } from "@slipway/base";

/** The files of /proc/sys/fs/binfmt_misc by name, `status` among them; undefined where it is not mounted. */
export type BinfmtMisc = Readonly<Record<string, string>> | undefined;

export const BINFMT_MISC = "/proc/sys/fs/binfmt_misc";

export interface BinfmtEntry {
  readonly name: string;
  readonly isEnabled: boolean;
  /** The flag F ("fix binary"): its interpreter was opened when it was registered, so that it is there in any root file system. */
  readonly isFixed: boolean;
  readonly interpreter: string;
  /** By what it knows a file: the end of its name, or bytes of which a mask of the same length may leave some out. */
  readonly by:
    | { readonly extension: string }
    | { readonly offset: number; readonly magic: Uint8Array; readonly mask: Uint8Array | undefined };
}

/** Those that are switched off, too. */
export function binfmtEntries(misc: BinfmtMisc): readonly BinfmtEntry[] {
  return Object.entries(misc ?? {}).flatMap(([name, text]) => parseEntry(name, text) ?? []);
}

export const isSwitchedOff = (misc: BinfmtMisc): boolean => misc?.["status"]?.trim() === "disabled";

/** Undefined for what is no entry (`status`). */
function parseEntry(name: string, text: string): BinfmtEntry | undefined {
  const field = (key: string): string | undefined => new RegExp(`^${key}:? (.*)$`, "m").exec(text)?.[1];
  const bytes = (hex: string | undefined) => (hex === undefined ? undefined : Buffer.from(hex, "hex"));
  const magic = bytes(field("magic"));
  const extension = field("extension");
  const by =
    magic !== undefined
      ? { offset: Number(field("offset")), magic, mask: bytes(field("mask")) }
      : extension !== undefined
        ? { extension }
        : undefined;
  return by === undefined
    ? undefined
    : {
        name,
        isEnabled: /^enabled$/m.test(text),
        isFixed: field("flags")?.includes("F") === true,
        interpreter: field("interpreter") ?? "",
        by,
      };
}

/** As the kernel compares. A byte that lies behind `head` fits nothing. */
export function isTakenBy({ by }: BinfmtEntry, path: string, head: Uint8Array): boolean {
  if ("extension" in by) return by.extension === /\.[^.]*$/.exec(path)?.[0];
  return by.magic.every((byte, index) => {
    const bits = by.mask?.[index] ?? 0xff;
    const own = head[by.offset + index];
    return bits === 0 || (own !== undefined && ((own ^ byte) & bits) === 0);
  });
}

/** Undefined where it is not mounted, or cannot be read. systemd mounts it when it is first looked at. */
export async function readBinfmtMisc(folder: string = BINFMT_MISC): Promise<BinfmtMisc> {
  try {
    const status = await readTextIfExists(join(folder, "status"));
    if (status === undefined) return undefined;
    const names = (await readdir(folder)).filter((name) => name !== "register" && name !== "status");
    const read = async (name: string) => [name, (await readTextIfExists(join(folder, name))) ?? ""] as const;
    return { ...Object.fromEntries(await Promise.all(names.map(read))), status };
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
