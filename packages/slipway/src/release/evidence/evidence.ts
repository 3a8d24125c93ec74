/**
 * Evidence: what a person would look up to understand a failure, taken before the rollback destroys it, and stored
 * with the release.
 */
import type { Clock } from "@slipway/base";
import type { ContainerStatus, Event, KubeClient, Pod } from "@slipway/kube";
import { withoutSecrets } from "../../observe/access/redact-text.ts";
import { type Observation, timeOf } from "../engine/observe.ts";
import type { Cause } from "../judge/causes.ts";
import { containerKey } from "../judge/crash.ts";
import { containerOf, statusesOf } from "../judge/finding.ts";
import { errorLine } from "./last-words.ts";
import { hasLines, type LogEnds, readLogEnds } from "./log-ends.ts";

/** What was seen when a cluster failed, kept with the release: taken before anything is rolled back. */
export interface Evidence {
  readonly cluster: string;
  readonly cause: Cause;
  readonly takenAt: number;
  /** Of the release with this number, which somebody left by a rollback; absent where the release itself failed. */
  readonly left?: number | undefined;
  /** At most 10, newest last, equal ones counted. */
  readonly events: readonly {
    readonly reason: string;
    readonly type: string;
    readonly count: number;
    readonly message: string;
    readonly about: string;
  }[];
  readonly exit?:
    | {
        readonly exitCode: number;
        readonly signal?: number | undefined;
        readonly reason?: string | undefined;
        readonly message?: string | undefined;
        readonly memoryLimit?: string | undefined;
      }
    | undefined;
  /** The log of the container that died. */
  readonly log?: (LogEnds & { readonly container: string; readonly previous: boolean }) | undefined;
  /** What a failed gate compared, what a failed hook said. */
  readonly notes?: readonly string[] | undefined;
  /** What could not be had, and why. */
  readonly gaps: readonly string[];
}

const EVENTS_KEPT = 10;
const LOG_BYTES = 256 * 1024;
/** Evidence is worth a moment, not the outage: after this the rollback begins with what there is. */
const TAKE_AT_MOST_MS = 8_000;

/** Collects what there is about a doomed rollout, through the failing cluster's own client. Never rejects. */
export async function takeEvidence(input: {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly observation: Observation;
  readonly cause: Cause;
  readonly pod: Pod | undefined;
  /** Logs that were read when containers died, by pod uid and container: for what cannot be read any more. */
  readonly logs?: ReadonlyMap<string, LogEnds> | undefined;
  /** Events from before the release: uid to their count then. */
  readonly before: ReadonlyMap<string, number>;
  readonly atMostMs?: number;
}): Promise<Evidence> {
  const { observation, clock } = input;
  // The newest state of the pod: it may have been restarted since it was judged.
  const pod = observation.pods.find((one) => one.metadata.uid === input.pod?.metadata.uid) ?? input.pod;
  const gaps: string[] = [];
  const takenAt = clock.now();
  const events = groupEvents(relatedEvents(since(observation.events, input.before), input.cause, pod));
  const exit = exitOf(pod, input.cause.object.container);
  const stop = new AbortController();
  const limit = new AbortController();
  const timeout = clock
    .sleep(input.atMostMs ?? TAKE_AT_MOST_MS, limit.signal)
    .then(() => {
      gaps.push("the log was not there in time");
      stop.abort();
    })
    .catch(() => undefined);
  const container = containerToRead(pod, input.cause);
  const fresh = await Promise.race([
    readLog(input, pod, { container, gaps, signal: stop.signal }),
    timeout.then(() => undefined),
  ]);
  limit.abort();
  const log = fresh !== undefined && hasLines(fresh) ? fresh : (keptLog(input.logs, pod, container) ?? fresh);
  const said = CRASHES.has(input.cause.code) ? errorLine(exit?.message, log) : undefined;
  const cause = said === undefined ? input.cause : { ...input.cause, said };
  return { cluster: cause.cluster, cause, takenAt, events, exit, log, gaps };
}

/** Where the container's own words say more than its exit code. */
const CRASHES: ReadonlySet<string> = new Set([
  "ContainerCrash",
  "ContainerCompleted",
  "RestartedWhileBaking",
]);

/** What is already there before a release; give it to `takeEvidence`. */
export function countsOf(events: readonly Event[]): ReadonlyMap<string, number> {
  return new Map(events.map((event) => [event.metadata.uid ?? event.metadata.name, countOf(event)]));
}

function countOf(event: Event): number {
  return event.series?.count ?? event.count ?? 1;
}

/** What happened since: told by counts, because the cluster's clock need not agree with ours. */
function since(events: readonly Event[], before: ReadonlyMap<string, number>): readonly Event[] {
  return events.flatMap((event) => {
    const times = countOf(event) - (before.get(event.metadata.uid ?? event.metadata.name) ?? 0);
    return times > 0 ? [{ ...event, series: undefined, count: times }] : [];
  });
}

