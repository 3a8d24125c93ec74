/** The release step: plan, deploy or go back, tell the terminal and Slack, and point the edge at the routes. */
import { parseDuration, SlipwayError } from "@slipway/base";
import { announceWith } from "../release/announce/announce-release.ts";
import type { ReleaseEvent } from "../release/events.ts";
import { renderRelease } from "../release/manifests/render.ts";
import type { ReleaseContext, ReleaseResult, RenderedRelease } from "../release/model.ts";
import type { FrozenPlan } from "../release/plan/frozen-plan.ts";
import { refusalError } from "../release/plan/refusals.ts";
import { type DeployOptions, deploy, planToDeploy } from "../release/release.ts";
import { renderEvent } from "../release/text.ts";
import { callWorld } from "../world/control.ts";
import type { WorldState } from "../world/state.ts";
import { type CliContext, type CommandInput, isSet, textOption } from "./command.ts";
import { registryClientOf, releaseContextOf, targetsOf } from "./compose.ts";
import { staleBuckets } from "./frozen-plan-file.ts";
import { type PreparedRelease, planOptionsOf, planStep, prepareRelease, showPlan } from "./plan-step.ts";
import { progressPrinter } from "./progress.ts";
import { type Project, servedEdge } from "./project.ts";
import { type BuildRecord, bucketStep, type StepOutput } from "./steps.ts";
import { tellingOf } from "./telling.ts";
import { indent } from "./width.ts";

export async function deployStep(
  context: CliContext,
  input: CommandInput,
  project: Project,
  record: BuildRecord,
  world: WorldState | undefined,
  output: StepOutput,
): Promise<number> {
  if (isSet(input, "dryRun")) return planStep(context, input, project, record, world, output);
  const prepared = await prepareRelease(context, project, record, world, "deploy");
  const options = { ...planOptionsOf(input), knownAway: prepared.knowledge.unreachable };
  return carryOut(context, input, project, prepared, options, world, output);
}

/** A plan of `slipway plan --out`: no git, no build, no rendering; the policies are those it was made with. */
export async function deployFrozen(
  context: CliContext,
  input: CommandInput,
  project: Project,
  frozen: FrozenPlan,
  world: WorldState | undefined,
  output: StepOutput,
): Promise<number> {
  const registry = registryClientOf(context, project);
  const targets = await targetsOf(context, project, world);
  const here = releaseContextOf(context, project, targets, registry);
  const prepared = {
    release: { ...here, release: frozen.release },
    rendered: frozen.rendered,
    registry,
  };
  const buckets = await staleBuckets(project, frozen);
  const options = { ...frozen.options, frozen };
  if (isSet(input, "dryRun")) {
    const plan = await planToDeploy(prepared.release, prepared.rendered, options);
    await registry.close();
    return showPlan(context, input, { ...plan, refusals: [...buckets, ...plan.refusals] }, output);
  }
  const refused = refusalError(buckets);
  if (refused !== undefined) throw refused;
  return carryOut(context, input, project, prepared, options, world, output);
}

async function carryOut(
  context: CliContext,
  input: CommandInput,
  project: Project,
  { release, rendered, registry }: Omit<PreparedRelease, "knowledge">,
  options: Pick<DeployOptions, "allowHeld" | "skipUnreachable" | "rebind" | "frozen" | "knownAway">,
  world: WorldState | undefined,
  output: StepOutput,
): Promise<number> {
  for (const warning of rendered.warnings) output.say(indent(`warning: ${warning}`));
  checkEdge(project, rendered.objects);
  const result = await withProgress(
    context,
    project,
    output,
    (onEvent) =>
      deploy(release, rendered, {
        ...options,
        bringFiles: () => bucketStep(project, output),
        onEvent,
        signal: context.signal,
        message: textOption(input, "message"),
        approveGates: isSet(input, "approveGates"),
        lockWaitMs: parseDuration(textOption(input, "wait") ?? "0", "--wait"),
      }),
    release,
  );
  await registry.close();
  // Routes follow the release that serves them: a failed one leaves the edge as it was.
  if (result.exitCode === 0 && world !== undefined && project.config.edge !== undefined) {
    await callWorld(world, "edge", { config: servedEdge(project) });
  }
  return result.exitCode;
}

