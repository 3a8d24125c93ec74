/**
 * Healthchecks of one life of a container, run from here as the sandbox runs them. The engines' own are left off: Docker's
 * first one comes only after a whole interval, and Podman's need systemd.
 */
import type { Clock } from "@slipway/base";
import type { ExecResult, HealthcheckSpec } from "../engine.ts";
import { afterProbe, freshHealth, type Health, probeDelay } from "../sandbox/health.ts";

const OUTPUT_MAX = 4096;

export interface HealthWatchOptions {
  readonly check: HealthcheckSpec;
  readonly startedAtMs: number;
  readonly clock: Clock;
  readonly exec: (argv: readonly string[], timeoutMs: number) => Promise<ExecResult>;
}

export class HealthWatch {
  readonly startedAtMs: number;
  #health: Health;
  readonly #over = new AbortController();

  constructor(options: HealthWatchOptions) {
    this.startedAtMs = options.startedAtMs;
    this.#health = freshHealth(options.startedAtMs);
    void this.#run(options);
  }

  get health(): Health {
    return this.#health;
  }

  close(): void {
    this.#over.abort();
  }

  async #run({ check, clock, exec, startedAtMs }: HealthWatchOptions): Promise<void> {
    const over = this.#over.signal;
    while (!over.aborted) {
      const probe = await probeOnce(check, exec);
      if (over.aborted) return;
      this.#health = afterProbe(check, this.#health, { ...probe, endedAtMs: clock.now() }, startedAtMs);
      await clock.sleep(probeDelay(check, this.#health), over).catch(() => {});
    }
  }
}

async function probeOnce(
  check: HealthcheckSpec,
  exec: HealthWatchOptions["exec"],
): Promise<{ readonly exitCode: number | undefined; readonly output: string }> {
  try {
    const { stdout, stderr, exitCode, hasTimedOut } = await exec(check.test, check.timeoutMs);
    const output = (stdout + stderr).slice(0, OUTPUT_MAX);
    if (!hasTimedOut) return { exitCode, output };
    return { exitCode: undefined, output: `${output}Health check exceeded timeout (${check.timeoutMs} ms)` };
  } catch (error) {
    return { exitCode: undefined, output: error instanceof Error ? error.message : String(error) };
  }
}
