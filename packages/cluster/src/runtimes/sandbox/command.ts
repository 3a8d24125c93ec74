/** The command of a container and the variables that it gets; why it cannot be run is found before it is tried. */
import { posix } from "node:path";
import { ContainerStartError } from "../runtime.ts";
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

/** Throws in the words of a kubelet when it cannot be run. */
export function checkCommand(view: RootView, spec: StartContainer, environment: readonly string[]): void {
  if (spec.argv.length === 0) {
    throw new ContainerStartError("CreateContainerError", "no command specified");
  }
  const fault = commandFault(view, spec.argv, spec.workingDir, environment, spec.mounts);
  if (fault !== undefined) throw new ContainerStartError("RunContainerError", fault);
}

/** Why a command cannot be run, in the words of runc; undefined when it can, or when only a volume could tell. */
export function commandFault(
  view: RootView,
  argv: readonly string[],
  workingDir: string,
  environment: readonly string[],
  mounts: readonly { readonly path: string }[] = [],
): string | undefined {
  const name = argv[0] as string;
  const inVolume = (path: string): boolean => mounts.some((mount) => `${path}/`.startsWith(`${mount.path}/`));
  if (name.includes("/")) {
    const path = posix.resolve(workingDir, name);
    if (inVolume(path)) return undefined;
    const found = view.find(path);
    if (found === undefined) return `exec: ${JSON.stringify(name)}: stat ${name}: no such file or directory`;
    if (found.kind === "directory") return `exec: ${JSON.stringify(name)}: is a directory`;
    return (found.mode & 0o111) === 0 ? `exec: ${JSON.stringify(name)}: permission denied` : undefined;
  }
  const path = environment.findLast((variable) => variable.startsWith("PATH="))?.slice("PATH=".length) ?? "";
  for (const directory of path.split(":")) {
    const candidate = posix.resolve(workingDir, directory, name);
    if (inVolume(candidate)) return undefined;
    const found = view.find(candidate);
    if (found !== undefined && found.kind === "file" && (found.mode & 0o111) !== 0) return undefined;
  }
  return `exec: ${JSON.stringify(name)}: executable file not found in $PATH`;
}
