/**
 * The mount table of one container, as lines for `mount --all --fstab`: one process mounts everything. Nothing is
 * mounted here; the container's own mount namespace does that, so that the mounts go when its processes go.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, posix } from "node:path";
import { type ContainerMount, ContainerStartError } from "../runtime.ts";
import { RootView } from "./root-view.ts";

export interface MountPlan {
  /** Where the root filesystem appears. */
  readonly root: string;
  /** Relative to the workspace, which is the working directory of `mount`: overlay's options must stay short. */
  readonly layers: readonly string[];
  readonly upper: string;
  readonly work: string;
  readonly rootfs: "overlay" | "copy";
  readonly userxattr: boolean;
  readonly readOnlyRoot: boolean;
  /** Whether the kernel's own settings need protection: only the real root could write them. */
  readonly protectProc: boolean;
  readonly view: RootView;
  /** Folders of the image's layers, the topmost first; with `copy`, the one folder that holds all. */
  readonly lowers: readonly string[];
  readonly workspace: string;
  readonly podDirectory: string;
  readonly volumes: readonly ContainerMount[];
  readonly terminationMessage: { readonly path: string; readonly file: string };
  readonly owner: { readonly uid: number; readonly gid: number };
}

interface Bind {
  readonly source: string;
  /** Inside the container. */
  readonly path: string;
  readonly readOnly: boolean;
}

export function planMounts(plan: MountPlan): string {
  for (const path of ["/proc", "/sys", "/dev"]) target(plan.view, path, "directory");
  const at = (path: string): string => join(plan.root, path);
  const lines = [
    rootLine(plan),
    line("proc", at("/proc"), "proc", "nosuid,nodev,noexec"),
    ...(plan.protectProc
      ? [
          line(at("/proc/sys"), at("/proc/sys"), "none", "bind,ro"),
          ...(existsSync("/proc/sysrq-trigger")
            ? [line(at("/proc/sysrq-trigger"), at("/proc/sysrq-trigger"), "none", "bind,ro")]
            : []),
          line("sysfs", at("/sys"), "sysfs", "ro,nosuid,nodev,noexec"),
        ]
      : []),
    line(join(plan.workspace, "dev"), at("/dev"), "none", "rbind,ro"),
    line("devpts", at("/dev/pts"), "devpts", "newinstance,ptmxmode=0666,mode=0620"),
    line(join(plan.podDirectory, "shm"), at("/dev/shm"), "none", "bind"),
  ];
  for (const { source, path, readOnly } of bindsOf(plan)) {
    lines.push(line(source, at(path), "none", readOnly ? "bind,ro" : "bind"));
  }
  return `${lines.join("\n")}\n`;
}

function rootLine(plan: MountPlan): string {
  const access = plan.readOnlyRoot ? ",ro" : "";
  if (plan.rootfs === "copy") return line(plan.upper, plan.root, "none", `bind${access}`);
  const lower = plan.layers.length === 0 ? "empty" : plan.layers.map((name) => `layers/${name}`).join(":");
  const options = `lowerdir=${lower},upperdir=${plan.upper},workdir=${plan.work}`;
  return line("overlay", plan.root, "overlay", `${options}${plan.userxattr ? ",userxattr" : ""}${access}`);
}

/** Own files of the pod first, then volumes, outer before inner; their targets are made to exist. */
function bindsOf(plan: MountPlan): readonly Bind[] {
  const own = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].map((path) => ({
    source: join(plan.podDirectory, posix.basename(path)),
    path,
    readOnly: false,
  }));
  const volumes = plan.volumes.map((volume) => ({
    source: sourceOf(plan, volume),
    path: withoutLinks(plan.view, volume.path),
    readOnly: volume.readOnly,
  }));
  const message = {
    source: plan.terminationMessage.file,
    path: posix.normalize(plan.terminationMessage.path),
    readOnly: false,
  };
  const all = [...own, ...volumes, message]
    .filter((bind, index, binds) => binds.findLastIndex(({ path }) => path === bind.path) === index)
    .sort((a, b) => depth(a.path) - depth(b.path));
  return all.map((bind, index) => ({ ...bind, path: prepareTarget(plan, bind, all.slice(0, index)) }));
}

/** As the kernel will see it: /var/run is a link to /run in most images, and what is mounted there lies in a volume at /run. */
function withoutLinks(view: RootView, path: string): string {
  const { found, missing } = view.locate(path);
  return posix.join(found.path, ...missing);
}

function depth(path: string): number {
  return path.split("/").filter((part) => part !== "").length;
}

