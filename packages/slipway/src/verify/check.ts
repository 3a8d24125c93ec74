/**
 * A check as plain data: what it is about (target, resource), what it expects, where it stands in the spec file and how
 * long it may take to become true. Nothing in it does anything: `plan.ts` chooses where to look, `observe/` looks, and
 * `judge/` turns what was seen into one of three verdicts. `unknown` is not a pass: a check that could not see says so.
 */

import type { Pattern } from "./cluster/match.ts";
import type { WorkloadKind } from "./cluster/pods.ts";
import type { ReadyWhen } from "./readiness/forms.ts";
import type { TextMatch } from "./text-match.ts";

export type Verdict = "pass" | "fail" | "unknown";

export interface Judgement {
  readonly verdict: Verdict;
  /** What was seen instead, or why nothing could be seen. */
  readonly evidence: string;
  /** Of a text: the line nearest to what was expected, and where it stands. */
  readonly closest?: string;
  /** For unknown: what would make it decidable. */
  readonly remedy?: string;
  /**
   * Whether time does not mend it, so that nobody waits for its deadline. When it is not said, a failure may become a pass,
   * and what is unknown stays so.
   */
  readonly isFinal?: boolean;
}

export const pass = (evidence = ""): Judgement => ({ verdict: "pass", evidence });
export const fail = (evidence: string, closest?: string): Judgement => ({
  verdict: "fail",
  evidence,
  ...(closest === undefined ? {} : { closest }),
});
export const failForGood = (evidence: string, closest?: string): Judgement => ({
  ...fail(evidence, closest),
  isFinal: true,
});
export const unknown = (evidence: string, remedy?: string): Judgement => ({
  verdict: "unknown",
  evidence,
  ...(remedy === undefined ? {} : { remedy }),
});

/** What could not be seen at this moment, and may be at the next. */
export const unknownYet = (evidence: string, remedy?: string): Judgement => ({
  ...unknown(evidence, remedy),
  isFinal: false,
});

