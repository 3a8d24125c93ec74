import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../resources/meta.ts";
import { setDefaults } from "./defaults.ts";

type Loose = Record<string, unknown>;

function object(apiVersion: string, kind: string, rest: Loose): KubeObject {
  return { apiVersion, kind, metadata: { name: "x" }, ...rest } as KubeObject;
}

function at(root: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>((value, step) => (value as Loose | undefined)?.[step], root);
}

const container = (rest: Loose): Loose => ({ name: "c", image: "web:1", ...rest });
const podSpec = (rest: Loose, more: Loose = {}): Loose => ({ containers: [container(rest)], ...more });
const pod = (rest: Loose, more: Loose = {}): KubeObject => object("v1", "Pod", { spec: podSpec(rest, more) });
const deployment = (spec: Loose = {}, rest: Loose = {}): KubeObject =>
  object("apps/v1", "Deployment", { spec: { template: { spec: podSpec(rest) }, ...spec } });

test("a Deployment gets replicas, strategy and limits", () => {
  const { spec } = setDefaults(deployment()) as KubeObject & { spec: Loose };
  assert.deepEqual(
    { ...spec, template: undefined },
    {
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
      template: undefined,
    },
  );
});

const strategies: [name: string, written: Loose, expected: Loose][] = [
  ["Recreate has no rollingUpdate", { type: "Recreate" }, { type: "Recreate" }],
  [
    "one bound leaves the other at its default",
    { rollingUpdate: { maxUnavailable: 0 } },
    { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: "25%" } },
  ],
  [
    "an empty type is no type",
    { type: "" },
    { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
  ],
];

for (const [name, written, expected] of strategies) {
  test(`strategy: ${name}`, () => {
    assert.deepEqual(at(setDefaults(deployment({ strategy: written })), "spec", "strategy"), expected);
  });
}

test("a template gets what a Pod gets, except what is for Pods only", () => {
  const limits = { limits: { cpu: "1" } };
  const template = at(
    setDefaults(deployment({}, { resources: limits })),
    "spec",
    "template",
    "spec",
  ) as Loose;
  const own = (setDefaults(pod({ resources: limits })) as KubeObject & { spec: Loose }).spec;
  assert.equal(template["enableServiceLinks"], undefined);
  assert.deepEqual(at(template, "containers", 0, "resources"), limits);
  assert.equal(own["enableServiceLinks"], true);
  assert.deepEqual(at(own, "containers", 0, "resources"), { ...limits, requests: { cpu: "1" } });
  for (const spec of [template, own]) {
    assert.equal(spec["dnsPolicy"], "ClusterFirst");
    assert.equal(spec["restartPolicy"], "Always");
    assert.equal(spec["schedulerName"], "default-scheduler");
    assert.equal(spec["terminationGracePeriodSeconds"], 30);
    assert.deepEqual(spec["securityContext"], {});
    assert.equal(at(spec, "containers", 0, "terminationMessagePath"), "/dev/termination-log");
    assert.equal(at(spec, "containers", 0, "terminationMessagePolicy"), "File");
  }
});

test("requests that are set win over limits", () => {
  const resources = { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "100m" } };
  const defaulted = setDefaults(pod({ resources }));
  assert.deepEqual(at(defaulted, "spec", "containers", 0, "resources", "requests"), {
    cpu: "100m",
    memory: "1Gi",
  });
});

const pullPolicies: [image: string, policy: string][] = [
  ["web", "Always"],
  ["web:latest", "Always"],
  ["web:1", "IfNotPresent"],
  ["localhost:5000/web", "Always"],
  ["localhost:5000/web:1", "IfNotPresent"],
  [`web@sha256:${"a".repeat(64)}`, "IfNotPresent"],
  [`web:latest@sha256:${"a".repeat(64)}`, "Always"],
];

for (const [image, policy] of pullPolicies) {
  test(`${image.slice(0, 24)} is pulled ${policy}`, () => {
    assert.equal(at(setDefaults(pod({ image })), "spec", "containers", 0, "imagePullPolicy"), policy);
  });
}

test("probes get their timings, http checks path and scheme, zeros count as not set", () => {
  const readinessProbe = { httpGet: { port: 80 }, periodSeconds: 0, failureThreshold: 5 };
  assert.deepEqual(at(setDefaults(pod({ readinessProbe })), "spec", "containers", 0, "readinessProbe"), {
    httpGet: { port: 80, path: "/", scheme: "HTTP" },
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 5,
  });
});

test("container ports are TCP, and host ports on the host's network", () => {
  const ports = [{ containerPort: 80 }, { containerPort: 53, protocol: "UDP" }];
  assert.deepEqual(at(setDefaults(pod({ ports })), "spec", "containers", 0, "ports"), [
    { containerPort: 80, protocol: "TCP" },
    { containerPort: 53, protocol: "UDP" },
  ]);
  const onHost = setDefaults(pod({ ports }, { hostNetwork: true }));
  assert.equal(at(onHost, "spec", "containers", 0, "ports", 0, "hostPort"), 80);
});

