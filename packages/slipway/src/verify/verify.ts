/**
 * What spec files import: `import { describeImage, describeCompose, describeService, stack } from "slipway/verify"`.
 *
 * @example
 * describeImage("web", (t) => {
 *   t.image.runsAsNonRoot().exposes(8080).noSecretInEnvOrHistory();
 *   t.file("/app/server.js").isFile().mode("0644");
 *   t.command(["node", "--version"]).stdout(/^v24/);
 *   t.port(8080).listening();
 * });
 * const shop = stack("shop", (t) => t.in("web").http("http://127.0.0.1:8080/").status(200));
 * describeCompose("compose.yaml", shop);
 * describeService("web", (t) => t.http("/").status(200).body(/shop/));
 */
import { dirname, resolve } from "node:path";
import type { ClusterPlace, ComposePlace, Target } from "./check.ts";
import { currentCollector, placeOfCaller, specError } from "./collect.ts";
import type { Readiness, ReadyWhen } from "./readiness/forms.ts";
import { leavesOf, longestDeadline, mergeReadyWhen } from "./readiness/readiness.ts";
import { inBlock, options as optionsOf, parseTime, wordList } from "./spec/expect.ts";
import { ifGiven, name as nameOf } from "./spec/given.ts";
import { readyWhenOf } from "./spec/ready.ts";
import {
  type ClusterTarget,
  clusterTarget,
  type ImageOptions,
  type ImageTarget,
  imageTarget,
  type ServiceOptions,
  type ServiceTarget,
  type StackTarget,
  serviceTarget,
  stackTarget,
} from "./spec/targets.ts";

export { contains } from "./cluster/match.ts";
export type { Readiness } from "./readiness/forms.ts";
export { type Empty, type Expected, type ExpectedOutput, empty } from "./spec/expect.ts";
export { type ReadyCmdOptions, type ReadyHttpOptions, ready } from "./spec/ready.ts";
export type { CommandOptions, RequestOptions } from "./spec/running.ts";
export type {
  ClusterTarget,
  ContainerTarget,
  HttpOptions,
  ImageOptions,
  ImageTarget,
  SecureOptions,
  ServiceOptions,
  ServiceTarget,
  StackTarget,
} from "./spec/targets.ts";

/**
 * `name` is a key under `images` in the config, a reference with its tag or digest (`nginx:1.27`), or a path relative to the
 * spec file (`./out/web.tar`): an archive of `docker save`, or an OCI image layout. `options` say how its container is started when a check needs
 * one.
 */
export function describeImage(name: string, body: (t: ImageTarget) => unknown): void;
export function describeImage(name: string, options: ImageOptions, body: (t: ImageTarget) => unknown): void;
export function describeImage(
  name: string,
  first: ImageOptions | ((t: ImageTarget) => unknown),
  second?: (t: ImageTarget) => unknown,
): void {
  const { checks } = currentCollector();
  const [given, body] = bodyOf("describeImage", first, second);
  const known = { entrypoint: true, command: true, env: true, user: true } as const;
  const options = optionsOf("describeImage", given, known);
  nameOf("describeImage", name);
  const push = inBlock(`describeImage ${name}`, (check) => checks.push(check));
  refusePromise("describeImage", body(imageTarget(name, push, options)));
}

/** Checks of services that run together, wherever that is. */
export interface Stack {
  readonly name: string;
  readonly body: (t: StackTarget) => unknown;
  readonly readyWhen?: ReadyWhen;
}

export interface StackOptions {
  /** When a service is ready, by its name: `{ db: ready.log(/ready to accept/, 2) }`. */
  readonly readyWhen?: Readonly<Record<string, Readiness>>;
}

/** Nothing is collected before it is given a place: `describeCompose(".", stack)`. */
export function stack(name: string, body: (t: StackTarget) => unknown): Stack;
export function stack(name: string, options: StackOptions, body: (t: StackTarget) => unknown): Stack;
export function stack(
  name: string,
  first: StackOptions | ((t: StackTarget) => unknown),
  second?: (t: StackTarget) => unknown,
): Stack {
  const [given, body] = bodyOf<StackOptions, StackTarget>("stack", first, second);
  const { readyWhen } = optionsOf("stack", given, { readyWhen: true });
  return { name, body, readyWhen: readyWhenOf(readyWhen) };
}

