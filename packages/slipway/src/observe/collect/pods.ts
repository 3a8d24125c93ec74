/**
 * The pods of clusters by a watch of each, and what is said of their lines. A pod whose log is found before the watch has
 * told of it is waited for, for a few seconds; then its path has to do, so that no line waits for ever.
 */
import type { Clock } from "@slipway/base";
import { isReason, type KubeClient, type Pod } from "@slipway/kube";
import type { SourceLabels } from "../access/source.ts";
import type { LogOrigin } from "./passage.ts";
import { labelsOfPath, labelsOfPod, type ReleaseFact, releaseOfPod } from "./pod-labels.ts";
import type { ReleaseOfPod } from "./sources.ts";

export interface PodsOptions {
  readonly clock: Clock;
  readonly onProblem: (cluster: string, error: unknown) => void;
  /** What became known of pods: for the lines that were stored before. */
  readonly onLearned: (pods: readonly ReleaseOfPod[]) => void;
  /** Only pods of this namespace. Default: all. */
  readonly namespace?: string | undefined;
}

const pods = { apiVersion: "v1", kind: "Pod" } as const;
const WAIT_FOR_POD_MS = 3000;
/** Logs of deleted pods are read to their end; later nobody asks for them. */
const KEEP_DELETED_MS = 10 * 60 * 1000;
const AGAIN_MS = { first: 100, most: 5000 } as const;

export class Pods {
  readonly #options: PodsOptions;
  /** By `CLUSTER/UID`. */
  readonly #pods = new Map<
    string,
    { readonly cluster: string; readonly pod: Pod; deletedAt: number | undefined }
  >();
  /** Clusters that have told all their pods. */
  readonly #listed = new Set<string>();
  /** `CLUSTER/NAME` → the key in `#pods`. */
  readonly #byName = new Map<string, string>();
  /** What the edge calls a service → its workload, from requests whose pod is known. */
  readonly #workloads = new Map<string, string>();
  /** Pods that were asked for and are not known, and since when. */
  readonly #missed = new Map<string, number>();
  #releases: readonly ReleaseFact[] = [];

  constructor(options: PodsOptions) {
    this.#options = options;
  }

  /** Until `signal` aborts. A cluster that cannot be asked keeps the pods that were known last. */
  async follow(cluster: string, client: KubeClient, signal: AbortSignal): Promise<void> {
    const { clock, namespace, onProblem } = this.#options;
    const scope = namespace === undefined ? {} : { namespace };
    let wait = 0;
    while (!signal.aborted) {
      try {
        const listed = await client.list<Pod>(pods, scope);
        this.#replace(cluster, listed.items);
        wait = 0;
        const { resourceVersion } = listed.metadata;
        for await (const { type, object } of client.watch<Pod>(pods, { ...scope, resourceVersion, signal })) {
          if (type === "BOOKMARK") continue;
          if (type === "DELETED") this.#delete(cluster, object);
          else this.#put(cluster, object);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!isReason(error, "Expired")) onProblem(cluster, error);
      }
      wait = Math.min(AGAIN_MS.most, Math.max(AGAIN_MS.first, wait * 2));
      await clock.sleep(wait, signal).catch(() => {});
    }
  }

  /** What the clusters remember of releases, as it is now. */
  setReleases(releases: readonly ReleaseFact[]): void {
    this.#releases = releases;
    this.#options.onLearned(
      [...this.#pods.values()].map(({ cluster, pod }) => this.#releaseOf(cluster, pod)),
    );
  }

  /** Undefined: not known yet, ask again. */
  labelsOf(log: LogOrigin): SourceLabels | undefined {
    if (log.origin !== "pod") return labelsOfPath(log);
    const key = `${log.cluster}/${log.podUid}`;
    const known = this.#pods.get(key);
    if (known !== undefined) return labelsOfPod(known.pod, log, this.#releases);
    const now = this.#options.clock.monotonic();
    const since = this.#missed.get(key);
    if (since === undefined) this.#missed.set(key, now);
    return since === undefined || now - since < WAIT_FOR_POD_MS ? undefined : labelsOfPath(log);
  }

  /** True when its cluster has told that it has no such pod; uids are not given twice. */
  isGone(cluster: string, podUid: string): boolean {
    const known = this.#pods.get(`${cluster}/${podUid}`);
    return this.#listed.has(cluster) && (known === undefined || known.deletedAt !== undefined);
  }

  /**
   * The edge names the pod that answered and its own route. The service is then the pod's, so that a request through the
   * edge and the pod's line of the same one count for one service; also of requests that no pod answered.
   */
  complete(labels: SourceLabels): SourceLabels {
    if (labels.origin !== "edge") return labels;
    const known = this.#pods.get(this.#byName.get(`${labels.cluster}/${labels.pod}`) ?? "");
    if (known === undefined)
      return { ...labels, service: this.#workloads.get(labels.service) ?? labels.service };
    const { namespace, node, service, release, commit } = labelsOfPod(known.pod, labels, this.#releases);
    this.#workloads.set(labels.service, service);
    return { ...labels, namespace, node, service, release, commit };
  }

  #put(cluster: string, pod: Pod): void {
    const key = `${cluster}/${pod.metadata.uid}`;
    const isNew = !this.#pods.has(key);
    this.#missed.delete(key);
    this.#pods.set(key, { cluster, pod, deletedAt: undefined });
    this.#byName.set(`${cluster}/${pod.metadata.name}`, key);
    if (isNew) this.#options.onLearned([this.#releaseOf(cluster, pod)]);
  }

  #delete(cluster: string, pod: Pod): void {
    const known = this.#pods.get(`${cluster}/${pod.metadata.uid}`);
    if (known !== undefined) known.deletedAt ??= this.#options.clock.monotonic();
    this.#forget();
  }

  #replace(cluster: string, listed: readonly Pod[]): void {
    const present = new Set(listed.map(({ metadata }) => `${cluster}/${metadata.uid}`));
    for (const [key, known] of this.#pods)
      if (known.cluster === cluster && !present.has(key)) known.deletedAt ??= this.#options.clock.monotonic();
    for (const pod of listed) this.#put(cluster, pod);
    this.#listed.add(cluster);
    this.#forget();
  }

  #forget(): void {
    const before = this.#options.clock.monotonic() - KEEP_DELETED_MS;
    for (const [key, { cluster, pod, deletedAt }] of this.#pods) {
      if (deletedAt === undefined || deletedAt >= before) continue;
      this.#pods.delete(key);
      const name = `${cluster}/${pod.metadata.name}`;
      if (this.#byName.get(name) === key) this.#byName.delete(name);
    }
    for (const [key, since] of this.#missed) if (since < before) this.#missed.delete(key);
  }

  #releaseOf(cluster: string, pod: Pod): ReleaseOfPod {
    return { cluster, pod: pod.metadata.name, ...releaseOfPod(pod, cluster, this.#releases) };
  }
}
