/** What `plan`, `deploy --dry-run` and `ship --dry-run` share: the images that a build left, planned and shown. */
import type { RegistryClient } from "../images/registry/client.ts";
import { type Knowledge, readKnowledge } from "../release/history/knowledge.ts";
import { programRunner } from "../release/manifests/manifest-programs.ts";
import { renderRelease } from "../release/manifests/render.ts";
import type { ReleaseContext, RenderedRelease } from "../release/model.ts";
import { freeze } from "../release/plan/frozen-plan.ts";
import { type PlanOptions, planInDetail, type ReleasePlan } from "../release/plan/plan.ts";
import { renderPlan } from "../release/plan/plan-text.ts";
import { refusalError } from "../release/plan/refusals.ts";
import type { WorldState } from "../world/state.ts";
import { type CliContext, type CommandInput, isSet, rebindOf, textOption } from "./command.ts";
import { registryClientOf, releaseContextOf, targetsOf } from "./compose.ts";
import { bucketDigests, checkPlanFile, writePlanFile } from "./frozen-plan-file.ts";
import type { Project } from "./project.ts";
import { type BuildRecord, keepReferences, type StepOutput, withReferences } from "./steps.ts";

export interface PreparedRelease {
  readonly release: ReleaseContext;
  readonly rendered: RenderedRelease;
  readonly registry: RegistryClient;
  readonly knowledge: Knowledge;
}

/** The objects of a release from what was built, and the clusters it goes to. Images need not be pushed for a plan. */
export async function prepareRelease(
  context: CliContext,
  project: Project,
  record: BuildRecord,
  world: WorldState | undefined,
  use: "plan" | "deploy",
): Promise<PreparedRelease> {
  const registry = registryClientOf(context, project);
  const targets = await targetsOf(context, project, world);
  // A plan may name images that nobody has pushed yet: there is nothing to ask the registry.
  const isUnpushed = use === "plan" && record.isPushed !== true;
  const release = releaseContextOf(context, project, targets, isUnpushed ? undefined : registry);
  const { images } = isUnpushed ? withReferences(project, record, world) : record;
  const knowledge = await readKnowledge(release);
  const rendered = await renderRelease({
    config: project.config,
    // A cluster that does not answer is told by the plan; here it only means that nothing earlier is known.
    images: keepReferences(images, knowledge.records),
    version: record.version,
    run: programRunner(context.env),
  });
  return { release, rendered, registry, knowledge };
}

export function planOptionsOf(
  input: CommandInput,
): Pick<PlanOptions, "allowHeld" | "skipUnreachable" | "rebind"> {
  return {
    allowHeld: isSet(input, "allowHeld"),
    skipUnreachable: isSet(input, "skipUnreachable"),
    rebind: rebindOf(input),
  };
}

/** Shows the plan, and keeps it with `--out`; returns the exit code. */
export async function planStep(
  context: CliContext,
  input: CommandInput,
  project: Project,
  record: BuildRecord,
  world: WorldState | undefined,
  output: StepOutput,
): Promise<number> {
  const out = textOption(input, "out");
  if (out !== undefined) await checkPlanFile(context, out);
  const prepared = await prepareRelease(context, project, record, world, "plan");
  const { release, rendered, knowledge } = prepared;
  const options = planOptionsOf(input);
  const detailed = await planInDetail(release, rendered, knowledge, options);
  const { plan } = detailed;
  await prepared.registry.close();
  const code = showPlan(context, input, plan, output);
  if (record.isPushed !== true && record.images.length > 0) {
    output.say("note: the images are not pushed yet; slipway push, before a deploy");
  }
  // A plan with refusals could not be carried out: there is nothing to keep.
  if (out !== undefined && plan.refusals.length === 0) {
    const about = { knowledge, options, buckets: await bucketDigests(project) };
    await writePlanFile(context, out, freeze(release, rendered, detailed, about), output);
  }
  return code;
}

/** Prints it; the exit code is that of the first refusal, else what `--detailed-exitcode` asks for. */
export function showPlan(
  context: CliContext,
  input: CommandInput,
  plan: ReleasePlan,
  output: StepOutput,
): number {
  output.emit({
    step: "plan",
    plan: { ...plan, refusals: plan.refusals.map((refusal) => refusal.toJSON()) },
  });
  const color = context.isTerminal && (context.env["NO_COLOR"] ?? "") === "";
  output.say(renderPlan(plan, { color, full: isSet(input, "full") }));
  const refused = refusalError(plan.refusals);
  if (refused !== undefined) return refused.exitCode ?? 1;
  return isSet(input, "detailedExitcode") ? detailedExitCode(plan) : 0;
}

/**
 * 5 when something would change, 0 when it is known that nothing would. Where that is true of every cluster that
 * answered and one did not, it is not known: 3, as for any cluster that cannot be reached.
 */
export function detailedExitCode(plan: {
  readonly hasChanges: boolean;
  readonly order: Pick<ReleasePlan["order"], "silent">;
}): 0 | 3 | 5 {
  if (plan.hasChanges) return 5;
  return plan.order.silent.length > 0 ? 3 : 0;
}