export interface ComposeOptions extends StackOptions {
  /**
   * How long the services may take, from the first start to the last that is ready. Default 60 s, or the longest deadline
   * in `readyWhen` when that is longer.
   */
  readonly ready?: string | number;
  /** Also the services of these profiles. Default: those of COMPOSE_PROFILES. */
  readonly profiles?: readonly string[];
}

type ComposePart = Stack | ((t: StackTarget) => unknown);

const COMPOSE_READY_MS = 60_000;
const CLUSTER_READY_MS = 90_000;

/**
 * The services of a Compose file, started together once for all checks. `path` is a file, its folder, or several files of
 * which later ones lie over earlier ones; relative to the spec file.
 */
export function describeCompose(path: string | readonly string[], ...parts: readonly ComposePart[]): void;
export function describeCompose(
  path: string | readonly string[],
  options: ComposeOptions,
  ...parts: readonly ComposePart[]
): void;
export function describeCompose(
  path: string | readonly string[],
  ...given: readonly (ComposeOptions | ComposePart)[]
): void {
  const { checks } = currentCollector();
  const [options, parts] = partsOf<ComposeOptions, StackTarget>("describeCompose", given);
  const known = { ready: true, profiles: true, readyWhen: true } as const;
  const { ready, profiles, readyWhen: own } = optionsOf("describeCompose", options, known);
  if (path === undefined || path === null || path.length === 0)
    throw specError("describeCompose needs a Compose file or its folder");
  const folder = dirname(placeOfCaller().replace(/:\d+:\d+$/, ""));
  const paths = [path].flat().map((one) => resolve(folder, nameOf("describeCompose", one)));
  const compose: ComposePlace = {
    paths,
    profiles: profiles === undefined ? [] : wordList("profiles", profiles),
    ...readinessIn(parts, own, ready, COMPOSE_READY_MS),
  };
  const targetOf = (service: string): Target => ({ kind: "compose", compose, service });
  for (const part of parts) {
    const body = typeof part === "function" ? part : part.body;
    const push = inBlock("describeCompose", (check) => checks.push(check));
    refusePromise("describeCompose", body(stackTarget(push, targetOf)));
  }
}

export interface ClusterOptions extends StackOptions {
  /** A context of the kubeconfig. Default: an embedded cluster that is made for the run, with the images as they were built. */
  readonly context?: string;
  /** A namespace that is there, which is only looked at. Default: one of its own with the project's manifests, removed at the end. */
  readonly namespace?: string;
  /** How long the workloads may take to be ready. Default 90 s, or the longest deadline in `readyWhen` when that is longer. */
  readonly ready?: string | number;
}

/** The project's manifests in a cluster: the checks of a stack, and of workloads and objects. */
export function describeCluster(
  first: ClusterOptions | Stack | ((t: ClusterTarget) => unknown),
  ...rest: readonly (Stack | ((t: ClusterTarget) => unknown))[]
): void {
  const { checks } = currentCollector();
  const [options, parts] = partsOf<ClusterOptions, ClusterTarget>("describeCluster", [first, ...rest]);
  const known = { context: true, namespace: true, ready: true, readyWhen: true } as const;
  const { context, namespace, ready, readyWhen: own } = optionsOf("describeCluster", options, known);
  ifGiven(nameOf, "context", context);
  ifGiven(nameOf, "namespace", namespace);
  const isOwn = namespace === undefined || namespace === "ephemeral";
  const readiness = readinessIn(parts, own, ready, CLUSTER_READY_MS);
  refuseInCluster(readiness.readyWhen);
  const place: ClusterPlace = {
    context,
    namespace: isOwn ? undefined : namespace,
    ...readiness,
  };
  if (context === undefined && !isOwn) {
    throw specError(
      "the embedded cluster has no namespaces before the run",
      "Leave the namespace out, or name a context.",
    );
  }
  for (const part of parts) {
    const body = typeof part === "function" ? part : part.body;
    const push = inBlock("describeCluster", (check) => checks.push(check));
    refusePromise("describeCluster", body(clusterTarget(place, push)));
  }
}

