/**
 * A cluster that plays a recording: a KubeClient whose lists and watches show what the recorded API showed, at the
 * same distance from the apply, on whatever clock it is given. An apply is answered as it was answered then; the first
 * one starts the recording. What a release keeps for itself (its lock, its records, its namespace) lives in a real
 * API in memory. Between the two and whoever asks lies the weather: late answers, faults, broken watches.
 */
import { type Clock, type Random, SlipwayError, seededRandom } from "@slipway/base";
import {
  type AnyObject,
  bootstrapCluster,
  type ClientWatchEvent,
  createApi,
  createMemoryClient,
  createStore,
  type Event,
  type Failure,
  type KubeClient,
  type KubeList,
  type KubeObject,
  type ListOptions,
  type ObjectRef,
  RETRIES,
  retryAfterMs,
  StatusError,
  statusError,
  type TypeRef,
  type WatchOptions,
} from "@slipway/kube";
import type { ApiFault, Distortion, FaultAnswer } from "./case.ts";
import type { Recording } from "./recording.ts";
import { type Change, createReplayStore } from "./replay-store.ts";
import { type Weather, weatherOf } from "./weather.ts";

export interface ReplayOptions {
  readonly name: string;
  readonly recording: Recording;
  readonly clock: Clock;
  readonly faults?: readonly ApiFault[];
  readonly distort?: readonly Distortion[];
  /** By seed the troubles of `weather.ts`; calm when absent. */
  readonly random?: Random | undefined;
}

export interface ReplayCluster {
  readonly client: KubeClient;
  /** The clock's time of the first apply; undefined before it. */
  appliedAt(): number | undefined;
}

/** A release's own: not part of any recording. */
const OWN_KINDS = new Set(["Lease", "Secret", "Namespace"]);

