/**
 * Why a namespace is still there: the conditions NamespaceContentRemaining and NamespaceFinalizersRemaining, in the
 * words of Kubernetes' namespace controller, which `kubectl describe namespace` shows.
 */
import { type Condition, type KubeObject, type Namespace, qualifiedResource } from "@slipway/kube";

/** The namespace with the conditions for what it still holds; undefined when it already has them. */
export function withRemaining(
  namespace: Namespace,
  content: readonly KubeObject[],
  now: number,
): Namespace | undefined {
  const known = namespace.status?.conditions ?? [];
  const wanted = [
    contentCondition(count(content.map(({ kind }) => `${resourceOf(kind)} has`))),
    finalizerCondition(count(content.flatMap(({ metadata }) => metadata.finalizers ?? []))),
  ];
  const isKnown = ({ type, status, message }: Told): boolean =>
    known.some((old) => old.type === type && old.status === status && old.message === message);
  if (wanted.every(isKnown)) return undefined;
  const conditions = wanted.map((next): Condition => {
    const old = known.find(({ type }) => type === next.type);
    const { lastTransitionTime = timestamp(now) } = old?.status === next.status ? old : {};
    return { ...next, lastTransitionTime };
  });
  return { ...namespace, status: { ...namespace.status, phase: "Terminating", conditions } };
}

type Told = Required<Pick<Condition, "type" | "status" | "reason" | "message">>;

function contentCondition(counts: ReadonlyMap<string, number>): Told {
  const list = [...counts].map(([what, number]) => `${what} ${number} resource instances`);
  const message = `Some resources are remaining: ${list.join(", ")}`;
  return { type: "NamespaceContentRemaining", status: "True", reason: "SomeResourcesRemain", message };
}

function finalizerCondition(counts: ReadonlyMap<string, number>): Told {
  const type = "NamespaceFinalizersRemaining";
  if (counts.size === 0) {
    const message = "All content-preserving finalizers finished";
    return { type, status: "False", reason: "ContentHasNoFinalizers", message };
  }
  const list = [...counts].map(([finalizer, number]) => `${finalizer} in ${number} resource instances`);
  const message = `Some content in the namespace has finalizers remaining: ${list.join(", ")}`;
  return { type, status: "True", reason: "SomeFinalizersRemain", message };
}

/** How often each occurs, sorted by name. */
function count(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of [...names].sort()) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

/** `pods.`, `deployments.apps`: upstream leaves the dot of an empty group. */
function resourceOf(kind: string): string {
  const resource = qualifiedResource(kind);
  return resource.includes(".") ? resource : `${resource}.`;
}

function timestamp(now: number): string {
  return `${new Date(now).toISOString().slice(0, 19)}Z`;
}
