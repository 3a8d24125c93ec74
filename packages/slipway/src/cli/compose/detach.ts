/**
 * `slipway compose up -d`: the same command once more, in the background, with its lines in files. Services end with the
 * process that runs them, so there is one; whoever started it sees its lines until it is ready or has failed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { StringDecoder } from "node:string_decoder";
import { SlipwayError } from "@slipway/base";
import { livingRuns } from "../../verify/engines/sandbox/runs.ts";
import type { CliContext } from "../command.ts";

const LOOK_EVERY_MS = 50;

export interface BackgroundPaths {
  readonly runs: string;
  readonly log: string;
  readonly errors: string;
}

/**
 * 0 when everything is ready, else the exit code of what has failed. When the signal aborts, what was begun is stopped.
 * Rejects with COMPOSE_RUNNING (exit 2).
 */
export async function upInBackground(
  context: CliContext,
  words: readonly string[],
  paths: BackgroundPaths,
): Promise<number> {
  await refuseSecond(paths.runs);
  await mkdir(dirname(paths.log), { recursive: true });
  const files = [openSync(paths.log, "w+", 0o600), openSync(paths.errors, "w+", 0o600)] as const;
  try {
    const child = spawn(process.execPath, [...process.execArgv, process.argv[1] as string, ...words], {
      cwd: context.cwd,
      env: context.env,
      detached: true,
      stdio: ["ignore", ...files, "ipc"],
    });
    const state = watch(child);
    const stop = (): void => void child.kill("SIGTERM");
    context.signal.addEventListener("abort", stop, { once: true });
    if (context.signal.aborted) stop();
    const showOut = tail(files[0], (text) => context.write(text));
    const showErr = tail(files[1], (text) => context.writeError(text));
    for (let isOver = false; !isOver; ) {
      isOver = state.isReady || state.exitCode !== undefined || state.error !== undefined;
      showOut();
      showErr();
      if (!isOver) await context.clock.sleep(LOOK_EVERY_MS);
    }
    context.signal.removeEventListener("abort", stop);
    if (state.error !== undefined) throw state.error;
    if (state.exitCode !== undefined) return state.exitCode;
    child.disconnect();
    child.unref();
    return 0;
  } finally {
    for (const file of files) closeSync(file);
  }
}

/** In the background process: whoever started it need not wait any longer. Nobody may have. */
export function tellReady(): void {
  process.send?.("ready");
}

/** Names of services are those of one run; a second one would take its ports and be found by the same `down`. */
async function refuseSecond(runs: string): Promise<void> {
  const [running] = await livingRuns(runs);
  if (running === undefined) return;
  throw new SlipwayError({
    code: "COMPOSE_RUNNING",
    where: "--detach",
    message: `the project is running already (process ${running.pid})`,
    hint: "Stop it first: slipway compose down.",
    exitCode: 2,
  });
}

interface Background {
  isReady: boolean;
  exitCode: number | undefined;
  /** It could not even be started. */
  error?: Error;
}

function watch(child: ChildProcess): Background {
  const state: Background = { isReady: false, exitCode: undefined };
  child.once("message", () => {
    state.isReady = true;
  });
  child.once("exit", (code) => {
    state.exitCode = code ?? 1;
  });
  child.once("error", (error) => {
    state.error = error;
  });
  return state;
}

/** Shows what has been written since it was last called. */
function tail(file: number, show: (text: string) => void): () => void {
  const buffer = Buffer.alloc(64 * 1024);
  const decoder = new StringDecoder("utf8");
  let position = 0;
  return () => {
    for (;;) {
      const bytes = readSync(file, buffer, 0, buffer.length, position);
      if (bytes === 0) return;
      position += bytes;
      show(decoder.write(buffer.subarray(0, bytes)));
    }
  };
}
