/** Writes down what the API shows of one namespace and of the nodes, from before an apply until it is told to stop. */
import type { Clock } from "@slipway/base";
import { isReason, type KubeClient, type KubeObject, type Pod, type TypeRef } from "@slipway/kube";
import type { RecordingLine } from "../../packages/slipway/src/corpus/recording.ts";
import { neutral } from "./neutral.ts";

const NAMESPACED: readonly TypeRef[] = [
  { apiVersion: "apps/v1", kind: "Deployment" },
  { apiVersion: "apps/v1", kind: "ReplicaSet" },
  { apiVersion: "apps/v1", kind: "StatefulSet" },
  { apiVersion: "apps/v1", kind: "DaemonSet" },
  { apiVersion: "batch/v1", kind: "Job" },
  { apiVersion: "autoscaling/v1", kind: "HorizontalPodAutoscaler" },
  { apiVersion: "v1", kind: "Pod" },
  { apiVersion: "v1", kind: "Service" },
  { apiVersion: "v1", kind: "Endpoints" },
  { apiVersion: "v1", kind: "PersistentVolumeClaim" },
  { apiVersion: "v1", kind: "Event" },
];
const NODE: TypeRef = { apiVersion: "v1", kind: "Node" };
const RETRY_MS = 500;

/** A line whose time is still the clock's; the recorder makes it relative once the moment of the apply is known. */
export type RawLine = RecordingLine;

export interface Watcher {
  readonly lines: readonly RawLine[];
  add(line: RawLine): void;
  close(): Promise<void>;
}

/** Resolves when everything was listed once. `onObject` sees each object as it is on this machine. */
export async function watchCluster(options: {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly clock: Clock;
  readonly onObject: (object: KubeObject, type: "ADDED" | "MODIFIED" | "DELETED") => void;
}): Promise<Watcher> {
  const { client, namespace, clock, onObject } = options;
  const stop = new AbortController();
  const lines: RawLine[] = [];
  const add = (line: RawLine): void => void lines.push(line);
  const see = (
    known: Map<string, string>,
    type: "ADDED" | "MODIFIED" | "DELETED",
    object: KubeObject,
  ): void => {
    if (isOfThisCluster(object)) return;
    const { uid = "" } = object.metadata;
    const shown = neutral(object, namespace);
    const text = JSON.stringify({ ...shown, metadata: { ...shown.metadata, resourceVersion: "" } });
    if (type !== "DELETED" && known.get(uid) === text) return;
    if (type === "DELETED" && !known.has(uid)) return;
    const told = type === "DELETED" ? type : known.has(uid) ? "MODIFIED" : "ADDED";
    if (type === "DELETED") known.delete(uid);
    else known.set(uid, text);
    onObject(object, told);
    add({ at: clock.now(), type: told, object: shown });
  };

  const follow = async (type: TypeRef, where: { namespace?: string }, listed: () => void): Promise<void> => {
    const known = new Map<string, string>();
    let objects = new Map<string, KubeObject>();
    while (!stop.signal.aborted) {
      try {
        const list = await client.list(type, where);
        const now = new Map<string, KubeObject>();
        for (const item of list.items) now.set(item.metadata.uid ?? "", { ...item, ...type });
        for (const [uid, object] of objects) if (!now.has(uid)) see(known, "DELETED", object);
        for (const object of now.values()) see(known, "ADDED", object);
        objects = now;
        listed();
        const events = client.watch(type, {
          ...where,
          resourceVersion: list.metadata.resourceVersion ?? "0",
          signal: stop.signal,
        });
        for await (const event of events) {
          if (event.type === "BOOKMARK") continue;
          const object = { ...event.object, ...type };
          if (event.type === "DELETED") objects.delete(object.metadata.uid ?? "");
          else objects.set(object.metadata.uid ?? "", object);
          see(known, event.type, object);
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        if (isReason(error, "Expired") || isReason(error, "Gone")) continue;
      }
      await clock.sleep(RETRY_MS, stop.signal).catch(() => undefined);
    }
  };
  const tasks: Promise<void>[] = [];
  await Promise.all(
    [...NAMESPACED.map((type) => [type, { namespace }] as const), [NODE, {}] as const].map(
      ([type, where]) =>
        new Promise<void>((resolve) => {
          tasks.push(follow(type, where, resolve));
        }),
    ),
  );
  return {
    lines,
    add,
    close: async () => {
      stop.abort();
      await Promise.all(tasks);
    },
  };
}

/** What the recorder's cluster says and others do not: it has no cluster DNS. */
function isOfThisCluster(object: KubeObject): boolean {
  return (
    object.kind === "Event" &&
    (object as KubeObject & { readonly reason?: string }).reason === "MissingClusterDNS"
  );
}

/** Ends of containers that a pod shows: name and how often, the present end included. */
export function endsOf(pod: Pod): ReadonlyMap<string, number> {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  return new Map(
    statuses.map((status) => [
      status.name,
      status.restartCount +
        (status.state?.terminated !== undefined || status.state?.waiting?.reason === "CrashLoopBackOff"
          ? 1
          : 0),
    ]),
  );
}
