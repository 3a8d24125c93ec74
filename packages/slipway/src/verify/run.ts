/**
 * collect → plan → observe → judge. Each image is opened once for all its checks; one container is started for an image
 * only when a check needs it, one set of containers for each Compose file; each thing is read once for everybody.
 *
 * Exit codes: 0 all passed · 1 a check failed · 2 a mistake in a spec file, or no checks at all · 3 an image or the
 * engine is missing (one error, not one per check) · 4 nothing failed but something is unknown.
 */
import { dirname, isAbsolute } from "node:path";
import { type Clock, SlipwayError } from "@slipway/base";
import type { BinfmtMisc } from "@slipway/cluster/binfmt-misc";
import type { BuiltImage } from "../images/image.ts";
import { hostPlatform, type Platform, showPlatform } from "../images/oci.ts";
import { type Check, nameOf, type Target, unknown } from "./check.ts";
import { type Engine, isUnseen, type Unseen } from "./engines/engine.ts";
import { envOf } from "./judge/image.ts";
import type { ClusterRunner } from "./observe/cluster-run.ts";
import { type ComposeRunner, runCompose } from "./observe/compose-run.ts";
import { runImage } from "./observe/image-run.ts";
import { type ImageView, openImage } from "./observe/image-view.ts";
import { withEngine } from "./observe/open-engine.ts";
import type { Outcomes } from "./observe/outcome.ts";
import { askServices, type ServiceAccess } from "./observe/requests.ts";
import { decideStill } from "./observe/still.ts";
import { type FetchImage, isOtherImage } from "./other-images.ts";
import { type ContainerPlan, type ImagePlan, type Phase, type Plan, phaseOf, planChecks } from "./plan.ts";
import { variablesOf } from "./readiness/readiness.ts";
import { type CheckResult, resultOf, shortPlace, summarize, type VerifyReport } from "./report/result.ts";
import { secretValues } from "./secrets.ts";
import { collectChecks } from "./spec/load.ts";

export type { ServiceAccess } from "./observe/requests.ts";
export type { CheckResult, VerifyReport } from "./report/result.ts";

export interface VerifyOptions {
  /** Spec files, or folders of them. */
  readonly files: readonly string[];
  /** Checks that were collected elsewhere (container-structure-test files); they come after those of the spec files. */
  readonly checks?: readonly Check[];
  readonly images: readonly BuiltImage[];
  /** Takes images that checks name and that are none of `images`; undefined: there are no others. */
  readonly fetchImage?: FetchImage | undefined;
  /** Places in the output are shown relative to it. */
  readonly root: string;
  readonly clock: Clock;
  /** Undefined: service checks are unknown. */
  readonly services?: ServiceAccess | undefined;
  /**
   * Opens what containers run on, or says why there is nothing; called at most once, and only when a check needs it.
   * Undefined: nothing runs, and what cannot be decided from configuration and layers is unknown.
   */
  readonly engine?: (() => Promise<Engine | Unseen>) | undefined;
  /** Which programs of other architectures the sandbox can run. Default: what this machine's kernel says. */
  readonly binfmtMisc?: () => Promise<BinfmtMisc>;
  readonly compose?: ComposeRunner | undefined;
  readonly clusters?: ClusterRunner | undefined;
  /** A DNS label that is this run's own; names of containers begin with it. Default: `verify`. */
  readonly name?: string;
  /** Adds `defaultImageChecks` for every image. */
  readonly includeDefaults?: boolean;
  /** Only checks of images, of Compose files, in clusters, or of deployed services; default all. */
  readonly only?: Target["kind"] | undefined;
  /** Only what can be checked at these points of a shipment; default all. */
  readonly phases?: readonly Phase[] | undefined;
  /** Workloads (`deployment/web`) that are tried in an embedded cluster when no spec file checks one. */
  readonly workloads?: readonly string[] | undefined;
  /** Only checks of this image. */
  readonly image?: string | undefined;
  /** Part of a check's full name. */
  readonly filter?: string | undefined;
  readonly allowUnknown?: boolean;
  /** How the command line finds these checks, to be run again; null: it does not. Default: `slipway verify`. */
  readonly command?: readonly string[] | null;
  readonly platform?: Platform;
  /** Ends the run: what was started is removed, and the run rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the checks, if any, of which it is too early by `phases` to be looked at. */
  readonly onLater?: ((checks: readonly Check[]) => void) | undefined;
  /** Called for each check as it is decided, in no particular order. */
  readonly onResult?: ((result: CheckResult) => void) | undefined;
}

