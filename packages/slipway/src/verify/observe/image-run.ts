/**
 * The running half of an image's checks: one container as the image starts it, asked for all conditions, then for the
 * commands in their order. An image whose own command ends at once (a tool, a base image) gets a container that only
 * waits, and one without a shell runs each command as its first process.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import { type Check, fail, holdsOfNothing, type RunOptions, unknown } from "../check.ts";
import type { Container, ContainerFiles, Engine, Project, ServiceSpec } from "../engines/engine.ts";
import { envOf } from "../judge/image.ts";
import { judgeStop } from "../judge/running.ts";
import type { CommandPlan, ContainerPlan, ImagePlan } from "../plan.ts";
import { decideCommand, missingShell, type Ran, runIn } from "./commands.ts";
import type { ImageView } from "./image-view.ts";
import { lookInto } from "./look.ts";
import { judgeSafely, type Outcomes } from "./outcome.ts";
import { waitReady } from "./ready.ts";
import { serviceOf } from "./service-of.ts";
import { type SettleOptions, settle } from "./settle.ts";
import { explainContainers } from "./why.ts";

export interface RunContext {
  readonly engine: Engine;
  readonly clock: Clock;
  /** A DNS label; names of this run's projects begin with it. */
  readonly name: string;
}

const IDLE = "trap 'exit 0' TERM INT; while sleep 3600 & wait $!; do :; done";

export async function runImage(
  plan: ImagePlan["containers"][number],
  view: ImageView,
  context: RunContext,
  outcomes: Outcomes,
): Promise<void> {
  await runShared(plan.plan, plan.run, view, context, outcomes);
  for (const command of plan.isolated) {
    const shared: ContainerPlan = { conditions: [], commands: [command], stops: [] };
    await runShared(shared, plan.run, view, context, outcomes);
  }
}

async function runShared(
  plan: ContainerPlan,
  run: RunOptions,
  view: ImageView,
  context: RunContext,
  outcomes: Outcomes,
): Promise<void> {
  if (plan.conditions.length + plan.commands.length + plan.stops.length === 0) return;
  const service = serviceOf(view, run);
  const digest = view.image.digest;
  const entrypoint = run.entrypoint ?? view.config.config.Entrypoint ?? [];
  const commands = plan.commands.map((one) => behind(expanded(one, view), entrypoint));
  if (run.isIdle === true) return runCommands(commands, undefined, { service, view, context }, outcomes);
  const settling = (container: Container): SettleOptions => ({
    clock: context.clock,
    look: () => lookInto(container, context.clock, plan.conditions, view.files),
    digest,
    where: `the container of ${view.image.name}`,
  });
  await withContainer(service, context, async (container) => {
    const startError = await startOf(container);
    const asked = [...plan.conditions, ...plan.stops];
    if (startError !== undefined) notStarted(asked, startError, digest, outcomes);
    else {
      const longest = Math.max(0, ...asked.map(({ deadlineMs }) => deadlineMs));
      if (asked.length > 0) await waitReady(container, context.clock, longest);
      await settle(
        plan.conditions.filter((check) => !isLate(check)),
        settling(container),
        outcomes,
      );
    }
    const living = startError === undefined ? container : undefined;
    await runCommands(commands, living, { service, view, context }, outcomes);
    if (startError !== undefined) return;
    await settle(plan.conditions.filter(isLate), settling(container), outcomes);
    await settle(stillAsked(plan.conditions, outcomes), settling(container), outcomes);
    await explainContainers([container], plan.conditions, outcomes);
    await stopAtTheEnd(plan.stops, container, digest, outcomes);
  });
}

/** `$NAME` and `${NAME}` in its variables replaced by the image's, where it asks for that. */
function expanded(plan: CommandPlan, view: ImageView): CommandPlan {
  if (!plan.resource.isExpanded) return plan;
  const own = (name: string): string => envOf(view.config.config.Env, name) ?? "";
  const environment = Object.fromEntries(
    Object.entries(plan.resource.environment).map(([name, value]) => [
      name,
      value.replaceAll(/\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))/g, (_, braced, plain) =>
        own(braced ?? plain),
      ),
    ]),
  );
  return { ...plan, resource: { ...plan.resource, environment } };
}

