/**
 * The process table and the sockets by one command in the container, for engines that cannot read this machine's /proc (a
 * remote one). Only the shell's own words are used, `cat` for command lines, whose NUL bytes a shell cannot read, and
 * `readlink` where it is there: no ps, ss or netstat need be.
 */

import type { Container, ContainerProcess, ListeningSocket, Unseen } from "../engines/engine.ts";
import { programAt, withoutVisitors } from "../engines/inside/processes.ts";
import { parseSocket } from "../engines/inside/sockets.ts";

export interface Tables {
  /** Undefined: without `cat` the words of a command line run together, so that no name is sure. */
  readonly processes: readonly ContainerProcess[] | undefined;
  readonly sockets: readonly ListeningSocket[];
}

/** Records, each begun by the byte 1, because command lines have newlines: `S tcp <line of /proc/net/tcp>`, `P <pid> <ppid> <uid> <comm>`, `X <pid> <the file it runs>`, `A <pid> <words, each ended by NUL>`, `C` when there is `cat`, `E` at the end. */
export const SCRIPT = `
for f in tcp tcp6 udp udp6; do
  [ -r /proc/net/$f ] && while read -r line; do printf '\\001S %s %s\\n' $f "$line"; done < /proc/net/$f
done
command -v cat >/dev/null 2>&1 && printf '\\001C\\n'
for d in /proc/[0-9]*; do
  pid=\${d#/proc/}; [ "$pid" = $$ ] && continue
  name=; ppid=; uid=; state=
  while read -r key value rest; do
    case $key in Name:) name=$value;; PPid:) ppid=$value;; Uid:) uid=$value;; State:) state=$value;; esac
  done < $d/status 2>/dev/null
  [ "$state" = Z ] && continue
  [ -n "$ppid" ] && printf '\\001P %s %s %s %s\\n' "$pid" "$ppid" "$uid" "$name"
  printf '\\001X %s ' "$pid"; readlink $d/exe 2>/dev/null; printf '\\n'
  printf '\\001A %s ' "$pid"; cat $d/cmdline 2>/dev/null; printf '\\n'
done
printf '\\001E\\n'
`;

/** A `cat` for each process: milliseconds where there are few, seconds for hundreds on a busy machine. */
const TABLES_MS = 60_000;

export async function readTables(container: Container): Promise<Tables | Unseen> {
  const result = await container.exec(["/bin/sh"], { stdin: SCRIPT, timeoutMs: TABLES_MS });
  const tables = parseTables(result.stdout);
  if (tables !== undefined) return tables;
  return {
    unseen:
      "the engine does not show processes and sockets, and there is no shell in the container to read /proc",
    remedy:
      "Run it where /proc of the container can be read: on the engine's own machine, or with --engine sandbox.",
  };
}

/** Undefined when the script did not come to its end: then nothing is known of what it did not print. */
export function parseTables(output: string): Tables | undefined {
  const lines = output.split("\x01").map((record) => record.replace(/\n$/, ""));
  if (!lines.includes("E")) return undefined;
  const argvOf = new Map<number, readonly string[]>();
  const programOf = new Map<number, string | undefined>();
  const processes: Omit<ContainerProcess, "argv" | "program">[] = [];
  const sockets: ListeningSocket[] = [];
  let hasTable = false;
  for (const line of lines) {
    const [kind, first = "", ...rest] = line.split(" ");
    if (kind === "A") argvOf.set(Number(first), rest.join(" ").split("\0").slice(0, -1));
    if (kind === "X") programOf.set(Number(first), programAt(rest.join(" ").replace(/\n$/, "")));
    if (kind === "P") {
      const [parent, uid, ...name] = rest;
      const comm = name.join(" ").slice(0, 15);
      processes.push({ pid: Number(first), parent: Number(parent), uid: Number(uid), comm });
    }
    if (kind === "S") {
      if (/local_address/.test(line)) hasTable = true;
      const socket = parseSocket(rest.join(" "), first.replace("6", "") as "tcp" | "udp");
      if (socket !== undefined) sockets.push(socket);
    }
  }
  if (!hasTable) return undefined;
  const whole = processes.map((one) => ({
    ...one,
    argv: argvOf.get(one.pid) ?? [],
    program: programOf.get(one.pid),
  }));
  // Where containers share one pid namespace, the first process is the pod's, and each container's is no child of it.
  const isShared = whole.some(({ pid, comm }) => pid === 1 && comm === "pause");
  const own = isShared ? whole : withoutVisitors(whole, 1);
  return { processes: lines.includes("C") ? own : undefined, sockets };
}