const volumes: [name: string, source: Loose, expected: Loose][] = [
  ["without a source is an emptyDir", {}, { emptyDir: {} }],
  [
    "from a ConfigMap has mode 0644",
    { configMap: { name: "c" } },
    { configMap: { name: "c", defaultMode: 420 } },
  ],
  ["from a Secret keeps its mode", { secret: { defaultMode: 256 } }, { secret: { defaultMode: 256 } }],
  ["from the host has the empty type", { hostPath: { path: "/" } }, { hostPath: { path: "/", type: "" } }],
];

for (const [name, source, expected] of volumes) {
  test(`a volume ${name}`, () => {
    const defaulted = setDefaults(pod({}, { volumes: [{ name: "v", ...source }] }));
    assert.deepEqual(at(defaulted, "spec", "volumes", 0), { name: "v", ...expected });
  });
}

test("quantities come back in canonical form", () => {
  const resources = { limits: { cpu: 0.5, memory: "1024Mi" }, requests: { cpu: "1000m" } };
  const template = at(setDefaults(deployment({}, { resources })), "spec", "template", "spec");
  assert.deepEqual(at(template, "containers", 0, "resources"), {
    limits: { cpu: "500m", memory: "1Gi" },
    requests: { cpu: "1" },
  });
});

const services: [name: string, spec: Loose, expected: Loose][] = [
  [
    "is a ClusterIP whose target is its port",
    { ports: [{ port: 80 }] },
    {
      ports: [{ port: 80, targetPort: 80, protocol: "TCP" }],
      sessionAffinity: "None",
      type: "ClusterIP",
      internalTrafficPolicy: "Cluster",
    },
  ],
  [
    "of type NodePort has an external policy",
    { type: "NodePort", ports: [{ port: 80, targetPort: "http" }] },
    {
      type: "NodePort",
      ports: [{ port: 80, targetPort: "http", protocol: "TCP" }],
      sessionAffinity: "None",
      externalTrafficPolicy: "Cluster",
      internalTrafficPolicy: "Cluster",
    },
  ],
  [
    "with ClientIP affinity has a timeout",
    { type: "ExternalName", externalName: "a.b", sessionAffinity: "ClientIP" },
    {
      type: "ExternalName",
      externalName: "a.b",
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } },
    },
  ],
];

for (const [name, spec, expected] of services) {
  test(`a Service ${name}`, () => {
    assert.deepEqual(at(setDefaults(object("v1", "Service", { spec })), "spec"), expected);
  });
}

test("a Secret's stringData moves into data as base64 and wins", () => {
  const secret = setDefaults(
    object("v1", "Secret", { data: { a: "b2xk", b: "Yg==" }, stringData: { a: "né" } }),
  );
  assert.deepEqual(
    [at(secret, "data"), at(secret, "type"), at(secret, "stringData")],
    [{ a: "bsOp", b: "Yg==" }, "Opaque", undefined],
  );
});

test("a Namespace is Active and carries its name as a label", () => {
  const namespace = setDefaults(object("v1", "Namespace", {}));
  assert.equal(at(namespace, "status", "phase"), "Active");
  assert.deepEqual(namespace.metadata.labels, { "kubernetes.io/metadata.name": "x" });
});

test("an object that has its defaults comes back as itself", () => {
  const defaulted = setDefaults(deployment({}, { readinessProbe: { httpGet: { port: 80 } } }));
  assert.equal(setDefaults(defaulted), defaulted);
  const lease = object("coordination.k8s.io/v1", "Lease", { spec: {} });
  assert.equal(setDefaults(lease), lease);
});

const accounts: [name: string, written: Loose, expected: Loose][] = [
  ["the new name is copied into the old one", { serviceAccountName: "a" }, named("a")],
  ["and the old one into the new one", { serviceAccount: "a" }, named("a")],
  ["of two the new name wins", { serviceAccountName: "a", serviceAccount: "b" }, named("a")],
  ["an empty new name is none", { serviceAccountName: "", serviceAccount: "b" }, named("b")],
  ["empty ones are not kept", { serviceAccountName: "", serviceAccount: "" }, {}],
];

function named(name: string): Loose {
  return { serviceAccountName: name, serviceAccount: name };
}

for (const [name, written, expected] of accounts) {
  test(`the account of a template: ${name}`, () => {
    const template = object("apps/v1", "Deployment", { spec: { template: { spec: podSpec({}, written) } } });
    const spec = at(setDefaults(template), "spec", "template", "spec") as Loose;
    const found = Object.entries(spec).filter(([field]) => field.startsWith("serviceAccount"));
    assert.deepEqual(Object.fromEntries(found), expected);
  });
}