function behind(plan: CommandPlan, entrypoint: readonly string[]): CommandPlan {
  if (!plan.resource.hasEntrypoint) return plan;
  return { ...plan, resource: { ...plan.resource, argv: [...entrypoint, ...plan.resource.argv] } };
}

/** What a log says, and how it ends, is asked after the commands, which may be what it is about. */
export const isLate = (check: Check): boolean =>
  check.kind === "log" || (check.kind === "container" && check.expectation.matcher === "exitCode");

/** That it lives, and how, must hold to the end: what held at first is looked at once more after everything else. */
export const stillAsked = (checks: readonly Check[], outcomes: Outcomes): readonly Check[] =>
  checks.filter(
    (check) =>
      check.kind === "container" && !isLate(check) && outcomes.get(check)?.judgement.verdict === "pass",
  );

/** Undefined when it started; else the engine's reason. */
async function startOf(container: Container): Promise<string | undefined> {
  try {
    await container.start();
    return undefined;
  } catch (error) {
    if (error instanceof SlipwayError && error.code === "CONTAINER_NOT_STARTED") return error.message;
    throw error;
  }
}

function notStarted(checks: readonly Check[], why: string, digest: string, outcomes: Outcomes): void {
  for (const check of checks) {
    const text = `the container did not start: ${why}`;
    const judgement = holdsOfNothing(check) ? unknown(text, "See why it does not start.") : fail(text);
    outcomes.set(check, { judgement, from: "nothing", attempts: 1, durationMs: 0, digest });
  }
}

interface CommandContext {
  readonly service: ServiceSpec;
  readonly view: ImageView;
  readonly context: RunContext;
}

async function runCommands(
  commands: readonly CommandPlan[],
  container: Container | undefined,
  { service, view, context }: CommandContext,
  outcomes: Outcomes,
): Promise<void> {
  if (commands.length === 0) return;
  const files = (): Promise<ContainerFiles> => Promise.resolve(view.files);
  const options = {
    clock: context.clock,
    deadlineMs: 0,
    digest: view.image.digest,
    where: `exec in ${view.image.name}`,
  };
  const rest = [...commands];
  while (container !== undefined && rest.length > 0) {
    const command = rest[0] as CommandPlan;
    if ((await container.state()).status !== "running") break;
    const ran = await execIn(container, command, files);
    // It may have ended with the container that it ran in; then it says nothing about the command.
    if (ran === undefined) break;
    await decideCommand(command, () => Promise.resolve(ran), options, outcomes);
    rest.shift();
  }
  if (rest.length === 0) return;
  if (await canIdle(view.files)) {
    const idle: ServiceSpec = {
      ...service,
      entrypoint: ["/bin/sh", "-c", IDLE],
      command: [],
      healthcheck: "none",
    };
    await withContainer(idle, context, async (waiting) => {
      const startError = await startOf(waiting);
      for (const command of rest) {
        const run = (): Promise<Ran> =>
          startError === undefined
            ? runIn(waiting, command, files)
            : Promise.resolve({ blocked: startError, isByImage: true });
        await decideCommand(command, run, options, outcomes);
      }
    });
    return;
  }
  for (const command of rest) {
    await decideCommand(command, () => runAsFirst(command, service, view, context), options, outcomes);
  }
}

async function execIn(
  container: Container,
  command: CommandPlan,
  files: () => Promise<ContainerFiles>,
): Promise<Ran | undefined> {
  const ran = await runIn(container, command, files).catch(async (error: unknown) => {
    if ((await container.state()).status !== "running") return undefined;
    throw error;
  });
  if (ran === undefined) return undefined;
  return (await container.state()).status === "running" ? ran : undefined;
}

