/** The words of a spec file: what `t` is in `describeImage`, `describeCompose` and `stack`, and in `describeService`. */
import type { Check, ClusterPlace, RunOptions, Target } from "../check.ts";
import { specError } from "../collect.ts";
import {
  CertificateExpectations,
  GroupExpectations,
  PackageExpectations,
  type PackageOptions,
  UserExpectations,
} from "./accounts.ts";
import { ObjectExpectations, ObjectsExpectations, WorkloadExpectations } from "./cluster.ts";
import { type Context, inBlock, noticed, options as optionsOf, parseTime, wordList } from "./expect.ts";
import { FileExpectations, FilesExpectations } from "./files.ts";
import { account, textMap } from "./given.ts";
import { ImageExpectations } from "./image.ts";
import {
  CommandExpectations,
  type CommandOptions,
  ContainerExpectations,
  DnsExpectations,
  HttpExpectations,
  type LogExpectations,
  methodOf,
  PortExpectations,
  PortsExpectations,
  ProcessExpectations,
  REQUEST_OPTIONS,
  ReachExpectations,
  type RequestOptions,
  WholeLogExpectations,
} from "./running.ts";

/** How long a condition (a port, a process, an answer, a line of a log) may take to become true. */
export const DEFAULT_DEADLINE_MS = 10_000;
/** The same in a cluster, where pods are scheduled, pulled and replaced by controllers that back off. */
export const CLUSTER_DEADLINE_MS = 60_000;

/** One container: of an image, or a service among others. */
export interface ContainerTarget {
  file(path: string): FileExpectations;
  /** A glob from the root, in which `**` crosses folders. Up to it, folders are entered through links too. */
  files(glob: string): FilesExpectations;
  user(name: string): UserExpectations;
  group(name: string): GroupExpectations;
  package(name: string, options?: PackageOptions): PackageExpectations;
  certificate(path: string): CertificateExpectations;
  /** A list is run without a shell; a string by the container's `/bin/sh -c`. Exit 0 is expected unless said otherwise. */
  command(command: string | readonly string[], options?: CommandOptions): CommandExpectations;
  port(port: number, protocol?: "tcp" | "udp"): PortExpectations;
  readonly ports: PortsExpectations;
  /** By name, or `1` for what the container was started with. */
  process(name: string | number): ProcessExpectations;
  /** A request from inside the container's network: nothing is needed in the image. */
  http(url: string, options?: RequestOptions): HttpExpectations;
  readonly log: LogExpectations & { readonly stdout: LogExpectations; readonly stderr: LogExpectations };
  dns(name: string): DnsExpectations;
  reach(host: string, port: number): ReachExpectations;
  readonly container: ContainerExpectations;
  /** The same with another deadline for conditions: `t.within("30s").port(80).listening()`. */
  within(deadline: string | number): this;
  /** Looked at once, without waiting for anything to become true. */
  once(): this;
}

export interface ImageTarget extends ContainerTarget {
  readonly image: ImageExpectations;
  /**
   * The usual security checks together: not root, no secret in env, history or files, no file with setuid, setgid or
   * capabilities but those allowed, the base pinned by digest, no shell.
   */
  secure(options?: SecureOptions): void;
}

export interface SecureOptions {
  /** Globs of files that may have setuid, setgid or capabilities. */
  readonly setuid?: readonly string[];
  /** The image may have a shell. Default false. */
  readonly shell?: boolean;
  /** The base need not be recorded by digest: true for images on a base of this machine or on scratch. Default false. */
  readonly unpinned?: boolean;
}

/** Containers that run together: of a Compose file, or of a release in a cluster. */
export interface StackTarget {
  in(service: string): ContainerTarget;
}

/** The workloads and objects of a namespace; `in` names a workload. */
export interface ClusterTarget extends StackTarget {
  /** `deployment/front`, or a name alone. */
  workload(reference: string): WorkloadExpectations;
  /** `v1/Service`, `apps/v1/Deployment`. */
  object(type: string, name: string): ObjectExpectations;
  /** By labels, or a selector as kubectl's `-l`. */
  objects(type: string, labels?: Readonly<Record<string, string>> | string): ObjectsExpectations;
  /** The same with another deadline for conditions. */
  within(deadline: string | number): ClusterTarget;
}

export interface ServiceTarget {
  http(path: string, options?: HttpOptions): HttpExpectations;
}

export interface HttpOptions extends Omit<RequestOptions, "insecure"> {
  /** How long the request is repeated until all its expectations hold. Default 10000; 0 asks once. */
  readonly deadlineMs?: number;
}

export interface ServiceOptions {
  /** Name in the config; every cluster's own check needs its own name. Default: the first cluster. */
  readonly cluster?: string;
  /** Number or name of the Service's port. Default: its first. */
  readonly port?: number | string;
}

export interface ImageOptions {
  /** How its container is started when a check needs one. Default: as the image says. */
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
}

export const containerTarget = (context: Context): ContainerTarget =>
  noticed(containerWords(context), context.place);

