/** Logs of many pods in many clusters as one stream of lines. */
import type { KubeClient, KubeObject, Pod } from "@slipway/kube";
import type { Target } from "../release/model.ts";

export interface LogLine {
  readonly cluster: string;
  readonly pod: Pod;
  readonly container: string;
  readonly text: string;
}

export interface FollowOptions {
  readonly targets: readonly Target[];
  readonly namespace: string;
  readonly service: string;
  readonly deployment: string | undefined;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly tail: number;
  readonly signal: AbortSignal;
  readonly onLine: (line: LogLine) => void;
}

const pods = { apiVersion: "v1", kind: "Pod" } as const;

/** Returns how many pods there were. With `follow` it ends when the signal aborts. */
export async function followLogs(options: FollowOptions): Promise<number> {
  const counts = await Promise.all(
    options.targets.map(({ name, client }) => followCluster(name, client, options)),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

async function followCluster(cluster: string, client: KubeClient, options: FollowOptions): Promise<number> {
  const owners = await ownersOf(client, options);
  const belongs = (pod: Pod): boolean =>
    (pod.metadata.ownerReferences ?? []).some(({ uid }) => owners.has(uid));
  const listed = await client.list<Pod>(pods, { namespace: options.namespace });
  const streams = new Map<string, Promise<void>>();
  const open = (pod: Pod): void => {
    for (const { name } of pod.spec.containers) {
      const key = `${pod.metadata.uid}/${name}`;
      const isStarted = pod.status?.containerStatuses?.some(
        (status) =>
          status.name === name &&
          (status.state?.running ?? status.state?.terminated ?? status.lastState?.terminated) !== undefined,
      );
      if (streams.has(key) || !isStarted) continue;
      streams.set(key, stream(cluster, client, pod, name, options));
    }
  };
  const found = listed.items.filter(belongs);
  for (const pod of found) open(pod);
  if (options.follow) {
    const events = client.watch<Pod>(pods, {
      namespace: options.namespace,
      resourceVersion: listed.metadata.resourceVersion,
      signal: options.signal,
    });
    try {
      for await (const event of events) {
        if (event.type === "BOOKMARK" || event.type === "DELETED") continue;
        const owner = event.object.metadata.ownerReferences?.find((reference) => reference.controller);
        if (owner !== undefined && !owners.has(owner.uid))
          for (const uid of await ownersOf(client, options)) owners.add(uid);
        if (belongs(event.object)) open(event.object);
      }
    } catch (error) {
      if (!options.signal.aborted) throw error;
    }
  }
  await Promise.all(streams.values());
  return found.length + (options.follow ? streams.size : 0);
}

/** The uids of what owns the pods in question: ReplicaSets of Deployments, and the sets that make pods themselves. */
async function ownersOf(client: KubeClient, options: FollowOptions): Promise<Set<string>> {
  const { namespace } = options;
  const workloads = await Promise.all(
    ["Deployment", "StatefulSet", "DaemonSet"].map((kind) =>
      listServed(client, kind, { namespace, labelSelector: `slipway.dev/service=${options.service}` }),
    ),
  );
  const wanted = new Set(
    workloads
      .flat()
      .filter(({ metadata }) => options.deployment === undefined || metadata.name === options.deployment)
      .flatMap(({ metadata }) => metadata.uid ?? []),
  );
  const sets = await listServed(client, "ReplicaSet", { namespace });
  const owned = sets.filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => wanted.has(uid)));
  return new Set([...wanted, ...owned.flatMap(({ metadata }) => metadata.uid ?? [])]);
}

/** Empty where the cluster has no such kind: a local one has no StatefulSets. */
async function listServed(
  client: KubeClient,
  kind: string,
  options: { readonly namespace: string; readonly labelSelector?: string },
): Promise<readonly KubeObject[]> {
  const type = { apiVersion: "apps/v1", kind };
  return (await client.serves(type)) ? (await client.list(type, options)).items : [];
}

async function stream(
  cluster: string,
  client: KubeClient,
  pod: Pod,
  container: string,
  options: FollowOptions,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  try {
    const bytes = client.logs(
      { namespace: options.namespace, name: pod.metadata.name },
      {
        container,
        follow: options.follow,
        previous: options.previous,
        tailLines: options.tail,
        signal: options.signal,
      },
    );
    for await (const chunk of bytes) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const text of lines) options.onLine({ cluster, pod, container, text });
    }
    if (rest !== "") options.onLine({ cluster, pod, container, text: rest });
  } catch (error) {
    if (options.signal.aborted) return;
    options.onLine({
      cluster,
      pod,
      container,
      text: `(no logs: ${error instanceof Error ? error.message : String(error)})`,
    });
  }
}
