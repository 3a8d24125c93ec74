/** Where Kubernetes objects hold pod specs, so that images and references are changed by structure, never by text. */
import type { AnyObject, Container, PodSpec } from "@slipway/kube";

const TEMPLATE_PATHS: Readonly<Record<string, readonly string[]>> = {
  Pod: ["spec"],
  Deployment: ["spec", "template", "spec"],
  ReplicaSet: ["spec", "template", "spec"],
  StatefulSet: ["spec", "template", "spec"],
  DaemonSet: ["spec", "template", "spec"],
  Job: ["spec", "template", "spec"],
  CronJob: ["spec", "jobTemplate", "spec", "template", "spec"],
};

/** The way to the pod spec of an object of this kind; undefined when it has none. */
export function podSpecPath(object: AnyObject): readonly string[] | undefined {
  return TEMPLATE_PATHS[object.kind];
}

export function podSpecOf(object: AnyObject): PodSpec | undefined {
  const path = podSpecPath(object);
  if (path === undefined) return undefined;
  let value: unknown = object;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return typeof value === "object" && value !== null ? (value as PodSpec) : undefined;
}

/** The object with its pod spec replaced; the object itself when it has none. */
export function mapPodSpec(object: AnyObject, change: (spec: PodSpec) => PodSpec): AnyObject {
  const path = podSpecPath(object);
  const spec = podSpecOf(object);
  if (path === undefined || spec === undefined) return object;
  return replaceAt(object as Record<string, unknown>, path, change(spec)) as AnyObject;
}

/** Containers and init containers through one function; `path` is where each is inside the pod spec. */
export function mapContainers(
  spec: PodSpec,
  change: (container: Container, path: readonly (string | number)[]) => Container,
): PodSpec {
  const each = (list: readonly Container[], field: string): readonly Container[] =>
    list.map((container, index) => change(container, [field, index]));
  return {
    ...spec,
    ...(Array.isArray(spec.containers) ? { containers: each(spec.containers, "containers") } : {}),
    ...(Array.isArray(spec.initContainers)
      ? { initContainers: each(spec.initContainers, "initContainers") }
      : {}),
  };
}

function replaceAt(
  object: Record<string, unknown>,
  path: readonly string[],
  value: unknown,
): Record<string, unknown> {
  const [first, ...rest] = path;
  if (first === undefined) return value as Record<string, unknown>;
  return {
    ...object,
    [first]: rest.length === 0 ? value : replaceAt(object[first] as Record<string, unknown>, rest, value),
  };
}
