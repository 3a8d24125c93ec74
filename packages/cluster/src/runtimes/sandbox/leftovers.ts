/**
 * What a world that died may have left: in the worst case an agent that did not hear of it, and the folder where
 * its mounts were. A state file names the agent by pid, start time and boot, so that no stranger is ever killed.
 */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { bootId, type Clock, readTextIfExists, startTicksOf, until, writeAtomic } from "@slipway/base";
import { kill } from "./children.ts";

const UNFINISHED_MS = 3_600_000;

interface State {
  readonly pid: number;
  readonly start: string;
  /** Undefined where the kernel does not tell it. */
  readonly boot: string | undefined;
}

function stateFile(directory: string): string {
  return join(directory, "agent.json");
}

export async function rememberAgent(directory: string, pid: number): Promise<void> {
  const state: State = { pid, start: startTicksOf(pid) ?? "", boot: bootId() };
  await writeAtomic(stateFile(directory), `${JSON.stringify(state)}\n`);
}

/**
 * Ends an agent that an earlier world left in `directory`, and removes what is not logs. Returns the pid that it
 * had to kill. For the next start and for `local down`.
 */
export async function removeSandboxLeftovers(directory: string, clock: Clock): Promise<number | undefined> {
  const text = await readTextIfExists(stateFile(directory));
  const state = text === undefined ? undefined : (JSON.parse(text) as State);
  let killed: number | undefined;
  if (state !== undefined && isAlive(state)) {
    kill(state.pid, "SIGKILL"); // it may have ended just now
    await until(`agent ${state.pid} to end`, () => !isAlive(state), { clock });
    killed = state.pid;
  }
  await rm(stateFile(directory), { force: true });
  await rm(join(directory, "run"), { recursive: true, force: true });
  // Copies may belong to subordinate ids, which only an agent can remove; the next one does.
  await rm(join(directory, "copies"), { recursive: true, force: true }).catch(() => {});
  return killed;
}

/** Downloads and half-unpacked layers (hidden names) of worlds that died; younger ones may still be in work. */
export async function removeUnfinishedLayers(layersDirectory: string, clock: Clock): Promise<void> {
  for (const name of await readdir(layersDirectory)) {
    const path = join(layersDirectory, name);
    const age = clock.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? clock.now());
    if (name.startsWith(".") && age > UNFINISHED_MS)
      await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

function isAlive(state: State): boolean {
  return state.boot === bootId() && state.start !== "" && startTicksOf(state.pid) === state.start;
}
