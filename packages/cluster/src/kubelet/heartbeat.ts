/**
 * A node's presence: its Node object, the conditions it reports, and the Lease it renews every 10 s. The node
 * lifecycle controller takes it for lost 40 s after the last renewal.
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "@slipway/base";
import { type Api, isReason, type Lease, type Node, type NodeCondition } from "@slipway/kube";
import { microTimestamp, timestamp } from "../controllers/reference.ts";
import type { NodeFacts } from "./node-facts.ts";

const LEASE_NAMESPACE = "kube-node-lease";
const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;
/** The status itself is rewritten only this often when nothing changes, as the kubelet does. */
const STATUS_MS = 300_000;
const KUBELET_DAEMON_PORT = 10250;

export interface Heartbeat {
  start(): void;
  /** Says at once what everybody else would find out after the grace period. */
  lost(reason: string): void;
}

export function createHeartbeat(options: {
  readonly api: Api;
  readonly clock: Clock;
  readonly node: NodeFacts;
  readonly signal: AbortSignal;
}): Heartbeat {
  const { api, clock, node, signal } = options;

  const register = (): void => {
    const labels = {
      "kubernetes.io/arch": node.nodeInfo["architecture"] ?? "amd64",
      "kubernetes.io/hostname": node.name,
      "kubernetes.io/os": "linux",
      ...node.labels,
    };
    const existing = api.store.get("Node", "", node.name);
    if (existing === undefined) {
      const object: Node = {
        apiVersion: "v1",
        kind: "Node",
        metadata: { name: node.name, labels },
        spec: { podCIDR: node.podCIDR, podCIDRs: [node.podCIDR] },
      };
      api.create(object);
      return;
    }
    const merged = { ...existing.metadata.labels, ...labels };
    if (isDeepStrictEqual(merged, existing.metadata.labels)) return;
    api.replace({ ...existing, metadata: { ...existing.metadata, labels: merged } } as Node);
  };

  const report = (conditions: (old: readonly NodeCondition[]) => readonly NodeCondition[]): void => {
    const current = api.store.get("Node", "", node.name);
    if (current === undefined) return;
    const status = {
      ...current.status,
      capacity: node.capacity,
      allocatable: node.capacity,
      conditions: conditions(current.status?.conditions ?? []),
      addresses: [
        { type: "InternalIP", address: node.address },
        { type: "Hostname", address: node.name },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: KUBELET_DAEMON_PORT } },
      nodeInfo: node.nodeInfo,
    };
    api.replace({ ...current, status } as Node, { subresource: "status", fieldManager: "kubelet" });
  };

  const renew = (): void => {
    const now = clock.now();
    const current = api.store.get("Lease", LEASE_NAMESPACE, node.name);
    const spec = {
      holderIdentity: node.name,
      leaseDurationSeconds: LEASE_SECONDS,
      renewTime: microTimestamp(now),
    };
    if (current !== undefined) {
      api.replace({ ...current, spec: { ...current.spec, ...spec } } as Lease);
      return;
    }
    const owner = api.store.get("Node", "", node.name);
    const ownerReferences =
      owner === undefined
        ? []
        : [{ apiVersion: "v1", kind: "Node", name: node.name, uid: owner.metadata.uid ?? "" }];
    const lease: Lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: node.name, namespace: LEASE_NAMESPACE, ownerReferences },
      spec,
    };
    api.create(lease);
  };

  const isKnownReady = (): boolean =>
    api.store
      .get("Node", "", node.name)
      ?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;

  const beat = async (): Promise<void> => {
    let reportedMs = clock.monotonic();
    for (;;) {
      await clock.sleep(RENEW_MS, signal);
      try {
        renew();
        // After a long sleep of the machine others took the node for lost; it says at once that it is not.
        const isDue = clock.monotonic() - reportedMs >= STATUS_MS;
        if (!isDue && isKnownReady()) continue;
        reportedMs = clock.monotonic();
        report((old) => healthy(old, clock.now()));
      } catch (error) {
        // Somebody deleted the Node or wrote in the same moment; the next beat puts it right.
        if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) throw error;
      }
    }
  };

  return {
    start() {
      register();
      renew();
      report((old) => healthy(old, clock.now()));
      beat().catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
    },
    lost(reason) {
      const now = timestamp(clock.now());
      report((old) =>
        old.map((condition) => ({
          ...condition,
          status: "Unknown" as const,
          reason: "NodeStatusUnknown",
          message: `Kubelet stopped posting node status: ${reason}`,
          lastTransitionTime: now,
        })),
      );
    },
  };
}

function healthy(old: readonly NodeCondition[], nowMs: number): readonly NodeCondition[] {
  const now = timestamp(nowMs);
  const condition = (type: string, isTrue: boolean, reason: string, message: string): NodeCondition => {
    const status = isTrue ? ("True" as const) : ("False" as const);
    const before = old.find((other) => other.type === type);
    const since = before?.status === status ? before.lastTransitionTime : undefined;
    return { type, status, reason, message, lastHeartbeatTime: now, lastTransitionTime: since ?? now };
  };
  return [
    condition(
      "MemoryPressure",
      false,
      "KubeletHasSufficientMemory",
      "kubelet has sufficient memory available",
    ),
    condition("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    condition("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    condition("Ready", true, "KubeletReady", "kubelet is posting ready status"),
  ];
}
