/**
 * Conditions that may become true: looked at together, again and again with back-off, until each holds or its deadline
 * ends. What must not be so is judged last, when everything that should happen has: a port that opens late, a line that
 * is logged late, is still found.
 */
import type { Clock } from "@slipway/base";
import { type Check, isNegative, type Judgement } from "../check.ts";
import { sourceOf } from "../plan.ts";
import type { Outcomes } from "./outcome.ts";

const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 500;

/** One look at the target: everything is read once, whatever number of checks is judged by it. */
export interface Look {
  judge(check: Check): Promise<Judgement>;
  /** Nothing more will change (it has exited for good): waiting would only take time. */
  readonly isFinal: boolean;
}

export interface SettleOptions {
  readonly clock: Clock;
  readonly look: (checks: readonly Check[]) => Promise<Look>;
  readonly digest: string | undefined;
  readonly where: string;
}

export async function settle(
  checks: readonly Check[],
  options: SettleOptions,
  outcomes: Outcomes,
): Promise<void> {
  await until(
    checks.filter((check) => !isNegative(check)),
    options,
    outcomes,
  );
  await until(checks.filter(isNegative), options, outcomes);
}

async function until(checks: readonly Check[], options: SettleOptions, outcomes: Outcomes): Promise<void> {
  const { clock, look, digest, where } = options;
  const startedAt = clock.monotonic();
  let pending = checks;
  let wait = FIRST_WAIT_MS;
  for (let attempts = 1; pending.length > 0; attempts += 1) {
    const seen = await look(pending);
    const rest: Check[] = [];
    for (const check of pending) {
      const judgement = await seen.judge(check);
      const elapsed = clock.monotonic() - startedAt;
      const { verdict, isFinal = verdict === "unknown" } = judgement;
      const isSettled = verdict === "pass" || isFinal;
      const isOver = seen.isFinal || isSettled || elapsed + wait > check.deadlineMs;
      if (isOver) {
        const from = judgement.verdict === "unknown" ? "nothing" : sourceOf(check);
        outcomes.set(check, { judgement, from, attempts, durationMs: elapsed, digest, where });
      } else rest.push(check);
    }
    pending = rest;
    if (pending.length > 0) await clock.sleep(wait);
    wait = Math.min(LONGEST_WAIT_MS, wait * 2);
  }
}