/** What can be wrong in manifests, patches and routes, found before anything is built, started or pushed. */
export async function checkFiles(project: Project): Promise<void> {
  checkEdge(project, (await renderUnbuilt(project)).objects);
}

/** The objects as they will be, but for the images, which nobody has built. */
export function renderUnbuilt(project: Project): Promise<RenderedRelease> {
  const digest = `sha256:${"0".repeat(64)}`;
  const unbuilt = project.config.images.map(({ name }) => ({
    name,
    digest,
    reference: `unbuilt/${name}@${digest}`,
    layout: "",
  }));
  const version = { commit: "", message: "", author: "", dirty: false };
  return renderRelease({ config: project.config, images: unbuilt, version });
}

/**
 * Runs a release with its events printed, emitted and announced; announcing never delays or fails it. With `release`
 * the message compares with the releases before, and older messages lose the buttons that do nothing any more.
 */
export async function withProgress(
  context: CliContext,
  project: Project,
  output: StepOutput,
  run: (onEvent: (event: ReleaseEvent) => void) => Promise<ReleaseResult>,
  release?: ReleaseContext,
): Promise<ReleaseResult> {
  const printer = progressPrinter(context, output);
  const telling = tellingOf(context, project, {
    write: printer.say,
    onWarning: (message) => printer.say(indent(`warning: ${message}`)),
  });
  // Local clusters are for whoever sits before them: that Slack hears nothing of them surprises nobody.
  if (telling.kind === "printed" && telling.missing !== undefined && !project.config.isLocal)
    printer.say(indent(`warning: Slack is not told: ${telling.missing}`));
  const announced = announceWith(telling, context.clock, release);
  try {
    return await run((event) => {
      output.emit({ step: "release", ...event });
      printer.show(event, renderEvent(event));
      announced.onEvent(event);
    });
  } finally {
    printer.end();
    await announced.settle();
  }
}

/** A route to a Service that is neither in the release nor in any cluster would only ever answer 503. */
function checkEdge(
  project: Project,
  objects: readonly { kind: string; metadata: { name: string; namespace?: string } }[],
): void {
  for (const { path, target } of project.config.edge?.routes ?? []) {
    if (target.kind !== "service") continue;
    const services = objects.filter(({ kind }) => kind === "Service") as {
      metadata: { name: string; namespace?: string };
      spec?: { ports?: { port: number; name?: string }[] };
    }[] &
      typeof objects;
    const found = services.find(
      ({ metadata }) =>
        metadata.name === target.name &&
        (metadata.namespace ?? project.config.namespace) === target.namespace,
    );
    const where = `slipway.config.ts/edge/routes/${path}`;
    if (found === undefined) {
      throw new SlipwayError({
        code: "EDGE_NO_SERVICE",
        where,
        message: `no Service "${target.name}" in namespace ${target.namespace} among the manifests`,
        hint: `Services there: ${services.map(({ metadata }) => metadata.name).join(", ") || "none"}.`,
        exitCode: 2,
      });
    }
    const ports = (found as { spec?: { ports?: { port: number; name?: string }[] } }).spec?.ports ?? [];
    if (!ports.some(({ port, name }) => port === target.port || name === target.port)) {
      throw new SlipwayError({
        code: "EDGE_NO_PORT",
        where,
        message: `Service "${target.name}" has no port ${typeof target.port === "string" ? `named "${target.port}"` : target.port}`,
        hint: `Its ports: ${ports.map(({ port, name }) => (name === undefined ? port : `${port} (${name})`)).join(", ") || "none"}. Name the Service's port, not the container's.`,
        exitCode: 2,
      });
    }
  }
}