function containerWords(context: Context): ContainerTarget {
  return {
    file: (path) => new FileExpectations(context, path),
    files: (glob) => new FilesExpectations(context, glob),
    user: (name) => new UserExpectations(context, name),
    group: (name) => new GroupExpectations(context, name),
    package: (name, options = {}) => new PackageExpectations(context, name, options),
    certificate: (path) => new CertificateExpectations(context, path),
    command: (command, options = {}) => new CommandExpectations(context, command, options),
    port: (port, protocol = "tcp") => new PortExpectations(context, port, protocol),
    get ports() {
      return new PortsExpectations(context);
    },
    process: (name) => new ProcessExpectations(context, name),
    http(url, options = {}) {
      if (!URL.canParse(url) || !/^https?:/.test(url)) {
        throw specError(`"${url}" is not a URL`, "Inside a container, write http://127.0.0.1:8080/path.");
      }
      optionsOf("http", options, REQUEST_OPTIONS);
      return new HttpExpectations(context, url, options, `${methodOf(options.method)} ${url}`);
    },
    get log() {
      return new WholeLogExpectations(context);
    },
    dns: (name) => new DnsExpectations(context, name),
    reach: (host, port) => new ReachExpectations(context, host, port),
    get container() {
      return new ContainerExpectations(context);
    },
    within: (deadline) => containerTarget(withDeadline(context, `within ${deadline}`, deadline)) as never,
    once: () => containerTarget(withDeadline(context, "once", 0)) as never,
  };
}

const withDeadline = (context: Context, what: string, deadline: string | number): Context => ({
  ...context,
  deadlineMs: parseTime(deadline),
  push: inBlock(what, context.push),
});

export function imageTarget(
  name: string,
  push: (check: Check) => void,
  options: ImageOptions & { readonly place?: string } = {},
): ImageTarget {
  const run: RunOptions = {
    ...(options.entrypoint === undefined ? {} : { entrypoint: wordList("entrypoint", options.entrypoint) }),
    ...(options.command === undefined ? {} : { command: wordList("command", options.command) }),
    ...(options.env === undefined ? {} : { environment: textMap("env", options.env) }),
    ...(options.user === undefined ? {} : { user: account("user", options.user) }),
  };
  const context: Context = {
    target: { kind: "image", image: name, run },
    deadlineMs: DEFAULT_DEADLINE_MS,
    push,
    ...(options.place === undefined ? {} : { place: options.place }),
  };
  return imageTargetOf(context);
}

function imageTargetOf(context: Context): ImageTarget {
  const more = {
    get image() {
      return new ImageExpectations(context);
    },
    secure(options: SecureOptions = {}) {
      const known = { setuid: true, shell: true, unpinned: true } as const;
      const { setuid = [], shell = false, unpinned = false } = optionsOf("secure", options, known);
      const image = new ImageExpectations(context);
      image.runsAsNonRoot().noSecretInEnvOrHistory().noSecretInFiles();
      new FilesExpectations(context, "**", setuid).noSetuid().noCapabilities();
      if (!unpinned) image.digestPinned();
      if (!shell) image.noShell();
    },
    within: (deadline: string | number) =>
      imageTargetOf(withDeadline(context, `within ${deadline}`, deadline)) as never,
    once: () => imageTargetOf(withDeadline(context, "once", 0)) as never,
  };
  const words = Object.defineProperties(containerWords(context), Object.getOwnPropertyDescriptors(more));
  return noticed(words as ImageTarget, context.place);
}

/** `targetOf` says where the services of the stack run; the checks are the same everywhere. */
export function stackTarget(
  push: (check: Check) => void,
  targetOf: (service: string) => Target,
): StackTarget {
  return noticed<StackTarget>({
    in(service) {
      if (typeof service !== "string" || service === "") throw specError("in expects the name of a service");
      const own = inBlock(`in ${service}`, push);
      return containerTarget({ target: targetOf(service), deadlineMs: DEFAULT_DEADLINE_MS, push: own });
    },
  });
}

export function clusterTarget(
  cluster: ClusterPlace,
  push: (check: Check) => void,
  deadlineMs: number = CLUSTER_DEADLINE_MS,
): ClusterTarget {
  const context: Context = { target: { kind: "cluster", cluster, service: undefined }, deadlineMs, push };
  return noticed<ClusterTarget>({
    in(service) {
      if (typeof service !== "string" || service === "") throw specError("in expects the name of a workload");
      const own = inBlock(`in ${service}`, push);
      return containerTarget({ target: { kind: "cluster", cluster, service }, deadlineMs, push: own });
    },
    workload: (reference) => new WorkloadExpectations(context, reference),
    object: (type, name) => new ObjectExpectations(context, type, name),
    objects: (type, labels = {}) => new ObjectsExpectations(context, type, labels),
    within: (deadline) => clusterTarget(cluster, inBlock(`within ${deadline}`, push), parseTime(deadline)),
  });
}

export function serviceTarget(
  service: string,
  options: ServiceOptions,
  push: (check: Check) => void,
): ServiceTarget {
  const { cluster, port } = options;
  return noticed<ServiceTarget>({
    http(path, http = {}) {
      if (typeof path !== "string" || !path.startsWith("/"))
        throw specError(`a path begins with a slash, got ${JSON.stringify(path)}`);
      // Requests to a Service are plain HTTP, so there is no certificate to leave unchecked.
      optionsOf("http", http, { method: true, headers: true, body: true, deadlineMs: true });
      const context: Context = {
        target: { kind: "service", service, cluster, port },
        deadlineMs: http.deadlineMs === undefined ? DEFAULT_DEADLINE_MS : parseTime(http.deadlineMs),
        push,
      };
      const where = cluster === undefined ? "" : `${cluster} `;
      return new HttpExpectations(context, path, http, `${where}${methodOf(http.method)} ${path}`);
    },
  });
}