/** A part of a text: from the first line that `from` matches to the next that `to` matches, both included. */
export interface Section {
  readonly from: TextMatch | undefined;
  readonly to: TextMatch | undefined;
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A value inside a JSON or YAML document: equal to `value`, or a text that matches. */
export interface DocumentExpectation {
  /** `a.b[0].c`; empty for the whole document. */
  readonly path: string;
  readonly value: Json | undefined;
  readonly match: TextMatch | undefined;
}

/** How a container for an image is started when a check needs one; undefined: as the image says. */
export interface RunOptions {
  /** The image's own command is not started: commands run in a container that only waits. */
  readonly isIdle?: boolean;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly user?: string;
}

export type Target =
  | { readonly kind: "image"; readonly image: string; readonly run: RunOptions }
  /** A service of containers that run together. */
  | { readonly kind: "compose"; readonly compose: ComposePlace; readonly service: string }
  /** In a cluster: the containers of a workload, or (`service` undefined) the objects of the namespace. */
  | { readonly kind: "cluster"; readonly cluster: ClusterPlace; readonly service: string | undefined }
  /** A Service that a release has deployed. */
  | {
      readonly kind: "service";
      readonly service: string;
      readonly cluster: string | undefined;
      readonly port: number | string | undefined;
    };

/** The services of Compose files; checks of one place share what was started for them. */
export interface ComposePlace {
  /** Compose files, or one folder; absolute. */
  readonly paths: readonly string[];
  readonly profiles: readonly string[];
  /** How long the services may take to be ready. */
  readonly readyMs: number;
  /** Of services that are ready by what the spec file says, and not by their healthcheck or their ports. */
  readonly readyWhen?: ReadyWhen;
}

/** Where checks in a cluster run; checks of one place share what was made for them. */
export interface ClusterPlace {
  /** A context of the kubeconfig; undefined: an embedded cluster that is made for the run. */
  readonly context: string | undefined;
  /** Undefined: a namespace of its own with the project's manifests, removed at the end. Else only looked at. */
  readonly namespace: string | undefined;
  /** How long the workloads may take to be ready. */
  readonly readyMs: number;
  /** What must be so besides, once a pod is ready by its probes. */
  readonly readyWhen?: ReadyWhen;
}

export interface ObjectKind {
  readonly apiVersion: string;
  readonly kind: string;
}

export type FileKind = "file" | "directory" | "symlink" | "character" | "block" | "fifo" | "socket";
export type Stream = "stdout" | "stderr";

export interface CommandResource {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** `$NAME` in its values stands for the image's variable. */
  readonly isExpanded: boolean;
  readonly user: string | undefined;
  readonly workingDir: string | undefined;
  readonly stdin: string | undefined;
  /** Milliseconds after which it is killed. */
  readonly timeoutMs: number;
  /** What it should exit with; else what it does not say proves nothing. */
  readonly exitCode: number;
  /** A container of its own. */
  readonly isIsolated: boolean;
  /** Run by the image's ENTRYPOINT, as `docker run IMAGE ARGV…` does. */
  readonly hasEntrypoint: boolean;
  /** Run before and after it in the same container; a setup that fails makes the check unknown. */
  readonly setup: readonly (readonly string[])[];
  readonly teardown: readonly (readonly string[])[];
}

export interface HttpResource {
  /** Inside a container a URL (`http://127.0.0.1/be1/`); on a Service a path. */
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly isInsecure: boolean;
  /** The spec says which status it has; else what a body lacks is only believed of an answer below 400. */
  readonly isStatusStated: boolean;
}

/** What each kind of check is about and what can be expected of it. */
export interface Kinds {
  image: { readonly resource: Record<never, never>; readonly expectation: ImageExpectation };
  file: { readonly resource: { readonly path: string }; readonly expectation: FileExpectation };
  files: {
    readonly resource: { readonly glob: string; readonly except: readonly string[] };
    readonly expectation: FilesExpectation;
  };
  user: { readonly resource: { readonly name: string }; readonly expectation: UserExpectation };
  group: { readonly resource: { readonly name: string }; readonly expectation: GroupExpectation };
  package: {
    readonly resource: { readonly name: string; readonly manager: PackageManager | undefined };
    readonly expectation: PackageExpectation;
  };
  certificate: { readonly resource: { readonly path: string }; readonly expectation: CertificateExpectation };
  command: { readonly resource: CommandResource; readonly expectation: CommandExpectation };
  port: {
    /** Undefined: all of its listening sockets. */
    readonly resource: { readonly port: number | undefined; readonly protocol: "tcp" | "udp" };
    readonly expectation: PortExpectation;
  };
  process: {
    /** By the name of its program, or by its number (1: what the container was started with). */
    readonly resource: { readonly name: string | number };
    readonly expectation: ProcessExpectation;
  };
  http: { readonly resource: HttpResource; readonly expectation: HttpExpectation };
  log: { readonly resource: { readonly stream: Stream | undefined }; readonly expectation: LogExpectation };
  dns: { readonly resource: { readonly name: string }; readonly expectation: DnsExpectation };
  reach: {
    readonly resource: { readonly host: string; readonly port: number };
    readonly expectation: ReachExpectation;
  };
  container: { readonly resource: Record<never, never>; readonly expectation: ContainerExpectation };
  workload: {
    /** `kind` undefined: whichever workload has the name. */
    readonly resource: { readonly kind: WorkloadKind | undefined; readonly name: string };
    readonly expectation: WorkloadExpectation;
  };
  object: {
    readonly resource: ObjectKind & { readonly name: string };
    readonly expectation: ObjectExpectation;
  };
  objects: {
    /** `labelSelector` as kubectl's `-l`; empty for all of the kind. */
    readonly resource: ObjectKind & { readonly labelSelector: string };
    readonly expectation: ObjectsExpectation;
  };
}

export type PackageManager = "dpkg" | "apk" | "npm" | "rpm";
/** One object type for each matcher, so that `matcher` tells them apart. */
type Has<M extends string, Rest = unknown> = M extends string ? { readonly matcher: M } & Rest : never;

export type ImageExpectation =
  | Has<"user" | "workdir" | "stopSignal" | "arch" | "os" | "author", { readonly value: string }>
  | Has<"cmd" | "entrypoint" | "onbuild", { readonly words: readonly string[] }>
  | Has<"env" | "label", { readonly name: string; readonly match: TextMatch | undefined }>
  | Has<"envUnset" | "labelUnset", { readonly name: string }>
  | Has<"exposes" | "exposesNot", { readonly port: string }>
  | Has<"volume" | "volumeNot", { readonly path: string }>
  | Has<"maxSize" | "maxLayers", { readonly limit: number }>
  | Has<"healthcheck", { readonly test: readonly string[] | undefined }>
  | Has<"healthcheckNot" | "nonRoot" | "noSecretInEnvOrHistory" | "noSecretInFiles" | "digestPinned">
  | Has<"commandExists" | "noShell">
  | Has<"created", { readonly afterMs: number }>
  | Has<"history", { readonly match: TextMatch; readonly isWanted: boolean }>
  | Has<"base", { readonly name: string | undefined; readonly digest: string | undefined }>;

export type FileExpectation =
  | Has<"exists" | "absent" | "executable">
  | Has<"kind", { readonly kind: FileKind }>
  | Has<"mode", { readonly mode: number }>
  | Has<"ownedBy", { readonly user: string | undefined; readonly group: string | undefined }>
  | Has<"linkedTo", { readonly target: string; readonly isResolved: boolean }>
  | Has<"size" | "maxSize", { readonly bytes: number }>
  | Has<"sha256", { readonly hex: string }>
  | Has<"contains" | "lacks", { readonly match: TextMatch; readonly section: Section | undefined }>
  | Has<"json" | "yaml", { readonly document: DocumentExpectation }>
  | Has<"allows", { readonly right: "read" | "write" | "execute"; readonly user: string }>
  | Has<"setuid", { readonly isWanted: boolean }>
  /** As `getcap` writes them; "" for none. */
  | Has<"capabilities", { readonly text: string }>
  | Has<"newerThan", { readonly path: string | undefined; readonly seconds: number | undefined }>
  /** What container-structure-test's fileExistenceTests ask, of the entry itself: a link at the end is not followed. */
  | Has<
      "entry",
      {
        /** As Go writes a mode: `-rw-r--r--`, `drwxr-xr-x`, `Lrwxrwxrwx`. */
        readonly permissions: string | undefined;
        readonly uid: number | undefined;
        readonly gid: number | undefined;
        readonly executableBy: "owner" | "group" | "other" | "any" | undefined;
      }
    >;

export type FilesExpectation =
  | Has<"none" | "notWritableByOthers" | "noSetuid" | "noCapabilities">
  | Has<"count", { readonly count: number }>
  | Has<"every", { readonly mode: number | undefined; readonly owner: string | undefined }>;

export type UserExpectation =
  | Has<"exists" | "absent">
  | Has<"uid" | "gid", { readonly id: number }>
  | Has<"home" | "shell" | "primaryGroup", { readonly value: string }>
  | Has<"groups", { readonly names: readonly string[] }>
  | Has<"locked", { readonly isWanted: boolean }>;

export type GroupExpectation =
  | Has<"exists" | "absent">
  | Has<"gid", { readonly id: number }>
  | Has<"members", { readonly names: readonly string[] }>;

export type PackageExpectation = Has<"installed" | "absent"> | Has<"version", { readonly range: string }>;

export type CertificateExpectation =
  | Has<"validFor", { readonly days: number }>
  | Has<"subject" | "issuer", { readonly match: TextMatch }>
  | Has<"names", { readonly names: readonly string[] }>
  | Has<"matchesKey", { readonly keyPath: string }>
  | Has<"keyBits", { readonly atLeast: number }>;

export type CommandExpectation =
  | Has<"exits", { readonly code: number; readonly isImplied: boolean }>
  | Has<"text", { readonly stream: Stream; readonly match: TextMatch; readonly isWanted: boolean }>
  | Has<"json", { readonly document: DocumentExpectation }>
  | Has<"maxTime", { readonly ms: number }>;

export type PortExpectation =
  | Has<"listening", { readonly address: string | undefined }>
  | Has<"notListening">
  | Has<"only", { readonly ports: readonly string[] }>;

export type ProcessExpectation =
  | Has<"running" | "notRunning">
  | Has<"count", { readonly count: number }>
  | Has<"user", { readonly user: string }>
  | Has<"args", { readonly match: TextMatch }>;

export type HttpExpectation =
  | Has<"status", { readonly status: number }>
  | Has<"header", { readonly name: string; readonly match: TextMatch }>
  | Has<"body", { readonly match: TextMatch; readonly isWanted: boolean }>
  | Has<"json", { readonly document: DocumentExpectation }>
  | Has<"redirects", { readonly match: TextMatch }>
  | Has<"tls", { readonly days: number }>;

export type LogExpectation =
  | Has<"contains" | "lacks", { readonly match: TextMatch }>
  | Has<"count", { readonly match: TextMatch; readonly count: number }>;

export type DnsExpectation = Has<"resolves", { readonly address: string | undefined }> | Has<"resolvesNot">;
export type ReachExpectation = Has<"open" | "closed">;

export type ContainerExpectation =
  | Has<"running" | "healthy" | "notOomKilled">
  | Has<"exitCode", { readonly code: number }>
  | Has<"restarts", { readonly count: number }>
  | Has<"stopsWithin", { readonly ms: number }>;

export type WorkloadExpectation =
  | Has<"available">
  /** Undefined: of the images that were built. */
  | Has<"digest", { readonly digest: string | undefined }>
  /** None of its pods has been started again, and none is for so long. */
  | Has<"noRestarts", { readonly ms: number }>;

export type ObjectExpectation = Has<"exists" | "absent"> | Has<"matches", { readonly pattern: Pattern }>;

export type ObjectsExpectation =
  /** Undefined pattern: there are none at all. */
  | Has<"none", { readonly pattern: Pattern | undefined }>
  | Has<"some" | "every", { readonly pattern: Pattern }>
  | Has<"count", { readonly count: number }>;

export type Kind = keyof Kinds;

export type CheckOf<K extends Kind> = {
  readonly kind: K;
  readonly target: Target;
  readonly resource: Kinds[K]["resource"];
  readonly expectation: Kinds[K]["expectation"];
  /** `file /etc/passwd`; with `says` the name that people read. */
  readonly subject: string;
  /** `mode 0644` */
  readonly says: string;
  /** `spec/web.ts:14:3` */
  readonly place: string;
  /** Of a condition: how long it may take to become true, in milliseconds. 0: looked at once. */
  readonly deadlineMs: number;
};

export type Check = { [K in Kind]: CheckOf<K> }[Kind];

/** What is asked before something is said to be so. A negative one holds only by what was seen, and is judged last. */
export function isNegative(check: Check): boolean {
  switch (check.kind) {
    case "port":
      return check.expectation.matcher !== "listening";
    case "process":
      return check.expectation.matcher === "notRunning";
    case "log":
      return check.expectation.matcher !== "contains";
    case "dns":
      return check.expectation.matcher === "resolvesNot";
    case "reach":
      return check.expectation.matcher === "closed";
    case "container":
      return check.expectation.matcher === "restarts" || check.expectation.matcher === "notOomKilled";
    case "file":
      return check.expectation.matcher === "absent" || check.expectation.matcher === "lacks";
    case "files":
      return check.expectation.matcher !== "count";
    case "user":
    case "group":
    case "package":
      return check.expectation.matcher === "absent";
    case "workload":
      return check.expectation.matcher === "noRestarts";
    case "object":
      return check.expectation.matcher === "absent";
    case "objects":
      return check.expectation.matcher === "none";
    default:
      return false;
  }
}

/** Whether it would hold where nothing runs at all: then it must not be taken for true. */
export function holdsOfNothing(check: Check): boolean {
  if (check.kind === "port" && check.expectation.matcher === "only")
    return check.expectation.ports.length === 0;
  if (check.kind === "log" && check.expectation.matcher === "count") return check.expectation.count === 0;
  return isNegative(check);
}

export function targetName(target: Target): string {
  if (target.kind === "compose") return `compose › ${target.service}`;
  if (target.kind === "cluster") {
    const { cluster, service } = target;
    return `cluster${cluster.context === undefined ? "" : ` ${cluster.context}`}${service === undefined ? "" : ` › ${service}`}`;
  }
  return target.kind === "image" ? `image ${target.image}` : `service ${target.service}`;
}

export const nameOf = (check: Check): string =>
  `${targetName(check.target)} › ${check.subject} › ${check.says}`;
