/** Kubernetes' own kinds that a project may apply and that our kinds table does not have: group, plural, scope. */
export interface Resource {
  readonly plural: string;
  readonly namespaced: boolean;
}

const NAMESPACED: Readonly<Record<string, readonly string[]>> = {
  "": ["PersistentVolumeClaim", "ResourceQuota", "LimitRange", "ReplicationController", "PodTemplate"],
  apps: ["StatefulSet", "DaemonSet", "ControllerRevision"],
  batch: ["Job", "CronJob"],
  autoscaling: ["HorizontalPodAutoscaler"],
  "networking.k8s.io": ["Ingress", "NetworkPolicy"],
  policy: ["PodDisruptionBudget"],
  "rbac.authorization.k8s.io": ["Role", "RoleBinding"],
};

const CLUSTER: Readonly<Record<string, readonly string[]>> = {
  "": ["PersistentVolume"],
  "admissionregistration.k8s.io": ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"],
  "apiextensions.k8s.io": ["CustomResourceDefinition"],
  "networking.k8s.io": ["IngressClass"],
  "rbac.authorization.k8s.io": ["ClusterRole", "ClusterRoleBinding"],
  "scheduling.k8s.io": ["PriorityClass"],
  "storage.k8s.io": ["StorageClass"],
};

export function wellKnown(group: string, kind: string): Resource | undefined {
  const isNamespaced = NAMESPACED[group]?.includes(kind) === true;
  if (!isNamespaced && CLUSTER[group]?.includes(kind) !== true) return undefined;
  return { plural: pluralOf(kind.toLowerCase()), namespaced: isNamespaced };
}

/** As Kubernetes forms them: networkpolicies, ingresses, jobs. */
function pluralOf(word: string): string {
  if (/(?:s|x|ch)$/.test(word)) return `${word}es`;
  return word.endsWith("y") ? `${word.slice(0, -1)}ies` : `${word}s`;
}
