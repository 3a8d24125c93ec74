/** The processes of a container, from /proc of this machine: those in the pid namespace of its first one. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { ContainerProcess } from "../engine.ts";

interface Seen {
  readonly outer: number;
  readonly outerParent: number;
  readonly process: Omit<ContainerProcess, "parent">;
}

/** `first`: the id of the container's first process in our namespace. Throws when it is gone or may not be looked at. */
export function processesOf(first: number): readonly ContainerProcess[] {
  const namespace = readlinkSync(`/proc/${first}/ns/pid`);
  const seen = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => see(Number(name), namespace));
  const inner = new Map(seen.map(({ outer, process }) => [outer, process.pid]));
  return seen
    .map(({ process, outerParent }) => ({ ...process, parent: inner.get(outerParent) ?? 0 }))
    .sort((a, b) => a.pid - b.pid);
}

/** Nothing when it is of another namespace, ends meanwhile, or has ended and is only waited for. */
function see(pid: number, namespace: string): Seen[] {
  try {
    if (readlinkSync(`/proc/${pid}/ns/pid`) !== namespace) return [];
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
    if (field("State").startsWith("Z")) return [];
    const text = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    return [
      {
        outer: pid,
        outerParent: Number(field("PPid")),
        process: {
          pid: Number(field("NSpid").split(/\s+/).at(-1)),
          uid: Number(field("Uid").split(/\s+/)[0]),
          comm: readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd(),
          argv: text === "" ? [] : text.replace(/\0$/, "").split("\0"),
        },
      },
    ];
  } catch {
    return []; // ended meanwhile, or another user's, which then is none of the container's
  }
}
