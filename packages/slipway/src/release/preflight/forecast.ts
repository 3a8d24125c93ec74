/**
 * Whether a rolling update ends. Where the scheduler draws lots, one walk (`walk.ts`) is one way it may go: several are
 * walked, and only when all of them end it "fits".
 */
import { seededRandom } from "@slipway/base";
import type { Lots } from "./lots.ts";
import { type Rollout, type Room, type Walk, walk } from "./walk.ts";

export type Forecast =
  | { readonly verdict: "fits"; readonly likely: Walk }
  /** Some ways of drawing lots end, others stop. */
  | { readonly verdict: "tight"; readonly likely: Walk; readonly stopped: Walk }
  | { readonly verdict: "stops"; readonly likely: Walk; readonly stopped: Walk };

/** Large clusters have many equal nodes; what one walk says there, the next says as well. */
const MANY = 100_000;

export function forecast(room: Room, rollouts: readonly Rollout[], now: number): Forecast {
  const near = (seed: number): Lots => ({ draw: "near", random: seededRandom(seed) });
  const any = (seed: number): Lots => ({ draw: "any", random: seededRandom(seed) });
  const likely = walk(room, rollouts, { draw: "best" }, now);
  const walks = walksFor(room);
  const plausible = [likely, ...seeds(0, walks.near).map((seed) => walk(room, rollouts, near(seed), now))];
  const stops = plausible.filter((one) => one.stops.length > 0);
  if (stops.length === plausible.length) return { verdict: "stops", likely, stopped: likely };
  if (stops[0] !== undefined) return { verdict: "tight", likely, stopped: stops[0] };
  const unlucky: readonly Lots[] = [{ draw: "fullest" }, ...seeds(walks.near, walks.any).map(any)];
  for (const lots of unlucky) {
    const one = walk(room, rollouts, lots, now);
    if (one.stops.length > 0) return { verdict: "tight", likely, stopped: one };
  }
  return { verdict: "fits", likely };
}

const seeds = (from: number, many: number): readonly number[] =>
  Array.from({ length: many }, (_, index) => from + index + 1);

/** Small clusters are where luck decides, and where a walk costs nothing. */
function walksFor({ nodes, others }: Room): { readonly near: number; readonly any: number } {
  const size = nodes.length * (others.length + nodes.length);
  if (size > MANY) return { near: 1, any: 0 };
  return size > MANY / 100 ? { near: 3, any: 6 } : { near: 6, any: 40 };
}
