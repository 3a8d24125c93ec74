/**
 * Kinds that clusters serve in one API version or another, and what says the same in both. The manifest names one;
 * each cluster gets the one it serves (`served.ts`). Converted is only what means the same: a field that the other
 * version lacks, or reads in another way, is a reason not to. Pure; the facts are those of the Kubernetes API
 * reference and of its conversion code.
 *
 * Each kind has a hub, its newest version; the others say how to get there and back.
 */
import type { AnyObject } from "@slipway/kube";

type Spec = Readonly<Record<string, unknown>>;

/** What the object is in the other version, or why it cannot be said there. */
export type Conversion = { readonly object: AnyObject } | { readonly reason: string };

interface Version {
  readonly toHub: (object: AnyObject) => AnyObject;
  readonly fromHub: (object: AnyObject) => AnyObject;
}

/** Thrown inside a conversion, never out of this file. */
class Unfaithful extends Error {}

const same: Version = { toHub: (object) => object, fromHub: (object) => object };

/** By kind: every version, newest first. */
const KINDS: Readonly<Record<string, Readonly<Record<string, Version>>>> = {
  PodDisruptionBudget: {
    // unhealthyPodEvictionPolicy came with 1.26, when v1beta1 had gone. An empty selector takes all pods in v1 and
    // none in v1beta1; an absent one takes none in both.
    "policy/v1": same,
    "policy/v1beta1": both((object) => {
      allow(specOf(object), "spec", ["minAvailable", "maxUnavailable", "selector"]);
      const { selector } = specOf(object) as { selector?: object };
      const { matchLabels = {}, matchExpressions = [] } = (selector ?? {}) as Record<string, object>;
      if (selector !== undefined && Object.keys({ ...matchLabels, ...matchExpressions }).length === 0) {
        throw new Unfaithful("spec.selector is empty, which takes all pods in v1 and none in v1beta1");
      }
      return object;
    }),
  },
  HorizontalPodAutoscaler: {
    "autoscaling/v2": same,
    // Of the same shape, without what came later (containerResource 1.27, tolerance 1.33).
    "autoscaling/v2beta2": both(autoscalerWithoutNews),
    "autoscaling/v1": { toHub: autoscalerFromV1, fromHub: autoscalerToV1 },
  },
  CronJob: {
    // timeZone came with 1.24; a server that has no batch/v1 (before 1.21) does not know it.
    "batch/v1": same,
    "batch/v1beta1": both((object) => {
      allow(specOf(object), "spec", [
        "schedule",
        "startingDeadlineSeconds",
        "concurrencyPolicy",
        "suspend",
        "jobTemplate",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
      ]);
      return object;
    }),
  },
  EndpointSlice: {
    "discovery.k8s.io/v1": same,
    "discovery.k8s.io/v1beta1": { toHub: sliceFromBeta, fromHub: sliceToBeta },
  },
  Ingress: {
    "networking.k8s.io/v1": same,
    "networking.k8s.io/v1beta1": { toHub: ingressFromBeta, fromHub: ingressToBeta },
    "extensions/v1beta1": { toHub: ingressFromBeta, fromHub: ingressToBeta },
  },
};

/** Every version that an object of this kind may be served in, newest first; empty when only the written one counts. */
export function versionsOf(object: {
  readonly apiVersion: string;
  readonly kind: string;
}): readonly string[] {
  const versions = KINDS[object.kind];
  return versions === undefined || !(object.apiVersion in versions) ? [] : Object.keys(versions);
}

/** Ingress moved from the group `extensions` to `networking.k8s.io` and stayed the same object. */
export function groupOf(object: { readonly apiVersion: string; readonly kind: string }): string {
  const group = object.apiVersion.includes("/") ? (object.apiVersion.split("/")[0] as string) : "";
  return group === "extensions" && object.kind === "Ingress" ? "networking.k8s.io" : group;
}

export function convertTo(object: AnyObject, apiVersion: string): Conversion {
  if (object.apiVersion === apiVersion) return { object };
  const versions = KINDS[object.kind];
  const from = versions?.[object.apiVersion];
  const to = versions?.[apiVersion];
  if (from === undefined || to === undefined) return { reason: `${object.kind} has no ${apiVersion}` };
  try {
    return { object: { ...to.fromHub(from.toHub(object)), apiVersion } };
  } catch (error) {
    if (error instanceof Unfaithful) return { reason: error.message };
    throw error;
  }
}

function both(change: (object: AnyObject) => AnyObject): Version {
  return { toHub: change, fromHub: change };
}

function specOf(object: AnyObject): Spec {
  return recordOf(object["spec"]);
}

function withSpec(object: AnyObject, spec: Spec): AnyObject {
  return { ...object, spec };
}

function allow(value: Spec, path: string, fields: readonly string[]): void {
  const other = Object.keys(value).find((key) => value[key] !== undefined && !fields.includes(key));
  if (other !== undefined) throw new Unfaithful(`${path}.${other} is not in the other version`);
}

function autoscalerWithoutNews(object: AnyObject): AnyObject {
  const spec = specOf(object);
  allow(spec, "spec", ["scaleTargetRef", "minReplicas", "maxReplicas", "metrics", "behavior"]);
  for (const [index, metric] of listOf(spec["metrics"]).entries()) {
    allow(metric, `spec.metrics[${index}]`, ["type", "resource", "pods", "object", "external"]);
  }
  const behavior = recordOf(spec["behavior"]);
  for (const direction of ["scaleUp", "scaleDown"]) {
    const rules = recordOf(behavior[direction]);
    allow(rules, `spec.behavior.${direction}`, ["stabilizationWindowSeconds", "selectPolicy", "policies"]);
  }
  return object;
}