/** When the services of a place are ready, by its options and by its stacks, and how long that may take. */
function readinessIn(
  parts: readonly (Stack | ((t: never) => unknown))[],
  own: StackOptions["readyWhen"],
  ready: string | number | undefined,
  defaultMs: number,
): { readonly readyMs: number; readonly readyWhen?: ReadyWhen } {
  const ofStacks = parts.map((part) => (typeof part === "function" ? {} : (part.readyWhen ?? {})));
  const readyWhen = mergeReadyWhen([...ofStacks, readyWhenOf(own)]);
  const longest = longestDeadline(readyWhen);
  return {
    readyMs: ready === undefined ? Math.max(defaultMs, longest) : parseTime(ready),
    ...(Object.keys(readyWhen).length === 0 ? {} : { readyWhen }),
  };
}

function refuseInCluster(readyWhen: ReadyWhen = {}): void {
  for (const [name, readiness] of Object.entries(readyWhen)) {
    for (const leaf of leavesOf(readiness)) {
      if (leaf.form === "exit") {
        throw specError(
          `readyWhen: ${name}: ready.exit() is not for a cluster, where what has ended is started again`,
          'Give it to describeCompose instead of the stack; of a Job, check t.object("batch/v1/Job", …).',
        );
      }
      if (leaf.form === "cmd" && leaf.user !== undefined) {
        throw specError(
          `readyWhen: ${name}: a cluster runs commands as the container's own user only`,
          "Leave the user out, or give it to describeCompose instead of the stack.",
        );
      }
    }
  }
}

/** `name` is a Service in the release's namespace. */
export function describeService(name: string, body: (t: ServiceTarget) => unknown): void;
export function describeService(
  name: string,
  options: ServiceOptions,
  body: (t: ServiceTarget) => unknown,
): void;
export function describeService(
  name: string,
  first: ServiceOptions | ((t: ServiceTarget) => unknown),
  second?: (t: ServiceTarget) => unknown,
): void {
  const { checks } = currentCollector();
  const [given, body] = bodyOf("describeService", first, second);
  const options = optionsOf("describeService", given, { cluster: true, port: true });
  nameOf("describeService", name);
  ifGiven(nameOf, "cluster", options.cluster);
  if (typeof options.port !== "number") ifGiven(nameOf, "port", options.port);
  const push = inBlock(`describeService ${name}`, (check) => checks.push(check));
  refusePromise("describeService", body(serviceTarget(name, options, push)));
}

/** Options may stand before the functions and stacks that say what to expect. */
function partsOf<O extends object, T extends StackTarget>(
  what: string,
  given: readonly unknown[],
): readonly [O, readonly (Stack | ((t: T) => unknown))[]] {
  const isPart = (one: unknown): one is Stack | ((t: T) => unknown) =>
    typeof one === "function" || (typeof one === "object" && one !== null && "body" in one);
  const [first, ...rest] = given;
  const parts = given.length === 0 || isPart(first) ? given : rest;
  if (parts.length === 0 || !parts.every(isPart))
    throw specError(`${what} needs a stack, or a function that says what to expect`);
  return [parts === given ? ({} as O) : (first as O), parts];
}

function bodyOf<O extends object, T>(
  what: string,
  first: O | ((t: T) => unknown),
  second: ((t: T) => unknown) | undefined,
): readonly [O, (t: T) => unknown] {
  if (typeof first === "function" && second !== undefined) {
    throw specError(`the options of ${what} stand before its function`);
  }
  const body = typeof first === "function" ? (first as (t: T) => unknown) : second;
  if (typeof body !== "function") throw specError(`${what} needs a function that says what to expect`);
  return [typeof first === "function" ? ({} as O) : first, body];
}

/** Checks that are added after the file has ended would be lost, and nobody would notice. */
function refusePromise(what: string, result: unknown): void {
  if (result instanceof Promise) {
    result.catch(() => {});
    throw specError(
      `${what}'s function must not be async`,
      "It only says what to expect; nothing in it can be waited for.",
    );
  }
}
