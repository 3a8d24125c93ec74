/**
 * One command in a container through the Engine API: create, start with an upgraded connection, read frames until its
 * end, and only then ask for the exit code.
 */
import type { Clock } from "@slipway/base";
import type Docker from "dockerode";
import type { ExecOptions, ExecResult } from "../engine.ts";
import { Demultiplexer } from "./streams.ts";

const OUTPUT_LIMIT = 4 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 30_000;
const NOT_FOUND_EXIT = 127;
const NOT_EXECUTABLE_EXIT = 126;
const KILLED_EXIT = 137;

interface ExecPorts {
  readonly docker: Docker;
  readonly clock: Clock;
  /** Undefined: cannot be seen. */
  readonly isProgramThere: (program: string) => Promise<boolean | undefined>;
}

export async function execIn(
  container: Docker.Container,
  argv: readonly string[],
  options: ExecOptions,
  ports: ExecPorts,
): Promise<ExecResult> {
  const { clock } = ports;
  const startedAt = clock.monotonic();
  const result = (exitCode: number, output: { stdout: string; stderr: string }, hasTimedOut = false) => ({
    exitCode,
    ...output,
    tookMs: clock.monotonic() - startedAt,
    hasTimedOut,
  });
  const hasStdin = options.stdin !== undefined;
  const exec = await container.exec({
    Cmd: [...argv],
    AttachStdout: true,
    AttachStderr: true,
    AttachStdin: hasStdin,
    Env: Object.entries(options.environment ?? {}).map(([name, value]) => `${name}=${value}`),
    ...(options.user === undefined ? {} : { User: options.user }),
    ...(options.workingDir === undefined ? {} : { WorkingDir: options.workingDir }),
  });
  const frames = new Demultiplexer(OUTPUT_LIMIT);
  let hasTimedOut = false;
  try {
    const stream = await exec.start({ hijack: true, stdin: hasStdin });
    const done = new AbortController();
    const ended = new Promise<void>((resolve, reject) => {
      stream.on("data", (chunk: Buffer) => frames.push(chunk));
      stream.once("end", resolve);
      stream.once("close", resolve);
      stream.once("error", reject);
    });
    if (hasStdin) stream.end(options.stdin);
    const late = clock.sleep(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, done.signal).then(
      () => true,
      () => false,
    );
    hasTimedOut = await Promise.race([ended.then(() => false), late]);
    done.abort();
    if (hasTimedOut) {
      await killExec(exec);
      stream.destroy();
    }
  } catch (error) {
    // Podman refuses to start a program that is not there; Docker starts, and ends with a code of its own.
    const isThere = await ports.isProgramThere(argv[0] as string);
    if (isThere !== false) throw error;
    return result(NOT_FOUND_EXIT, { stdout: "", stderr: `${argv[0]}: not found\n` });
  }
  if (hasTimedOut) return result(KILLED_EXIT, frames.output(), true);
  const { ExitCode } = await exec.inspect();
  const exitCode = ExitCode ?? NOT_EXECUTABLE_EXIT;
  const isRefused = exitCode === NOT_EXECUTABLE_EXIT || exitCode === NOT_FOUND_EXIT;
  if (isRefused && (await ports.isProgramThere(argv[0] as string)) === false) {
    return result(NOT_FOUND_EXIT, { stdout: "", stderr: `${argv[0]}: not found\n` });
  }
  return result(exitCode, frames.output());
}

/** The API cannot end a command; on this machine its process can be. Elsewhere it goes with its container. */
async function killExec(exec: Docker.Exec): Promise<void> {
  const { Pid } = await exec.inspect();
  if (!Pid) return;
  try {
    process.kill(Pid, "SIGKILL");
  } catch {
    // gone, or on another machine
  }
}
