/**
 * From checks to where each is looked at: pure, so that what a run costs can be read and tested before anything runs.
 *
 * The cheapest source that can decide is taken: `config` → `layers` → (something runs) its files, process table, sockets,
 * log and state, each read once for all checks → requests from inside → one exec for each command.
 */
import type {
  Check,
  CheckOf,
  ClusterPlace,
  CommandResource,
  ComposePlace,
  RunOptions,
  Target,
} from "./check.ts";
import { withoutPlaces } from "./readiness/readiness.ts";

export type Source =
  | "config"
  | "layers"
  | "files"
  | "state"
  | "processes"
  | "sockets"
  | "log"
  | "http"
  | "dns"
  | "reach"
  | "exec"
  | "api";

export type ImageTargetData = Extract<Target, { kind: "image" }>;
export type ComposeTargetData = Extract<Target, { kind: "compose" }>;
export type ClusterTargetData = Extract<Target, { kind: "cluster" }>;
export type ServiceTargetData = Extract<Target, { kind: "service" }>;

/** What one container is asked, in order: conditions that may become true, then commands, then how it stops. */
export interface ContainerPlan {
  readonly conditions: readonly Check[];
  readonly commands: readonly CommandPlan[];
  readonly stops: readonly CheckOf<"container">[];
}

export interface CommandPlan {
  readonly resource: CommandResource;
  readonly checks: readonly CheckOf<"command">[];
}

export interface ImagePlan {
  readonly image: string;
  /** Decided without running anything. */
  readonly still: readonly Check[];
  /** One for each way of starting it; empty when no check needs it to run. */
  readonly containers: readonly {
    readonly run: RunOptions;
    readonly plan: ContainerPlan;
    /** Commands that asked for a container of their own. */
    readonly isolated: readonly CommandPlan[];
  }[];
}

export interface ComposePlan {
  readonly place: ComposePlace;
  readonly services: readonly { readonly service: string; readonly plan: ContainerPlan }[];
}

/** One place in a cluster: what its workloads' containers are asked, and what its objects must be. */
export interface ClusterPlan {
  readonly place: ClusterPlace;
  readonly services: readonly { readonly service: string; readonly plan: ContainerPlan }[];
  readonly objects: readonly Check[];
  /** What must stay so for a while; begun when everything else holds. */
  readonly holds: readonly CheckOf<"workload">[];
}

export interface Plan {
  readonly images: readonly ImagePlan[];
  readonly composes: readonly ComposePlan[];
  readonly clusters: readonly ClusterPlan[];
  /** Each request once for all that is expected of its answer. */
  readonly requests: readonly {
    readonly target: ServiceTargetData;
    readonly checks: readonly CheckOf<"http">[];
  }[];
}

/** The points of a shipment: when the images are there, when a registry has them, when they are deployed. */
export type Phase = "built" | "pushed" | "deployed";

/** When a check can be looked at first. A cluster of somebody else pulls images from a registry. */
export function phaseOf({ target }: Pick<Check, "target">): Phase {
  if (target.kind === "service") return "deployed";
  return target.kind === "cluster" && target.cluster.context !== undefined ? "pushed" : "built";
}

export function planChecks(checks: readonly Check[]): Plan {
  const images = Map.groupBy(checks.filter(isOf("image")), ({ target }) => target.image);
  const composes = Map.groupBy(checks.filter(isOf("compose")), ({ target }) =>
    JSON.stringify(target.compose, withoutPlaces),
  );
  const clusters = Map.groupBy(checks.filter(isOf("cluster")), ({ target }) =>
    JSON.stringify(target.cluster, withoutPlaces),
  );
  const requests = Map.groupBy(
    checks.filter(isOf("service")).filter((check) => check.kind === "http"),
    ({ resource }) => resource,
  );
  return {
    images: [...images].map(([image, own]) => planImage(image, own)),
    composes: [...composes].map(([, own]) => ({
      place: (own[0] as (typeof own)[number]).target.compose,
      services: [...Map.groupBy(own, ({ target }) => target.service)].map(([service, some]) => ({
        service,
        plan: planContainer(some),
      })),
    })),
    clusters: [...clusters.values()].map(planCluster),
    requests: [...requests.values()].map((own) => ({
      target: (own[0] as (typeof own)[number]).target,
      checks: own,
    })),
  };
}