function relatedEvents(events: readonly Event[], cause: Cause, pod: Pod | undefined): readonly Event[] {
  const { namespace, deployment, replicaSet, kind, name } = cause.object;
  return events.filter(({ involvedObject: about }) => {
    if (about.kind === "Pod") return pod !== undefined && about.uid === pod.metadata.uid;
    if (about.namespace !== namespace) return false;
    return (
      (about.kind === "ReplicaSet" && about.name === replicaSet) ||
      (about.kind === "Deployment" && about.name === deployment) ||
      (kind !== undefined && about.kind === kind && about.name === name)
    );
  });
}

/** Equal events become one with a count; warnings are kept before others when there are too many. */
function groupEvents(events: readonly Event[]): Evidence["events"] {
  const groups = new Map<string, { event: Event; count: number; at: number }>();
  for (const event of events) {
    const key = `${event.involvedObject.kind}/${event.involvedObject.name} ${event.reason} ${event.message}`;
    const known = groups.get(key);
    const count = (known?.count ?? 0) + countOf(event);
    groups.set(key, { event, count, at: timeOf(event) });
  }
  const all = [...groups.values()];
  const warnings = all.filter(({ event }) => event.type === "Warning").slice(-EVENTS_KEPT);
  const room = EVENTS_KEPT - warnings.length;
  const normal = room === 0 ? [] : all.filter(({ event }) => event.type !== "Warning").slice(-room);
  return [...warnings, ...normal]
    .sort((a, b) => a.at - b.at)
    .map(({ event, count }) => ({
      reason: event.reason ?? "",
      type: event.type ?? "Normal",
      count,
      message: event.message ?? "",
      about: `${event.involvedObject.kind} ${event.involvedObject.name}`,
    }));
}

function statusOf(pod: Pod | undefined, container: string | undefined): ContainerStatus | undefined {
  return [...(pod?.status?.initContainerStatuses ?? []), ...(pod?.status?.containerStatuses ?? [])].find(
    (status) => status.name === container,
  );
}

function exitOf(pod: Pod | undefined, container: string | undefined): Evidence["exit"] {
  const status = statusOf(pod, container);
  const end = status?.state?.terminated ?? status?.lastState?.terminated;
  if (end === undefined) return undefined;
  const limits =
    pod === undefined || container === undefined ? undefined : containerOf(pod, container)?.resources?.limits;
  return {
    exitCode: end.exitCode,
    ...(end.signal === undefined ? {} : { signal: end.signal }),
    ...(end.reason === undefined ? {} : { reason: end.reason }),
    ...(end.message === undefined || end.message === ""
      ? {}
      : { message: end.message.split("\n").map(withoutSecrets).join("\n") }),
    ...(limits?.["memory"] === undefined ? {} : { memoryLimit: String(limits["memory"]) }),
  };
}

async function readLog(
  input: { readonly client: KubeClient; readonly clock: Clock },
  pod: Pod | undefined,
  options: {
    readonly container: string | undefined;
    readonly gaps: string[];
    readonly signal: AbortSignal;
  },
): Promise<Evidence["log"]> {
  const { container } = options;
  const status = statusOf(pod, container);
  if (pod === undefined || container === undefined || status === undefined) return undefined;
  const hasRun = status.restartCount > 0 || status.state?.running !== undefined || status.state?.terminated;
  if (!hasRun) return undefined;
  // What died: the container before this one if it was restarted, else the one that is still shown.
  const previous = status.restartCount > 0 && status.state?.terminated === undefined;
  let problem = "";
  for (let attempt = 0; attempt < 3; attempt += 1) {
    // The previous container's log can be away for a moment while the kubelet replaces it.
    if (attempt > 0) await input.clock.sleep(300 * attempt, options.signal).catch(() => undefined);
    if (options.signal.aborted) return undefined;
    try {
      const place = { namespace: pod.metadata.namespace ?? "default", name: pod.metadata.name };
      const isPrevious = previous && attempt < 2;
      const from = { container, previous: isPrevious, maxBytes: LOG_BYTES, signal: options.signal };
      return { container, previous: isPrevious, ...(await readLogEnds(input.client, place, from)) };
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
  }
  options.gaps.push(`no log of container ${container}: ${problem}`);
  return undefined;
}

function keptLog(
  logs: ReadonlyMap<string, LogEnds> | undefined,
  pod: Pod | undefined,
  container: string | undefined,
): Evidence["log"] {
  if (pod === undefined || container === undefined) return undefined;
  const ends = logs?.get(containerKey(pod, container));
  return ends === undefined ? undefined : { container, previous: true, ...ends };
}

/** The one that the cause names, else the one that failed. */
function containerToRead(pod: Pod | undefined, cause: Cause): string | undefined {
  const statuses = pod === undefined ? [] : statusesOf(pod);
  if (statuses.some((status) => status.name === cause.object.container)) return cause.object.container;
  const failed = statuses.find(
    (status) => !status.ready && (status.restartCount > 0 || status.state?.terminated),
  );
  return (failed ?? statuses.find((status) => !status.ready) ?? statuses[0])?.name;
}
