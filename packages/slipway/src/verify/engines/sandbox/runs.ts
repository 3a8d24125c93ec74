/**
 * The folders of runs, and what is done about runs that died. A folder names its owner by what tells processes apart
 * (pid, start time, boot), so that no run of another process is ever taken for a dead one.
 *
 *   STATE/run-XXXXXX/owner.json   who made it
 *   STATE/run-XXXXXX/sandbox/     the node agent's: logs, and where it mounts its workspace
 */
import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type Clock,
  isProcessAlive,
  type ProcessIdentity,
  readTextIfExists,
  thisProcess,
  writeAtomic,
} from "@slipway/base";
import { removeSandboxLeftovers } from "@slipway/cluster/sandbox";

/** A folder without an owner may be one that is being made. */
const UNOWNED_MS = 60_000;
const END_POLL_MS = 20;
/** Of an owner that cannot be judged (another machine, another container): nothing runs as long as this. */
const UNJUDGED_MS = 24 * 3_600_000;

interface Owner {
  readonly process: ProcessIdentity;
}

export interface Swept {
  readonly containers: number;
  readonly networks: number;
  readonly folders: number;
}

export async function openRun(stateDirectory: string): Promise<string> {
  await mkdir(stateDirectory, { recursive: true });
  const directory = await mkdtemp(join(stateDirectory, "run-"));
  const owner: Owner = { process: thisProcess() };
  await writeAtomic(join(directory, "owner.json"), JSON.stringify(owner));
  return directory;
}

/**
 * Ends and removes what dead runs left. Containers (their log folders) are counted only when they may still have been
 * running, which takes an agent that the kernel did not end with its owner; their network goes with them.
 */
export async function sweepRuns(stateDirectory: string, clock: Clock): Promise<Swept> {
  const swept = { containers: 0, networks: 0, folders: 0 };
  const names = await readdir(stateDirectory).catch(() => []);
  for (const name of names.filter((one) => one.startsWith("run-"))) {
    const directory = join(stateDirectory, name);
    const owner = await ownerOf(directory);
    if (!(await isAbandoned(directory, owner, clock))) continue;
    const pods = await readdir(join(directory, "sandbox", "logs")).catch((): string[] => []);
    const killed = await removeSandboxLeftovers(join(directory, "sandbox"), clock);
    if (killed !== undefined) {
      swept.containers += pods.length;
      swept.networks += 1;
    }
    await rm(directory, { recursive: true, force: true });
    swept.folders += 1;
  }
  return swept;
}

/** Whose runs live. */
export async function livingRuns(stateDirectory: string): Promise<readonly ProcessIdentity[]> {
  const names = await readdir(stateDirectory).catch(() => []);
  const owners = await Promise.all(
    names.filter((one) => one.startsWith("run-")).map((name) => ownerOf(join(stateDirectory, name))),
  );
  return owners.flatMap((owner) =>
    owner !== undefined && isProcessAlive(owner.process) === true ? [owner.process] : [],
  );
}

/** Asks the owners of living runs to end (SIGTERM) and waits until they have. Returns how many there were. */
export async function endRuns(stateDirectory: string, clock: Clock, signal: AbortSignal): Promise<number> {
  const living = await livingRuns(stateDirectory);
  for (const { pid } of living) process.kill(pid, "SIGTERM");
  while (living.some((one) => isProcessAlive(one) === true)) await clock.sleep(END_POLL_MS, signal);
  return living.length;
}

async function ownerOf(directory: string): Promise<Owner | undefined> {
  const text = await readTextIfExists(join(directory, "owner.json"));
  return text === undefined ? undefined : (JSON.parse(text) as Owner);
}

async function isAbandoned(directory: string, owner: Owner | undefined, clock: Clock): Promise<boolean> {
  const isAlive = owner === undefined ? undefined : isProcessAlive(owner.process);
  if (isAlive !== undefined) return !isAlive;
  const made = (await stat(directory).catch(() => undefined))?.mtimeMs;
  if (made === undefined) return false; // another sweep was quicker
  return clock.now() - made > (owner === undefined ? UNOWNED_MS : UNJUDGED_MS);
}
