/**
 * The least rights that a release needs, as manifests: derived from what the project applies, so that a deploy account
 * cannot touch kinds or namespaces that the project has nothing to do with. Pure. `stories/rights.ts` tells of a deploy
 * with hooks, an approval, holds, status and a rollback with exactly these, also against a real API server.
 *
 * Records of releases are Secrets, and RBAC knows no labels: who may read them may read every Secret of that namespace.
 */
import { type AnyObject, apiVersionOf, resourceTypeOf, type TypeRef } from "@slipway/kube";
import { groupOf, versionsOf } from "../manifests/api-versions.ts";
import { MANAGED_BY_LABEL, SERVICE_LABEL } from "../manifests/render.ts";
import type { RenderedRelease } from "../model.ts";
import { type Resource, wellKnown } from "./resources.ts";
import { mergeRules, type Rule } from "./rules.ts";

/** `read` is status, history, logs and the plan's look at what is there; without the dry run, which is a write to RBAC. */
export type Purpose = "deploy" | "rollback" | "read";

export interface Subject {
  readonly kind: "User" | "Group" | "ServiceAccount";
  readonly name: string;
  /** Of a ServiceAccount. */
  readonly namespace?: string | undefined;
}

export interface RightsInput {
  readonly service: string;
  /** The one of the records and the lock. */
  readonly namespace: string;
  readonly rendered: Pick<RenderedRelease, "objects" | "hooks">;
  readonly purpose: Purpose;
  readonly subjects: readonly Subject[];
  /** Pods are asked over forwarded ports: collectors by a gate of the deploy, or what was deployed by checks. */
  readonly forwardsPorts?: boolean | undefined;
  /** Kinds that are not Kubernetes' own, as a cluster's discovery names them. */
  readonly discovered?: ReadonlyMap<string, Resource> | undefined;
}

export interface Rights {
  readonly manifests: readonly AnyObject[];
  /** Kinds whose plural nobody knows, and whose rights are missing therefore. */
  readonly unknown: readonly TypeRef[];
}

const RBAC = "rbac.authorization.k8s.io";
const READ = ["get", "list", "watch"];
/** Server-side apply is a patch, and a create when nothing is there; a dry run needs the same. */
const APPLY = ["get", "create", "patch"];

export function rightsFor(input: RightsInput): Rights {
  const kinds = appliedKinds(input);
  const namespaces = new Set([input.namespace, ...kinds.flatMap(({ namespace }) => namespace ?? [])]);
  const name = `slipway-${input.service}-${input.purpose}`;
  const manifests: AnyObject[] = [];
  for (const namespace of [...namespaces].sort()) {
    const applied = kinds.filter((kind) => kind.namespace === namespace);
    const rules = [
      ...(namespace === input.namespace ? bookkeeping(input) : []),
      ...watching(input.purpose),
      ...(input.purpose === "read" ? [] : preflightIn()),
      ...applied.map((kind) => ruleOf(kind, input.purpose)),
      ...(input.purpose === "read" ? [] : unblocking(applied)),
    ];
    manifests.push(...bound("Role", { name, namespace }, rules, input));
  }
  const wide = [
    ...clusterRules(input, [...namespaces].sort()),
    ...kinds.filter((kind) => kind.namespace === undefined).map((kind) => ruleOf(kind, input.purpose)),
  ];
  // A name that is everybody's: the same service may be in the cluster twice, in two namespaces.
  const wideName = `slipway-${input.namespace}-${input.service}-${input.purpose}`;
  manifests.push(...bound("ClusterRole", { name: wideName }, wide, input));
  if (input.purpose !== "read") manifests.push(...preflightEverywhere(input, `${wideName}-room`));
  return { manifests, unknown: unknownKinds(input) };
}

interface AppliedKind {
  readonly groups: readonly string[];
  readonly plural: string;
  /** Undefined for kinds that belong to no namespace. */
  readonly namespace: string | undefined;
}

function objectsOf({ rendered }: RightsInput): readonly AnyObject[] {
  const jobs = (rendered.hooks ?? []).flatMap(({ hook }) => (hook.run.kind === "job" ? [hook.run.job] : []));
  return [...rendered.objects, ...jobs];
}

function resourceOf(type: TypeRef, { discovered }: RightsInput): Resource | undefined {
  const known = resourceTypeOf(type.kind);
  if (known !== undefined && apiVersionOf(known).split("/")[0] === type.apiVersion.split("/")[0])
    return known;
  return wellKnown(groupOf(type), type.kind) ?? discovered?.get(`${type.apiVersion}/${type.kind}`);
}

function appliedKinds(input: RightsInput): readonly AppliedKind[] {
  const kinds = new Map<string, AppliedKind>();
  for (const object of objectsOf(input)) {
    const resource = resourceOf(object, input);
    if (resource === undefined) continue;
    const namespace = resource.namespaced ? (object.metadata.namespace ?? input.namespace) : undefined;
    // A cluster may serve it in another version, and Ingress even in another group.
    const versions = [object.apiVersion, ...versionsOf(object)];
    const groups = [...new Set(versions.map((one) => (one.includes("/") ? (one.split("/")[0] ?? "") : "")))];
    kinds.set(`${groups} ${resource.plural} ${namespace}`, { groups, plural: resource.plural, namespace });
  }
  return [...kinds.values()];
}

function unknownKinds(input: RightsInput): readonly TypeRef[] {
  const unknown = objectsOf(input).filter((object) => resourceOf(object, input) === undefined);
  return [
    ...new Map(
      unknown.map(({ apiVersion, kind }) => [`${apiVersion}/${kind}`, { apiVersion, kind }]),
    ).values(),
  ];
}