export function createReplayCluster(options: ReplayOptions): ReplayCluster {
  const { clock, name, recording } = options;
  const weather = weatherOf({
    faults: (options.faults ?? []).filter(({ cluster }) => cluster === name),
    distort: options.distort ?? [],
    random: options.random,
  });
  const store = createReplayStore(recording, altering(weather));
  const own = createOwn(options);
  const pauses = options.random ?? seededRandom(1);
  const applied = new Map<string, KubeObject>();
  let appliedAt: number | undefined;
  const elapsed = (): number | undefined => (appliedAt === undefined ? undefined : clock.now() - appliedAt);
  // What was there before the apply has negative times; all of it is there as long as nothing was applied.
  const played = (): number => elapsed() ?? -1;

  /** As the http client asks: what was refused is asked again a few times before anybody hears of it. */
  const answer = async <T>(
    work: () => T | Promise<T>,
    repeatable: "idempotent" | "once" = "idempotent",
  ): Promise<T> => {
    for (let attempt = 1; ; attempt += 1) {
      const met = weather.request(elapsed());
      if (met.lateMs > 0) await clock.sleep(met.lateMs);
      if (met.fault === undefined) return await work();
      const waitMs = retryAfterMs(failureOf(met.fault), repeatable, attempt, RETRIES, pauses);
      if (waitMs === undefined) await fail(met.fault, options);
      await clock.sleep(waitMs ?? 0);
    }
  };

  const applyRecorded = async (object: AnyObject, isDryRun: boolean): Promise<AnyObject> => {
    const { kind, metadata } = object;
    const live = store.list(kind, played()).find((one) => one.metadata.name === metadata.name);
    if (isDryRun) return merged(live, object, live?.metadata.generation);
    appliedAt ??= clock.now();
    const told = store.answer(kind, metadata.name, played());
    if (told !== undefined && told.at > played()) await clock.sleep(told.at - played());
    if (told !== undefined && "refused" in told) throw new StatusError(told.refused.status);
    const generation = told !== undefined && "applied" in told ? told.applied.generation : undefined;
    const made = merged(live, object, generation ?? (live?.metadata.generation ?? 0) + 1);
    applied.set(`${kind}/${metadata.name}`, made);
    return made;
  };

  const client: KubeClient = {
    name,
    version: () =>
      answer(() => {
        const [major = "1", minor = "20"] = recording.header.kubernetes.replace(/^v/, "").split(".");
        return { gitVersion: recording.header.kubernetes, major, minor };
      }),
    serves: () => answer(() => true),
    get: <T extends KubeObject>(ref: ObjectRef) =>
      answer(async () => {
        if (OWN_KINDS.has(ref.kind)) return own.get<T>(ref);
        const found =
          store.list(ref.kind, played()).find(({ metadata }) => metadata.name === ref.name) ??
          // Who has written may read it back, although the recorded watch showed it a moment later.
          applied.get(`${ref.kind}/${ref.name}`);
        if (found === undefined) throw statusError(404, "NotFound", `${ref.kind} "${ref.name}" not found`);
        return found as T;
      }),
    list: <T extends KubeObject>(type: TypeRef, list: ListOptions = {}) =>
      answer(async (): Promise<KubeList<T>> => {
        if (OWN_KINDS.has(type.kind)) return own.list<T>(type, list);
        const now = played();
        const items = store.list(type.kind, now) as readonly T[];
        return {
          apiVersion: type.apiVersion,
          kind: `${type.kind}List`,
          metadata: { resourceVersion: String(store.version(now)) },
          items: items.filter((item) => isIn(item, list.namespace)),
        };
      }),
    watch: <T extends KubeObject>(type: TypeRef, watch: WatchOptions = {}) =>
      OWN_KINDS.has(type.kind)
        ? own.watch<T>(type, watch)
        : (showChanges(type.kind, watch) as AsyncIterable<ClientWatchEvent<T>>),
    create: (object, write) => answer(() => own.create(object, write), "once"),
    replace: (object, write) => answer(() => own.replace(object, write), "once"),
    patch: (ref, type, body, write) => answer(() => own.patch(ref, type, body, write), "once"),
    apply: <T extends KubeObject>(object: T, write: Parameters<KubeClient["apply"]>[1]) => {
      if (!OWN_KINDS.has(object.kind) && write.dryRun !== true) appliedAt ??= clock.now();
      return answer(async () =>
        OWN_KINDS.has(object.kind)
          ? own.apply(object, write)
          : ((await applyRecorded(object as unknown as AnyObject, write.dryRun === true)) as unknown as T),
      );
    },
    delete: (ref, remove) =>
      answer(async () => (OWN_KINDS.has(ref.kind) ? own.delete(ref, remove) : undefined)),
    logs: async function* (pod, read = {}) {
      const text = await answer(() =>
        store.log(pod.name, read.container ?? "", { previous: read.previous === true, elapsedMs: played() }),
      );
      if (text === undefined) {
        throw statusError(400, "BadRequest", `previous terminated container in pod "${pod.name}" not found`);
      }
      yield Buffer.from(text);
    },
    exec: () => Promise.reject(statusError(405, "MethodNotAllowed", "a recording runs nothing")),
    portForward: () => Promise.reject(statusError(405, "MethodNotAllowed", "a recording has no ports")),
    close: () => own.close(),
  };

  async function* showChanges(kind: string, watch: WatchOptions): AsyncGenerator<ClientWatchEvent> {
    const signal = watch.signal ?? new AbortController().signal;
    const met = weather.request(elapsed());
    if (met.lateMs > 0) await pause(clock, met.lateMs, signal);
    if (signal.aborted) return;
    if (met.fault !== undefined) await fail(met.fault, options, signal);
    const changes = store.changes.filter(
      (one) => one.object.kind === kind && isIn(one.object, watch.namespace),
    );
    const from = Number(watch.resourceVersion ?? 0);
    const openedAt = clock.now();
    const life = weather.watch();
    const endsAt =
      openedAt +
      Math.min(life?.endsAfterMs ?? Number.POSITIVE_INFINITY, (watch.timeoutSeconds ?? 3600) * 1000);
    let next = changes.findIndex((one) => one.version > from);
    if (next < 0) next = changes.length;
    let toldAt = openedAt;
    for (;;) {
      if (signal.aborted) return;
      const fault = weather.watchFault(elapsed());
      if (fault === "drop") return;
      if (fault === "expired") throw expired();
      const isSilent = fault === "hang" || (life?.end === "silent" && clock.now() >= endsAt);
      if (isSilent) {
        await pause(clock, 1_000, signal);
        continue;
      }
      if (clock.now() >= endsAt) {
        if (life?.end === "expired" && clock.now() < openedAt + (watch.timeoutSeconds ?? 3600) * 1000)
          throw expired();
        return;
      }
      const change = changes[next];
      const dueAt =
        change === undefined || appliedAt === undefined ? Number.POSITIVE_INFINITY : appliedAt + change.at;
      if (change === undefined || dueAt > clock.now()) {
        await pause(clock, Math.min(1_000, endsAt - clock.now(), Math.max(1, dueAt - clock.now())), signal);
        continue;
      }
      // Later ones wait for it: a watch never tells two changes of an object in the wrong order.
      toldAt = Math.max(
        toldAt,
        dueAt + weather.changeLateMs() + (kind === "Event" ? weather.eventsLateMs : 0),
      );
      if (toldAt > clock.now()) await pause(clock, toldAt - clock.now(), signal);
      if (signal.aborted) return;
      next += 1;
      yield { type: change.type, object: change.object };
      if (weather.isToldTwice()) yield { type: change.type, object: change.object };
    }
  }

  return { client, appliedAt: () => appliedAt };
}

