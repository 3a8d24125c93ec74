/** `slipway deploy --resume`: the release that was cut off, from what the clusters stored. No git, no build. */
import { parseDuration } from "@slipway/base";
import { describeInterruption } from "../release/history/interruption.ts";
import { planResume, resume } from "../release/release.ts";
import { callWorld } from "../world/control.ts";
import { type CliContext, type CommandInput, isSet, rebindOf, textOption } from "./command.ts";
import { registryClientOf, releaseContextOf, targetsOf } from "./compose.ts";
import { withProgress } from "./deploy-step.ts";
import { type Project, requireWorld, servedEdge } from "./project.ts";
import type { StepOutput } from "./steps.ts";

export async function resumeStep(
  context: CliContext,
  input: CommandInput,
  project: Project,
  output: StepOutput,
): Promise<number> {
  const world = project.config.isLocal ? await requireWorld(project) : undefined;
  const registry = registryClientOf(context, project);
  try {
    const release = releaseContextOf(context, project, await targetsOf(context, project, world), registry);
    if (isSet(input, "dryRun")) {
      const found = await planResume(release);
      output.emit({ step: "resume", kind: "would-resume", number: found.number, clusters: found.clusters });
      output.say(`${describeInterruption(found)}.`);
      output.say(`would go on with release ${found.number}`);
      return 0;
    }
    const result = await withProgress(
      context,
      project,
      output,
      (onEvent) =>
        resume(release, {
          onEvent,
          signal: context.signal,
          message: textOption(input, "message"),
          skipUnreachable: isSet(input, "skipUnreachable"),
          rebind: rebindOf(input),
          approveGates: isSet(input, "approveGates"),
          lockWaitMs: parseDuration(textOption(input, "wait") ?? "0", "--wait"),
        }),
      release,
    );
    const isForward = result.exitCode === 0 && result.record.kind === "deploy";
    if (isForward && world !== undefined && project.config.edge !== undefined) {
      await callWorld(world, "edge", { config: servedEdge(project) });
    }
    return result.exitCode;
  } finally {
    await registry.close();
  }
}
