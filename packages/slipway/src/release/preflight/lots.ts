/** Where the scheduler and the ReplicaSet controller leave something to chance. */
import type { Random } from "@slipway/base";

/** How lots are drawn in one walk. */
export type Lots =
  /** The best node, the first by name among equals: what a scheduler alone with its scores would do. */
  | { readonly draw: "best" }
  /** Among the nodes that are nearly as good as the best, and among pods that are equally dispensable. */
  | { readonly draw: "near"; readonly random: Random }
  /** Any node that fits: nothing is left to luck. */
  | { readonly draw: "any"; readonly random: Random }
  /** The fullest node that fits, which leaves the largest holes elsewhere. */
  | { readonly draw: "fullest" };

export function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const all = [...items];
  for (let index = all.length - 1; index > 0; index -= 1) {
    const other = random.int(index + 1);
    [all[index], all[other]] = [all[other] as T, all[index] as T];
  }
  return all;
}
