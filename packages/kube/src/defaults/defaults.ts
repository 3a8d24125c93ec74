/**
 * Fills in what a manifest leaves out, exactly as the API server does before it stores an object. Clients and
 * controllers rely on it: they read `spec.replicas` and probe periods without asking whether they are there.
 *
 * @example
 * setDefaults({ apiVersion: "apps/v1", kind: "Deployment", … }).spec.strategy.type; // "RollingUpdate"
 */
import { Buffer } from "node:buffer";
import type { KubeObject } from "../resources/meta.ts";
import { edit, editEach, type Fields, fill, inTurn } from "./edit.ts";
import { podOnlyDefaults, podSpecDefaults } from "./pod.ts";

/** The object with its kind's defaults; the same object when it has them all. Kinds without defaults come back as is. */
export function setDefaults<T extends KubeObject>(object: T): T {
  const defaults = BY_KIND[object.kind];
  return defaults === undefined ? object : (defaults(object as unknown as Fields) as unknown as T);
}

const BY_KIND: Readonly<Record<string, (object: Fields) => Fields>> = {
  Deployment: (object) => edit(object, "spec", deploymentSpec),
  ReplicaSet: (object) =>
    edit(object, "spec", (spec) => inTurn(fill(spec, { replicas: 1 }), templateDefaults)),
  Job: (object) => edit(object, "spec", jobSpec),
  Pod: (object) => edit(object, "spec", (spec) => podOnlyDefaults(podSpecDefaults(spec))),
  Service: (object) => edit(object, "spec", serviceSpec),
  Secret: (object) => fill(foldStringData(object), { type: "Opaque" }),
  Namespace: namespaceDefaults,
  Node: (object) =>
    edit(object, "status", (status) =>
      status["capacity"] ? fill(status, { allocatable: status["capacity"] }) : status,
    ),
  Endpoints: (object) =>
    editEach(object, "subsets", (subset) =>
      editEach(subset, "ports", (port) => fill(port, { protocol: "TCP" })),
    ),
  EndpointSlice: (object) => editEach(object, "ports", (port) => fill(port, { name: "", protocol: "TCP" })),
};

function templateDefaults(spec: Fields): Fields {
  return edit(spec, "template", (template) => edit(template, "spec", podSpecDefaults));
}

/** With neither of the two, a Job is one pod; with `parallelism` alone it is a queue that its pods share. */
function jobSpec(spec: Fields): Fields {
  const isOne = spec["completions"] === undefined && spec["parallelism"] === undefined;
  return inTurn(
    isOne ? fill(spec, { completions: 1 }) : spec,
    (value) => fill(value, { parallelism: 1, backoffLimit: 6 }),
    templateDefaults,
  );
}

function deploymentSpec(spec: Fields): Fields {
  return inTurn(
    spec,
    (value) =>
      fill(value, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: {} }),
    (value) => edit(value, "strategy", strategyDefaults),
    templateDefaults,
  );
}

function strategyDefaults(strategy: Fields): Fields {
  const typed = fill(strategy, { type: "RollingUpdate" });
  if (typed["type"] !== "RollingUpdate") return typed;
  return edit(fill(typed, { rollingUpdate: {} }), "rollingUpdate", (rollingUpdate) =>
    fill(rollingUpdate, { maxSurge: "25%", maxUnavailable: "25%" }),
  );
}

function serviceSpec(spec: Fields): Fields {
  return inTurn(
    spec,
    (value) => fill(value, { sessionAffinity: "None", type: "ClusterIP" }),
    (value) =>
      value["sessionAffinity"] === "ClientIP"
        ? edit(fill(value, { sessionAffinityConfig: {} }), "sessionAffinityConfig", (config) =>
            edit(fill(config, { clientIP: {} }), "clientIP", (clientIp) =>
              fill(clientIp, { timeoutSeconds: 10_800 }),
            ),
          )
        : value,
    (value) => editEach(value, "ports", servicePort),
    trafficPolicies,
  );
}

function servicePort(port: Fields): Fields {
  const target = port["targetPort"];
  const needsTarget = target === undefined || target === null || target === 0 || target === "";
  const withTarget = needsTarget ? { ...port, targetPort: port["port"] } : port;
  return fill(withTarget, { protocol: "TCP" });
}

function trafficPolicies(spec: Fields): Fields {
  switch (spec["type"]) {
    case "LoadBalancer":
      return fill(spec, {
        externalTrafficPolicy: "Cluster",
        internalTrafficPolicy: "Cluster",
        allocateLoadBalancerNodePorts: true,
      });
    case "NodePort":
      return fill(spec, { externalTrafficPolicy: "Cluster", internalTrafficPolicy: "Cluster" });
    case "ClusterIP":
      return fill(spec, { internalTrafficPolicy: "Cluster" });
    default:
      return spec;
  }
}

/** `stringData` is for writing only: its values move into `data` as base64 and win over what is there. */
function foldStringData(secret: Fields): Fields {
  const { stringData, ...rest } = secret;
  if (typeof stringData !== "object" || stringData === null) return secret;
  const encoded = Object.entries(stringData as Fields).map(([key, value]) => [
    key,
    Buffer.from(String(value), "utf8").toString("base64"),
  ]);
  return { ...rest, data: { ...(rest["data"] as Fields | undefined), ...Object.fromEntries(encoded) } };
}

/** Every namespace carries its own name as a label, so that selectors can name it. */
function namespaceDefaults(namespace: Fields): Fields {
  return inTurn(
    namespace,
    (value) =>
      edit(value, "metadata", (metadata) =>
        metadata["name"]
          ? edit(fill(metadata, { labels: {} }), "labels", (labels) =>
              labels["kubernetes.io/metadata.name"] === metadata["name"]
                ? labels
                : { ...labels, "kubernetes.io/metadata.name": metadata["name"] },
            )
          : metadata,
      ),
    (value) => edit(fill(value, { status: {} }), "status", (status) => fill(status, { phase: "Active" })),
  );
}
