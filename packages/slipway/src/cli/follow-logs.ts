/**
 * Logs of many pods in many clusters, by the API: first what there is, then what comes. A log that ends while its
 * container runs is opened again: up to Kubernetes 1.29 following stops when kubelet rotates the file, and connections
 * break.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import { isReason, type KubeClient, type KubeObject, type LogOptions, type Pod } from "@slipway/kube";
import type { Target } from "../release/model.ts";
import { type LogLine, Seen, splitStamp } from "./log-lines.ts";

export interface PodLogsOptions {
  readonly targets: readonly Target[];
  readonly namespace: string;
  readonly service: string;
  readonly deployment: string | undefined;
  /** Only these pods. */
  readonly wants: (cluster: string, pod: Pod) => boolean;
  readonly previous: boolean;
  /** Lines of each container; undefined: all that the API has. */
  readonly tail: number | undefined;
  /** ms since the epoch. */
  readonly sinceMs: number | undefined;
  /** Told once of a cluster that cannot be asked, and again when it was there meanwhile. */
  readonly onProblem: (cluster: string, error: unknown) => void;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface PodLogs {
  /** Pods that were found at the beginning. */
  readonly pods: number;
  /** What there was. */
  readonly lines: readonly LogLine[];
  /** Clusters that could not be asked. */
  readonly away: number;
  /**
   * What comes, also of pods that start later and of clusters that come back, until the signal aborts. Returns how many
   * more pods there were.
   */
  follow(onLine: (line: LogLine) => void): Promise<number>;
}

const pods = { apiVersion: "v1", kind: "Pod" } as const;
const AGAIN_MS = { first: 250, most: 5000 } as const;
const PATIENT_MS = 10_000;
/** A kubelet may also go on following the file that it has rotated away, for ever and in silence. */
const SILENT_MS = 15_000;

export async function readPodLogs(options: PodLogsOptions): Promise<PodLogs> {
  const clusters = await Promise.all(options.targets.map((target) => readCluster(target, options)));
  return {
    pods: clusters.reduce((sum, { found }) => sum + found, 0),
    lines: clusters.flatMap(({ lines }) => lines),
    away: clusters.filter(({ isAway }) => isAway).length,
    async follow(onLine) {
      const more = await Promise.all(clusters.map((cluster) => cluster.follow(onLine)));
      return more.reduce((sum, count) => sum + count, 0);
    },
  };
}

interface ClusterLogs {
  readonly found: number;
  readonly lines: readonly LogLine[];
  readonly isAway: boolean;
  follow(onLine: (line: LogLine) => void): Promise<number>;
}

/** What a cluster has at one moment; a watch tells what comes after `version`. */
interface Sight {
  readonly found: number;
  readonly logs: readonly ContainerLog[];
  readonly version: string | undefined;
}

