import { spawn } from "node:child_process";
import { SlipwayError, systemCode } from "./error.ts";

export interface ExecResult {
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly signal?: AbortSignal;
  /** Called with each piece of output as it arrives, for live progress. */
  readonly onOutput?: (text: string, stream: "stdout" | "stderr") => void;
}

/** Runs a program to its end and returns how it went; only a program that cannot be started throws. */
export function exec(command: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const [program, ...args] = command as [string, ...string[]];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      options.onOutput?.(text, "stdout");
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      options.onOutput?.(text, "stderr");
    });
    child.on("error", (cause) => {
      const missing = systemCode(cause) === "ENOENT";
      reject(
        new SlipwayError({
          code: missing ? "EXEC_NOT_FOUND" : "EXEC_FAILED",
          where: program,
          message: missing ? "program not found" : cause.message,
          cause,
          exitCode: 3,
        }),
      );
    });
    child.on("close", (exitCode, signal) =>
      resolve({ exitCode: exitCode ?? 128, signal: signal ?? undefined, stdout, stderr }),
    );
    child.stdin.on("error", () => {}); // a program that ends without reading its input is not an error of ours
    child.stdin.end(options.input ?? "");
  });
}

/** A line that can be pasted into a shell. */
export function shellLine(command: readonly string[]): string {
  return command
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`))
    .join(" ");
}
