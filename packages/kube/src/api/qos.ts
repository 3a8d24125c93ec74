/** A pod's quality of service class, which the API server writes into the status of a new pod. */
import { compareQuantities, quantityProblem } from "../quantity.ts";
import type { Quantity } from "../resources/meta.ts";
import type { PodSpec, PodStatus } from "../resources/pod.ts";

/**
 * Guaranteed: every container has limits for cpu and memory, and its requests equal them. BestEffort: no container
 * asks for any. Burstable: everything between. Zero counts as not asked for.
 */
export function qosClassOf(spec: PodSpec): NonNullable<PodStatus["qosClass"]> {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  const amounts = containers.flatMap(({ resources }) =>
    ["cpu", "memory"].map((name) => {
      const limit = positive(resources?.limits?.[name]);
      return { limit, request: positive(resources?.requests?.[name]) ?? limit };
    }),
  );
  if (amounts.every(({ limit, request }) => limit === undefined && request === undefined))
    return "BestEffort";
  const isGuaranteed = amounts.every(
    ({ limit, request }) =>
      limit !== undefined && request !== undefined && compareQuantities(limit, request) === 0,
  );
  return isGuaranteed ? "Guaranteed" : "Burstable";
}

/** Not a quantity at all is for validation to refuse, which comes later. */
function positive(quantity: Quantity | undefined): Quantity | undefined {
  if (quantity === undefined || quantityProblem(quantity) !== undefined) return undefined;
  return compareQuantities(quantity, "0") > 0 ? quantity : undefined;
}