async function readCluster({ name, client }: Target, options: PodLogsOptions): Promise<ClusterLogs> {
  const { namespace, previous, tail, sinceMs, clock, signal } = options;
  const owners = new Set<string>();
  const belongs = (pod: Pod): boolean =>
    (pod.metadata.ownerReferences ?? []).some(({ uid }) => owners.has(uid)) && options.wants(name, pod);
  const logsOf = (pod: Pod): readonly ContainerLog[] =>
    startedContainers(pod).map((container) => logOf(name, client, pod, container));
  const learnOwners = async (): Promise<void> => {
    for (const uid of await ownersOf(client, options)) owners.add(uid);
  };
  let isAway = false;
  const notThere = (error: unknown): void => {
    if (!isAway) options.onProblem(name, error);
    isAway = true;
  };
  const look = async (): Promise<Sight> => {
    await learnOwners();
    const { items, metadata } = await client.list<Pod>(pods, { namespace });
    isAway = false;
    const found = items.filter(belongs);
    return { found: found.length, logs: found.flatMap(logsOf), version: metadata.resourceVersion };
  };
  const first: LogOptions = {
    previous,
    ...(tail === undefined ? {} : { tailLines: tail }),
    // The API knows whole seconds.
    ...(sinceMs === undefined ? {} : { sinceTime: new Date(sinceMs).toISOString() }),
  };
  const readAll = (logs: readonly ContainerLog[], onLine: (line: LogLine) => void): Promise<unknown> =>
    Promise.all(
      logs.map((log) =>
        readLog(log, first, options, (line) => {
          if (sinceMs === undefined || line.at >= sinceMs) onLine(line);
        }),
      ),
    );
  // One that is away costs no line of the others.
  let sight: Sight | undefined = await inTime(name, clock, look()).catch((error: unknown) => {
    notThere(error);
    return undefined;
  });
  const lines: LogLine[] = [];
  await readAll(sight?.logs ?? [], (line) => void lines.push(line));
  return { found: sight?.found ?? 0, lines, isAway, follow };

  async function follow(onLine: (line: LogLine) => void): Promise<number> {
    const streams = new Map<string, Promise<void>>();
    const open = (log: ContainerLog): void => {
      if (!streams.has(log.key)) streams.set(log.key, followLog(log, options, onLine));
    };
    const begun = sight?.logs.length ?? 0;
    let isRead = sight !== undefined;
    let wait: number = AGAIN_MS.first;
    while (!signal.aborted) {
      try {
        sight ??= await look();
        const { logs, version: resourceVersion } = sight;
        sight = undefined;
        if (!isRead) await readAll(logs, onLine);
        isRead = true;
        for (const log of logs) open(log);
        // It ends every few minutes, by itself or with its connection; pods that came meanwhile are found by a look.
        const watched = { namespace, signal, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
        for await (const { type, object } of client.watch<Pod>(pods, watched)) {
          wait = AGAIN_MS.first;
          if (type === "BOOKMARK" || type === "DELETED") continue;
          const owner = object.metadata.ownerReferences?.find((reference) => reference.controller);
          if (owner !== undefined && !owners.has(owner.uid)) await learnOwners();
          if (belongs(object)) for (const log of logsOf(object)) open(log);
        }
      } catch (error) {
        if (!signal.aborted && !isReason(error, "Expired")) notThere(error);
      }
      await clock.sleep(wait, signal).catch(() => {});
      wait = Math.min(AGAIN_MS.most, wait * 2);
    }
    await Promise.all(streams.values());
    return streams.size - begun;
  }
}

/** A request to a cluster that is gone may take a minute to fail; whoever looks at the others does not wait for that. */
async function inTime<T>(cluster: string, clock: Clock, work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = clock.sleep(PATIENT_MS, timer.signal).then(() => {
    throw new SlipwayError({
      code: "CLUSTER_UNREACHABLE",
      where: `clusters/${cluster}`,
      message: `no sign of life for ${PATIENT_MS / 1000} s`,
      exitCode: 3,
    });
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
  }
}

interface ContainerLog {
  readonly key: string;
  readonly cluster: string;
  readonly client: KubeClient;
  readonly pod: Pod;
  readonly container: string;
  readonly seen: Seen;
}

function logOf(cluster: string, client: KubeClient, pod: Pod, container: string): ContainerLog {
  return { key: `${pod.metadata.uid}/${container}`, cluster, client, pod, container, seen: new Seen() };
}

/** Those that have said anything yet; of a pod that does not get beyond its init containers, they say why. */
function startedContainers({
  spec,
  status: { containerStatuses = [], initContainerStatuses = [] } = {},
}: Pod): readonly string[] {
  const statuses = [...initContainerStatuses, ...containerStatuses];
  return [...(spec.initContainers ?? []), ...spec.containers]
    .map(({ name }) => name)
    .filter((container) => {
      const status = statuses.find(({ name }) => name === container);
      return (
        (status?.state?.running ?? status?.state?.terminated ?? status?.lastState?.terminated) !== undefined
      );
    });
}

/** Until the pod is gone or has ended for good. */
async function followLog(
  log: ContainerLog,
  options: PodLogsOptions,
  onLine: (line: LogLine) => void,
): Promise<void> {
  const { clock, signal } = options;
  let wait: number = AGAIN_MS.first;
  while (!signal.aborted) {
    let isSilent = true;
    log.seen.reopen();
    const { since } = log.seen;
    const watched = watchSilence(options);
    const how = { follow: true, ...(since === undefined ? {} : { sinceTime: since }) };
    await readLog(log, how, { ...options, signal: watched.signal }, (line) => {
      isSilent = false;
      watched.heard();
      onLine(line);
    });
    watched.end();
    if (signal.aborted || !(await goesOn(log))) return;
    wait = isSilent ? Math.min(AGAIN_MS.most, wait * 2) : AGAIN_MS.first;
    await clock.sleep(wait, signal).catch(() => {});
  }
}

/** A signal that aborts with the other one, and when nothing was heard for long. */
function watchSilence({ clock, signal }: PodLogsOptions): {
  readonly signal: AbortSignal;
  heard(): void;
  end(): void;
} {
  const watched = new AbortController();
  const abort = (): void => watched.abort();
  signal.addEventListener("abort", abort, { once: true });
  let lastAt = clock.monotonic();
  void (async () => {
    while (!watched.signal.aborted) {
      const left = lastAt + SILENT_MS - clock.monotonic();
      if (left <= 0) return watched.abort();
      await clock.sleep(left, watched.signal).catch(() => {});
    }
  })();
  return {
    signal: watched.signal,
    heard() {
      lastAt = clock.monotonic();
    },
    end() {
      signal.removeEventListener("abort", abort);
      watched.abort();
    },
  };
}

async function goesOn({ client, pod, container }: ContainerLog): Promise<boolean> {
  const { namespace, name, uid } = pod.metadata;
  try {
    const now = await client.get<Pod>({ ...pods, namespace, name });
    if (now.metadata.uid !== uid) return false;
    const { phase, containerStatuses = [], initContainerStatuses = [] } = now.status ?? {};
    const init = initContainerStatuses.find((one) => one.name === container);
    // It has done its work; one that failed is started again.
    if (init?.state?.terminated?.exitCode === 0) return false;
    const status = init ?? containerStatuses.find((one) => one.name === container);
    return status?.state?.terminated === undefined || (phase !== "Succeeded" && phase !== "Failed");
  } catch (error) {
    return !isReason(error, "NotFound"); // a cluster that does not answer now may later
  }
}

async function readLog(
  log: ContainerLog,
  how: LogOptions,
  { signal, clock }: PodLogsOptions,
  onLine: (line: LogLine) => void,
): Promise<void> {
  const { cluster, client, pod, container, seen } = log;
  const { namespace, name } = pod.metadata;
  const tell = (text: string, at: number): void => onLine({ cluster, pod: name, container, at, text });
  const take = (line: string): void => {
    const { stamp, text } = splitStamp(line);
    if (stamp === undefined) tell(text, clock.now());
    else if (seen.isNew(stamp)) tell(text, Date.parse(stamp));
  };
  const decoder = new TextDecoder();
  let rest = "";
  try {
    const place = { namespace: namespace ?? "default", name };
    for await (const chunk of client.logs(place, { ...how, container, timestamps: true, signal })) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) take(line);
    }
    if (rest !== "") take(rest);
  } catch (error) {
    if (signal.aborted || isReason(error, "NotFound")) return;
    if (how.follow === true && seen.since !== undefined) return; // broken off: opened again
    tell(`(no logs: ${error instanceof Error ? error.message : String(error)})`, clock.now());
  }
}

/** The uids of what owns the pods in question: ReplicaSets of Deployments, and the sets that make pods themselves. */
async function ownersOf(client: KubeClient, options: PodLogsOptions): Promise<Set<string>> {
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
