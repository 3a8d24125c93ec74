/**
 * The closed list of what preflight can find, with the severity that each finding has by itself. Codes are stable: the
 * configuration names them, an object's annotation names them, and docs/reference/preflight.md is this table.
 *
 * What would certainly fail, or cost capacity, refuses a release; what makes it worse than it could be is a warning. A
 * rollback is another matter: in an outage a guess about room, or advice about a probe, must never stand in its way, so
 * only what makes the restored pods impossible refuses it.
 */

export type Severity = "error" | "warning" | "off";

export interface PreflightCheck {
  /** Of a release. */
  readonly severity: "error" | "warning";
  /** Of a rollback. */
  readonly inRollback: "error" | "warning" | "off";
  /** What was found, as a heading. */
  readonly title: string;
  /** Why it matters. */
  readonly why: string;
  /** What to do. */
  readonly fix: string;
}

const refuse = (title: string, why: string, fix: string): PreflightCheck => ({
  severity: "error",
  inRollback: "error",
  title,
  why,
  fix,
});
const forecast = (title: string, why: string, fix: string): PreflightCheck => ({
  severity: "error",
  inRollback: "warning",
  title,
  why,
  fix,
});
const warn = (title: string, why: string, fix: string): PreflightCheck => ({
  severity: "warning",
  inRollback: "warning",
  title,
  why,
  fix,
});
const lint = (title: string, why: string, fix: string): PreflightCheck => ({
  severity: "warning",
  inRollback: "off",
  title,
  why,
  fix,
});