/** A target inside another volume must exist in that volume, all others in the root filesystem. */
function prepareTarget(plan: MountPlan, bind: Bind, before: readonly Bind[]): string {
  const kind = statSync(bind.source).isDirectory() ? "directory" : "file";
  const outer = before.findLast(({ path }) => bind.path.startsWith(`${path}/`));
  if (outer !== undefined) {
    const inner = target(new RootView([outer.source]), bind.path.slice(outer.path.length), kind);
    return join(outer.path, inner);
  }
  if (bind.path === "/dev/shm" || bind.path === "/dev/termination-log") return bind.path;
  if (bind.path === "/" || /^\/(dev|proc|sys)(\/|$)/.test(bind.path)) {
    throw new ContainerStartError(
      "CreateContainerError",
      `the sandbox runtime cannot mount at ${bind.path}: only /dev/shm and /dev/termination-log there`,
    );
  }
  return target(plan.view, bind.path, kind);
}

function target(view: RootView, path: string, kind: "directory" | "file"): string {
  const made = view.makeTarget(path, kind);
  if (made !== undefined) return made;
  throw new ContainerStartError(
    "CreateContainerError",
    `cannot mount at ${path}: the image has something else than a ${kind} there`,
  );
}

/** The host path of a volume, made when the pod first uses it. */
function sourceOf(plan: MountPlan, volume: ContainerMount): string {
  if (volume.kind === "shared") return sharedVolume(plan, volume);
  const base =
    volume.kind === "host"
      ? volume.hostPath
      : join(plan.podDirectory, volume.kind === "empty" ? "volumes" : "files", volume.volume);
  if (volume.kind !== "host") mkdirSync(base, { recursive: true });
  if (volume.kind === "empty") chmodSync(base, volume.mode ?? 0o777); // as kubelet; mkdir is cut by the umask
  if (volume.kind === "files") writeFiles(base, volume.files);
  const view = new RootView([base]);
  if (volume.subPath !== undefined && volume.kind === "empty") view.makeTarget(volume.subPath, "directory");
  const found = statSync(base, { throwIfNoEntry: false })?.isDirectory()
    ? view.find(volume.subPath ?? "/")?.hostPath
    : statSync(base, { throwIfNoEntry: false }) === undefined
      ? undefined
      : base;
  if (found !== undefined) return found;
  throw new ContainerStartError(
    "CreateContainerConfigError",
    `volume ${volume.volume}: ${join(base, volume.subPath ?? "")} does not exist`,
  );
}

/** The image's folder at the path, with all that is in it, its owner and its mode; an empty one when it has none. */
function sharedVolume(plan: MountPlan, volume: ContainerMount & { readonly kind: "shared" }): string {
  const base = join(plan.workspace, "shared", volume.volume);
  if (existsSync(base)) return base;
  mkdirSync(base, { recursive: true, mode: 0o755 });
  const found = plan.view.find(volume.path);
  if (found?.kind !== "directory") return base;
  for (const layer of plan.lowers.toReversed()) {
    const from = layer + found.path;
    if (statSync(from, { throwIfNoEntry: false })?.isDirectory())
      execFileSync("cp", ["-a", "--", `${from}/.`, base], { stdio: ["ignore", "ignore", "pipe"] });
  }
  return base;
}

/**
 * What ConfigMaps and Secrets hold now, for containers that run. A file that was mounted by its subPath stays as it
 * was when the container started, as in Kubernetes.
 */
export function rewriteFiles(podDirectory: string, mounts: readonly ContainerMount[]): void {
  for (const mount of mounts) {
    const directory = join(podDirectory, "files", mount.volume);
    if (mount.kind === "files" && existsSync(directory)) writeFiles(directory, mount.files);
  }
}

/**
 * Each file is replaced as a whole, so that a reader in another container never sees half of one; files that are no
 * longer listed go.
 */
function writeFiles(
  directory: string,
  files: readonly { readonly path: string; readonly content: Uint8Array; readonly mode: number }[],
): void {
  const listed = new Set(files.map((file) => join(directory, posix.normalize(`/${file.path}`))));
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const path = join(directory, name);
    if (!listed.has(path) && statSync(path, { throwIfNoEntry: false })?.isFile()) rmSync(path);
  }
  for (const file of files) {
    const path = join(directory, posix.normalize(`/${file.path}`));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, file.content);
    chmodSync(`${path}.new`, file.mode);
    renameSync(`${path}.new`, path);
  }
}

/** fstab(5) separates by blanks and writes them in octal. */
function line(source: string, path: string, type: string, options: string): string {
  const escaped = (text: string): string =>
    text.replace(/[\s\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
  return `${escaped(source)} ${escaped(path)} ${type} ${escaped(options)} 0 0`;
}
