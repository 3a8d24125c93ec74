/**
 * Somebody else changes how many replicas there are. An autoscaler that follows the load goes one way at a time; two
 * that disagree go back and forth, and the rollout never ends. Two turns are a contest.
 */
import type { Finding } from "./finding.ts";

const TURNS = 2;
const BUDGET_MS = 30_000;

/** Numbers that are remembered between two looks, by name; absent ones are undefined. */
export interface Remembered {
  get(name: string): number | undefined;
  set(name: string, value: number): void;
}

export function contested(
  replicas: number,
  applied: number | undefined,
  memory: Remembered,
): Finding | undefined {
  const last = memory.get("replicas") ?? applied ?? replicas;
  const direction = Math.sign(replicas - last);
  const lastDirection = memory.get("direction") ?? 0;
  const isTurn = direction !== 0 && lastDirection !== 0 && direction !== lastDirection;
  const turns = (memory.get("turns") ?? 0) + (isTurn ? 1 : 0);
  memory.set("replicas", replicas);
  memory.set("direction", direction === 0 ? lastDirection : direction);
  memory.set("turns", turns);
  if (turns < TURNS) return undefined;
  return {
    code: "ReplicasContested",
    key: "contested",
    why: `spec.replicas goes back and forth, ${turns} times so far, now ${replicas}: two controllers set it`,
    budgetMs: BUDGET_MS,
  };
}
