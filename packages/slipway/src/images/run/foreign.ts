/**
 * Whether this machine runs programs of another architecture. The kernel does when an interpreter for them (QEMU's user mode)
 * is registered in binfmt_misc. An entry counts by the bytes that it looks for, not by its name, and only with the flag F ("fix
 * binary"): its interpreter was opened when it was registered, so that it is there inside of any root file system.
 *
 * Source: Documentation/admin-guide/binfmt-misc.rst, and of the entries' texts fs/binfmt_misc.c (entry_status), Linux 6.12.
 */
import {
  BINFMT_MISC,
  type BinfmtEntry,
  type BinfmtMisc,
  binfmtEntries,
  isSwitchedOff,
  isTakenBy,
} from "@slipway/cluster/binfmt-misc";
import type { Platform } from "../oci.ts";

export interface Foreign {
  /** Why programs of the platform do not run here. */
  readonly fact: string;
  /** What lets them, to be done as root: the words after "To run it here, ". Undefined: nothing does. */
  readonly remedy: string | undefined;
}

/** Undefined when the kernel has an interpreter for programs of `platform`, which is not this machine's. */
export function foreignTo({ os, architecture }: Platform, misc: BinfmtMisc): Foreign | undefined {
  const heads = os === "linux" ? headsOf(architecture) : undefined;
  if (heads === undefined)
    return { fact: `no interpreter is known for ${os}/${architecture}`, remedy: undefined };
  if (misc === undefined) {
    return {
      fact: "binfmt_misc is not mounted",
      remedy: `mount it (mount -t binfmt_misc binfmt_misc ${BINFMT_MISC})`,
    };
  }
  if (isSwitchedOff(misc)) {
    return {
      fact: "binfmt_misc is switched off",
      remedy: `switch it on (echo 1 >${BINFMT_MISC}/status)`,
    };
  }
  // Of several the kernel takes the one that was registered last, which the texts do not tell: one that works is enough.
  return withEntries(
    binfmtEntries(misc).filter((entry) => heads.every((head) => isTakenBy(entry, "", head))),
    architecture,
  );
}

function withEntries(entries: readonly BinfmtEntry[], architecture: string): Foreign | undefined {
  if (entries.some(({ isEnabled, isFixed }) => isEnabled && isFixed)) return undefined;
  const enabled = entries.find(({ isEnabled }) => isEnabled);
  if (enabled !== undefined) {
    return {
      fact: `${enabled.name}, which binfmt_misc has for ${architecture}, was registered without the flag F, so it is not found inside an image`,
      remedy: "register one with F (apt-get install qemu-user-static)",
    };
  }
  const [disabled] = entries;
  if (disabled !== undefined) {
    return {
      fact: `${disabled.name}, which binfmt_misc has for ${architecture}, is disabled`,
      remedy: `enable it (echo 1 >${BINFMT_MISC}/${disabled.name})`,
    };
  }
  return {
    fact: `binfmt_misc has no interpreter for ${architecture}`,
    remedy: "install one (apt-get install qemu-user-static; systemd or binfmt-support registers it)",
  };
}

/** EI_CLASS and EI_DATA (1: 32 bits, little; 2: 64 bits, big) with `e_machine`, by Go's names. Source: elf(5), elf.h. */
const MACHINES: Readonly<Record<string, readonly [size: 1 | 2, order: 1 | 2, machine: number]>> = {
  "386": [1, 1, 3],
  amd64: [2, 1, 62],
  arm: [1, 1, 40],
  arm64: [2, 1, 183],
  ppc64le: [2, 1, 21],
  riscv64: [2, 1, 243],
  s390x: [2, 2, 22],
};

/** `e_type`: programs at a fixed address, and those that may lie anywhere. An image has both. */
const ET_EXEC = 2;
const ET_DYN = 3;

/** The first 24 bytes of programs: up to `e_version`, all that they have in common. */
function headsOf(architecture: string): readonly Uint8Array[] | undefined {
  const machine = MACHINES[architecture];
  if (machine === undefined) return undefined;
  const [size, order, number] = machine;
  return [ET_EXEC, ET_DYN].map((type) => {
    const head = Buffer.alloc(24);
    head.set([0x7f, 0x45, 0x4c, 0x46, size, order, 1]);
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    view.setUint16(16, type, order === 1);
    view.setUint16(18, number, order === 1);
    view.setUint32(20, 1, order === 1);
    return head;
  });
}
