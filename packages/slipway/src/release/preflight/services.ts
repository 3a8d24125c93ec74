/**
 * Services that nobody stands behind. Pods become ready without their Service, so a rollout is healthy while every request to it
 * fails: a selector with a misspelt label, a port that nothing listens on. Pure.
 */
import { type AnyObject, matchesLabels, type Pod, type PodSpec } from "@slipway/kube";
import { podSpecOf, podSpecPath } from "../manifests/workload.ts";
import type { RawFinding } from "./finding.ts";

type Labels = Readonly<Record<string, string>>;

interface ServiceSpec {
  readonly type?: string;
  readonly selector?: Labels;
  readonly ports?: readonly { readonly port: number; readonly targetPort?: number | string }[];
}

/** Labels that Kubernetes' own controllers give to pods (well-known labels): a Service for each pod of a StatefulSet has the first. */
const GIVEN: ReadonlySet<string> = new Set([
  "statefulset.kubernetes.io/pod-name",
  "apps.kubernetes.io/pod-index",
  "controller-revision-hash",
  "pod-template-hash",
  "batch.kubernetes.io/job-name",
  "batch.kubernetes.io/job-completion-index",
  "batch.kubernetes.io/controller-uid",
]);

/**
 * @param pods of all namespaces; undefined when they may not be read, and then nothing is certain: others may bring them
 */
export function checkSelectors(
  objects: readonly AnyObject[],
  pods: readonly Pod[] | undefined,
): readonly RawFinding[] {
  // What a custom resource makes is its controller's business, and that may come after the Service. A release without pods of its
  // own has Services for those of others.
  if (pods === undefined || objects.some(isCustom) || !objects.some(templateLabels)) return [];
  return servicesOf(objects).flatMap(({ object, selector }): readonly RawFinding[] => {
    // No template has them; which pods get which value is their controller's.
    const given = Object.fromEntries(Object.entries(selector).filter(([name]) => GIVEN.has(name)));
    const isSelected = (
      { namespace }: { readonly namespace?: string | undefined },
      labels: Labels,
    ): boolean => namespace === object.metadata.namespace && matchesLabels({ matchLabels: selector }, labels);
    const isOwn = (one: AnyObject): boolean => {
      const labels = templateLabels(one);
      return labels !== undefined && isSelected(one.metadata, { ...given, ...labels });
    };
    if (objects.some(isOwn)) return [];
    if (pods.some(({ metadata }) => isSelected(metadata, metadata.labels ?? {}))) return [];
    const wanted = Object.entries(selector).map(([name, value]) => `${name}: ${value}`);
    return [
      {
        code: "SERVICE_SELECTS_NOTHING",
        object,
        place: "spec.selector",
        message: `is { ${wanted.join(", ")} }, and no pod of the release or of the cluster has these labels: every request to it fails`,
      },
    ];
  });
}

/** Of pods that the release brings; what they do not declare may listen all the same, but a name leads nowhere. */
export function checkServicePorts(objects: readonly AnyObject[]): readonly RawFinding[] {
  return servicesOf(objects).flatMap(({ object, selector, spec }) => {
    const selected = objects.flatMap((one) => {
      const labels = templateLabels(one);
      const pod = podSpecOf(one);
      if (labels === undefined || pod === undefined) return [];
      if (one.metadata.namespace !== object.metadata.namespace) return [];
      return matchesLabels({ matchLabels: selector }, labels) ? [pod] : [];
    });
    const declared = selected.flatMap(portsOf);
    if (selected.length === 0 || !selected.every((pod) => portsOf(pod).length > 0)) return [];
    return (spec.ports ?? []).flatMap(({ port, targetPort = port }): readonly RawFinding[] => {
      if (declared.some((one) => one.name === targetPort || one.containerPort === targetPort)) return [];
      const known = [...new Set(declared.map((one) => one.name ?? one.containerPort))].join(", ");
      return [
        {
          code: "SERVICE_PORT_UNDECLARED",
          object,
          place: `spec.ports/${port}`,
          message: `leads to port ${targetPort}, and the pods behind it declare ${known}`,
        },
      ];
    });
  });
}

function servicesOf(
  objects: readonly AnyObject[],
): readonly { readonly object: AnyObject; readonly spec: ServiceSpec; readonly selector: Labels }[] {
  return objects.flatMap((object) => {
    if (object.kind !== "Service") return [];
    const spec = (object["spec"] ?? {}) as ServiceSpec;
    const { selector, type } = spec;
    if (type === "ExternalName" || selector === undefined || Object.keys(selector).length === 0) return [];
    return [{ object, spec, selector }];
  });
}

/** Labels of the pods that it makes; undefined when it makes none. */
function templateLabels(object: AnyObject): Labels | undefined {
  const path = podSpecPath(object);
  if (path === undefined || podSpecOf(object) === undefined) return undefined;
  const template = path.slice(0, -1).reduce<unknown>((value, key) => (value as AnyObject)?.[key], object);
  return (template as { metadata?: { labels?: Labels } } | undefined)?.metadata?.labels ?? {};
}

/** Sidecars are init containers, too. */
const portsOf = ({ containers, initContainers = [] }: PodSpec) =>
  [...(containers ?? []), ...initContainers].flatMap(({ ports }) => ports ?? []);

/** `apps/v1`, `policy/v1` and all below `k8s.io` are Kubernetes' own. */
function isCustom({ apiVersion }: AnyObject): boolean {
  const [group = "", version] = apiVersion.split("/");
  return version !== undefined && group.includes(".") && !group.endsWith(".k8s.io");
}