/** Each cluster has an identity of its own. */
function seedOf(name: string): number {
  return [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) >>> 0, 7);
}

function createOwn({ clock, name }: ReplayOptions): KubeClient {
  const api = createApi({ store: createStore(), now: () => clock.now(), random: seededRandom(seedOf(name)) });
  bootstrapCluster(api);
  return createMemoryClient({ name, api });
}

/** Times in objects are the cluster's; an event that is not told was never there. */
function altering(weather: Weather): (object: KubeObject, type: Change["type"]) => KubeObject | undefined {
  return (object, type) => {
    if (object.kind === "Event") {
      const repeats = ((object as Event).series?.count ?? (object as Event).count ?? 1) > 1;
      if (
        weather.eventsLost === "all" ||
        (weather.eventsLost === "repetitions" && repeats && type === "MODIFIED")
      ) {
        return undefined;
      }
    }
    return weather.skewMs === 0 ? object : shifted(object, weather.skewMs);
  };
}

const TIME = /"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)"/g;

function shifted(object: KubeObject, byMs: number): KubeObject {
  const text = JSON.stringify(object).replaceAll(TIME, (_all, time: string) =>
    JSON.stringify(new Date(Date.parse(time) + byMs).toISOString().replace(/\.\d+Z$/, "Z")),
  );
  return JSON.parse(text) as KubeObject;
}

function merged(live: KubeObject | undefined, object: AnyObject, generation: number | undefined): AnyObject {
  const { metadata } = object;
  return {
    ...object,
    metadata: {
      ...metadata,
      uid: live?.metadata.uid ?? `${object.kind}-${metadata.name}`,
      generation: generation ?? 1,
      ...(live?.metadata.deletionTimestamp === undefined
        ? {}
        : {
            deletionTimestamp: live.metadata.deletionTimestamp,
            finalizers: live.metadata.finalizers ?? [],
          }),
    },
  } as AnyObject;
}

function isIn(object: KubeObject, namespace: string | undefined): boolean {
  return (
    namespace === undefined ||
    object.metadata.namespace === undefined ||
    object.metadata.namespace === namespace
  );
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch(() => undefined);
}

function expired(): StatusError {
  return statusError(410, "Expired", "too old resource version");
}

function failureOf(fault: FaultAnswer): Failure {
  switch (fault) {
    case "429":
      return { kind: "status", code: 429, message: "too many requests", retryAfterMs: 1_000 };
    case "500":
      return { kind: "status", code: 500, message: "internal error", retryAfterMs: undefined };
    case "503":
      return { kind: "status", code: 503, message: "unavailable", retryAfterMs: undefined };
    case "refuse":
      return { kind: "not-delivered" };
    default:
      return { kind: "lasting" };
  }
}

const ANSWER_DEADLINE_MS = 30_000;

async function fail(
  fault: FaultAnswer,
  { clock, name }: Pick<ReplayOptions, "clock" | "name">,
  signal?: AbortSignal,
): Promise<void> {
  switch (fault) {
    case "429":
      throw statusError(429, "TooManyRequests", "Too many requests, please try again later.", {
        retryAfterSeconds: 1,
      });
    case "500":
      throw statusError(500, "InternalError", "Internal error occurred: etcdserver: request timed out");
    case "503":
      throw statusError(503, "ServiceUnavailable", "the server is currently unable to handle the request");
    case "refuse":
      throw away(name, "connect ECONNREFUSED");
    case "hang":
      // As the http client's own deadline ends it.
      await clock.sleep(ANSWER_DEADLINE_MS, signal).catch(() => undefined);
      throw away(name, `no answer within ${ANSWER_DEADLINE_MS / 1000} s`);
    default:
      return;
  }
}

function away(name: string, message: string): SlipwayError {
  return new SlipwayError({ code: "CLUSTER_UNREACHABLE", where: name, message, exitCode: 3 });
}