async function canIdle(files: ContainerFiles): Promise<boolean> {
  if ((await files.lookup("/bin/sh")).kind !== "found") return false;
  for (const folder of ["/bin", "/usr/bin", "/usr/local/bin"]) {
    if ((await files.lookup(`${folder}/sleep`)).kind === "found") return true;
  }
  return false;
}

/** The command as the first process of a container of its own. */
async function runAsFirst(
  { resource }: CommandPlan,
  service: ServiceSpec,
  view: ImageView,
  { clock, ...context }: RunContext,
): Promise<Ran> {
  const nothing = "the image has no /bin/sh and sleep to keep a container running with";
  // Only a file of container-structure-test has one. What comes after the command (teardown) changes nothing that is checked.
  if (resource.setup.length > 0) {
    return {
      isByImage: false,
      blocked: `${nothing}, so its setup cannot be run`,
      remedy: "Build what the setup makes into the image, or test a stage of its Dockerfile that has both.",
    };
  }
  if (resource.stdin !== undefined) {
    return {
      isByImage: false,
      blocked: `${nothing}, so it gets no input`,
      remedy: 'Give describeImage a command that stays: { command: ["node", "server.js"] }.',
    };
  }
  const alone: ServiceSpec = {
    ...service,
    entrypoint: resource.argv.slice(0, 1),
    command: resource.argv.slice(1),
    environment: { ...service.environment, ...resource.environment },
    user: resource.user ?? service.user,
    workingDir: resource.workingDir ?? service.workingDir,
    healthcheck: "none",
  };
  return withContainer(alone, { clock, ...context }, async (container) => {
    const startedAt = clock.monotonic();
    const startError = await startOf(container);
    if (startError !== undefined) {
      const isMissing = /not found|no such file|ENOENT/i.test(startError);
      if (!isMissing && !/permission denied|EACCES|exec format/i.test(startError)) {
        return { blocked: startError, isByImage: true };
      }
      const exitCode = isMissing ? 127 : 126;
      const failed = { exitCode, stdout: "", stderr: startError, tookMs: 0, hasTimedOut: false };
      return (await missingShell(resource.argv, exitCode, () => Promise.resolve(view.files))) ?? failed;
    }
    const giveUp = new AbortController();
    const isOver = new AbortController();
    clock.sleep(resource.timeoutMs, isOver.signal).then(
      () => giveUp.abort(new Error("timeout")),
      () => {},
    );
    const state = await container.exited(giveUp.signal).catch(() => undefined);
    isOver.abort();
    const { stdout, stderr } = await container.logs();
    const exitCode = state?.exitCode ?? (state?.signal === undefined ? 124 : 128 + state.signal);
    return {
      exitCode,
      stdout,
      stderr,
      tookMs: clock.monotonic() - startedAt,
      hasTimedOut: state === undefined,
    };
  });
}

export async function stopAtTheEnd(
  stops: ContainerPlan["stops"],
  container: Container,
  digest: string,
  outcomes: Outcomes,
): Promise<void> {
  if (stops.length === 0) return;
  const limits = stops.map(({ expectation }) => (expectation.matcher === "stopsWithin" ? expectation.ms : 0));
  const state = await container.state();
  const signal = container.service.stopSignal ?? "its stop signal";
  const stopped = state.status === "running" ? await container.stop(Math.max(...limits)) : undefined;
  for (const [index, check] of stops.entries()) {
    const judgement = await judgeSafely(() =>
      stopped === undefined
        ? fail("it had ended before it was asked to stop")
        : judgeStop(limits[index] ?? 0, stopped, signal),
    );
    outcomes.set(check, { judgement, from: "state", attempts: 1, durationMs: stopped?.tookMs ?? 0, digest });
  }
}

let projects = 0;

export async function withContainer<T>(
  service: ServiceSpec,
  { engine, name }: RunContext,
  body: (container: Container) => Promise<T>,
): Promise<T> {
  projects += 1;
  const project: Project = await engine.createProject({
    name: `${name}-${projects}`,
    services: [service],
    isAlone: true,
  });
  try {
    return await body(project.container(service.name));
  } finally {
    await project.remove();
  }
}
