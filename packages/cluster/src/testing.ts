/** Objects for tests, with everything defaulted that the test is not about. */
import type { Container, KubeObject, Node, Pod, PodSpec, PodStatus, Service, Store } from "@slipway/kube";

let created = 0;

export function aPod(
  name: string,
  rest: {
    readonly metadata?: Partial<Pod["metadata"]>;
    readonly spec?: Partial<PodSpec>;
    readonly status?: PodStatus;
  } = {},
): Pod {
  created += 1;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "default",
      uid: `uid-${name}-${created}`,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...rest.metadata,
    },
    spec: { containers: [aContainer("web")], ...rest.spec },
    ...(rest.status === undefined ? {} : { status: rest.status }),
  };
}

export function aContainer(name: string, rest: Partial<Container> = {}): Container {
  return { name, image: "web:1", ...rest };
}

export function aNode(
  name: string,
  rest: {
    readonly cpu?: string;
    readonly memory?: string;
    readonly pods?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly spec?: Node["spec"];
    readonly ready?: "True" | "False" | "Unknown";
    readonly heardAt?: string;
  } = {},
): Node {
  const amounts = { cpu: rest.cpu ?? "4", memory: rest.memory ?? "8Gi", pods: rest.pods ?? "110" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      uid: `uid-${name}`,
      creationTimestamp: "2026-01-01T00:00:00Z",
      labels: { "kubernetes.io/hostname": name, ...rest.labels },
    },
    ...(rest.spec === undefined ? {} : { spec: rest.spec }),
    status: {
      capacity: amounts,
      allocatable: amounts,
      conditions: [
        {
          type: "Ready",
          status: rest.ready ?? "True",
          lastHeartbeatTime: rest.heardAt ?? "2026-01-01T00:00:00Z",
        },
      ],
    },
  };
}

export function aService(name: string, spec: Partial<Service["spec"]> = {}): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default", uid: `uid-${name}` },
    spec: {
      selector: { app: name },
      ports: [{ port: 80, targetPort: 8080 }],
      clusterIP: "10.96.1.1",
      ...spec,
    },
  };
}

/** A pod that runs at `ip` on a node, ready unless told otherwise. */
export function aRunningPod(
  name: string,
  ip: string,
  rest: Parameters<typeof aPod>[1] & { readonly ready?: boolean } = {},
): Pod {
  return aPod(name, {
    ...rest,
    spec: { nodeName: "node-1", ...rest.spec },
    status: {
      phase: "Running",
      podIP: ip,
      conditions: [{ type: "Ready", status: rest.ready === false ? "False" : "True" }],
      ...rest.status,
    },
  });
}

/** Puts objects into a store as they are. */
export function put(store: Store, ...objects: readonly KubeObject[]): void {
  for (const object of objects) store.commit({ op: "create", object });
}
