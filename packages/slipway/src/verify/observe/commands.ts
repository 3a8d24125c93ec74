/** Commands, one after the other in the order of the spec file; each runs once for all that is expected of it. */
import { type Clock, SlipwayError } from "@slipway/base";
import { type CheckOf, fail, type Judgement, unknown } from "../check.ts";
import type { Container, ContainerFiles, ExecResult } from "../engines/engine.ts";
import { judgeCommand } from "../judge/running.ts";
import type { CommandPlan } from "../plan.ts";
import type { Outcomes } from "./outcome.ts";

const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 500;

/** What came of running it: a result, or why it could not be run. */
export type Ran = ExecResult | Blocked;

export interface Blocked {
  readonly blocked: string;
  readonly remedy?: string;
  /** It is the image that keeps it from running: what it should have done, it does not do. */
  readonly isByImage: boolean;
}

export const isBlocked = (ran: Ran): ran is Blocked => "blocked" in ran;

/** `ran` is asked again until all of the command's expectations hold or its deadline ends; a deadline of 0 runs it once. */
export async function decideCommand(
  { resource, checks }: CommandPlan,
  run: () => Promise<Ran>,
  options: {
    readonly clock: Clock;
    readonly deadlineMs: number;
    readonly digest: string | undefined;
    readonly where: string;
  },
  outcomes: Outcomes,
): Promise<void> {
  const { clock, deadlineMs, digest, where } = options;
  const startedAt = clock.monotonic();
  let wait = FIRST_WAIT_MS;
  for (let attempts = 1; ; attempts += 1) {
    const ran = await run();
    const judged = checks.map((check): [typeof check, Judgement] => [
      check,
      isBlocked(ran)
        ? judgeBlocked(check, ran)
        : judgeCommand({ resource, expectation: check.expectation }, ran),
    ]);
    const durationMs = clock.monotonic() - startedAt;
    const isDone = isBlocked(ran) || judged.every(([, judgement]) => judgement.verdict !== "fail");
    if (isDone || durationMs + wait > deadlineMs) {
      const from = isBlocked(ran) ? "nothing" : "exec";
      const cost = isBlocked(ran) ? {} : { cost: `exit ${ran.exitCode} · ${Math.round(ran.tookMs)} ms` };
      for (const [check, judgement] of judged) {
        outcomes.set(check, { judgement, from, attempts, durationMs, digest, where, ...cost });
      }
      return;
    }
    await clock.sleep(wait);
    wait = Math.min(LONGEST_WAIT_MS, wait * 2);
  }
}

/** A command that the image cannot run does not exit with 0 and writes nothing; what it must not do was not seen. */
function judgeBlocked(
  { expectation }: CheckOf<"command">,
  { blocked, remedy, isByImage }: Blocked,
): Judgement {
  const wantsMore =
    expectation.matcher === "json" ||
    (expectation.matcher === "exits" && expectation.code === 0) ||
    (expectation.matcher === "text" && expectation.isWanted && expectation.match.is !== "empty");
  return isByImage && wantsMore ? fail(`it cannot be run: ${blocked}`) : unknown(blocked, remedy);
}

/** Runs it in a container that lives, with what comes before and after it. Rejects when the engine is gone. */
export async function runIn(
  container: Container,
  plan: CommandPlan,
  files: () => Promise<ContainerFiles | undefined>,
): Promise<Ran> {
  try {
    return await runThere(container, plan, files);
  } catch (error) {
    const blocked = refusalOf(error);
    if (blocked === undefined) throw error;
    return blocked;
  }
}

/** What concerns the image, as runc, crun and the sandbox word it: its accounts, folders and programs. */
const BY_IMAGE = /\b(?:user|group|passwd|chdir|cwd|working directory|no such|not found|permission|format)\b/i;

/** An engine that answers, but with a refusal: one command that cannot be run is no reason to end the whole run. */
function refusalOf(error: unknown): Blocked | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof SlipwayError && error.code === "CONTAINER_NOT_RUNNING") {
    return { blocked: "the container ended before it could be run", isByImage: false };
  }
  const isAnswer = "statusCode" in error && typeof error.statusCode === "number";
  if (!isAnswer && !(error instanceof SlipwayError && error.code === "ENGINE_EXEC_FAILED")) return undefined;
  return { blocked: error.message, isByImage: BY_IMAGE.test(error.message) };
}

async function runThere(
  container: Container,
  { resource }: CommandPlan,
  files: () => Promise<ContainerFiles | undefined>,
): Promise<Ran> {
  const { argv, environment, user, workingDir, stdin, timeoutMs } = resource;
  const options = {
    environment,
    timeoutMs,
    ...(user === undefined ? {} : { user }),
    ...(workingDir === undefined ? {} : { workingDir }),
  };
  for (const setup of resource.setup) {
    const result = await container.exec(setup, options);
    if (result.exitCode !== 0) {
      return {
        isByImage: false,
        blocked: `its setup "${setup.join(" ")}" ended with ${result.exitCode}: ${result.stderr.trim().slice(0, 300)}`,
      };
    }
  }
  const result = await container.exec(argv, stdin === undefined ? options : { ...options, stdin });
  for (const teardown of resource.teardown) await container.exec(teardown, options);
  return (await missingShell(argv, result.exitCode, files)) ?? result;
}

/** Exit 127 of a command line means "not found"; where the shell itself is not found, nothing was run at all. */
export async function missingShell(
  argv: readonly string[],
  exitCode: number,
  files: () => Promise<ContainerFiles | undefined>,
): Promise<Ran | undefined> {
  if (exitCode !== 127 || argv[0] !== "/bin/sh") return undefined;
  const shell = await (await files())?.lookup("/bin/sh");
  if (shell?.kind !== "absent") return undefined;
  return {
    isByImage: true,
    blocked: "there is no /bin/sh in it, so the command line was not run",
    remedy: 'Write the command as a list, which needs no shell: ["nginx", "-v"].',
  };
}
