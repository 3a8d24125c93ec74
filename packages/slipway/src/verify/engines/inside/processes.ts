/** The processes of a container, from /proc of this machine: those in the pid namespace of its first one. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { systemCode } from "@slipway/base";
import type { ContainerProcess } from "../engine.ts";

interface Seen {
  readonly outer: number;
  readonly outerParent: number;
  readonly process: Omit<ContainerProcess, "parent">;
}

/** `first`: the id of the container's first process in our namespace. Throws when it is gone or may not be looked at. */
export function processesOf(first: number): readonly ContainerProcess[] {
  const namespace = readlinkSync(`/proc/${first}/ns/pid`);
  const isOwnUsers = readlinkSync(`/proc/${first}/ns/user`) === readlinkSync("/proc/self/ns/user");
  const ids = isOwnUsers ? undefined : readFileSync(`/proc/${first}/uid_map`, "utf8");
  const seen = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => see(Number(name), namespace, ids));
  const inner = new Map(seen.map(({ outer, process }) => [outer, process.pid]));
  // A parent that ended meanwhile is not one outside: its children have another one by now.
  const parentOf = ({ outer, outerParent }: Seen): number =>
    inner.get(outerParent) ?? (outer === first ? 0 : (inner.get(parentNow(outer)) ?? 0));
  const all = seen.map((one) => ({ ...one.process, parent: parentOf(one) })).sort((a, b) => a.pid - b.pid);
  return withoutVisitors(all, inner.get(first) ?? 1);
}

/**
 * Without what an exec or a healthcheck began, and all below it: these have a parent outside of the container (0), as
 * otherwise only the first process has. A daemon that they leave behind gets the first process as its parent, and stays.
 */
export function withoutVisitors(
  processes: readonly ContainerProcess[],
  first: number,
): readonly ContainerProcess[] {
  const parents = new Map(processes.map(({ pid, parent }) => [pid, parent]));
  const rootOf = (pid: number): number => {
    let at = pid;
    for (let depth = 0; depth < parents.size; depth += 1) {
      const parent = parents.get(at);
      if (parent === undefined || !parents.has(parent)) break;
      at = parent;
    }
    return at;
  };
  return processes.filter(({ pid }) => {
    const root = rootOf(pid);
    return root === first || parents.get(root) !== 0;
  });
}

/** What the container calls an id of ours, by its uid_map (user_namespaces(7)); the kernel's word for one that it has no name for. */
export function idInside(map: string, id: number): number {
  for (const line of map.trim().split("\n")) {
    const [inside = 0, outside = 0, length = 0] = line.trim().split(/\s+/).map(Number);
    if (id >= outside && id < outside + length) return inside + id - outside;
  }
  return NOBODY;
}

const NOBODY = 65534;

function parentNow(pid: number): number {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return 0; // ended meanwhile
  }
}

/** Nothing when it is of another namespace, ends meanwhile, or has ended and is only waited for. */
function see(pid: number, namespace: string, ids: string | undefined): Seen[] {
  try {
    if (readlinkSync(`/proc/${pid}/ns/pid`) !== namespace) return [];
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
    if (field("State").startsWith("Z")) return [];
    const text = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    const uid = Number(field("Uid").split(/\s+/)[0]);
    return [
      {
        outer: pid,
        outerParent: Number(field("PPid")),
        process: {
          pid: Number(field("NSpid").split(/\s+/).at(-1)),
          uid: ids === undefined ? uid : idInside(ids, uid),
          comm: readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd(),
          argv: text === "" ? [] : text.replace(/\0$/, "").split("\0"),
          program: programOf(pid),
        },
      },
    ];
  } catch {
    return []; // ended meanwhile, or another user's, which then is none of the container's
  }
}

/** Undefined where it may not be read; throws when the process has ended. */
function programOf(pid: number): string | undefined {
  try {
    return programAt(readlinkSync(`/proc/${pid}/exe`));
  } catch (error) {
    if (systemCode(error) === "EACCES" || systemCode(error) === "EPERM") return undefined;
    throw error;
  }
}

/** As `/proc/PID/exe` leads to it: the kernel marks a file that was removed, or replaced, meanwhile. */
export const programAt = (link: string): string | undefined =>
  link
    .replace(/ \(deleted\)$/, "")
    .split("/")
    .at(-1) || undefined;
