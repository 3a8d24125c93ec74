/** Whom to ask about alerts: the observer of the running local world, or the collectors of the clusters. */
import { SlipwayError } from "@slipway/base";
import type { TestAnswer } from "../../observer/alerts/answers.ts";
import {
  listAlerts,
  type MuteWish,
  muteAlerts,
  testAlerts,
  type Unasked,
} from "../../observer/alerts/clusters.ts";
import { collectorIn } from "../../observer/reach-collector.ts";
import type { AlertsAnswer } from "../../server/api.ts";
import { callWorld } from "../../world/control.ts";
import type { CliContext, CommandInput } from "../command.ts";
import { observerBeside } from "../local/observer.ts";
import { openProject, type Project, requireWorld } from "../project.ts";

export interface AskedAlerts {
  list(): Promise<{ readonly answer: AlertsAnswer; readonly unasked: readonly Unasked[] }>;
  mute(wish: MuteWish): Promise<void>;
  test(): Promise<TestAnswer>;
}

export async function openAlerts(context: CliContext, input: CommandInput): Promise<AskedAlerts> {
  const project = await openProject(context, input);
  const { config } = project;
  if (config.observe === undefined) {
    throw new SlipwayError({
      code: "ALERTS_OFF",
      where: "observe",
      message: "is false: nothing is watched",
      hint: "Take it out of slipway.config.ts, then `slipway ship`, or `slipway observe install` for real clusters.",
      exitCode: 2,
    });
  }
  if (config.isLocal) return besideWorld(context, project);
  const { targetsOf } = await import("../compose.ts");
  const place = { namespace: config.namespace, service: config.name };
  const clusters = (await targetsOf(context, project)).map(({ name, client }) =>
    collectorIn(name, client, place),
  );
  return {
    list: () => listAlerts(clusters),
    mute: (wish) => muteAlerts(clusters, wish),
    test: () => testAlerts(clusters),
  };
}

async function besideWorld(context: CliContext, project: Project): Promise<AskedAlerts> {
  await requireWorld(project);
  const observer = await observerBeside(project.paths, context);
  if (observer?.control === undefined) {
    throw new SlipwayError({
      code: "ALERTS_AWAY",
      where: "observer",
      message: `does not run${observer?.problem === undefined ? "" : `: ${observer.problem}`}`,
      hint: "It is started again by itself; see .slipway/world.log.",
      exitCode: 3,
    });
  }
  const { control } = observer;
  return {
    list: async () => ({ answer: await callWorld<AlertsAnswer>({ control }, "alerts"), unasked: [] }),
    mute: (wish) => callWorld({ control }, "alerts-mute", wish),
    test: () => callWorld<TestAnswer>({ control }, "alerts-test"),
  };
}
