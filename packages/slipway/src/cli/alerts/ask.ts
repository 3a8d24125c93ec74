/** Whom to ask about alerts: the observer of the running local world. */
import { SlipwayError } from "@slipway/base";
import { callWorld } from "../../world/control.ts";
import type { CliContext, CommandInput } from "../command.ts";
import { openProject, requireWorld } from "../project.ts";

const START_MS = 20_000;

export async function askObserver<T>(
  context: CliContext,
  input: CommandInput,
  name: "alerts" | "alerts-mute" | "alerts-test",
  body?: unknown,
): Promise<T> {
  const project = await openProject(context, input);
  const { config } = project;
  if (!config.isLocal) {
    throw new SlipwayError({
      code: "ALERTS_NOT_HERE",
      where: `environments/${config.environment}`,
      message: "has no local world, and alerts are watched beside one only",
      hint: "Choose an environment whose clusters are local() with --env.",
      exitCode: 2,
    });
  }
  if (config.observe === undefined) {
    throw new SlipwayError({
      code: "ALERTS_OFF",
      where: "observe",
      message: "is false: nothing is watched",
      hint: "Take it out of slipway.config.ts, then `slipway local down` and `slipway local up`.",
      exitCode: 2,
    });
  }
  let { observer } = await requireWorld(project);
  // It starts beside the world, a moment later.
  const until = context.clock.monotonic() + START_MS;
  while (observer?.state === "starting" && context.clock.monotonic() < until && !context.signal.aborted) {
    await context.clock.sleep(100);
    ({ observer } = await requireWorld(project));
  }
  if (observer?.control === undefined) {
    throw new SlipwayError({
      code: "ALERTS_AWAY",
      where: "observer",
      message: `does not run${observer?.problem === undefined ? "" : `: ${observer.problem}`}`,
      hint: "It is started again by itself; see .slipway/world.log.",
      exitCode: 3,
    });
  }
  return callWorld<T>({ control: observer.control }, name, body);
}
