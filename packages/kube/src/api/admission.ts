/**
 * What admission changes or refuses when an object is created, as far as clients can see it: NamespaceLifecycle,
 * ServiceAccount, DefaultTolerationSeconds, Priority and TaintNodesByCondition. Two things differ from Kubernetes:
 *
 * - No token volume is added to pods: the kubelet of a local cluster gives it to their containers, so that pods look as
 *   they were written.
 * - A pod may name the `default` account before it exists, for it is made with its namespace.
 */
import type { Namespace, Node } from "../resources/cluster.ts";
import type { ResourceType } from "../resources/kinds.ts";
import type { KubeObject } from "../resources/meta.ts";
import type { Pod, PodSpec, Toleration } from "../resources/pod.ts";
import type { Reader } from "../store/store.ts";
import { forbidden, notFound } from "./errors.ts";

/** Namespaces that hold the cluster together and cannot be deleted. */
const IMMORTAL = new Set(["default", "kube-system", "kube-public"]);

/** An absent namespace is 404, one that is being deleted takes nothing new (403). */
export function checkNamespace(
  reader: Reader,
  type: ResourceType,
  object: KubeObject,
  mustExist: boolean,
): void {
  if (!type.namespaced) return;
  const { name, namespace = "" } = object.metadata;
  const found = reader.get("Namespace", "", namespace);
  if (found === undefined) {
    if (mustExist) throw notFound("Namespace", namespace);
    return;
  }
  if (!isTerminating(found)) return;
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  throw forbidden(type.kind, name, why, [
    {
      reason: "NamespaceTerminating",
      message: `namespace ${namespace} is being terminated`,
      field: "metadata.namespace",
    },
  ]);
}

function isTerminating(namespace: Namespace): boolean {
  return namespace.metadata.deletionTimestamp !== undefined || namespace.status?.phase === "Terminating";
}

export function checkDeletable(object: KubeObject): void {
  if (object.kind !== "Namespace" || !IMMORTAL.has(object.metadata.name)) return;
  throw forbidden("Namespace", object.metadata.name, "this namespace may not be deleted");
}

/** The object as it is after the plugins that fill something in. */
export function admit(reader: Reader, object: KubeObject): KubeObject {
  if (object.kind === "Pod" && "spec" in object) return admitPod(reader, object as Pod);
  if (object.kind === "Node") return admitNode(object as Node);
  return object;
}

function admitPod(reader: Reader, pod: Pod): Pod {
  const { name, namespace = "" } = pod.metadata;
  const account = pod.spec.serviceAccountName ?? pod.spec.serviceAccount ?? "default";
  if (account !== "default" && reader.get("ServiceAccount", namespace, account) === undefined) {
    const why = `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`;
    throw forbidden("Pod", name, why);
  }
  const spec: PodSpec = {
    ...pod.spec,
    serviceAccountName: account,
    serviceAccount: account,
    tolerations: withDefaultTolerations(pod.spec.tolerations ?? []),
    priority: pod.spec.priority ?? 0,
    preemptionPolicy: pod.spec.preemptionPolicy ?? "PreemptLowerPriority",
  };
  return { ...pod, spec };
}

/** A pod leaves a lost node after five minutes, unless it says otherwise. */
function withDefaultTolerations(tolerations: readonly Toleration[]): readonly Toleration[] {
  const missing = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].filter(
    (key) => !tolerations.some((toleration) => toleratesNoExecute(toleration, key)),
  );
  if (missing.length === 0) return tolerations;
  const added = missing.map(
    (key): Toleration => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 }),
  );
  return [...tolerations, ...added];
}

function toleratesNoExecute(toleration: Toleration, key: string): boolean {
  if (toleration.effect !== undefined && toleration.effect !== "NoExecute") return false;
  return toleration.key === key || toleration.key === undefined || toleration.key === "";
}

/** A new node takes no pods until the node lifecycle controller has seen it Ready and removes the taint. */
function admitNode(node: Node): Node {
  const taints = node.spec?.taints ?? [];
  const key = "node.kubernetes.io/not-ready";
  if (taints.some((taint) => taint.key === key && taint.effect === "NoSchedule")) return node;
  return { ...node, spec: { ...node.spec, taints: [...taints, { key, effect: "NoSchedule" }] } };
}
