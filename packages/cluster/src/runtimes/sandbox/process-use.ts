/**
 * What the processes of a container have used, read from /proc (proc_pid_stat(5), proc_pid_status(5)) by the node agent.
 * A container is a pid namespace: whatever runs in it belongs to it, commands that were started by exec as well.
 *
 * Processor time is that of the processes that live and of the children they have waited for, so that it never falls
 * while process 1 lives. Memory is what the processes have to themselves (anonymous and shared memory), and the mapped
 * files of the largest once, because they are mostly the same ones. Cgroups would know both better, and an ordinary user
 * has none; some hundred processes cost a few milliseconds, and only when somebody asks.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** USER_HZ, 100 on every architecture that Node runs on. */
const TICKS_PER_S = 100;

export interface ProcessUse {
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
}

/** By the first process of each container; of those that are gone there is nothing. */
export function useOf(firstPids: readonly number[]): ReadonlyMap<number, ProcessUse> {
  const byNamespace = new Map<string, { first: number; ticks: number; own: number; files: number }>();
  for (const first of firstPids) {
    const namespace = namespaceOf(first);
    if (namespace !== undefined) byNamespace.set(namespace, { first, ticks: 0, own: 0, files: 0 });
  }
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const sums = byNamespace.get(namespaceOf(Number(name)) ?? "");
    if (sums === undefined) continue;
    try {
      sums.ticks += ticksOf(readFileSync(`/proc/${name}/stat`, "utf8"));
      const { own, files } = memoryOf(readFileSync(`/proc/${name}/status`, "utf8"));
      sums.own += own;
      sums.files = Math.max(sums.files, files);
    } catch {
      // It has ended in the meantime.
    }
  }
  return new Map(
    [...byNamespace.values()].map(({ first, ticks, own, files }) => [
      first,
      { cpuSeconds: ticks / TICKS_PER_S, memoryBytes: own + files },
    ]),
  );
}

/** utime, stime, cutime and cstime: fields 14 to 17, counted from behind the name, which may hold anything. */
export function ticksOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
}

export function memoryOf(status: string): { readonly own: number; readonly files: number } {
  const bytes = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(status)?.[1] ?? 0);
  return { own: bytes("RssAnon") + bytes("RssShmem"), files: bytes("RssFile") };
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined;
  }
}
