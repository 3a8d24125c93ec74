/**
 * The port to whatever runs pods: `sandbox` (Linux namespaces), `simulated` (nothing runs), later `docker`.
 * The kubelet (`kubelet/`) decides what should run and when; a runtime only does it. One cluster has one runtime.
 * `cases.ts` is the suite that every runtime passes.
 */
import type { Duplex, Readable } from "node:stream";

/** Everything a runtime must know to give a pod its network and its own files; no Kubernetes object leaks in. */
export interface PodSandboxSpec {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
  readonly hostAliases: readonly { readonly ip: string; readonly hostnames: readonly string[] }[];
  /**
   * `cluster`: Kubernetes' names. `project`: those of Docker's networks, asked for as they are at 127.0.0.11; the
   * services of the pod's namespace are all there is. Default `cluster`.
   */
  readonly names?: "cluster" | "project";
}

export interface ContainerSpec {
  readonly podUid: string;
  readonly name: string;
  /** How often this container was started before; part of the log file's name and of the id. */
  readonly attempt: number;
  /** As the pod names it; the runtime resolves it through its `ImageSource`. */
  readonly image: string;
  readonly imagePullPolicy: "Always" | "IfNotPresent" | "Never";
  /** Overrides of the image's ENTRYPOINT and CMD, Kubernetes' meaning: command replaces both, args replaces CMD. */
  readonly command: readonly string[] | undefined;
  readonly args: readonly string[] | undefined;
  readonly workingDir: string | undefined;
  /** Complete, in order; the image's own ENV comes first and may be overridden. */
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly user: number | undefined;
  readonly group: number | undefined;
  readonly runAsNonRoot: boolean;
  readonly readOnlyRootFilesystem: boolean;
  readonly mounts: readonly ContainerMount[];
  readonly terminationMessagePath: string;
  /** A further attempt sees the files that the one before left, as a restarted container of Docker's; default: the image's. */
  readonly keepsFiles?: boolean;
}

/** Files to show inside the container. Volumes live as long as the pod; `files` are written anew when they change. */
export type ContainerMount =
  | {
      readonly kind: "empty";
      readonly volume: string;
      readonly path: string;
      readonly readOnly: boolean;
      readonly subPath?: string;
      /** Of the folder itself; default 0o777, kubelet's. */
      readonly mode?: number;
    }
  /**
   * A folder of all pods of the runtime, gone with it. It begins with what the image has at the path of the container
   * that first uses it, as a named volume of Docker's does.
   */
  | {
      readonly kind: "shared";
      readonly volume: string;
      readonly path: string;
      readonly readOnly: boolean;
      readonly subPath?: undefined;
    }
  | {
      readonly kind: "files";
      readonly volume: string;
      readonly path: string;
      readonly readOnly: true;
      readonly files: readonly {
        readonly path: string;
        readonly content: Uint8Array;
        readonly mode: number;
      }[];
      readonly subPath?: string;
    }
  | {
      readonly kind: "host";
      readonly volume: string;
      readonly hostPath: string;
      readonly path: string;
      readonly readOnly: boolean;
      readonly subPath?: string;
    };

export interface StartedContainer {
  /** `sandbox://<hex>`; what containerID shows. */
  readonly id: string;
  readonly startedAtMs: number;
  /** `repository@sha256:…` of what really runs. */
  readonly imageId: string;
}

