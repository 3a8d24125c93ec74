/**
 * Nodes without a machine: registered, kept alive by heartbeats, and their pods are said to run. What is real about
 * them is everything that decides over them: scheduler, controllers, admission, taints and evictions.
 */
import type { Clock } from "@slipway/base";
import { isReason, type KubeClient, type KubeObject, type Pod } from "@slipway/kube";

const HEARTBEAT_MS = 8_000;
const START_MS = 600;

export interface HollowNodeSpec {
  readonly name: string;
  readonly cpu: string;
  readonly memory: string;
  readonly pods?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly unknown[];
}

export interface HollowNodes {
  add(spec: HollowNodeSpec): Promise<void>;
  lose(name: string): void;
  find(name: string): void;
  close(): Promise<void>;
}

export async function startHollowNodes(client: KubeClient, clock: Clock): Promise<HollowNodes> {
  const stop = new AbortController();
  const nodes = new Map<string, HollowNodeSpec>();
  const lost = new Set<string>();
  let address = 10;

  const heartbeat = async (name: string): Promise<void> => {
    const spec = nodes.get(name);
    if (spec === undefined || lost.has(name)) return;
    const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    const size = { cpu: spec.cpu, memory: spec.memory, pods: String(spec.pods ?? 110) };
    await client
      .patch(
        { apiVersion: "v1", kind: "Node", name },
        "strategic",
        {
          status: {
            capacity: size,
            allocatable: size,
            nodeInfo: {
              architecture: "amd64",
              operatingSystem: "linux",
              kubeletVersion: "v1.20.2",
              containerRuntimeVersion: "containerd://1.6.20",
            },
            conditions: ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"].map((type) => ({
              type,
              status: type === "Ready" ? "True" : "False",
              reason: type === "Ready" ? "KubeletReady" : `KubeletHasNo${type}`,
              message: type === "Ready" ? "kubelet is posting ready status" : "",
              lastHeartbeatTime: now,
            })),
          },
        },
        { subresource: "status" },
      )
      .catch(() => undefined);
    const renewTime = new Date(clock.now()).toISOString().replace("Z", "000Z");
    await client
      .apply(
        {
          apiVersion: "coordination.k8s.io/v1",
          kind: "Lease",
          metadata: { name, namespace: "kube-node-lease" },
          spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime },
        } as never,
        { fieldManager: "kubelet", force: true },
      )
      .catch(() => undefined);
  };

  const beat = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await Promise.all([...nodes.keys()].map(heartbeat));
      await clock.sleep(HEARTBEAT_MS, stop.signal).catch(() => undefined);
    }
  };

  const started = new Set<string>();
  const serve = async (pod: Pod): Promise<void> => {
    const { name, namespace = "", uid = "", deletionTimestamp } = pod.metadata;
    const node = pod.spec.nodeName ?? "";
    if (!nodes.has(node) || lost.has(node)) return;
    const ref = { apiVersion: "v1", kind: "Pod", name, namespace };
    if (deletionTimestamp !== undefined) {
      await client.delete(ref, { gracePeriodSeconds: 0 }).catch(() => undefined);
      return;
    }
    if (started.has(uid)) return;
    started.add(uid);
    address += 1;
    const podIP = `10.244.${address >> 8}.${address & 255}`;
    const at = (): string => new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    const conditions = (ready: boolean): unknown[] =>
      ["Initialized", "Ready", "ContainersReady"].map((type) => ({
        type,
        status: type === "Initialized" || ready ? "True" : "False",
        lastTransitionTime: at(),
        ...(ready || type === "Initialized"
          ? {}
          : { reason: "ContainersNotReady", message: "containers with unready status" }),
      }));
    const statuses = (ready: boolean): unknown[] =>
      pod.spec.containers.map((container) => ({
        name: container.name,
        image: container.image,
        imageID: "",
        ready,
        started: ready,
        restartCount: 0,
        state: ready ? { running: { startedAt: at() } } : { waiting: { reason: "ContainerCreating" } },
      }));
    const say = (ready: boolean): Promise<unknown> =>
      client.patch(
        ref,
        "strategic",
        {
          status: {
            phase: ready ? "Running" : "Pending",
            hostIP: "10.0.0.1",
            startTime: at(),
            ...(ready ? { podIP, podIPs: [{ ip: podIP }] } : {}),
            conditions: conditions(ready),
            containerStatuses: statuses(ready),
          },
        },
        { subresource: "status" },
      );
    await say(false).catch(() => undefined);
    await clock.sleep(START_MS, stop.signal).catch(() => undefined);
    if (lost.has(node) || stop.signal.aborted) return;
    // A server that is too busy for it now is told when the pods are listed again, every few seconds.
    await say(true).catch(() => started.delete(uid));
  };

  const kubelet = async (): Promise<void> => {
    const type = { apiVersion: "v1", kind: "Pod" };
    while (!stop.signal.aborted) {
      try {
        const list = await client.list<Pod>(type);
        for (const pod of list.items) void serve(pod);
        const events = client.watch<Pod>(type, {
          resourceVersion: list.metadata.resourceVersion ?? "0",
          signal: stop.signal,
          timeoutSeconds: 5,
        });
        for await (const event of events) if (event.type !== "DELETED") void serve(event.object);
      } catch {
        await clock.sleep(500, stop.signal).catch(() => undefined);
      }
    }
  };

  const tasks = [beat(), kubelet()];
  return {
    add: async (spec) => {
      const node = {
        apiVersion: "v1",
        kind: "Node",
        metadata: {
          name: spec.name,
          labels: {
            "kubernetes.io/hostname": spec.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            ...spec.labels,
          },
        },
        spec: { taints: spec.taints ?? [] },
      };
      await client.create(node as unknown as KubeObject).catch((error: unknown) => {
        if (!isReason(error, "AlreadyExists")) throw error;
      });
      nodes.set(spec.name, spec);
      await heartbeat(spec.name);
    },
    lose: (name) => void lost.add(name),
    find: (name) => {
      lost.delete(name);
      void heartbeat(name);
    },
    close: async () => {
      stop.abort();
      await Promise.all(tasks);
      for (const name of nodes.keys()) {
        await client.delete({ apiVersion: "v1", kind: "Node", name }).catch(() => undefined);
      }
    },
  };
}
