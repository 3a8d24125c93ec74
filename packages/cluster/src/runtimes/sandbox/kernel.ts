/**
 * What the kernel says when it is to run a file (execve), found without running it. The programs that start commands here
 * (unshare, by the C library's execvp) give what it does not take to `/bin/sh`; runc asks the kernel, and that is the end.
 *
 * Measured with Docker 20.10 and Podman 4.3, runc 1.1.5: each of these ends with 1 and `exec PATH: REASON`, when a container
 * is started as when something is executed in it. Source: fs/exec.c, binfmt_misc.c, binfmt_script.c, binfmt_elf.c, Linux 6.12.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { posix } from "node:path";
import { type BinfmtMisc, binfmtEntries, isSwitchedOff, isTakenBy } from "./binfmt-misc.ts";
import { ELF, loaderRefusal, readElf } from "./elf.ts";
import type { RootView } from "./root-view.ts";

/** The kernel's numbers, from ENOEXEC to ELIBBAD, in the words that Go has for them. */
export type KernelRefusal =
  | "exec format error"
  | "no such file or directory"
  | "permission denied"
  | "not a directory"
  | "too many levels of symbolic links"
  | "input/output error"
  | "accessing a corrupted shared library";

export interface Kernel {
  /** As Node names it. */
  readonly architecture: string;
  readonly misc: BinfmtMisc;
}

export interface Programs {
  readonly view: RootView;
  /** From where relative names of interpreters count. */
  readonly workingDir: string;
  readonly kernel: Kernel;
  /** Whether a path leads, also by links, into what is mounted over the image, of which nothing is known here. */
  readonly isMounted: (path: string) => boolean;
}

/** Of a script, whose interpreter may be one as well: how often the kernel goes on. */
const INTERPRETERS_MAX = 5;
/** As much of a file as the kernel looks at to know what it is; what is not there counts as 0. */
const HEAD_BYTES = 256;

/** Undefined: it is run, or nobody can say from here. `path` is that of a file with a right to be executed. */
export function kernelRefusal(path: string, programs: Programs, depth = 0): KernelRefusal | undefined {
  if (depth > INTERPRETERS_MAX) return "too many levels of symbolic links";
  return withFile(path, programs, (file) => {
    const head = Buffer.alloc(HEAD_BYTES);
    readSync(file, head, 0, HEAD_BYTES, 0);
    const own = head.subarray(0, ELF.length).equals(ELF)
      ? programRefusal(file, programs)
      : scriptRefusal(head, programs, depth);
    if (own === undefined) return undefined;
    // The kernel asks binfmt_misc first. For what it takes without, only an entry for just that could make a difference.
    const { misc } = programs.kernel;
    const others = binfmtEntries(isSwitchedOff(misc) ? undefined : misc)
      .filter((entry) => entry.isEnabled && isTakenBy(entry, path, head))
      .map(({ isFixed, interpreter }) =>
        isFixed ? undefined : interpreterRefusal(interpreter, programs, depth),
      );
    // Of several the kernel takes the one that was registered last, which nobody can see.
    return others.includes(undefined) ? undefined : (others[0] ?? own);
  });
}

function scriptRefusal(head: Buffer, programs: Programs, depth: number): KernelRefusal | undefined {
  // Without the end of the line, which may be \r\n: the \r is a part of the name. One that is cut off is none.
  const name = /^#![ \t]*([^ \t\n\0]+)(?=[ \t\n\0])/.exec(head.toString("latin1"))?.[1];
  if (name === undefined) return "exec format error";
  return interpreterRefusal(Buffer.from(name, "latin1").toString("utf8"), programs, depth);
}

function interpreterRefusal(name: string, programs: Programs, depth: number): KernelRefusal | undefined {
  const path = posix.resolve(programs.workingDir, name);
  return openRefusal(path, programs) ?? kernelRefusal(path, programs, depth + 1);
}

function programRefusal(file: number, programs: Programs): KernelRefusal | undefined {
  const { architecture } = programs.kernel;
  const elf = readElf(file, architecture);
  if (elf === undefined) return undefined;
  if ("refusal" in elf) return elf.refusal;
  if (elf.interpreter === undefined) return undefined;
  const path = posix.resolve(programs.workingDir, elf.interpreter);
  return (
    openRefusal(path, programs) ??
    withFile(path, programs, (loader) => loaderRefusal(loader, elf.bits, architecture))
  );
}

/** Why the kernel does not open a file to run it. */
function openRefusal(path: string, { view, isMounted }: Programs): KernelRefusal | undefined {
  if (isMounted(path)) return undefined;
  const { found, missing } = view.locate(path);
  if (missing.length > 0) return found.kind === "directory" ? "no such file or directory" : "not a directory";
  return found.kind === "file" && (found.mode & 0o111) !== 0 ? undefined : "permission denied";
}

/** Undefined for a file that cannot be read from here: the kernel needs no right for it. */
function withFile<T>(path: string, { view, isMounted }: Programs, work: (file: number) => T): T | undefined {
  const found = view.find(path);
  if (found?.kind !== "file" || isMounted(path)) return undefined;
  let file: number | undefined;
  try {
    file = openSync(found.hostPath, "r");
  } catch {
    return undefined;
  }
  try {
    return work(file);
  } finally {
    closeSync(file);
  }
}
