/**
 * The engine's end of the helper in a container's network: started when first asked, gone when the container is.
 * Needs the right to enter the namespaces of the container's process: root, or being the one who made them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { SlipwayError } from "@slipway/base";
import type { FromHelper, InsideAnswers, InsideQuestion, ToHelper } from "./protocol.ts";

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface HelperOptions {
  /** Absolute path of this machine's nsenter (util-linux). */
  readonly nsenter: string;
  /** The container's first process, in our pid namespace. */
  readonly pid: number;
  /** Whether the container lies in another user namespace than ours. */
  readonly hasUserNamespace: boolean;
  /** Whose namespaces are entered, where its own user namespace does not have its network. Default: `pid`. */
  readonly entry?: number | undefined;
}

export class InsideHelper {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;
  #said = "";
  #end: Error | undefined;

  constructor(options: HelperOptions) {
    this.pid = options.pid;
    const program = fileURLToPath(new URL(import.meta.url.replace(/helper(\.\w+)$/, "helper-main$1")));
    const namespaces = options.hasUserNamespace
      ? // Who made the user namespace is root in it; where there is one uid, becoming another is refused.
        ["--user", "--preserve-credentials", "--net"]
      : ["--net"];
    this.#child = spawn(
      options.nsenter,
      ["--target", String(options.entry ?? options.pid), ...namespaces, "--", process.execPath, program],
      {
        cwd: "/",
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...compileCache() },
        detached: true,
        stdio: ["pipe", "pipe", "pipe"],
      },
    );
    const { stdin, stdout, stderr } = this.#child;
    stdin?.on("error", () => {}); // its end is reported by `close`
    stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-2000);
    });
    if (stdout !== null)
      createInterface({ input: stdout }).on("line", (line) => this.#receive(JSON.parse(line) as FromHelper));
    this.#child.once("error", (error) => this.#over(error.message));
    this.#child.once("close", (code, signal) => this.#over(`it ended with ${signal ?? code}`));
  }

  ask<Q extends InsideQuestion>(question: Q): Promise<InsideAnswers[Q["do"]]> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    this.#asked += 1;
    const message: ToHelper = { id: this.#asked, pid: this.pid, ...question };
    return new Promise((resolve, reject) => {
      this.#waiting.set(message.id, { resolve: resolve as Waiting["resolve"], reject });
      this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
    });
  }

  close(): void {
    this.#child.stdin?.end();
    this.#child.kill("SIGKILL");
  }

  #receive({ id, value, error }: FromHelper): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else
      waiting?.reject(
        Object.assign(new Error(error.message), error.code === undefined ? {} : { code: error.code }),
      );
  }

  #over(why: string): void {
    const said = this.#said.trim();
    this.#end ??= new SlipwayError({
      code: "ENGINE_HELPER_LOST",
      where: `network of process ${this.pid}`,
      message: `the helper inside is gone: ${why}${said === "" ? "" : `: ${said}`}`,
      exitCode: 3,
    });
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }
}

/** What this process has compiled before, the helper need not compile again: half of its start. */
function compileCache(): NodeJS.ProcessEnv {
  const directory = getCompileCacheDir();
  return directory === undefined ? {} : { NODE_COMPILE_CACHE: dirname(directory) };
}
