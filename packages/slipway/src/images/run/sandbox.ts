/**
 * Runs the commands of a build without an engine: each in mount, pid, ipc and uts namespaces of its own, over an
 * overlay of the unpacked layers, with the host's network unless told otherwise. A test bench for one's own
 * Dockerfiles, not a boundary against hostile ones.
 *
 * Everything lies in the layout's own folder: `unpacked/` (layers, shared, never changed), `mounts/` (caches of
 * `--mount=type=cache`) and `run/` (one folder for each command while it runs). Mounts exist only in the command's
 * namespaces, which go with this process, even by `kill -9`; what stays is a folder, which the next build removes.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  isProcessAlive,
  type ProcessIdentity,
  readTextIfExists,
  SlipwayError,
  thisProcess,
} from "@slipway/base";
import { readBinfmtMisc } from "@slipway/cluster/binfmt-misc";
import {
  becomeCommand,
  ContainerStartError,
  commandFault,
  findIds,
  findTool,
  findTools,
  type Ids,
  LayerStore,
  probeSandbox,
  type ResolvedImage,
  RootView,
  resolveIdentity,
  runInside,
  type Tools,
  unpackCommand,
} from "@slipway/cluster/sandbox";
import { DEFAULT_PATH } from "../host/host-base.ts";
import type { ImageLayout } from "../layout.ts";
import { createImageSource } from "../source.ts";
import { targetsIn } from "./mounts.ts";
import type { RunMount, RunOutcome, RunRequest } from "./request.ts";
import { INNER, mountTable, OUTER, systemMounts, type TableMount } from "./script.ts";

/** Lines of a failed command's output that its error shows. */
const LAST_LINES = 20;
/** Mounted for every command. */
const KERNELS = ["/proc", "/sys", "/dev"];

export class RunSandbox {
  readonly #folder: string;
  readonly #tools: Tools;
  readonly #tar: string;
  readonly #ids: Ids;
  readonly #layers: LayerStore;
  readonly #signal: AbortSignal | undefined;

