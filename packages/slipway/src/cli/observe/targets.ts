/** Which clusters `slipway observe …` is about. */
import { renderError, SlipwayError } from "@slipway/base";
import type { ObserveConfig } from "../../config/observe.ts";
import type { Target } from "../../release/model.ts";
import { type CliContext, type CommandInput, textOption } from "../command.ts";
import { targetsOf } from "../compose.ts";
import { openProject, type Project } from "../project.ts";

export interface Observed {
  readonly project: Project;
  readonly observe: ObserveConfig;
  readonly targets: readonly Target[];
}

export async function observedTargets(context: CliContext, input: CommandInput): Promise<Observed> {
  const project = await openProject(context, input);
  const { environment, isLocal, observe } = project.config;
  const refuse = (code: string, message: string, hint: string): SlipwayError =>
    new SlipwayError({ code, where: `environments/${environment}`, message, hint, exitCode: 2 });
  if (observe === undefined)
    throw refuse(
      "OBSERVE_OFF",
      "is not observed: `observe` is false",
      "Take that line out of the configuration.",
    );
  if (isLocal) {
    throw refuse(
      "OBSERVE_LOCAL",
      "is local: its observer runs beside it, and nothing has to be installed",
      "See it with `slipway local status`, or choose another environment with --env.",
    );
  }
  const only = textOption(input, "cluster");
  const all = await targetsOf(context, project);
  const targets = all.filter(({ name }) => only === undefined || name === only);
  if (targets.length > 0) return { project, observe, targets };
  throw new SlipwayError({
    code: "USAGE_CLUSTER",
    where: `--cluster ${only}`,
    message: "no such cluster in this environment",
    hint: `Known: ${all.map(({ name }) => name).join(", ")}.`,
    exitCode: 2,
  });
}

/** One after the other; what fails in one is told, and the others get their turn. Resolves with the exit code. */
export async function inEach(
  context: Pick<CliContext, "signal" | "writeError">,
  targets: readonly Target[],
  work: (target: Target) => Promise<void>,
): Promise<number> {
  let exitCode = 0;
  for (const target of targets) {
    try {
      await work(target);
    } catch (error) {
      if (context.signal.aborted) throw error;
      const { exitCode: own = 1 } = error instanceof SlipwayError ? error : {};
      exitCode = Math.max(exitCode, own);
      context.writeError(`${target.name}: ${renderError(error)}\n`);
    }
  }
  return exitCode;
}