/** Rejects with VERIFY_SPEC_INVALID, VERIFY_SPEC_MISSING (exit 2), VERIFY_IMAGE_MISSING or ENGINE_… (exit 3). */
export async function runVerify(options: VerifyOptions): Promise<VerifyReport> {
  const startedAt = options.clock.monotonic();
  const collected = [...(await collectChecks(options)), ...(options.checks ?? [])];
  const wanted = collected.filter((check) => isWanted(check, options));
  const checks = wanted.filter((check) => isTime(check, options));
  if (checks.length < wanted.length) options.onLater?.(wanted.filter((check) => !isTime(check, options)));
  const results = await decideChecks(checks, options);
  return summarize(results, {
    durationMs: options.clock.monotonic() - startedAt,
    allowUnknown: options.allowUnknown === true,
  });
}

export type DecideOptions = Omit<VerifyOptions, "files" | "checks" | "phases" | "onLater">;

/** The second half, for checks that are there already. Results are in the order of the checks. */
export async function decideChecks(
  checks: readonly Check[],
  options: DecideOptions,
): Promise<readonly CheckResult[]> {
  const plan = planChecks(checks);
  const results = new Map<Check, CheckResult>();
  const outcomes: Outcomes = new Map();
  const secrets = new Set<string>();
  const { command = ["slipway", "verify"] } = options;
  const report = (): void => {
    for (const [check, outcome] of outcomes) {
      if (results.has(check)) continue;
      const result = resultOf(check, outcome, { root: options.root, secrets: [...secrets], command });
      results.set(check, result);
      options.onResult?.(result);
    }
  };
  const views = new Map<string, ImageView>();
  for (const image of plan.images) {
    const view = await openImage(await findImage(image, options), options.platform);
    views.set(image.image, view);
    for (const value of secretsOf(view, image)) secrets.add(value);
    await decideStill(image.still, view, options.clock, outcomes);
    report();
  }
  const onVariables: Hooks["onVariables"] = (variables) => {
    for (const value of secretValues(Object.entries(variables))) secrets.add(value);
  };
  await observeRunning(plan, views, options, outcomes, { report, onVariables });
  for (const one of plan.clusters) {
    const { runCluster } = await import("./observe/cluster-run.ts"); // with it comes all of Kubernetes
    const { clock, clusters = NO_CLUSTERS, signal } = options;
    for (const variables of variablesOf(one.place.readyWhen ?? {})) onVariables(variables);
    for (const { commands } of one.services.map(({ plan: own }) => own))
      for (const { resource } of commands) onVariables(resource.environment);
    await runCluster(one, { clock, clusters, signal }, outcomes);
    report();
  }
  await askServices(plan.requests, options.services, options.clock, outcomes);
  report();
  return checks.map((check) => results.get(check) as CheckResult);
}

interface Hooks {
  /** What has been decided so far may be told. */
  readonly report: () => void;
  /** Variables that containers get; values of those that look like secrets must not be shown. */
  readonly onVariables: (variables: Readonly<Record<string, string>>) => void;
}

async function observeRunning(
  plan: Plan,
  views: ReadonlyMap<string, ImageView>,
  options: DecideOptions,
  outcomes: Outcomes,
  { report, onVariables }: Hooks,
): Promise<void> {
  const { clock, compose, name = "verify" } = options;
  const running = plan.images.filter(({ containers }) => containers.length > 0);
  if (running.length + plan.composes.length === 0) return;
  const engine = options.engine === undefined ? NONE : await options.engine();
  if (isUnseen(engine)) return withoutEngine(plan, engine, outcomes);
  await withEngine(engine, options.signal, async (own) => {
    await own.sweep();
    for (const { image, containers } of running) {
      const view = views.get(image) as ImageView;
      const foreign = own.name === "sandbox" ? await unseenAsForeign(view, options) : undefined;
      if (foreign !== undefined) unseenBy(containers.flatMap(plansOf), foreign, outcomes);
      for (const container of foreign === undefined ? containers : [])
        await runImage(container, view, { engine: own, clock, name }, outcomes);
      report();
    }
    for (const one of plan.composes) {
      if (compose === undefined) throw noCompose(one.place.paths.join(", "));
      await runCompose(one, { engine: own, clock, compose, onVariables }, outcomes);
      report();
    }
  });
}

const NO_CLUSTERS: ClusterRunner = {
  open: () =>
    Promise.reject(
      new SlipwayError({
        code: "VERIFY_CLUSTER_NONE",
        where: "describeCluster",
        message: "checks in a cluster need the project that its manifests come from",
        hint: "Run them with slipway verify.",
        exitCode: 2,
      }),
    ),
};

