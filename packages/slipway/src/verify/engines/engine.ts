/**
 * The port to whatever runs the containers that are checked: the sandbox (namespaces of this machine, no engine), or a
 * Docker or Podman engine. What an engine cannot show it says so (`Unseen`), and the check becomes `unknown`: an engine
 * never guesses. `cases.ts` is the suite that every engine passes.
 */
import type { BuiltImage } from "../../images/image.ts";

export type EngineName = "docker" | "podman" | "sandbox";

/** Several containers that run together in networks of their own, as a Compose file means it; one for a single image. */
export interface ProjectSpec {
  /** A DNS label; names of containers and networks in an engine begin with it. */
  readonly name: string;
  readonly services: readonly ServiceSpec[];
  /** One container that nobody of the project talks to: an engine may put it where it puts those of nobody's network. */
  readonly isAlone?: boolean;
}

export interface ServiceSpec {
  readonly name: string;
  readonly image: BuiltImage;
  /** Undefined: the image's own. As in Compose, a given `entrypoint` also drops the image's CMD. */
  readonly entrypoint: readonly string[] | undefined;
  readonly command: readonly string[] | undefined;
  readonly environment: Readonly<Record<string, string>>;
  /** `uid`, `uid:gid`, or names of the image's accounts. */
  readonly user: string | undefined;
  readonly workingDir: string | undefined;
  readonly hostname: string | undefined;
  /** Networks by name, each with further names that others of that network may call it by. Never empty. */
  readonly networks: readonly { readonly name: string; readonly aliases: readonly string[] }[];
  readonly extraHosts: readonly { readonly name: string; readonly ip: string }[];
  readonly mounts: readonly ServiceMount[];
  /** Ports that it says it listens on: the image's EXPOSE, `expose`, and the target of `ports`. */
  readonly exposed: readonly ExposedPort[];
  /** Ports of this machine's loopback that lead to it; only `slipway compose up` asks for them. */
  readonly published: readonly PublishedPort[];
  /** Undefined: the image's HEALTHCHECK; "none": not even that. */
  readonly healthcheck: HealthcheckSpec | "none" | undefined;
  readonly dependsOn: readonly {
    readonly service: string;
    readonly condition: "started" | "healthy" | "completed";
    /** False: a service that is not part of the project is left out. */
    readonly isRequired: boolean;
  }[];
  readonly stopSignal: string | undefined;
  /** How long a stop waits before SIGKILL. Compose's default is 10000. */
  readonly stopGraceMs: number;
  readonly isReadOnly: boolean;
  readonly restart: "no" | "always" | "on-failure" | "unless-stopped";
  /** A small PID 1 that passes signals on and reaps. */
  readonly hasInit: boolean;
}

export interface ExposedPort {
  readonly port: number;
  readonly protocol: "tcp" | "udp";
}

export interface PublishedPort extends ExposedPort {
  /** 0: any free port. */
  readonly hostPort: number;
  readonly hostIp: string;
}

export type ServiceMount =
  | { readonly kind: "bind"; readonly source: string; readonly path: string; readonly isReadOnly: boolean }
  | { readonly kind: "volume"; readonly volume: string; readonly path: string; readonly isReadOnly: boolean }
  | { readonly kind: "tmpfs"; readonly path: string };

/** As in the OCI image configuration, in milliseconds. */
export interface HealthcheckSpec {
  /** An argument vector; shell form is `["/bin/sh", "-c", text]`. */
  readonly test: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly retries: number;
}

export interface Engine {
  readonly name: EngineName;
  /** For people: `Docker 20.10.24`, `the sandbox of this machine (overlay, root)`. */
  readonly description: string;
  /**
   * Makes the networks and every container, and starts none. What was made is removed again when that fails.
   * Rejects with ENGINE_… (exit 3) when it is the engine that fails, never for what a container does.
   */
  createProject(spec: ProjectSpec): Promise<Project>;
  /** Removes what earlier runs left behind: their owner is gone. Returns how much that was. */
  sweep(): Promise<{ readonly containers: number; readonly networks: number; readonly folders: number }>;
  close(): Promise<void>;
}

export interface Project {
  readonly spec: ProjectSpec;
  /** Throws for a service that is not part of the project. */
  container(service: string): Container;
  /** Removes everything by force, also half-made things. Idempotent. */
  remove(): Promise<void>;
}

/** A thing that could not be seen: why, and what would make it visible. */
export interface Unseen {
  readonly unseen: string;
  readonly remedy?: string;
  /** It has ended, whatever its state says yet: that is told in a moment. */
  readonly isOver?: true;
}

export const isUnseen = (value: object): value is Unseen => "unseen" in value;

