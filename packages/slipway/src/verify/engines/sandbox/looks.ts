/**
 * Looking into a container of the sandbox from this machine: as root by reading /proc here, as an ordinary user through
 * the helper in the container's user namespace. What the sandbox cannot know as Docker would is `Unseen`.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { startTicksOf } from "@slipway/base";
import { findTool, type SandboxRuntime } from "@slipway/cluster/sandbox";
import type {
  ContainerFiles,
  ContainerProcess,
  InsideRequest,
  InsideResponse,
  ListeningSocket,
  ReachResult,
  Unseen,
} from "../engine.ts";
import { InsideHelper } from "../inside/helper.ts";
import { processesOf } from "../inside/processes.ts";
import { filesIn } from "../inside/root.ts";
import { socketsOf } from "../inside/sockets.ts";

const NO_WAY_OUT: Unseen = {
  unseen: "the sandbox has no way to anything outside of the project",
  remedy: "run the check with a Docker or Podman engine",
};
const ONE_UID: Unseen = {
  unseen: "with one uid for all containers, files do not have the owners that the image gives them",
  remedy:
    "install the package uidmap and give this account a range in /etc/subuid and /etc/subgid, or run as root",
};

export interface LooksOptions {
  readonly runtime: SandboxRuntime;
  readonly podUid: string;
  readonly container: string;
  /** Of the pods' addresses: `10.244.`. */
  readonly prefix: string;
}

export class Looks {
  readonly #options: LooksOptions;
  #helper: InsideHelper | undefined;

  constructor(options: LooksOptions) {
    this.#options = options;
  }

  async sockets(): Promise<readonly ListeningSocket[] | Unseen> {
    return this.#read(
      (pid) => socketsOf(pid),
      (helper) => helper.ask({ do: "sockets" }),
    );
  }

  async processes(): Promise<readonly ContainerProcess[] | Unseen> {
    return this.#read(
      (pid) => processesOf(pid),
      (helper) => helper.ask({ do: "processes" }),
    );
  }

  async files(): Promise<ContainerFiles | Unseen> {
    if (this.#options.runtime.idMode === "one-uid") return ONE_UID;
    return this.#read(
      (pid) => filesIn(`/proc/${pid}/root`),
      (helper): ContainerFiles => ({
        lookup: (path, options) =>
          helper.ask({ do: "lookup", path, isLinkKept: options?.isLinkKept === true }),
        read: async (path, limit) =>
          Buffer.from(await helper.ask({ do: "read", path, limit: limit ?? -1 }), "base64"),
        entries: async function* () {
          yield* await helper.ask({ do: "entries" });
        },
      }),
    );
  }

  async http(request: InsideRequest): Promise<InsideResponse | Unseen> {
    const host = new URL(request.url).hostname.replace(/^\[(.*)\]$/, "$1");
    const answer = await this.#inNetwork(host, (helper) => helper.ask({ do: "http", request }));
    return "error" in answer && this.#isOutside(host, answer.error) ? NO_WAY_OUT : answer;
  }

  async reach(host: string, port: number, timeoutMs: number): Promise<ReachResult | Unseen> {
    const answer = await this.#inNetwork(host, (helper) =>
      helper.ask({ do: "reach", host, port, timeoutMs }),
    );
    return "error" in answer && this.#isOutside(host, answer.error) ? NO_WAY_OUT : answer;
  }

  async resolve(name: string, timeoutMs: number): Promise<readonly string[] | Unseen> {
    const found = await this.#inNetwork("", (helper) => helper.ask({ do: "resolve", name, timeoutMs }));
    return "unseen" in found || found.length > 0 || !name.includes(".") ? found : NO_WAY_OUT;
  }

  close(): void {
    this.#helper?.close();
    this.#helper = undefined;
  }

  /** An address that is not the project's, or a name with a dot that nobody here knows. */
  #isOutside(host: string, error: string): boolean {
    if (error === "ENETUNREACH") return true;
    return error === "ENOTFOUND" && host.includes(".");
  }

  async #inNetwork<T>(host: string, ask: (helper: InsideHelper) => Promise<T>): Promise<T | Unseen> {
    const isOwn =
      host === "::1" || ["127.", "0.", this.#options.prefix].some((prefix) => host.startsWith(prefix));
    if (isIP(host) !== 0 && !isOwn) return NO_WAY_OUT;
    const helper = this.#helperNow();
    if ("unseen" in helper) return helper;
    try {
      const answer = await ask(helper);
      // What was asked of one that ended meanwhile says nothing: its names were gone.
      return this.#pid() === helper.pid ? answer : notRunning();
    } catch (error) {
      if (this.#pid() !== helper.pid) return notRunning();
      return { unseen: `nobody could say: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  async #read<T extends object>(
    direct: (pid: number) => T,
    byHelper: (helper: InsideHelper) => T | Promise<T>,
  ): Promise<T | Unseen> {
    const { runtime } = this.#options;
    const pid = this.#pid();
    if (pid === undefined) return notRunning();
    try {
      if (runtime.idMode === "root") return direct(pid);
      const helper = this.#helperNow();
      return "unseen" in helper ? helper : await byHelper(helper);
    } catch (error) {
      // The kernel knows it sooner than we are told.
      if (this.#pid() === undefined || startTicksOf(pid) === undefined) return notRunning();
      return { unseen: `cannot look inside: ${error instanceof Error ? error.message : String(error)}` };
    }
  }

  #pid(): number | undefined {
    return this.#options.runtime.pidOf(this.#options.podUid, this.#options.container);
  }

  /** One for each life of the container: its first process is where the helper finds the namespaces and the files. */
  #helperNow(): InsideHelper | Unseen {
    const pid = this.#pid();
    if (pid === undefined) return notRunning();
    if (this.#helper?.pid !== pid) {
      this.#helper?.close();
      const nsenter = findTool("nsenter") as string; // the sandbox has not started without it
      const hasUserNamespace = this.#options.runtime.idMode !== "root";
      // With one uid, a first process that is not root has a user namespace of its own, below that of the network.
      const entry = hasUserNamespace ? parentOf(pid) : undefined;
      this.#helper = new InsideHelper({ nsenter, pid, hasUserNamespace, entry });
    }
    return this.#helper;
  }
}

/** Undefined when it is gone. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) || undefined;
  } catch {
    return undefined;
  }
}

function notRunning(): Unseen {
  return { unseen: "the container does not run", isOver: true };
}