export const preflightChecks = {
  IMAGE_NOT_IN_REGISTRY: refuse(
    "The registry does not have an image",
    "No node could pull it, and the new pods would wait in ImagePullBackOff.",
    "Push it: slipway push.",
  ),
  IMAGE_UNCHECKED: warn(
    "The registry could not be asked for an image, or does not have one that the release did not push",
    "Whether the nodes can get the image, and whether it fits them, is not known. That is not the same as in order.",
    "Check the credentials and the way to the registry from here; the nodes have their own.",
  ),
  IMAGE_ARCHITECTURE: forecast(
    "An image has no platform for nodes that its pods can go to",
    'A pod that lands on such a node fails with "no match for platform" or "exec format error".',
    "Build the image for that architecture too, or keep its pods away: nodeSelector kubernetes.io/arch.",
  ),
  REFERENCE_MISSING: refuse(
    "A pod refers to an object that does not exist",
    "Pods that need a missing ConfigMap, Secret, ServiceAccount, PriorityClass, RuntimeClass or volume claim are never created, or never start.",
    "Add it, correct its name, or mark the reference optional.",
  ),
  REFERENCE_KEY_MISSING: refuse(
    "A pod refers to a key that a ConfigMap or Secret does not have",
    "The container stays in CreateContainerConfigError, or its volume is never mounted.",
    "Add the key, correct its name, or mark the reference optional.",
  ),
  REFERENCE_PRUNED: forecast(
    "A pod refers to an object that only an earlier release brought",
    "Its manifest is gone, so it is no longer the release's to keep: pods made after it is deleted could not start.",
    "Keep its manifest, or drop the reference. Where somebody else takes care of it from now on, ignore this: what the release refers to is not pruned.",
  ),
  PULL_SECRET_MISSING: warn(
    "An imagePullSecret, of a pod or its ServiceAccount, does not exist or is not one",
    "The kubelet pulls without it, which fails wherever the registry asks who is there.",
    "Create it: kubectl create secret docker-registry.",
  ),
  TLS_SECRET_MISSING: warn(
    "An Ingress serves with a Secret that does not exist",
    "The controller serves a certificate of its own, which browsers refuse, or nothing at all.",
    "Add the Secret (kubectl create secret tls), or correct its name. Nothing, where something makes it later: cert-manager's annotations are known.",
  ),
  OBJECT_OF_ANOTHER_SERVICE: forecast(
    "An object belongs to another service that Slipway releases",
    "The release would take it over: the pods of the other service would be replaced or cut off, its next release would take the object back, and one of them would prune it in the end.",
    "Give it another name or namespace. Where it is to move here (a service that was renamed), ignore this for the one release that takes it.",
  ),
  OBJECT_OF_ANOTHER_MANAGER: warn(
    "An object is managed by something else, such as Helm, or shared with another service",
    "The release takes it over, and deletes it when it goes back to one that does not have it. Whatever manages it so far will change it back with its next run, or delete it when it is uninstalled.",
    "Give it another name or namespace, or take it out of the other's hands first.",
  ),
  SELECTOR_CHANGED: refuse(
    "The selector of a Deployment changed",
    "Kubernetes never changes it: the apply would be refused in the middle of a wave.",
    "Keep the selector, or give the Deployment a new name; the old one is then pruned after the release.",
  ),
  FIELD_IMMUTABLE: refuse(
    "A field changed that Kubernetes never changes",
    "The apply would be refused in the middle of a wave.",
    "Keep the field as it is, or give the object a new name.",
  ),
  QUOTA_EXCEEDED: forecast(
    "A ResourceQuota has no room for the rollout",
    "The API server refuses the new pods (FailedCreate), and the rollout stops.",
    "Raise the quota, lower the requests, or let old pods go first with maxUnavailable.",
  ),
  QUOTA_SLOWS: warn(
    "A ResourceQuota has no room for the whole surge",
    "The rollout goes on in smaller steps, but each refused pod is tried again only after a back-off that doubles up to minutes: it may take so long that it is judged failed.",
    "Raise the quota, or lower maxSurge to what it has room for.",
  ),
  QUOTA_UNSPECIFIED: forecast(
    "A ResourceQuota demands requests or limits that a pod does not state",
    "The API server refuses every pod without them.",
    "State them in the manifest, or give the namespace defaults with a LimitRange.",
  ),
  LIMIT_RANGE: forecast(
    "A LimitRange refuses a pod",
    "The API server refuses the new pods (FailedCreate), and the rollout stops.",
    "Bring the container's requests and limits within the LimitRange.",
  ),
  CAPACITY_SHORT: forecast(
    "The new pods do not fit on the nodes",
    "The rollout would stop half way: with maxUnavailable 0 no old pod goes before a new one is ready, and full nodes take no new one.",
    "Make room (a node more, smaller requests), or let an old pod go first: maxUnavailable: 1.",
  ),
  CAPACITY_TIGHT: warn(
    "The new pods may not fit on the nodes",
    "Whether they do depends on which nodes the scheduler chooses among equals.",
    "Make room, or let an old pod go first: maxUnavailable: 1.",
  ),
  CAPACITY_PREEMPTS: warn(
    "The new pods fit only by driving out others",
    "Their priority is higher, so the scheduler evicts pods of lower priority for them.",
    "Make room if those pods matter.",
  ),
  CAPACITY_AUTOSCALER: warn(
    "The new pods do not fit on the nodes that there are, but an autoscaler may add some",
    "The rollout waits until nodes have come, which takes minutes and may fail (quota, zone, price).",
    "Nothing, if the autoscaler's limits are high enough.",
  ),
  CAPACITY_UNKNOWN: warn(
    "Whether the new pods fit is not known",
    "The cluster shows no node, or pods are placed by a scheduler of their own.",
    "Nothing, if that is as it should be.",
  ),
  PREFLIGHT_PARTIAL: warn(
    "Something in the cluster may not be read",
    "What it says was not checked; that is not the same as in order.",
    "Give the deployer the right to read it.",
  ),
  HPA_OWNS_REPLICAS: warn(
    "A HorizontalPodAutoscaler of the cluster decides how many pods there are, not the manifest",
    "The manifest's replicas are left out of the apply, so that the autoscaler's count stays.",
    "Drop spec.replicas from the manifest, and keep the autoscaler with the manifests.",
  ),
  HPA_OUT_OF_RANGE: warn(
    "The replicas are outside of what the HorizontalPodAutoscaler allows",
    "The autoscaler changes them at once.",
    "Drop spec.replicas, or correct minReplicas and maxReplicas.",
  ),
  HPA_WITHOUT_REQUESTS: warn(
    "A HorizontalPodAutoscaler has no requests to measure by",
    "Utilization is a percentage of the request: without one the autoscaler does nothing.",
    "Give every container of the pod a request for that resource.",
  ),
  SERVICE_SELECTS_NOTHING: forecast(
    "A Service selects no pods",
    "Pods become ready without it, so the release would be healthy while every request fails.",
    "Make spec.selector what the pods' template says in metadata.labels. Where another manifest or an operator brings the pods later, ignore it there.",
  ),
  SERVICE_PORT_UNDECLARED: warn(
    "A Service leads to a port that its pods do not declare",
    "If nothing listens there, the pods are ready and every request fails; a targetPort with a name that no container has leads nowhere.",
    "Correct targetPort, or declare the port in the container's ports.",
  ),
  REPLICAS_DROP: warn(
    "The release lowers the number of pods by much",
    "Somebody, or an autoscaler, has raised it; the manifest's number wins.",
    "Raise spec.replicas, or keep the HorizontalPodAutoscaler that raised it.",
  ),
  PDB_BLOCKS_DRAINS: warn(
    "A PodDisruptionBudget allows no disruption at all",
    "Nodes with these pods cannot be drained: upgrades and scale-downs hang.",
    "Leave room: maxUnavailable: 1, or minAvailable below the replicas.",
  ),
  READINESS_PROBE_MISSING: lint(
    "A container that serves has no readinessProbe",
    "It gets requests as soon as its process runs, and a release counts it as good without asking it.",
    "Add a readinessProbe on a path that answers only when the container can serve.",
  ),
  PRESTOP_MISSING: lint(
    "A container that serves has no preStop",
    "Load balancers and kube-proxy go on sending for a while after a pod was told to stop: those requests are lost.",
    "Add lifecycle.preStop that waits longer than endpoints take to be known everywhere (5 s; behind a GKE load balancer 40 s).",
  ),
  PRESTOP_TOO_SHORT: lint(
    "preStop is shorter than endpoints take to be known everywhere",
    "Requests that are sent to the pod after it stopped listening are lost.",
    "Wait at least 5 s, behind a GKE load balancer (NEG) 40 s.",
  ),
  GRACE_TOO_SHORT: lint(
    "terminationGracePeriodSeconds leaves no time after preStop",
    "The clock runs from the moment the pod is told to stop, preStop included; what is in flight at its end is killed.",
    "Make it preStop + the longest request + 5 s.",
  ),
  SPREAD_MISSING: lint(
    "Nothing keeps the replicas on different nodes",
    "One node that fails may take all of them along.",
    "Add topologySpreadConstraints over kubernetes.io/hostname, or pod anti-affinity.",
  ),
  SINGLE_REPLICA: lint(
    "One replica serves alone",
    "Any restart or drain of its node is an outage.",
    "Run at least 2 replicas.",
  ),
  ROLLOUT_LOSES_CAPACITY: lint(
    "The rollout takes old pods away before new ones are ready",
    "A broken image costs that much of the service before anybody notices.",
    "Set maxUnavailable: 0 and maxSurge: 1 or more.",
  ),
  HASHED_NAME_UNUSED: lint(
    "A ConfigMap or Secret gets a name of its own, and nothing in the release refers to it",
    "It is in the cluster under a name with a hash of its content. References in the release follow; a program, an operator or another manifest that reads it by its plain name finds nothing, or an old one.",
    'Keep its name with the annotation slipway.dev/hash-suffix: "false", or leave the object out if nobody reads it.',
  ),
  IMAGE_TAG_MOVING: lint(
    "An image has no fixed tag or digest",
    "What runs depends on when a node pulled it, and going back does not bring the old one back.",
    "Name it by digest, or let slipway build or take it (images).",
  ),
  REQUESTS_MISSING: lint(
    "A container states no requests",
    "The scheduler counts it as nothing, so that nodes are overfilled and it is the first to be evicted.",
    "State resources.requests for cpu and memory.",
  ),
  LIVENESS_TOO_EAGER: lint(
    "The liveness probe asks the same as the readiness probe, and gives up no later",
    "Instead of getting no more requests for a moment, an overloaded container is restarted.",
    "Ask something simpler, and give it a much higher failureThreshold.",
  ),
  STRATEGY_RECREATE: lint(
    "The Deployment recreates its pods",
    "All old pods are stopped before the first new one starts: every release is an outage, a broken image a long one.",
    "Use RollingUpdate, if two versions may run side by side.",
  ),
  NEG_WITHOUT_PRESTOP: lint(
    "Pods behind a GKE load balancer (NEG) stop too early",
    "The load balancer learns of the end of a pod while it ends, and sends on for up to 40 s.",
    "Wait 40 s in preStop, and make terminationGracePeriodSeconds longer than that.",
  ),
  READINESS_GATE_UNSERVED: forecast(
    "A readiness gate has no controller here",
    "Nothing in this cluster ever opens it: the new pods never become ready.",
    "Remove the gate for this cluster with a patch of its environment, or install its controller.",
  ),
} as const satisfies Readonly<Record<string, PreflightCheck>>;

const LOCAL_TOO = /^(?:READINESS_PROBE_MISSING|PRESTOP_MISSING|HASHED_NAME_UNUSED)$/;

/**
 * Advice for production traffic is out of place on a laptop, where one node and a preStop of two seconds are right. What
 * loses requests there too stays, and what nobody would find there either.
 */
export const LOCAL_SEVERITIES: Readonly<Record<string, Severity>> = Object.fromEntries(
  Object.entries(preflightChecks)
    .filter(([code, { inRollback }]) => inRollback === "off" && !LOCAL_TOO.test(code))
    .map(([code]) => [code, "off"]),
);

export type PreflightCode = keyof typeof preflightChecks;

/** Only codes that differ from their own severity. */
export type PreflightSeverities = Readonly<Partial<Record<PreflightCode, Severity>>>;

export const preflightCodes = Object.keys(preflightChecks) as readonly PreflightCode[];