  private constructor(
    layout: ImageLayout,
    tools: Tools,
    tar: string,
    ids: Ids,
    signal: AbortSignal | undefined,
  ) {
    this.#folder = layout.cachePath();
    this.#tools = tools;
    this.#tar = tar;
    this.#ids = ids;
    this.#signal = signal;
    const unpacked = join(this.#folder, "unpacked");
    this.#layers = new LayerStore(unpacked, createImageSource({ layout }), async (job) => {
      const owners = ids.mode !== "one-uid";
      const result = await this.#inside(unpackCommand({ ...job, directory: unpacked, owners }));
      if (result.exitCode !== 0) throw new Error(result.stderr.trim());
    });
  }

  /** Rejects with SANDBOX_… where this machine does not let commands run, and why. */
  static async open(layout: ImageLayout, signal?: AbortSignal): Promise<RunSandbox> {
    const probe = await probeSandbox({ pods: false });
    if (!probe.ok) throw probe.error;
    if (!probe.overlay) {
      throw refused(
        "this system refuses overlay mounts",
        "Load the module (modprobe overlay), or run as root.",
      );
    }
    const tar = findTool("tar");
    if (tar === undefined) throw refused("GNU tar is missing", "Install it: apt-get install -y tar");
    const sandbox = new RunSandbox(layout, findTools(), tar, findIds(), signal);
    await sandbox.#removeLeftovers();
    return sandbox;
  }

  /** Whose ids commands have: with `one-uid`, everything they make belongs to one user. */
  get ids(): "root" | "subordinate" | "one-uid" {
    return this.#ids.mode;
  }

  async run(request: RunRequest): Promise<RunOutcome> {
    const lowers = await this.#layers.ensure(asImage(request));
    const name = randomUUID().slice(0, 8);
    const folder = join(this.#folder, "run", name);
    try {
      for (const part of ["disk", "memory", "root", "secrets", "stubs"]) {
        await mkdir(join(folder, part), { recursive: true, mode: 0o755 });
      }
      await writeFile(join(folder, "owner.json"), JSON.stringify(thisProcess()));
      return await this.#launch(request, lowers, folder);
    } catch (error) {
      await this.#remove(folder);
      if (error instanceof ContainerStartError)
        throw refused(error.message, "Correct the image or the line.");
      throw error;
    }
  }

  async #launch(request: RunRequest, lowers: readonly string[], folder: string): Promise<RunOutcome> {
    const { mode } = this.#ids;
    const view = new RootView(lowers.map((name) => join(this.#folder, "unpacked", name)));
    const identity = resolveIdentity(view, {
      imageUser: request.user,
      user: undefined,
      group: undefined,
      runAsNonRoot: false,
    });
    const environment = environmentOf(request.env, identity.home);
    const mounted = [...KERNELS, ...request.mounts.map(({ target }) => target)].map((path) => ({ path }));
    const kernel = { architecture: process.arch, misc: await readBinfmtMisc() };
    const fault = commandFault(view, request.argv, request.workingDir, environment, kernel, mounted);
    if (fault !== undefined) {
      await this.#remove(folder);
      return { kind: "failed", exitCode: fault.exitCode, lastLines: [fault.message] };
    }
    const { table, secrets, locks } = await this.#mounts(request, view, folder);
    await writeFile(join(folder, "fstab"), mountTable(join(folder, "root"), table));
    const top = view.find("/");
    // Names relative to this folder: overlay's options must fit in one page.
    const short = `run/${folder.slice(folder.lastIndexOf("/") + 1)}`;
    const lower = [...lowers.map((name) => `unpacked/${name}`), `${short}/stubs`].join(":");
    const options = mode === "root" ? ",index=off,redirect_dir=off,metacopy=off" : ",userxattr";
    const command = [
      ...locks.flatMap((lock) => [findTool("flock") ?? "flock", lock]),
      ...[this.#tools.sh, "-c", OUTER, "-", folder, lower, options],
      ...[((top?.mode ?? 0o755) & 0o7777).toString(8), "0:0", INNER, mode === "root" ? "move" : "stay"],
      ...becomeCommand({
        tools: this.#tools,
        idMode: mode,
        identity,
        workingDir: request.workingDir,
        environment,
      }),
      ...request.argv,
    ];
    const lines = new LastLines();
    const result = await this.#inside(command, {
      isOffline: request.network === "none",
      input: secrets.map((line) => `${line}\n`).join(""),
      onOutput: (text) => {
        lines.add(text);
        request.onOutput?.(text);
      },
    });
    if (this.#signal?.aborted === true) throw interrupted();
    const code = await readTextIfExists(join(folder, "exit"));
    if (code === undefined) {
      throw refused(
        `the command could not be started: ${result.stderr.trim()}`,
        "Free space in the build folder, or build with an engine: --builder docker.",
      );
    }
    if (Number(code) !== 0) {
      await this.#remove(folder);
      return { kind: "failed", exitCode: Number(code), lastLines: lines.last(LAST_LINES) };
    }
    if (result.exitCode !== 0) {
      throw refused(
        `what the command changed cannot be packed: ${result.stderr.trim().split("\n").at(-1)}`,
        "",
      );
    }
    return {
      kind: "done",
      archive: join(folder, "layer.tar"),
      dispose: () => this.#remove(folder),
    };
  }

  /** The table of mounts, and what the program is told about secrets and locks. */
  async #mounts(
    request: RunRequest,
    view: RootView,
    folder: string,
  ): Promise<{ table: readonly TableMount[]; secrets: readonly string[]; locks: readonly string[] }> {
    const root = join(folder, "root");
    const stubs = targetsIn(view, join(folder, "stubs"));
    for (const path of KERNELS) stubs.folder(path);
    if (request.workingDir !== "/") stubs.folder(request.workingDir);
    const texts = {
      hosts: "127.0.0.1 localhost\n::1 localhost\n",
      "resolv.conf": (await readTextIfExists("/etc/resolv.conf")) ?? "",
    };
    for (const [name, text] of Object.entries(texts)) {
      await writeFile(join(folder, name), text);
      await chmod(join(folder, name), 0o644); // for every user of the image, whatever the umask is
    }
    const table: TableMount[] = [
      ...systemMounts(root, this.#ids.mode === "root", existsSync("/proc/sysrq-trigger")),
      bind(join(folder, "hosts"), stubs.file("/etc/hosts"), false),
      bind(join(folder, "resolv.conf"), stubs.file("/etc/resolv.conf"), false),
    ];
    const secrets: string[] = [];
    const locks: string[] = [];
    for (const [index, mount] of request.mounts.entries()) {
      if (mount.kind === "tmpfs") {
        const size = mount.sizeBytes === undefined ? "" : `,size=${mount.sizeBytes}`;
        const path = stubs.folder(mount.target);
        table.push({ source: "slipway", path, type: "tmpfs", options: `mode=1777${size}` });
      } else if (mount.kind === "secret") {
        secrets.push(
          `s${index} ${mount.mode.toString(8)} ${mount.uid}:${mount.gid} ${Buffer.from(mount.content).toString("base64")}`,
        );
        table.push(bind(join(folder, "secrets", `s${index}`), stubs.file(mount.target), true));
      } else if (mount.kind === "cache") {
        const source = await this.#cacheFolder(mount);
        if (mount.isLocked) locks.push(`${source}.lock`);
        table.push(bind(source, stubs.folder(mount.target), mount.isReadOnly));
      } else {
        const image = asImage({ layers: [mount.layer], diffIds: [mount.diffId] });
        const [name] = await this.#layers.ensure(image);
        const found = new RootView([join(this.#folder, "unpacked", name as string)]).find(mount.path);
        if (found === undefined)
          throw refused(`there is no ${mount.path} to bind`, "Name a path that exists.");
        const target = found.kind === "directory" ? stubs.folder(mount.target) : stubs.file(mount.target);
        table.push(bind(found.hostPath, target, true));
      }
    }
    return { table, secrets, locks };
  }

  async #cacheFolder(mount: RunMount & { readonly kind: "cache" }): Promise<string> {
    const folder = join(this.#folder, "mounts", Buffer.from(mount.id).toString("base64url").slice(0, 200));
    if (existsSync(folder)) return folder;
    await mkdir(join(this.#folder, "mounts"), { recursive: true });
    const script = 'mkdir -p "$1" && chmod "$2" "$1" && chown "$3" "$1"';
    const owner = `${mount.uid}:${mount.gid}`;
    const made = await this.#inside([
      this.#tools.sh,
      "-c",
      script,
      "-",
      folder,
      mount.mode.toString(8),
      owner,
    ]);
    if (made.exitCode !== 0) throw refused(`cannot make the cache ${mount.id}: ${made.stderr.trim()}`, "");
    return folder;
  }

  /** Folders of commands whose build is gone. Their namespaces and mounts went with it. */
  async #removeLeftovers(): Promise<void> {
    const runs = join(this.#folder, "run");
    for (const name of await readdir(runs).catch(() => [])) {
      const text = await readFile(join(runs, name, "owner.json"), "utf8").catch(() => undefined);
      if (text !== undefined && isProcessAlive(JSON.parse(text) as ProcessIdentity)) continue;
      await this.#remove(join(runs, name));
    }
  }

  /** An ordinary user cannot remove what belongs to subordinate ids; inside the namespaces that are its own. */
  async #remove(folder: string): Promise<void> {
    if (this.#ids.mode === "root") return rm(folder, { recursive: true, force: true });
    await this.#inside(["rm", "-rf", "--", folder], { isCleaning: true });
  }

  #inside(
    command: readonly string[],
    options: {
      readonly isOffline?: boolean;
      readonly input?: string;
      readonly onOutput?: (text: string) => void;
      /** Goes on after Ctrl-C. */
      readonly isCleaning?: true;
    } = {},
  ): ReturnType<typeof runInside> {
    const { isCleaning, ...rest } = options;
    return runInside(command, {
      ...rest,
      tools: this.#tools,
      ids: this.#ids,
      cwd: this.#folder,
      env: {
        PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
        MOUNT: this.#tools.mount,
        UNSHARE: this.#tools.unshare,
        SH: this.#tools.sh,
        TAR: this.#tar,
      },
      ...(isCleaning === true ? {} : { signal: this.#signal }),
    });
  }
}

/** The last lines of a stream that arrives in pieces. */
class LastLines {
  #text = "";

  add(text: string): void {
    this.#text = (this.#text + text).slice(-64 * 1024);
  }

  last(count: number): readonly string[] {
    return this.#text.trimEnd().split("\n").slice(-count);
  }
}

function environmentOf(env: readonly string[], home: string): readonly string[] {
  const has = (name: string): boolean => env.some((one) => one.startsWith(`${name}=`));
  return [...(has("PATH") ? [] : [`PATH=${DEFAULT_PATH}`]), ...(has("HOME") ? [] : [`HOME=${home}`]), ...env];
}

function asImage({ layers, diffIds }: Pick<RunRequest, "layers" | "diffIds">): ResolvedImage {
  const described = layers.map(({ digest, mediaType, size }, position) => ({
    digest,
    mediaType,
    size,
    diffId: diffIds[position] ?? "",
  }));
  return { id: "build", reference: "build", layers: described, config: {} };
}

const bind = (source: string, path: string, isReadOnly: boolean): TableMount => ({
  source,
  path,
  type: "none",
  options: isReadOnly ? "bind,ro" : "bind",
});

function refused(message: string, hint: string): SlipwayError {
  return new SlipwayError({
    code: "BUILD_SANDBOX_REFUSED",
    where: "build",
    message,
    ...(hint === "" ? {} : { hint }),
    exitCode: 3,
  });
}

function interrupted(): SlipwayError {
  return new SlipwayError({
    code: "BUILD_INTERRUPTED",
    where: "build",
    message: "stopped while a command ran",
    exitCode: 130,
  });
}