export interface ContainerExit {
  readonly podUid: string;
  readonly name: string;
  readonly id: string;
  readonly exitCode: number;
  readonly signal: number | undefined;
  readonly reason: "Completed" | "Error" | "OOMKilled" | "ContainerCannotRun" | "StartError";
  /** What the container wrote to its termination message path, at most 4096 bytes. */
  readonly message: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

/** What the processes of a running container have used. */
export interface ContainerUse {
  readonly podUid: string;
  readonly name: string;
  /** Tells attempts apart. */
  readonly id: string;
  readonly startedAtMs: number;
  /** Since its start; never falls. */
  readonly cpuSeconds: number;
  /** At the moment. */
  readonly memoryBytes: number;
}

/**
 * Why a container could not be started; `reason` is what the kubelet shows as waiting.reason, in its own words:
 * ErrImagePull, ErrImageNeverPull, InvalidImageName, CreateContainerConfigError, CreateContainerError, RunContainerError.
 */
export class ContainerStartError extends Error {
  override readonly name = "ContainerStartError";
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface RuntimeLogOptions {
  readonly follow: boolean;
  readonly tailLines: number | undefined;
  readonly sinceMs: number | undefined;
  readonly timestamps: boolean;
  readonly limitBytes: number | undefined;
  /** Undefined: both, in the order in which they were written. */
  readonly stream?: "stdout" | "stderr";
  readonly signal: AbortSignal;
}

export interface PodRuntime {
  /** Shown by `slipway local status` and in Node.status.nodeInfo.containerRuntimeVersion. */
  readonly name: string;
  /** Creates the pod's network namespace (or what stands for it) and returns its IP. Idempotent by uid. */
  startPod(spec: PodSandboxSpec): Promise<{ readonly podIP: string }>;
  /** Kills what still runs, removes network, volumes and root filesystems; logs stay until `forgetPod`. Idempotent. */
  stopPod(podUid: string): Promise<void>;
  forgetPod(podUid: string): Promise<void>;
  /** Pulls if need be, then starts. Rejects with ContainerStartError. */
  startContainer(spec: ContainerSpec): Promise<StartedContainer>;
  /**
   * Writes the files of `files` mounts anew in a running pod, each replaced as a whole, and removes those no longer
   * listed. Mounts of other kinds, and volumes that no container has been started with yet, are passed over.
   */
  writeFiles(podUid: string, mounts: readonly ContainerMount[]): Promise<void>;
  /** Sends the signal to the container's first process; exits are reported through `onExit`. */
  signal(
    podUid: string,
    containerName: string,
    signal: "SIGTERM" | "SIGKILL" | "SIGQUIT" | "SIGINT" | "SIGHUP",
  ): Promise<void>;
  /** The image's STOPSIGNAL, for graceful termination; SIGTERM unless the image says otherwise. */
  stopSignal(podUid: string, containerName: string): "SIGTERM" | "SIGQUIT" | "SIGINT" | "SIGHUP" | "SIGKILL";
  /** Runs a command in the container's namespaces as the container's user. `timeoutMs` kills it and rejects. */
  exec(
    podUid: string,
    containerName: string,
    command: readonly string[],
    options: {
      readonly stdin?: Readable;
      readonly stdout?: (chunk: Uint8Array) => void;
      readonly stderr?: (chunk: Uint8Array) => void;
      readonly timeoutMs?: number;
      readonly signal?: AbortSignal;
    },
  ): Promise<{ readonly exitCode: number }>;
  /** A connected TCP stream to a port of the pod (not through a Service). Rejects with ECONNREFUSED and its like. */
  dial(podIP: string, port: number, options?: { readonly timeoutMs?: number }): Promise<Duplex>;
  /** The log of one attempt, raw lines. `attempt` undefined: the newest. Rejects when there is none. */
  logs(
    podUid: string,
    containerName: string,
    attempt: number | undefined,
    options: RuntimeLogOptions,
  ): AsyncIterable<Uint8Array>;
  /** Of every running container, measured now. Empty where nothing runs or the runtime is lost. */
  usage(): Promise<readonly ContainerUse[]>;
  onExit(listener: (exit: ContainerExit) => void): void;
  /** Called when the whole runtime is lost (agent killed): every pod is gone, the node is NotReady. */
  onLost(listener: (reason: string) => void): void;
  /** Warnings about pods that the runtime wants to be seen as events (second uid needed, egress refused, …). */
  onEvent(
    listener: (event: {
      readonly podUid: string;
      readonly type: "Normal" | "Warning";
      readonly reason: string;
      readonly message: string;
    }) => void,
  ): void;
  /** Services and their endpoints and names, whenever they change: ClusterIPs and DNS follow this. */
  setServices(services: readonly ServiceRoute[]): Promise<void>;
  close(): Promise<void>;
}

/** What the pod network must serve for one Service. Ready endpoints only. */
export interface ServiceRoute {
  readonly namespace: string;
  readonly name: string;
  /** "None" for headless services. */
  readonly clusterIP: string;
  readonly ports: readonly {
    readonly name: string | undefined;
    readonly port: number;
    readonly protocol: "TCP" | "UDP";
    readonly endpoints: readonly { readonly ip: string; readonly port: number }[];
  }[];
  /** `local.egress`: connections go out through the world instead of to pods. */
  readonly egress?: { readonly host: string; readonly port: number };
  /** Pod names for headless DNS, by IP. */
  readonly hostnames?: readonly { readonly ip: string; readonly hostname: string }[];
}

/** Where a runtime gets images from: the embedded registry, usually. Declared here, provided from above. */
export interface ImageSource {
  /** The manifest digest and parts of an image reference. Rejects with ContainerStartError("ErrImagePull", …). */
  resolve(reference: string): Promise<ResolvedImage>;
  /** Opens one layer as stored (maybe gzip or zstd compressed). */
  openLayer(image: ResolvedImage, layerDigest: string): Promise<Readable>;
}

export interface ResolvedImage {
  /** `repository@sha256:…` */
  readonly id: string;
  readonly reference: string;
  readonly layers: readonly {
    readonly digest: string;
    readonly mediaType: string;
    readonly size: number;
    readonly diffId: string;
  }[];
  readonly config: ImageConfig;
}

/** The `config` of an OCI image configuration. */
export interface ImageConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly ExposedPorts?: Readonly<Record<string, unknown>>;
  readonly Volumes?: Readonly<Record<string, unknown>>;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
}