function planCluster(checks: readonly (Check & { readonly target: ClusterTargetData })[]): ClusterPlan {
  const inside = checks.filter(({ target }) => target.service !== undefined);
  const objects = checks.filter(({ target }) => target.service === undefined);
  return {
    place: (checks[0] as (typeof checks)[number]).target.cluster,
    services: [...Map.groupBy(inside, ({ target }) => target.service as string)].map(([service, some]) => ({
      service,
      plan: planContainer(some),
    })),
    objects: objects.filter((check) => !isHold(check)),
    holds: objects.filter((check) => check.kind === "workload").filter(isHold),
  };
}

const isHold = (check: Check): boolean =>
  check.kind === "workload" && check.expectation.matcher === "noRestarts";

function planImage(
  image: string,
  checks: readonly (Check & { readonly target: ImageTargetData })[],
): ImagePlan {
  const running = Map.groupBy(
    checks.filter((check) => !isStill(check)),
    ({ target }) => JSON.stringify(target.run),
  );
  return {
    image,
    still: checks.filter(isStill),
    containers: [...running.values()].map((own) => {
      const plan = planContainer(own);
      return {
        run: (own[0] as (typeof own)[number]).target.run,
        plan: { ...plan, commands: plan.commands.filter(({ resource }) => !resource.isIsolated) },
        isolated: plan.commands.filter(({ resource }) => resource.isIsolated),
      };
    }),
  };
}

function planContainer(checks: readonly Check[]): ContainerPlan {
  const commands = Map.groupBy(
    checks.filter((check) => check.kind === "command"),
    ({ resource }) => resource,
  );
  const isStop = (check: Check): check is CheckOf<"container"> =>
    check.kind === "container" && check.expectation.matcher === "stopsWithin";
  return {
    conditions: checks.filter((check) => check.kind !== "command" && !isStop(check)),
    commands: [...commands].map(([resource, own]) => ({ resource, checks: own })),
    stops: checks.filter(isStop),
  };
}

/** Of an image, what its configuration and its layers decide: it is the same whether it runs or not. */
export function isStill(check: Check): boolean {
  const kinds: readonly Check["kind"][] = [
    "image",
    "file",
    "files",
    "user",
    "group",
    "package",
    "certificate",
  ];
  return check.target.kind === "image" && kinds.includes(check.kind);
}

export function sourceOf(check: Check): Source {
  switch (check.kind) {
    case "image": {
      const reads: readonly string[] = ["nonRoot", "commandExists", "noShell", "noSecretInFiles"];
      return reads.includes(check.expectation.matcher) ? "layers" : "config";
    }
    case "file":
    case "files":
    case "user":
    case "group":
    case "package":
    case "certificate":
      return check.target.kind === "image" ? "layers" : "files";
    case "command":
      return "exec";
    case "port":
      return "sockets";
    case "process":
      return "processes";
    case "log":
      return "log";
    case "container":
      return "state";
    case "workload":
    case "object":
    case "objects":
      return "api";
    case "http":
    case "dns":
    case "reach":
      return check.kind;
  }
}

const isOf =
  <K extends Target["kind"]>(kind: K) =>
  (check: Check): check is Check & { readonly target: Extract<Target, { kind: K }> } =>
    check.target.kind === kind;

/** Without those that `exits` of the same command replaces: it should exit with 0 unless the spec says otherwise. */
export function withoutImplied(checks: readonly Check[]): readonly Check[] {
  const stated = new Set(
    checks.flatMap((check) =>
      check.kind === "command" && check.expectation.matcher === "exits" && !check.expectation.isImplied
        ? [check.resource]
        : [],
    ),
  );
  return checks.filter(
    (check) =>
      !(
        check.kind === "command" &&
        check.expectation.matcher === "exits" &&
        check.expectation.isImplied &&
        stated.has(check.resource)
      ),
  );
}
