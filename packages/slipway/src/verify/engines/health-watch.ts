/**
 * Healthchecks of one life of a container, run from here whatever it runs on. Docker's and Podman's own are left off:
 * Docker's first one comes only after a whole interval, and Podman's need systemd.
 */
import type { Clock } from "@slipway/base";
import type { ExecResult, HealthcheckSpec } from "./engine.ts";
import { afterProbe, freshHealth, type Health, probeDelay } from "./health.ts";

const OUTPUT_MAX = 4096;

export interface HealthWatchOptions {
  readonly check: HealthcheckSpec;
  readonly startedAtMs: number;
  readonly clock: Clock;
  /** Aborts when that life is over, or nobody asks for its health any more; what was seen last stays. */
  readonly over: AbortSignal;
  /** May end with `over`; what it then says is not looked at. */
  readonly exec: (argv: readonly string[], timeoutMs: number, over: AbortSignal) => Promise<ExecResult>;
}

export class HealthWatch {
  readonly startedAtMs: number;
  #health: Health;

  constructor(options: HealthWatchOptions) {
    this.startedAtMs = options.startedAtMs;
    this.#health = freshHealth(options.startedAtMs);
    void this.#run(options);
  }

  get health(): Health {
    return this.#health;
  }

  async #run(options: HealthWatchOptions): Promise<void> {
    const { check, clock, over, startedAtMs } = options;
    while (!over.aborted) {
      const probe = await probeOnce(options);
      if (over.aborted) return;
      this.#health = afterProbe(check, this.#health, { ...probe, endedAtMs: clock.now() }, startedAtMs);
      await clock.sleep(probeDelay(check, this.#health), over).catch(() => {});
    }
  }
}

async function probeOnce({
  check,
  exec,
  over,
}: HealthWatchOptions): Promise<{ readonly exitCode: number | undefined; readonly output: string }> {
  try {
    const { stdout, stderr, exitCode, hasTimedOut } = await exec(check.test, check.timeoutMs, over);
    const output = (stdout + stderr).slice(0, OUTPUT_MAX);
    if (!hasTimedOut) return { exitCode, output };
    return { exitCode: undefined, output: `${output}Health check exceeded timeout (${check.timeoutMs} ms)` };
  } catch (error) {
    return { exitCode: undefined, output: error instanceof Error ? error.message : String(error) };
  }
}
