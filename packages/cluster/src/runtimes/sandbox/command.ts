/** The command of a container and the variables that it gets; why it cannot be run is found before it is tried. */
import { posix } from "node:path";
import { ContainerStartError } from "../runtime.ts";
import { type Kernel, kernelRefusal } from "./kernel.ts";
import type { Container, Pod } from "./pod.ts";
import type { ExecAs, StartContainer } from "./protocol.ts";
import type { RootView } from "./root-view.ts";
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
  kernel: Kernel,
): CommandFault | undefined {
  if (spec.argv.length === 0) {
    throw new ContainerStartError("CreateContainerError", "no command specified");
  }
  const fault = commandFault(view, spec.argv, spec.workingDir, environment, kernel, spec.mounts);
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
  kernel: Kernel,
  mounts: readonly { readonly path: string }[] = [],
): CommandFault | undefined {
  const name = argv[0] as string;
  const quoted = `exec: ${JSON.stringify(name)}`;
  // People write /app/ as well as /app, and links lead to what is mounted as from it.
  const namesOf = (path: string): readonly string[] => {
    const { found, missing } = view.locate(path);
    return [posix.join("/", path, "/"), posix.join(found.path, ...missing, "/")];
  };
  const mounted = mounts.flatMap(({ path }) => namesOf(path));
  const isMounted = (path: string): boolean =>
    namesOf(path).some((one) => mounted.some((folder) => one.startsWith(folder)));
  const refused = (path: string): CommandFault | undefined => {
    const reason = kernelRefusal(path, { view, workingDir, kernel, isMounted });
    return reason === undefined ? undefined : { message: `exec ${path}: ${reason}`, exitCode: 1 };
  };
  if (name.includes("/")) {
    const path = posix.resolve(workingDir, name);
    if (isMounted(path)) return undefined;
    const found = view.find(path);
    if (found === undefined)
      return { message: `${quoted}: stat ${name}: no such file or directory`, exitCode: 127 };
    if (found.kind === "directory") return { message: `${quoted}: is a directory`, exitCode: 126 };
    if ((found.mode & 0o111) === 0) return { message: `${quoted}: permission denied`, exitCode: 126 };
    return refused(path);
  }
  const path = environment.findLast((variable) => variable.startsWith("PATH="))?.slice("PATH=".length) ?? "";
  for (const directory of path.split(":")) {
    const candidate = posix.resolve(workingDir, directory, name);
    if (isMounted(candidate)) return undefined;
    const found = view.find(candidate);
    if (found !== undefined && found.kind === "file" && (found.mode & 0o111) !== 0) return refused(candidate);
  }
  return { message: `${quoted}: executable file not found in $PATH`, exitCode: 127 };
}