const NONE: Unseen = {
  unseen: "nothing runs with --engine none",
  remedy: "Run it with --engine sandbox (Linux) or --engine docker.",
};

/** Nothing runs: what only a container could show is unknown, and says what would show it. */
function withoutEngine(plan: Plan, unseen: Unseen, outcomes: Outcomes): void {
  const images = plan.images.flatMap(({ containers }) => containers.flatMap(plansOf));
  const services = plan.composes.flatMap((one) => one.services.map(({ plan }) => plan));
  unseenBy([...images, ...services], unseen, outcomes);
}

/** The sandbox runs programs as the kernel does; an engine may emulate others. */
async function unseenAsForeign(
  { config: { os, architecture } }: ImageView,
  { binfmtMisc }: DecideOptions,
): Promise<Unseen | undefined> {
  const platform = { os, architecture };
  const { foreignHere } = await import("../images/run/binfmt-misc.ts");
  const foreign = await foreignHere(platform, binfmtMisc);
  if (foreign === undefined) return undefined;
  const { fact, remedy } = foreign;
  const elsewhere =
    "Build it for this machine too (platforms of the environment), or run the checks on one of its kind.";
  return {
    unseen: `the image is for ${showPlatform(platform)}, this machine is ${showPlatform(hostPlatform())}, and ${fact}`,
    remedy: remedy === undefined ? elsewhere : `${elsewhere} To run it here, ${remedy}.`,
  };
}

const plansOf = ({ plan, isolated }: ImagePlan["containers"][number]): readonly ContainerPlan[] => [
  plan,
  { conditions: [], commands: isolated, stops: [] },
];

function unseenBy(plans: readonly ContainerPlan[], { unseen, remedy }: Unseen, outcomes: Outcomes): void {
  const judgement = unknown(unseen, remedy);
  for (const { conditions, commands, stops } of plans) {
    for (const check of [...conditions, ...commands.flatMap((one) => one.checks), ...stops]) {
      outcomes.set(check, { judgement, from: "nothing", attempts: 0, durationMs: 0 });
    }
  }
}

const isTime = (check: Check, { phases }: VerifyOptions): boolean =>
  phases === undefined || phases.includes(phaseOf(check));

function isWanted(check: Check, options: VerifyOptions): boolean {
  if (options.only !== undefined && check.target.kind !== options.only) return false;
  if (
    options.image !== undefined &&
    !(check.target.kind === "image" && check.target.image === options.image)
  ) {
    return false;
  }
  return options.filter === undefined || nameOf(check).includes(options.filter);
}

async function findImage(
  { image: name, still, containers }: ImagePlan,
  options: DecideOptions,
): Promise<BuiltImage> {
  const image = options.images.find((one) => one.name === name);
  if (image !== undefined) return image;
  const first = still[0] ?? containers[0]?.plan.conditions[0] ?? containers[0]?.plan.commands[0]?.checks[0];
  if (options.fetchImage !== undefined && isOtherImage(name)) {
    const file = (first?.place ?? "").replace(/:\d+(?::\d+)?$/, "");
    return options.fetchImage(name, isAbsolute(file) ? dirname(file) : options.root, options.platform);
  }
  throw new SlipwayError({
    code: "VERIFY_IMAGE_MISSING",
    where: shortPlace(first?.place ?? name, options.root),
    message: `there is no image "${name}"; there are ${options.images.map((one) => one.name).join(", ") || "none"}`,
    hint: "Name a key under images in slipway.config.ts, and build it first (slipway build); or a reference with its tag, or a path.",
    exitCode: 3,
  });
}

/** Values that must not be printed: of the image's variables, and of those that the spec file sets. */
function secretsOf(view: ImageView, plan: ImagePlan): readonly string[] {
  const names = (view.config.config.Env ?? []).map((one) => one.slice(0, Math.max(0, one.indexOf("="))));
  const own = names.map((name): [string, string] => [name, envOf(view.config.config.Env, name) ?? ""]);
  const given = plan.containers.flatMap(({ run, plan: { commands }, isolated }) => [
    ...Object.entries(run.environment ?? {}),
    ...[...commands, ...isolated].flatMap(({ resource }) => Object.entries(resource.environment)),
  ]);
  return secretValues([...own, ...given]);
}

const noCompose = (path: string): SlipwayError =>
  new SlipwayError({
    code: "VERIFY_COMPOSE_UNSUPPORTED",
    where: path,
    message: "Compose files cannot be run here",
    hint: "Check the images with describeImage.",
    exitCode: 3,
  });
