/** The command of a container and the variables that it gets; why it cannot be run is found before it is tried. */
import { closeSync, openSync, readSync } from "node:fs";
import { posix } from "node:path";
import { ContainerStartError } from "../runtime.ts";
import type { Container, Pod } from "./pod.ts";
import type { ExecAs, StartContainer } from "./protocol.ts";
import type { Found, RootView } from "./root-view.ts";
import type { Identity } from "./users.ts";

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What containerd and kubelet add when neither image nor pod says otherwise. */
export function environmentOf(pod: Pod, spec: StartContainer, identity: Identity): readonly string[] {
  const variables = new Map<string, string>([
    ["PATH", DEFAULT_PATH],
    ["HOSTNAME", pod.hostname],
    ["HOME", identity.home],
    ...spec.env,
  ]);
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** Another user has another home, unless somebody has set one. */
export function execEnvironment(container: Container, identity: Identity, as: ExecAs): readonly string[] {
  const own = [...container.environment];
  const isHomeGiven = container.spec.env.some(([name]) => name === "HOME");
  if (!isHomeGiven && as.user !== undefined) own.push(`HOME=${identity.home}`);
  return [...own, ...Object.entries(as.env ?? {}).map(([name, value]) => `${name}=${value}`)];
}

/** Throws in the words of a kubelet when it cannot be started; returns what the kernel will refuse when it has been. */
export function checkCommand(
  view: RootView,
  spec: StartContainer,
  environment: readonly string[],
): CommandFault | undefined {
  if (spec.argv.length === 0) {
    throw new ContainerStartError("CreateContainerError", "no command specified");
  }
  const fault = commandFault(view, spec.argv, spec.workingDir, environment, spec.mounts);
  if (fault === undefined || fault.exitCode === 1) return fault;
  throw new ContainerStartError("RunContainerError", fault.message);
}

export interface CommandFault {
  /** In the words of runc. */
  readonly message: string;
  /** Of runc when it is executed. 1: only the kernel says so, when the container has started. */
  readonly exitCode: 1 | 126 | 127;
}

/** Why a command cannot be run; undefined when it can, or when only a volume could tell. */
export function commandFault(
  view: RootView,
  argv: readonly string[],
  workingDir: string,
  environment: readonly string[],
  mounts: readonly { readonly path: string }[] = [],
): CommandFault | undefined {
  const name = argv[0] as string;
  const quoted = `exec: ${JSON.stringify(name)}`;
  const inVolume = (path: string): boolean => mounts.some((mount) => `${path}/`.startsWith(`${mount.path}/`));
  const refused = (path: string, found: Found): CommandFault | undefined => {
    const interpreter = interpreterOf(found);
    if (interpreter === "none") return { message: `exec ${path}: exec format error`, exitCode: 1 };
    const at = interpreter === undefined ? undefined : posix.resolve(workingDir, interpreter);
    if (at === undefined || inVolume(at) || view.find(at) !== undefined) return undefined;
    return { message: `exec ${path}: no such file or directory`, exitCode: 1 };
  };
  if (name.includes("/")) {
    const path = posix.resolve(workingDir, name);
    if (inVolume(path)) return undefined;
    const found = view.find(path);
    if (found === undefined)
      return { message: `${quoted}: stat ${name}: no such file or directory`, exitCode: 127 };
    if (found.kind === "directory") return { message: `${quoted}: is a directory`, exitCode: 126 };
    if ((found.mode & 0o111) === 0) return { message: `${quoted}: permission denied`, exitCode: 126 };
    return refused(path, found);
  }
  const path = environment.findLast((variable) => variable.startsWith("PATH="))?.slice("PATH=".length) ?? "";
  for (const directory of path.split(":")) {
    const candidate = posix.resolve(workingDir, directory, name);
    if (inVolume(candidate)) return undefined;
    const found = view.find(candidate);
    if (found !== undefined && found.kind === "file" && (found.mode & 0o111) !== 0)
      return refused(candidate, found);
  }
  return { message: `${quoted}: executable file not found in $PATH`, exitCode: 127 };
}

const ELF = Buffer.from("\u007fELF", "latin1");
/** As much of a file as the kernel looks at. */
const HEAD_BYTES = 256;

/**
 * What a file names after `#!`; "none" for one that is neither such a script nor a binary. The programs that start commands
 * here would give that to `/bin/sh`, as the C library's execvp does; runc asks the kernel, which refuses it. Undefined for a
 * binary, and where it cannot be read from here.
 */
function interpreterOf({ kind, hostPath }: Found): string | undefined {
  if (kind !== "file") return undefined;
  const head = headOf(hostPath);
  if (head === undefined || head.subarray(0, ELF.length).equals(ELF)) return undefined;
  // Without the end of the line, which may be \r\n: the \r is a part of the name.
  const name = /^#![ \t]*([^ \t\n\0]+)/.exec(head.toString("latin1"))?.[1];
  return name === undefined ? "none" : Buffer.from(name, "latin1").toString("utf8");
}

function headOf(path: string): Buffer | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    const head = Buffer.alloc(HEAD_BYTES);
    return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0));
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
