/** Amounts of resources as people write them, and the sums of a pod that the scheduler does not need. */
import { amountOf } from "@slipway/cluster/scheduling";
import type { Container, Pod } from "@slipway/kube";

/** `500m`, `128Mi`, `3`; rounded down where the exact number would say less. */
export function show(resource: string, amount: number): string {
  if (resource === "cpu") return amount % 1000 === 0 ? String(amount / 1000) : `${amount}m`;
  if (!/memory|storage|hugepages/.test(resource)) return String(amount);
  for (const [unit, size] of UNITS) {
    if (amount >= size && (amount % size === 0 || amount >= size * 10))
      return `${Math.floor(amount / size)}${unit}`;
  }
  return String(amount);
}

const UNITS = [
  ["Gi", 2 ** 30],
  ["Mi", 2 ** 20],
  ["Ki", 2 ** 10],
] as const;

/** Limits of a pod: the sum of its containers, or the largest init container where that is more. */
export function limitsOfPod(pod: Pod): ReadonlyMap<string, number> {
  const sum = new Map<string, number>();
  for (const container of pod.spec.containers) {
    for (const [name, amount] of limitsOf(container)) sum.set(name, (sum.get(name) ?? 0) + amount);
  }
  for (const container of pod.spec.initContainers ?? []) {
    for (const [name, amount] of limitsOf(container)) {
      const before = sum.get(name) ?? 0;
      sum.set(name, container.restartPolicy === "Always" ? before + amount : Math.max(before, amount));
    }
  }
  return sum;
}

function limitsOf(container: Container): readonly (readonly [string, number])[] {
  return Object.entries(container.resources?.limits ?? {}).map(([name, quantity]) => [
    name,
    amountOf(name, quantity),
  ]);
}
