/**
 * Services that run together: started once for all checks, conditions of all services first and at the same time, then
 * the commands in the order of the spec file, then what logs say, then how they stop.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import { type Check, type ComposePlace, fail, unknown } from "../check.ts";
import { type Container, type Engine, isUnseen, type Project } from "../engines/engine.ts";
import type { ComposePlan, ContainerPlan } from "../plan.ts";
import { decideCommand, runIn } from "./commands.ts";
import { isLate, stillAsked, stopAtTheEnd } from "./image-run.ts";
import { lookInto } from "./look.ts";
import type { Outcomes } from "./outcome.ts";
import { settle } from "./settle.ts";
import { explainContainers } from "./why.ts";

/** Reads a Compose file and brings its services up on an engine. */
export interface ComposeRunner {
  /**
   * Resolves when every service is ready, or has ended as it should. Rejects with a SlipwayError: exit code 2 for a
   * mistake in the file, 3 for the engine or an image, 1 when the services do not become ready. What was started is
   * removed then.
   */
  up(place: ComposePlace, engine: Engine, run: ComposeUse): Promise<Project>;
}

export interface ComposeUse {
  /** The services that will be asked, and where the spec file names them. */
  readonly asked: readonly { readonly service: string; readonly place: string }[];
  /** Told what each service gets, before anything of it can be shown. */
  readonly onVariables: (variables: Readonly<Record<string, string>>) => void;
}

interface ComposeRun {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly compose: ComposeRunner;
  /** Called with what services and commands get, before anything of them is shown. */
  readonly onVariables: (variables: Readonly<Record<string, string>>) => void;
}

export async function runCompose(plan: ComposePlan, context: ComposeRun, outcomes: Outcomes): Promise<void> {
  const project = await upOrFail(plan, context, outcomes);
  if (project === undefined) return;
  for (const { commands } of plan.services.map((one) => one.plan)) {
    for (const { resource } of commands) context.onVariables(resource.environment);
  }
  try {
    const services = await checkServices(project, plan.services, context.clock, outcomes);
    for (const { plan: own, container } of services) {
      await stopAtTheEnd(own.stops, container, container.service.image.digest, outcomes);
    }
  } finally {
    await project.remove();
  }
}

/** All but how they stop. */
export async function checkServices(
  project: Project,
  plans: ComposePlan["services"],
  clock: Clock,
  outcomes: Outcomes,
): Promise<readonly Service[]> {
  const services = plans.map((one) => ({ ...one, container: project.container(one.service) }));
  await Promise.all(services.map((one) => conditions(one, (check) => !isLate(check), clock, outcomes)));
  for (const one of services) await commands(one, clock, outcomes);
  await Promise.all(services.map((one) => conditions(one, isLate, clock, outcomes)));
  const asked = new Set(services.flatMap((one) => stillAsked(one.plan.conditions, outcomes)));
  await Promise.all(services.map((one) => conditions(one, (check) => asked.has(check), clock, outcomes)));
  await explainContainers(
    project.spec.services.map(({ name }) => project.container(name)),
    plans.flatMap((one) => checksOf(one.plan)),
    outcomes,
  );
  return services;
}

export const checksOf = (plan: ContainerPlan): readonly Check[] => [
  ...plan.conditions,
  ...plan.commands.flatMap(({ checks }) => checks),
  ...plan.stops,
];

/** Services that do not become ready are a failure of every check on them, with the reason. */
async function upOrFail(
  plan: ComposePlan,
  { engine, compose, onVariables }: ComposeRun,
  outcomes: Outcomes,
): Promise<Project | undefined> {
  try {
    const asked = plan.services.map(({ service, plan: own }) => ({
      service,
      place: checksOf(own)[0]?.place ?? "spec",
    }));
    return await compose.up(plan.place, engine, { asked, onVariables });
  } catch (error) {
    if (!(error instanceof SlipwayError) || (error.exitCode ?? 1) !== 1) throw error;
    const why = error.where === undefined ? error.message : `${error.where}: ${error.message}`;
    for (const check of plan.services.flatMap((one) => checksOf(one.plan))) {
      const judgement = fail(`the services did not become ready: ${why}`);
      outcomes.set(check, { judgement, from: "nothing", attempts: 1, durationMs: 0 });
    }
    return undefined;
  }
}

interface Service {
  readonly service: string;
  readonly plan: ContainerPlan;
  readonly container: Container;
}

async function conditions(
  { service, plan, container }: Service,
  isWanted: (check: Check) => boolean,
  clock: Clock,
  outcomes: Outcomes,
): Promise<void> {
  const wanted = plan.conditions.filter(isWanted);
  const own = wanted.filter((check) => check.kind !== "image");
  const options = { clock, digest: container.service.image.digest, where: service };
  await settle(own, { ...options, look: () => lookInto(container, clock, plan.conditions) }, outcomes);
}

async function commands(
  { service, plan, container }: Service,
  clock: Clock,
  outcomes: Outcomes,
): Promise<void> {
  const options = { clock, digest: container.service.image.digest, where: `exec in ${service}` };
  const files = async () => {
    const seen = await container.files();
    return isUnseen(seen) ? undefined : seen;
  };
  for (const command of plan.commands) {
    const state = await container.state();
    if (state.status !== "running") {
      for (const check of command.checks) {
        const judgement = unknown(`${service} does not run any more, so nothing could be run in it`);
        outcomes.set(check, {
          judgement,
          from: "nothing",
          attempts: 1,
          durationMs: 0,
          digest: options.digest,
        });
      }
      continue;
    }
    if (command.resource.isIsolated || command.resource.hasEntrypoint) {
      const what = command.resource.isIsolated ? "isolated()" : 'entrypoint: "keep"';
      throw new SlipwayError({
        code: "VERIFY_SPEC_INVALID",
        where: command.checks[0]?.place,
        message: `${what} is for images; a service of a stack is one container that runs already`,
        hint: "Leave it out, or check the image with describeImage.",
        exitCode: 2,
      });
    }
    const deadlineMs = command.checks[0]?.deadlineMs ?? 0;
    await decideCommand(
      command,
      () => runIn(container, command, files),
      { ...options, deadlineMs },
      outcomes,
    );
  }
}