function autoscalerFromV1(object: AnyObject): AnyObject {
  const { targetCPUUtilizationPercentage: percent, ...spec } = specOf(object);
  allow(spec, "spec", ["scaleTargetRef", "minReplicas", "maxReplicas"]);
  // In v1 everything but the CPU hides in annotations that servers write and read.
  const hidden = Object.keys(object.metadata.annotations ?? {}).find((key) =>
    key.startsWith("autoscaling.alpha.kubernetes.io/"),
  );
  if (hidden !== undefined) throw new Unfaithful(`the annotation ${hidden} is not in the other version`);
  if (percent === undefined) return withSpec(object, spec);
  const target = { type: "Utilization", averageUtilization: percent };
  return withSpec(object, { ...spec, metrics: [{ type: "Resource", resource: { name: "cpu", target } }] });
}

function autoscalerToV1(object: AnyObject): AnyObject {
  const { metrics, ...spec } = specOf(object);
  allow(spec, "spec", ["scaleTargetRef", "minReplicas", "maxReplicas"]);
  if (metrics === undefined) return withSpec(object, spec);
  const [metric, ...others] = listOf(metrics);
  const resource = recordOf(metric?.["resource"]);
  const { type, averageUtilization, ...rest } = recordOf(resource["target"]);
  const isCpu =
    others.length === 0 &&
    metric?.["type"] === "Resource" &&
    resource["name"] === "cpu" &&
    type === "Utilization" &&
    averageUtilization !== undefined &&
    Object.keys(rest).length === 0;
  if (!isCpu)
    throw new Unfaithful("spec.metrics says more than the average CPU utilization, all that v1 has");
  return withSpec(object, { ...spec, targetCPUUtilizationPercentage: averageUtilization });
}

const HOST_NAME = "kubernetes.io/hostname";
const ZONE = "topology.kubernetes.io/zone";

/** v1 took nodeName and zone out of the map `topology`. */
function sliceFromBeta(object: AnyObject): AnyObject {
  return mapEndpoints(object, ({ topology, ...endpoint }, path) => {
    const { [HOST_NAME]: host, [ZONE]: zone, ...others } = recordOf(topology);
    allow(others, `${path}.topology`, []);
    if (host !== undefined && endpoint["nodeName"] !== undefined && host !== endpoint["nodeName"]) {
      throw new Unfaithful(`${path} names two nodes`);
    }
    const nodeName = endpoint["nodeName"] ?? host;
    return {
      ...endpoint,
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(zone === undefined ? {} : { zone }),
    };
  });
}

function sliceToBeta(object: AnyObject): AnyObject {
  return mapEndpoints(object, ({ nodeName, zone, ...endpoint }, path) => {
    allow(endpoint, path, ["addresses", "conditions", "hostname", "targetRef"]);
    const topology = {
      ...(nodeName === undefined ? {} : { [HOST_NAME]: nodeName }),
      ...(zone === undefined ? {} : { [ZONE]: zone }),
    };
    return Object.keys(topology).length === 0 ? endpoint : { ...endpoint, topology };
  });
}

function mapEndpoints(object: AnyObject, change: (endpoint: Spec, path: string) => Spec): AnyObject {
  const endpoints = listOf(object["endpoints"]).map((endpoint, index) =>
    change(endpoint, `endpoints[${index}]`),
  );
  return { ...object, endpoints };
}

/** v1 says service.name and service.port where v1beta1 says serviceName and servicePort, and needs a pathType. */
function ingressFromBeta(object: AnyObject): AnyObject {
  const { backend, ...spec } = specOf(object);
  const changed = mapPaths(spec, (path) => ({
    ...path,
    // The default of v1beta1; v1 has none.
    pathType: path["pathType"] ?? "ImplementationSpecific",
    ...(path["backend"] === undefined ? {} : { backend: backendFromBeta(path["backend"]) }),
  }));
  return withSpec(object, {
    ...changed,
    ...(backend === undefined ? {} : { defaultBackend: backendFromBeta(backend) }),
  });
}

function ingressToBeta(object: AnyObject): AnyObject {
  const { defaultBackend, ...spec } = specOf(object);
  const changed = mapPaths(spec, (path) => ({
    ...path,
    ...(path["backend"] === undefined ? {} : { backend: backendToBeta(path["backend"]) }),
  }));
  return withSpec(object, {
    ...changed,
    ...(defaultBackend === undefined ? {} : { backend: backendToBeta(defaultBackend) }),
  });
}

function mapPaths(spec: Spec, change: (path: Spec) => Spec): Spec {
  allow(spec, "spec", ["ingressClassName", "tls", "rules"]);
  if (spec["rules"] === undefined) return spec;
  const rules = listOf(spec["rules"]).map((rule) => {
    const http = recordOf(rule["http"]);
    return http["paths"] === undefined
      ? rule
      : { ...rule, http: { ...http, paths: listOf(http["paths"]).map(change) } };
  });
  return { ...spec, rules };
}

function backendFromBeta(value: unknown): Spec {
  const { serviceName, servicePort, ...rest } = recordOf(value);
  if (serviceName === undefined) return rest;
  const port = typeof servicePort === "number" ? { number: servicePort } : { name: servicePort };
  return { ...rest, service: { name: serviceName, port } };
}

function backendToBeta(value: unknown): Spec {
  const { service, ...rest } = recordOf(value);
  if (service === undefined) return rest;
  const { name, port } = recordOf(service);
  const { number, name: portName } = recordOf(port);
  return { ...rest, serviceName: name, servicePort: number ?? portName };
}

function recordOf(value: unknown): Spec {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Spec) : {};
}

function listOf(value: unknown): readonly Spec[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}
