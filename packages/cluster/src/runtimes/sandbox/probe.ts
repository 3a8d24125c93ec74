/**
 * What this system lets the sandbox do, found out by doing it, one step after the other: a setting can be read and
 * still be overruled by another, an attempt cannot. The first step that fails names what to change.
 */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ExecResult, exec, readTextIfExists, SlipwayError } from "@slipway/base";
import type { Tools } from "./protocol.ts";
import { findIds, findTools } from "./system.ts";

export type SandboxProbe =
  | {
      readonly ok: true;
      readonly ids: "root" | "subordinate" | "one-uid";
      /** False where overlay is refused: root filesystems are copied, which costs time and disk. */
      readonly overlay: boolean;
    }
  | { readonly ok: false; readonly error: SlipwayError };

interface Step {
  readonly what: string;
  /** Needed by pods only, which have a network of their own. */
  readonly isForPods?: true;
  readonly script: string;
  readonly hint: string;
}

const STEPS: readonly Step[] = [
  {
    what: "mount a tmpfs in an own mount namespace",
    script: '"$MOUNT" -t tmpfs tmpfs "$1"',
    hint: "The kernel or a container around this one forbids mounts. Run on the host, or give the container CAP_SYS_ADMIN.",
  },
  {
    what: "create a bridge and a veth pair",
    isForPods: true,
    script: '"$IP" link add br0 type bridge && "$IP" link add v0 type veth peer name v1',
    hint: "Load the kernel modules: modprobe bridge veth",
  },
  {
    what: "mount proc in an own pid namespace",
    script: '"$UNSHARE" --mount --pid --fork --mount-proc true',
    hint: "A container around this one hides parts of /proc. Run on the host, or start the container with an unmasked /proc (--security-opt systempaths=unconfined).",
  },
];

/** `pods: false` asks only for what a command of a build needs, which has the host's network. */
export async function probeSandbox(options: { readonly pods?: boolean } = {}): Promise<SandboxProbe> {
  let tools: Tools;
  try {
    if (process.platform !== "linux") throw notLinux();
    tools = findTools();
  } catch (error) {
    if (error instanceof SlipwayError) return { ok: false, error };
    throw error;
  }
  const ids = findIds();
  const directory = mkdtempSync(join(tmpdir(), "slipway-probe-"));
  try {
    const entered = await inside(tools, directory, "true");
    if (entered.exitCode !== 0) return { ok: false, error: await namespacesRefused(entered) };
    for (const step of STEPS) {
      if (step.isForPods === true && options.pods === false) continue;
      const result = await inside(tools, directory, step.script);
      if (result.exitCode !== 0) return { ok: false, error: refused(step.what, result, step.hint) };
    }
    const overlay = await inside(
      tools,
      directory,
      `"$MOUNT" -t tmpfs tmpfs "$1" && cd "$1" && mkdir lower upper work root &&
       "$MOUNT" -t overlay -o lowerdir=lower,upperdir=upper,workdir=work${ids.mode === "root" ? "" : ",userxattr"} overlay root`,
    );
    return { ok: true, ids: ids.mode, overlay: overlay.exitCode === 0 };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs a script in fresh namespaces like the agent's; they are gone when it ends. */
function inside(tools: Tools, directory: string, script: string): Promise<ExecResult> {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  return exec(
    [
      ...[tools.unshare, ...user, "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--mount-proc"],
      ...["--", tools.sh, "-c", script, "-", directory],
    ],
    {
      env: {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        MOUNT: tools.mount,
        IP: tools.ip,
        UNSHARE: tools.unshare,
      },
    },
  );
}

function notLinux(): SlipwayError {
  return new SlipwayError({
    code: "SANDBOX_UNSUPPORTED",
    where: "runtime/sandbox",
    message: `pods need Linux namespaces, this is ${process.platform}`,
    hint: "Run Slipway on Linux, or in a Linux virtual machine.",
    exitCode: 3,
  });
}

function refused(what: string, result: ExecResult, hint: string): SlipwayError {
  return new SlipwayError({
    code: "SANDBOX_REFUSED",
    where: "runtime/sandbox",
    message: `this system refuses to ${what}: ${result.stderr.trim() || `exit code ${result.exitCode}`}`,
    hint,
    exitCode: 3,
  });
}

/** The setting only explains the refusal; that there is one was found by trying. */
async function namespacesRefused(result: ExecResult): Promise<SlipwayError> {
  const setting = async (path: string): Promise<string | undefined> =>
    (await readTextIfExists(`/proc/sys/${path}`).catch(() => undefined))?.trim();
  const orRoot = "or run Slipway as root.";
  if ((await setting("kernel/apparmor_restrict_unprivileged_userns")) === "1") {
    return refused(
      "create user namespaces (AppArmor restricts them)",
      result,
      `Allow them: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, ${orRoot}`,
    );
  }
  if ((await setting("kernel/unprivileged_userns_clone")) === "0") {
    return refused(
      "create user namespaces",
      result,
      `Allow them: sudo sysctl -w kernel.unprivileged_userns_clone=1, ${orRoot}`,
    );
  }
  if ((await setting("user/max_user_namespaces")) === "0") {
    return refused(
      "create user namespaces",
      result,
      `Allow them: sudo sysctl -w user.max_user_namespaces=10000, ${orRoot}`,
    );
  }
  return refused(
    "create namespaces",
    result,
    process.getuid?.() === 0
      ? "A container around this one forbids it. Run on the host, or give the container CAP_SYS_ADMIN."
      : "Run Slipway as root, or outside the container that forbids it.",
  );
}