export interface Container {
  readonly service: ServiceSpec;
  /** Resolves when its first process runs. Rejects with CONTAINER_NOT_STARTED and the engine's reason. */
  start(): Promise<void>;
  state(): Promise<ContainerState>;
  /** Resolves when it has exited, at once if it has. */
  exited(signal: AbortSignal): Promise<ContainerState>;
  /** Sends the service's stop signal, waits, kills. Tells how long the first process took and whether it was killed. */
  stop(graceMs: number): Promise<{ readonly tookMs: number; readonly wasKilled: boolean }>;
  /**
   * Everything it wrote since its last start, at most 1 MB of each stream (the end is kept). While it runs, a line that is not
   * finished is left out.
   */
  logs(): Promise<ContainerLogs>;
  /** A command in it, as its user unless told. A program that is not there exits with 127, as a shell has it. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** Its file system as it is now, by reading and never by running a program in it. */
  files(): Promise<ContainerFiles | Unseen>;
  processes(): Promise<readonly ContainerProcess[] | Unseen>;
  sockets(): Promise<readonly ListeningSocket[] | Unseen>;
  /** One request from inside its network namespace; no program of the image takes part. */
  http(request: InsideRequest): Promise<InsideResponse | Unseen>;
  /** Whether a TCP connection from inside its network namespace is accepted. */
  reach(host: string, port: number, timeoutMs: number): Promise<ReachResult | Unseen>;
  /** The addresses of a name, by its /etc/hosts and then its resolv.conf. An empty list: there is no such name. */
  resolve(name: string, timeoutMs: number): Promise<readonly string[] | Unseen>;
  /** Where its published ports are now: `hostPort` is what the system chose when any was asked for. Empty before the start. */
  published(): Promise<readonly PublishedPort[]>;
  /** How many commands were executed in it so far, by `exec` or for reading, not for its healthcheck; asserted by tests. */
  readonly execs: number;
}

export interface ContainerState {
  readonly status: "created" | "running" | "exited";
  readonly exitCode: number | undefined;
  /** The number of the signal that ended it. */
  readonly signal: number | undefined;
  readonly isOomKilled: boolean;
  readonly restarts: number;
  readonly startedAtMs: number | undefined;
  readonly finishedAtMs: number | undefined;
  /** Undefined: it has no healthcheck. */
  readonly health: "starting" | "healthy" | "unhealthy" | undefined;
  /** What the last run of the healthcheck wrote. */
  readonly healthOutput: string | undefined;
}

export interface ContainerLogs {
  readonly stdout: string;
  readonly stderr: string;
  /** Where the two cannot be told apart (a cluster keeps one log): `stdout` has both. */
  readonly isMerged?: boolean;
}

export interface ExecOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workingDir?: string;
  readonly stdin?: string;
  /** Default 30000. A command that takes longer is killed: `hasTimedOut`. */
  readonly timeoutMs?: number;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly tookMs: number;
  readonly hasTimedOut: boolean;
}

export interface ContainerProcess {
  /** Inside the container; 1 is the first. */
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  /** Its name as the kernel has it, cut at 15 characters. */
  readonly comm: string;
  readonly argv: readonly string[];
  /** The name of the file that it runs, which a process cannot change. Undefined where it may not be read. */
  readonly program: string | undefined;
}

export interface ListeningSocket {
  readonly protocol: "tcp" | "udp";
  /** `0.0.0.0`, `::`, `127.0.0.1`; as written by the kernel, not by a tool. */
  readonly address: string;
  readonly port: number;
}

export interface InsideRequest {
  /** `http://127.0.0.1/be1/`; names are resolved inside. */
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly timeoutMs: number;
  /** Certificates are not checked, as `curl -k`. */
  readonly isInsecure: boolean;
}

export type InsideResponse =
  | {
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
      /** PEM of the server's own certificate, for https. */
      readonly certificate: string | undefined;
      readonly tookMs: number;
    }
  /** `ECONNREFUSED`, `ENOTFOUND`, `ETIMEDOUT`, … and a sentence. */
  | {
      readonly error: string;
      readonly message: string;
      /** Nobody could say what the name means: `error` is of the name server, or of waiting for it. */
      readonly isUnresolved?: true;
      readonly tookMs: number;
    };

export type ReachResult =
  | { readonly isOpen: true; readonly tookMs: number }
  | {
      readonly isOpen: false;
      readonly error: string;
      /** The name has no address, or nobody could say: then `error` is of the name server. */
      readonly isUnresolved?: true;
      readonly tookMs: number;
    };

/** The part of an image's or a container's file system that checks need; `ImageFiles` is one too. */
export interface ContainerFiles {
  lookup(path: string, options?: { readonly isLinkKept?: boolean }): Promise<FoundFile>;
  /** Every path, sorted bytewise, without /proc, /sys and /dev; links not followed. */
  entries(): AsyncIterable<{ readonly path: string; readonly file: FileFacts }>;
  read(path: string, limit?: number): Promise<Uint8Array>;
}

export type FoundFile =
  | { readonly kind: "found"; readonly path: string; readonly file: FileFacts }
  | { readonly kind: "absent"; readonly why: string }
  | { readonly kind: "unknown"; readonly why: string };

export interface FileFacts {
  readonly kind: "file" | "directory" | "symlink" | "character" | "block" | "fifo" | "socket";
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** A symbolic link's target as written. */
  readonly link: string;
  /**
   * What it gives to whoever runs it, as `getcap` writes it; "" without. Undefined where nobody can see it: Node reads no
   * extended attributes, so only an image's layers say it.
   */
  readonly capabilities?: string;
}
