/** What is said of a pod's lines: its service and its release. Pure. */
import type { Pod } from "@slipway/kube";
import type { SourceLabels } from "../access/source.ts";
import type { LogOrigin } from "./passage.ts";

/** Of Slipway's history in the clusters, what tells which pods a release made. */
export interface ReleaseFact {
  readonly number: number;
  readonly commit: string;
  /** ms since the epoch. */
  readonly startedAt: number;
  /** `sha256:…` */
  readonly digests: readonly string[];
  /** Clusters it went to. */
  readonly clusters: readonly string[];
}

/**
 * Pods carry no mark of their release, because a mark in the template would replace every pod with every release. So it
 * is the newest one begun before the pod was made whose images the pod runs. A pod that is made later in place of
 * another one, by a node's death or by scaling, belongs to what is live then.
 */
export function releaseOfPod(
  pod: Pod,
  cluster: string,
  releases: readonly ReleaseFact[],
): { readonly release: number; readonly commit: string } {
  const images = pod.spec.containers.map(({ image = "" }) => image);
  const digests = new Set(images.flatMap((image) => image.split("@")[1] ?? []));
  // Written in whole seconds, rounded down.
  const madeBy = Date.parse(pod.metadata.creationTimestamp ?? "") + 999;
  let found: ReleaseFact | undefined;
  for (const release of releases) {
    if (found !== undefined && found.number > release.number) continue;
    if (release.startedAt > madeBy || !release.clusters.includes(cluster)) continue;
    if (release.digests.some((digest) => digests.has(digest))) found = release;
  }
  if (found !== undefined) return { release: found.number, commit: found.commit };
  return { release: 0, commit: tagOf(images[0] ?? "") };
}

/** `4c1f2aa` of `registry:5000/web:4c1f2aa@sha256:…`; empty when it has none. */
export function tagOf(image: string): string {
  const name = image.split("@")[0] as string;
  return /:([\w.-]+)$/.exec(name.slice(name.lastIndexOf("/") + 1))?.[1] ?? "";
}

/** The workload that a person wrote: the Deployment behind a ReplicaSet, the CronJob behind a Job. */
export function serviceOfPod({ metadata }: Pod): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined) return metadata.name;
  if (owner.kind === "ReplicaSet") {
    const hash = metadata.labels?.["pod-template-hash"];
    return hash !== undefined && owner.name.endsWith(`-${hash}`)
      ? owner.name.slice(0, -hash.length - 1)
      : owner.name;
  }
  // A CronJob names its Jobs by the minute since the epoch (by the second before 1.21).
  return owner.kind === "Job" ? owner.name.replace(/-\d{8,10}$/, "") : owner.name;
}

export function labelsOfPod(
  pod: Pod,
  log: Pick<LogOrigin, "cluster" | "container" | "node">,
  releases: readonly ReleaseFact[],
): SourceLabels {
  return {
    origin: "pod",
    cluster: log.cluster,
    namespace: pod.metadata.namespace ?? "default",
    node: pod.spec.nodeName ?? log.node,
    pod: pod.metadata.name,
    container: log.container,
    service: serviceOfPod(pod),
    ...releaseOfPod(pod, log.cluster, releases),
  };
}

/** Of a pod that nobody knows any more: what the path of its log says. `web-5d9c7b4f6-x2x7q` was made by `web`. */
export function labelsOfPath(log: LogOrigin): SourceLabels {
  const { origin, cluster, namespace, node, container } = log;
  const pod = log.pod === "" ? log.podUid : log.pod;
  const service = log.pod.replace(
    /-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$/,
    "",
  );
  return { origin, cluster, namespace, node, pod, container, service, release: 0, commit: "" };
}
