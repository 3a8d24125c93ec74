/** The checks of `slipway verify` and `slipway ship`: images before the push, the service after the deploy. */
import { join } from "node:path";
import { nearest, SlipwayError } from "@slipway/base";
import type { AnyObject } from "@slipway/kube";
import { bindSlipwayImports } from "../config/load.ts";
import type { Check, Target } from "../verify/check.ts";
import { WORKLOAD_KINDS } from "../verify/cluster/pods.ts";
import { composeRunner } from "../verify/compose/runner.ts";
import { type EngineChoice, engineOpener } from "../verify/engines/open.ts";
import { imageFetcher, isOtherImage } from "../verify/other-images.ts";
import { type Phase, phaseOf } from "../verify/plan.ts";
import { runVerify } from "../verify/run.ts";
import type { WorldState } from "../world/state.ts";
import type { CliContext } from "./command.ts";
import { composePaths } from "./compose/options.ts";
import type { Project } from "./project.ts";
import { deployedServices } from "./service-access.ts";
import type { BuildRecord, StepOutput } from "./steps.ts";
import { unnamedSpec } from "./unnamed-spec.ts";
import { emptyHintOf, liveLine, type ShowOptions, showReport } from "./verify-output.ts";

export interface VerifyStepOptions extends ShowOptions {
  readonly only?: Target["kind"];
  readonly phases?: readonly Phase[];
  /** The manifests are tried in an embedded cluster, unless spec files do so themselves. */
  readonly triesManifests?: boolean;
  readonly image?: string | undefined;
  readonly filter?: string | undefined;
  readonly allowUnknown?: boolean;
  readonly engine?: EngineChoice;
  /** Files of container-structure-test, checked instead of the spec files. */
  readonly structureTests?: readonly string[];
  /** Part of `ship`: no checks at all is fine there. */
  readonly isShip: boolean;
  /** The words of `slipway verify` that run the same checks again. */
  readonly command: readonly string[];
}

export async function verifyStep(
  context: CliContext,
  project: Project,
  record: BuildRecord,
  world: WorldState | undefined,
  output: StepOutput,
  options: VerifyStepOptions,
): Promise<number> {
  bindSlipwayImports();
  const { config } = project;
  const structureTests = options.structureTests ?? [];
  refuseUnknownImage(options.image, record);
  if (config.verify.length === 0 && structureTests.length === 0) await tellUnnamed(context, project);
  const live = liveLine(context, output);
  const isDown = config.isLocal && world === undefined;
  const services = isDown ? undefined : deployedServices(context, project, world);
  const report = await runVerify({
    files: structureTests.length > 0 ? [] : config.verify,
    checks: await structureChecks(context, record, structureTests, options.image),
    images: record.images,
    fetchImage: imageFetcher({
      layout: join(project.paths.root, "build", "layout"),
      clock: context.clock,
      registry: async () => (await import("./compose.ts")).registryClientOf(context, project, context.signal),
    }),
    root: config.root,
    clock: context.clock,
    services,
    engine: engineOpener(options.engine ?? "auto", { ...context, folder: project.paths.root }),
    compose: composeRunner({
      ...context,
      buildOf: async (loaded) =>
        (await import("./compose.ts")).composeBuildOf(
          context,
          loaded,
          composePaths(loaded).layout,
          config.bases,
        ),
    }),
    clusters: {
      async open(place) {
        const { clusterRunner } = await import("./verify-cluster.ts");
        return clusterRunner(context, project, record).open(place);
      },
    },
    name: `verify-${process.pid}`,
    includeDefaults: structureTests.length === 0,
    command: options.command,
    only: options.only,
    phases: options.phases,
    workloads: options.triesManifests === true ? await workloadsOf(project) : [],
    image: options.image,
    filter: options.filter,
    allowUnknown: options.allowUnknown ?? false,
    signal: context.signal,
    onResult: live.onResult,
    onLater: options.isShip ? undefined : (checks) => tellLater(checks, output, options.tap === true),
  }).finally(async () => {
    live.end();
    await services?.close();
  });
  if (options.isShip && report.results.length === 0) return 0;
  const specs = structureTests.length > 0 ? structureTests : config.verify;
  await showReport(context, output, report, { ...options, emptyHint: emptyHintOf(specs, askedOf(options)) });
  const hasLeak = report.results.some(
    ({ verdict, place, subject }) =>
      verdict === "fail" && place === "built-in" && subject.startsWith("files "),
  );
  if (hasLeak)
    output.say("  Keep such files out of the image with .dockerignore, or copy only what it needs.");
  return report.exitCode;
}

async function tellUnnamed({ writeError }: CliContext, { config, resolved }: Project): Promise<void> {
  const spec = await unnamedSpec(config.root);
  if (spec === undefined) return;
  writeError(
    `warning: ${spec}: is not run, ${resolved.file} names no spec files\n  Add verify: ["spec/"] to it.\n`,
  );
}

async function structureChecks(
  { cwd, env }: CliContext,
  record: BuildRecord,
  files: readonly string[],
  image: string | undefined,
): Promise<readonly Check[]> {
  if (files.length === 0) return [];
  const { collectStructureTests } = await import("../verify/structure-test/load.ts");
  return collectStructureTests(files, { cwd, env, image, images: record.images.map(({ name }) => name) });
}

const LATER: Readonly<Record<Phase, string>> = {
  built: "",
  pushed: "in contexts: the images are not pushed yet (slipway push)",
  deployed: "of deployed services: nothing is deployed from here yet (slipway verify --only service)",
};

/** What ship would look at later is not passed over in silence. */
function tellLater(checks: readonly Check[], output: StepOutput, isTap: boolean): void {
  for (const [phase, { length }] of Map.groupBy(checks, phaseOf)) {
    output.emit({ step: "verify", kind: "left-out", phase, checks: length });
    output.say(
      `${isTap ? "#" : " "} left out: ${length} ${length === 1 ? "check" : "checks"} ${LATER[phase]}`,
    );
  }
}

function refuseUnknownImage(image: string | undefined, { images }: BuildRecord): void {
  const names = images.map(({ name }) => name);
  if (image === undefined || names.includes(image) || isOtherImage(image)) return;
  const near = nearest(image, names);
  throw new SlipwayError({
    code: "USAGE_IMAGE",
    where: `--image ${image}`,
    message: `there is no such image; there are ${names.join(", ") || "none"}`,
    ...(near === undefined ? {} : { hint: `Did you mean ${near}?` }),
    exitCode: 2,
  });
}

/** The options that choose among the checks, as they were written. */
function askedOf({ only, image, filter }: VerifyStepOptions): readonly string[] {
  return [
    ...(only === undefined ? [] : [`--only ${only}`]),
    ...(image === undefined ? [] : [`--image ${image}`]),
    ...(filter === undefined ? [] : [`-t ${JSON.stringify(filter)}`]),
  ];
}

/** As `t.workload` names them. None where nothing could run: then the line before says so. */
async function workloadsOf(project: Project): Promise<readonly string[]> {
  const { renderUnbuilt } = await import("./deploy-step.ts"); // with it comes all of a release
  const { objects } = await renderUnbuilt(project);
  return objects
    .filter((one) => (WORKLOAD_KINDS as readonly string[]).includes(one.kind) && !isScaledToNone(one))
    .map(({ kind, metadata }) => `${kind.toLowerCase()}/${metadata.name}`);
}

/** One that nobody scales up has nothing to show. */
const isScaledToNone = (object: AnyObject): boolean =>
  (object["spec"] as { readonly replicas?: number } | undefined)?.replicas === 0;