/** Delete is for prune, and for what a failed release brought. */
function ruleOf({ groups, plural }: AppliedKind, purpose: Purpose): Rule {
  const verbs = purpose === "read" ? ["get"] : [...APPLY, "delete"];
  return { apiGroups: groups, resources: [plural], verbs };
}

/** A broken pod that keeps a StatefulSet from going on is deleted; see `engine/stuck-pods.ts`. */
function unblocking(applied: readonly AppliedKind[]): readonly Rule[] {
  const isSet = applied.some(({ plural }) => plural === "statefulsets");
  return isSet ? [{ apiGroups: [""], resources: ["pods"], verbs: ["delete"] }] : [];
}

/** The lock and the records. A create cannot be limited to a name: the name is not known when it is looked at. */
function bookkeeping(input: RightsInput): readonly Rule[] {
  const { service, purpose } = input;
  const lease = { apiGroups: ["coordination.k8s.io"], resources: ["leases"] };
  const records = { apiGroups: [""], resources: ["secrets"] };
  if (purpose === "read") {
    return [
      { ...lease, resourceNames: [`slipway.${service}`], verbs: ["get"] },
      { ...records, verbs: ["get", "list"] },
    ];
  }
  return [
    { ...lease, verbs: ["create"] },
    { ...lease, resourceNames: [`slipway.${service}`], verbs: ["get", "update", "patch"] },
    { ...records, verbs: ["get", "list", "create", "patch", "delete"] },
    ...waysToPods(input),
  ];
}

/**
 * Services are read, pods listed, and a collector's token read with the rights above. A rollback asks neither. Older API servers ask for `get`,
 * because the connection begins as a GET; newer ones for `create`.
 */
function waysToPods({ purpose, forwardsPorts }: RightsInput): readonly Rule[] {
  if (purpose !== "deploy" || forwardsPorts !== true) return [];
  return [{ apiGroups: [""], resources: ["pods/portforward"], verbs: ["get", "create"] }];
}

/** What the judge looks at, and the evidence it keeps. */
function watching(purpose: Purpose): readonly Rule[] {
  return [
    { apiGroups: [""], resources: ["events", "pods"], verbs: READ },
    { apiGroups: [""], resources: ["pods/log"], verbs: ["get"] },
    {
      apiGroups: ["apps"],
      resources: ["daemonsets", "deployments", "replicasets", "statefulsets"],
      verbs: READ,
    },
    {
      apiGroups: ["batch"],
      resources: ["jobs"],
      verbs: purpose === "read" ? READ : [...READ, "create", "patch", "delete"],
    },
  ];
}

/** What stands in a release's way: quotas, budgets, autoscalers, and whether what pods refer to exists. */
function preflightIn(): readonly Rule[] {
  return [
    { apiGroups: [""], resources: ["limitranges", "resourcequotas"], verbs: ["list"] },
    { apiGroups: ["autoscaling"], resources: ["horizontalpodautoscalers"], verbs: ["list"] },
    { apiGroups: ["policy"], resources: ["poddisruptionbudgets"], verbs: ["list"] },
    {
      apiGroups: [""],
      resources: ["configmaps", "persistentvolumeclaims", "secrets", "serviceaccounts"],
      verbs: ["get"],
    },
  ];
}

/** The identity of the cluster, and whether the namespaces are there. */
function clusterRules({ purpose }: RightsInput, namespaces: readonly string[]): readonly Rule[] {
  const known = {
    apiGroups: [""],
    resources: ["namespaces"],
    resourceNames: ["kube-system", ...namespaces],
  };
  const classes = {
    apiGroups: ["scheduling.k8s.io"],
    resources: ["priorityclasses"],
    verbs: ["get", "list"],
  };
  return [{ ...known, verbs: ["get"] }, ...(purpose === "read" ? [] : [classes])];
}

/**
 * May be left out: room for the surge is then not looked at, and the plan says so. Pods of all namespaces are listed
 * because they all take room.
 */
function preflightEverywhere(input: RightsInput, name: string): readonly AnyObject[] {
  const room = [{ apiGroups: [""], resources: ["nodes", "pods"], verbs: ["list"] }];
  const status = [
    {
      apiGroups: [""],
      resources: ["configmaps"],
      resourceNames: ["cluster-autoscaler-status"],
      verbs: ["get"],
    },
  ];
  return [
    ...bound("ClusterRole", { name }, room, input),
    ...bound("Role", { name, namespace: "kube-system" }, status, input),
  ];
}

function bound(
  kind: "Role" | "ClusterRole",
  place: { readonly name: string; readonly namespace?: string },
  rules: readonly Rule[],
  { service, subjects }: RightsInput,
): readonly AnyObject[] {
  const labels = { [MANAGED_BY_LABEL]: "slipway", [SERVICE_LABEL]: service };
  const common = { apiVersion: `${RBAC}/v1`, metadata: { ...place, labels } };
  const role: AnyObject = { ...common, kind, rules: mergeRules(rules) };
  if (subjects.length === 0) return [role];
  return [
    role,
    {
      ...common,
      kind: `${kind}Binding`,
      roleRef: { apiGroup: RBAC, kind, name: place.name },
      subjects: subjects.map(({ kind: of, name, namespace }) =>
        of === "ServiceAccount" ? { kind: of, name, namespace } : { apiGroup: RBAC, kind: of, name },
      ),
    },
  ];
}
