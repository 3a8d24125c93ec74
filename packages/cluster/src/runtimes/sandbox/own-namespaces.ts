/**
 * Runs one program inside fresh namespaces, as the node agent is run: with the ids of pods, and gone with its
 * children when the caller dies, even by `kill -9`. For work that is no pod: unpacking layers, a build's RUN.
 */
import { spawn } from "node:child_process";
import { openGate } from "./agent-process.ts";
import type { Tools } from "./protocol.ts";
import type { Ids } from "./system.ts";

export interface InsideOptions {
  readonly tools: Tools;
  readonly ids: Ids;
  /** Working directory, which must exist. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Cut off from the network; otherwise the host's. */
  readonly isOffline?: boolean;
  /** The program's standard input. */
  readonly input?: string;
  readonly signal?: AbortSignal | undefined;
  readonly onOutput?: (text: string, stream: "stdout" | "stderr") => void;
}

export interface InsideResult {
  /** 128 when a signal ended it. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What is kept of the output: what comes before this many characters of the end is only passed on. */
const KEPT = 256 * 1024;

/** Own mount, pid, ipc and uts namespaces, and for an ordinary user a user namespace around them. */
export async function runInside(command: readonly string[], options: InsideOptions): Promise<InsideResult> {
  const { tools, ids } = options;
  const inside = [
    ...[tools.setpriv, "--pdeathsig", "KILL", "--"],
    ...[
      tools.unshare,
      "--mount",
      "--pid",
      "--ipc",
      "--uts",
      ...(options.isOffline === true ? ["--net"] : []),
    ],
    ...["--fork", "--kill-child", "--mount-proc", "--", ...command],
  ];
  const [program, ...args] =
    ids.mode === "root"
      ? inside
      : ids.mode === "one-uid"
        ? [tools.unshare, "--user", "--map-root-user", "--", ...inside]
        : // The gate: maps can only be written from outside, once the namespace exists.
          [tools.unshare, "--user", "--", tools.sh, "-c", 'read -r go && exec "$@"', "-", ...inside];
  const child = spawn(program as string, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true, // Ctrl-C is for the caller, whose signal ends this
    stdio: ["pipe", "pipe", "pipe"],
  });
  const kept = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      kept[stream] = (kept[stream] + text).slice(-KEPT);
      options.onOutput?.(text, stream);
    });
  }
  const closed = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 128));
  });
  closed.catch(() => {}); // awaited below; a failure of the gate comes first
  child.stdin.on("error", () => {}); // a program that ends without reading its input is not an error of ours
  // unshare and all it started are one process group: --kill-child takes the namespace along.
  const abort = (): void => void killGroup(child.pid);
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    if (options.signal?.aborted === true) abort();
    if (ids.mode === "subordinate") await openGate(child, ids, false);
    child.stdin.end(options.input ?? "");
    return { exitCode: await closed, ...kept };
  } finally {
    options.signal?.removeEventListener("abort", abort);
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // it ended by itself
  }
}
