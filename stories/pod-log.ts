/**
 * What became of a cluster's pods, from its own watch: every change is seen, where polling would miss what lies between
 * two looks. A watch that breaks (a lost cluster) is opened again.
 */
import { systemClock, until } from "@slipway/base";
import type { Pod } from "@slipway/kube";
import type { PlaceCluster } from "./place.ts";

export interface PodLog {
  readonly cluster: string;
  /** Pods as of now. */
  pods(): readonly Pod[];
  /** The lowest number of ready pods since the log was opened; a pod that has been told to go does not count. */
  lowestReady(): number;
  /** Whether a pod with an image of this tag ever existed. */
  everRan(tag: string): boolean;
  /** Waits until pods of this tag exist. */
  appears(tag: string): Promise<void>;
  close(): Promise<void>;
}

const POD = { apiVersion: "v1", kind: "Pod" };

export async function openPodLog(cluster: PlaceCluster, namespace: string): Promise<PodLog> {
  const { client, name } = cluster;
  const stop = new AbortController();
  const pods = new Map<string, Pod>();
  const tags = new Set<string>();
  let lowest = Number.POSITIVE_INFINITY;
  const note = (): void => {
    for (const pod of pods.values()) tags.add(tagOf(pod));
    lowest = Math.min(lowest, [...pods.values()].filter(isServing).length);
  };
  const list = async (): Promise<string> => {
    const { items, metadata } = await client.list<Pod>(POD, { namespace });
    pods.clear();
    for (const pod of items) pods.set(pod.metadata.uid ?? "", pod);
    note();
    return metadata.resourceVersion ?? "";
  };
  const follow = async (resourceVersion: string): Promise<void> => {
    const { signal } = stop;
    for await (const { type, object } of client.watch<Pod>(POD, { namespace, resourceVersion, signal })) {
      if (type === "BOOKMARK") continue;
      if (type === "DELETED") pods.delete(object.metadata.uid ?? "");
      else pods.set(object.metadata.uid ?? "", object);
      note();
    }
  };
  const first = await list();
  const following = (async () => {
    await follow(first).catch(() => undefined);
    while (!stop.signal.aborted) {
      await systemClock.sleep(250, stop.signal).catch(() => undefined);
      await list()
        .then(follow)
        .catch(() => undefined);
    }
  })();
  return {
    cluster: name,
    pods: () => [...pods.values()],
    lowestReady: () => lowest,
    everRan: (tag) => tags.has(tag),
    appears: (tag) =>
      until(`a pod of ${tag} in ${name}`, () => tags.has(tag) || undefined, { timeoutMs: 120_000 }).then(
        () => undefined,
      ),
    async close() {
      stop.abort();
      await following;
    },
  };
}

/** Every cluster's log while the body runs. */
export async function withPodLogs<T>(
  clusters: readonly PlaceCluster[],
  namespace: string,
  body: (logs: readonly PodLog[]) => Promise<T>,
): Promise<T> {
  const logs = await Promise.all(clusters.map((cluster) => openPodLog(cluster, namespace)));
  try {
    return await body(logs);
  } finally {
    await Promise.all(logs.map((log) => log.close()));
  }
}

/** `localhost:5000/stories/web:TAG@sha256:…` */
export function tagOf(pod: Pod): string {
  return /:([\w.-]+)@/.exec(pod.spec.containers[0]?.image ?? "")?.[1] ?? "";
}

export function isServing(pod: Pod): boolean {
  const ready = pod.status?.conditions?.find(({ type }) => type === "Ready");
  return pod.metadata.deletionTimestamp === undefined && ready?.status === "True";
}
