/**
 * What the world and the node agent say to each other over Node's IPC channel (advanced serialization, so that
 * bytes stay bytes). The world asks and the agent answers by `id`; notes go one way. A message may carry one
 * socket: a connected one in the answer to `dial`, and in the world's answer to an `egress` note; one for UDP in the
 * answer to `datagrams`.
 */
import type { ContainerExit, ContainerMount, ContainerUse, ServiceRoute } from "../runtime.ts";
import type { Kernel } from "./kernel.ts";

/** Host programs by name, as absolute paths: nothing is looked up in a container's PATH. */
export type Tools = Readonly<Record<ToolName, string>>;
export type ToolName =
  | "unshare"
  | "nsenter"
  | "mount"
  | "umount"
  | "setpriv"
  | "ip"
  | "sh"
  | "env"
  | "mkfifo";

/** Whose ids pods can use: everybody's, a range of subordinate ids, or one uid shown under any number. */
export type IdMode = "root" | "subordinate" | "one-uid";

export interface AgentConfig {
  readonly name: string;
  /** Logs live here, on disk; all else of a pod is in a tmpfs that vanishes with the agent. */
  readonly directory: string;
  readonly layersDirectory: string;
  readonly podCIDR: string;
  readonly idMode: IdMode;
  readonly tools: Tools;
  /** What the kernel runs besides its own programs; read outside, where it is mounted. */
  readonly kernel: Kernel;
}

export interface StartContainer {
  readonly id: string;
  readonly podUid: string;
  readonly name: string;
  readonly attempt: number;
  /** Folders under the layers directory, the topmost first. */
  readonly layers: readonly string[];
  readonly argv: readonly string[];
  readonly env: readonly (readonly [string, string])[];
  readonly workingDir: string;
  /** `USER` of the image: "", "1000", "node", "1000:33", "node:www-data". */
  readonly imageUser: string;
  readonly user: number | undefined;
  readonly group: number | undefined;
  readonly runAsNonRoot: boolean;
  readonly readOnlyRootFilesystem: boolean;
  readonly mounts: readonly ContainerMount[];
  readonly terminationMessagePath: string;
  readonly keepsFiles: boolean;
}

/** What a command differs in from the container that it is run in. */
export interface ExecAs {
  /** As `USER` of an image has it. */
  readonly user?: string;
  readonly workingDir?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export type Request =
  | { readonly do: "init"; readonly config: AgentConfig }
  | {
      readonly do: "start-pod";
      readonly uid: string;
      readonly namespace: string;
      readonly name: string;
      readonly hostname: string;
      readonly hostAliases: readonly { readonly ip: string; readonly hostnames: readonly string[] }[];
      readonly names: "cluster" | "project";
    }
  | { readonly do: "stop-pod"; readonly uid: string }
  | { readonly do: "part-pod"; readonly uid: string; readonly from: readonly string[] }
  | { readonly do: "start-container"; readonly container: StartContainer }
  | { readonly do: "write-files"; readonly podUid: string; readonly mounts: readonly ContainerMount[] }
  | { readonly do: "signal"; readonly podUid: string; readonly name: string; readonly signal: NodeJS.Signals }
  | { readonly do: "dial"; readonly ip: string; readonly port: number; readonly timeoutMs: number }
  | { readonly do: "datagrams" }
  | {
      readonly do: "exec";
      readonly exec: number;
      readonly podUid: string;
      readonly name: string;
      readonly command: readonly string[];
      readonly stdin: boolean;
      readonly as: ExecAs;
    }
  | { readonly do: "exec-stdin"; readonly exec: number; readonly data: Uint8Array | undefined }
  | { readonly do: "exec-kill"; readonly exec: number }
  | { readonly do: "usage" }
  | { readonly do: "services"; readonly services: readonly ServiceRoute[] }
  | {
      readonly do: "unpack";
      readonly archive: string;
      readonly mediaType: string;
      readonly diffId: string;
      readonly name: string;
    }
  | {
      readonly do: "flatten";
      readonly lowers: readonly string[];
      readonly layer: string;
      readonly name: string;
    };

export interface Answers {
  init: { readonly rootfs: "overlay" | "copy" };
  "start-pod": { readonly podIP: string };
  "stop-pod": undefined;
  "part-pod": undefined;
  "start-container": {
    readonly startedAtMs: number;
    /** Of its first process, in the agent's pid namespace. */
    readonly pid: number;
  };
  "write-files": undefined;
  signal: undefined;
  dial: undefined;
  datagrams: undefined;
  exec: { readonly exitCode: number };
  "exec-stdin": undefined;
  "exec-kill": undefined;
  usage: readonly ContainerUse[];
  services: undefined;
  unpack: undefined;
  flatten: undefined;
}

export interface WireError {
  readonly message: string;
  readonly code?: string | undefined;
  /** Set when it was a ContainerStartError. */
  readonly reason?: string | undefined;
}

export type ToAgent =
  | { readonly id: number; readonly request: Request }
  | { readonly egress: number; readonly error?: string };

export type FromAgent =
  | { readonly re: number; readonly value?: unknown; readonly error?: WireError }
  | { readonly note: "exit"; readonly exit: ContainerExit }
  | {
      readonly note: "event";
      readonly podUid: string;
      readonly type: "Normal" | "Warning";
      readonly reason: string;
      readonly message: string;
    }
  | {
      readonly note: "exec-output";
      readonly exec: number;
      readonly stream: "stdout" | "stderr";
      readonly data: Uint8Array;
    }
  | { readonly note: "egress"; readonly ask: number; readonly host: string; readonly port: number }
  | { readonly note: "fatal"; readonly message: string };
