/** What pods use, asked of the cluster's own metrics API where there is one. */
import type { Target } from "../../../release/model.ts";
import { sentenceOf } from "../rows.ts";
import { type PodMetrics, type Use, useOf } from "./view.ts";

const METRICS = { apiVersion: "metrics.k8s.io/v1beta1", kind: "PodMetrics" };

/** Never rejects: that nobody measures is an answer. */
export async function useIn({ client }: Target, namespaces: readonly string[]): Promise<Use> {
  try {
    if (!(await client.serves(METRICS))) return nothing("nobody measures: the cluster has no metrics.k8s.io");
    const lists = await Promise.all(
      namespaces.map((namespace) => client.list<PodMetrics>(METRICS, { namespace })),
    );
    return useOf(lists.flatMap(({ items }) => items));
  } catch (error) {
    return nothing(`metrics.k8s.io: ${sentenceOf(error)}`);
  }
}

const nothing = (source: string): Use => ({ source, pods: new Map() });
