/** What this machine has: the host programs that the sandbox is made of, and ids that pods may use. */
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { IdMode, ToolName, Tools } from "./protocol.ts";

/** Which Debian package (and Fedora's, by the same name) brings a program. */
const PACKAGE: Readonly<Record<ToolName, string>> = {
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  mount: "mount",
  umount: "mount",
  ip: "iproute2",
  sh: "dash",
  env: "coreutils",
  mkfifo: "coreutils",
};

/** An ordinary user's PATH often lacks the sbin folders, where `ip` lives. */
const FOLDERS = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

export function findTool(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":"), ...FOLDERS].filter((path) =>
    path.startsWith("/"),
  );
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Throws SANDBOX_TOOLS_MISSING with the line that installs them. */
export function findTools(): Tools {
  const names = Object.keys(PACKAGE) as ToolName[];
  const found = names.map((name) => [name, findTool(name)] as const);
  const missing = found.filter(([, path]) => path === undefined).map(([name]) => name);
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((name) => PACKAGE[name]))];
    throw new SlipwayError({
      code: "SANDBOX_TOOLS_MISSING",
      where: "runtime/sandbox",
      message: `programs that pods need are missing: ${missing.join(", ")}`,
      hint: `Install them: apt-get install -y ${packages.join(" ")}`,
      exitCode: 3,
    });
  }
  return Object.fromEntries(found) as Tools;
}

export interface Ids {
  readonly mode: IdMode;
  /** Lines for newuidmap and newgidmap, `inside outside count …`; only in mode `subordinate`. */
  readonly uidMap: readonly string[];
  readonly gidMap: readonly string[];
}

export function findIds(): Ids {
  const uid = process.getuid?.() ?? -1;
  const gid = process.getgid?.() ?? -1;
  if (uid === 0) return { mode: "root", uidMap: [], gidMap: [] };
  const uids = subordinate("/etc/subuid", uid);
  const gids = subordinate("/etc/subgid", uid);
  const mapped = findTool("newuidmap") !== undefined && findTool("newgidmap") !== undefined;
  if (!mapped || uids === undefined || gids === undefined) return { mode: "one-uid", uidMap: [], gidMap: [] };
  const map = (own: number, range: { first: number; count: number }): string[] => [
    ...["0", String(own), "1"],
    ...["1", String(range.first), String(range.count)],
  ];
  return { mode: "subordinate", uidMap: map(uid, uids), gidMap: map(gid, gids) };
}

/** The first range of a user in /etc/subuid or /etc/subgid (`name-or-uid:first:count`). */
function subordinate(path: string, uid: number): { first: number; count: number } | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  const names = [String(uid), nameOf(uid)];
  for (const line of text.split("\n")) {
    const [name = "", first = "", count = ""] = line.trim().split(":");
    if (name !== "" && names.includes(name) && Number(count) > 0)
      return { first: Number(first), count: Math.min(Number(count), 65_535) };
  }
  return undefined;
}

function nameOf(uid: number): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return String(uid); // an id without a passwd line
  }
}

/** The first child of a process; by a scan of all processes where the kernel keeps no list. */
export function childOf(pid: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return children === "" ? undefined : Number(children.split(" ")[0]);
  } catch {
    const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return all.map(Number).find((candidate) => parentOf(candidate) === pid);
  }
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

/**
 * The process that has `pid` in the pid namespace of `root`, among those that `root` has started; its id in ours. The
 * line NSpid of /proc/PID/status (proc_pid_status(5)) has a process's ids from our namespace inwards.
 */
export function descendantWith(root: number, pid: number): number | undefined {
  const depth = namespaceIds(root).length - 1;
  const waiting = [root];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const child of childrenOf(at)) {
      if (namespaceIds(child)[depth] === pid) return child;
      waiting.push(child);
    }
  }
  return undefined;
}

function namespaceIds(pid: number): readonly number[] {
  try {
    const line = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
    return line.split(/\s+/).map(Number);
  } catch {
    return [];
  }
}

function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8")
        .trim()
        .split(" ")
        .filter(Boolean)
        .map(Number),
    );
  } catch {
    return [];
  }
}
