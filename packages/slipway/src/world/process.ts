/** Starting and stopping the world's process from the CLI. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { SlipwayError, startTicksOf, systemClock, until } from "@slipway/base";
import { callWorld } from "./control.ts";
import {
  findWorld,
  removeWorld,
  type WorldPaths,
  type WorldSpec,
  type WorldState,
  worldPaths,
} from "./state.ts";

/**
 * Starts a world in the background; fails when one is running. Leftovers of one that died are swept by its start.
 * When the signal aborts before it is ready, it is stopped again, and this rejects with the signal's reason.
 */
export async function launchWorld(spec: WorldSpec, interrupt: AbortSignal): Promise<WorldState> {
  const paths = worldPaths(spec.projectRoot);
  const presence = await findWorld(paths);
  if (presence.kind === "running") throw alreadyRunning(presence.state);
  await mkdir(paths.root, { recursive: true });
  const log = await open(paths.log, "a");
  const entry = fileURLToPath(
    new URL(import.meta.url.endsWith(".ts") ? "main.ts" : "main.js", import.meta.url),
  );
  const child = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON",
      "--enable-source-maps", // its log names the sources
      entry,
    ],
    {
      cwd: spec.projectRoot,
      detached: true,
      stdio: ["pipe", log.fd, log.fd, "pipe"],
    },
  );
  child.stdin?.on("error", () => {}); // it may be stopped before it has read
  child.stdin?.end(JSON.stringify(spec));
  const answer = await answerOf(child, interrupt);
  await log.close();
  interrupt.throwIfAborted();
  child.unref();
  const message =
    answer === ""
      ? undefined
      : (JSON.parse(answer) as {
          ready?: true;
          error?: { code: string; message: string; where?: string; hint?: string; exitCode?: number };
        });
  if (message?.ready) {
    const started = await findWorld(paths);
    if (started.kind === "running") return started.state;
  }
  if (message?.error !== undefined)
    throw new SlipwayError({ ...message.error, exitCode: message.error.exitCode ?? 3 });
  const tail = (await readFile(paths.log, "utf8")).trimEnd().split("\n").slice(-10).join("\n  ");
  throw new SlipwayError({
    code: "WORLD_NOT_STARTED",
    where: "local world",
    message: "ended while it was starting",
    hint: `The end of .slipway/world.log:\n  ${tail}`,
    exitCode: 3,
  });
}

/** What it says on descriptor 3, once; after an interruption, when it has ended. */
async function answerOf(child: ChildProcess, interrupt: AbortSignal): Promise<string> {
  const exited = once(child, "exit");
  const stop = (): void => void child.kill("SIGTERM");
  interrupt.addEventListener("abort", stop, { once: true });
  if (interrupt.aborted) stop();
  const answer = await text(child.stdio[3] as Readable);
  interrupt.removeEventListener("abort", stop);
  if (interrupt.aborted) await exited;
  return answer;
}

function alreadyRunning(state: WorldState): SlipwayError {
  return new SlipwayError({
    code: "WORLD_RUNNING",
    where: "local world",
    message: `is running already (process ${state.pid}, clusters ${state.clusters.map(({ name }) => name).join(", ")})`,
    hint: "Use it as it is, or stop it with `slipway local down`.",
    exitCode: 2,
  });
}

export type Stopped = "stopped" | "was-not-running" | "had-died";

/** Asks the world to stop and waits until it and its agents are gone; kills it when it does not obey. */
export async function stopWorld(projectRoot: string, timeoutMs = 15_000): Promise<Stopped> {
  const paths = worldPaths(projectRoot);
  const presence = await findWorld(paths);
  if (presence.kind === "absent") return "was-not-running";
  const { state } = presence;
  const isGone = (): boolean => startTicksOf(state.pid) !== state.startTicks;
  if (presence.kind === "running") {
    await callWorld(state, "stop", undefined, 5000).catch(() => signal(state.pid, "SIGTERM"));
    await until("the world to stop", isGone, { clock: systemClock, timeoutMs, everyMs: 20 }).catch(
      async () => {
        signal(state.pid, "SIGKILL");
        await until("the world to die", isGone, { timeoutMs: 5000 });
      },
    );
  }
  await sweep(paths, state);
  return presence.kind === "running" ? "stopped" : "had-died";
}

/** What ran beside a world dies with it; one that did not is ended here, if it is still the process that was recorded. */
async function sweep(paths: WorldPaths, { clusters, observer }: WorldState): Promise<void> {
  const beside = [
    ...clusters.map(({ agentPid, agentStartTicks }) => ({ pid: agentPid, startTicks: agentStartTicks })),
    ...(observer === undefined ? [] : [observer]),
  ];
  for (const { pid, startTicks } of beside) {
    if (pid === undefined || startTicks === undefined) continue;
    const isGone = (): boolean => startTicksOf(pid) !== startTicks;
    await until(`process ${pid} to end`, isGone, { timeoutMs: 2000 }).catch(async () => {
      signal(pid, "SIGKILL");
      await until(`process ${pid} to die`, isGone); // and with it the pods that it is the first process of
    });
  }
  await removeWorld(paths);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already.
  }
}

/** Forgets everything: objects, history, images. The world must not run. */
export async function deleteWorld(projectRoot: string): Promise<void> {
  await rm(worldPaths(projectRoot).root, { recursive: true, force: true });
}
