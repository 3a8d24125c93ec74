import assert from "node:assert/strict";
import { test } from "node:test";
import { setDefaults } from "../defaults/defaults.ts";
import type { KubeObject } from "../resources/meta.ts";
import { invalidError } from "./field-error.ts";
import { validateCreate, validateUpdate } from "./validate.ts";

type Loose = Record<string, unknown>;

const SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

function object(apiVersion: string, kind: string, rest: Loose, metadata: Loose = {}): KubeObject {
  const named = { name: "x", namespace: "shop", ...metadata };
  return { apiVersion, kind, metadata: named, ...rest } as unknown as KubeObject;
}

const deployment = (
  spec: Loose = {},
  container: Loose = {},
  podSpec: Loose = {},
  metadata: Loose = {},
): KubeObject =>
  object(
    "apps/v1",
    "Deployment",
    {
      spec: {
        selector: { matchLabels: { app: "x" } },
        template: {
          metadata: { labels: { app: "x" } },
          spec: { containers: [{ name: "c", image: "web:1", ...container }], ...podSpec },
        },
        ...spec,
      },
    },
    metadata,
  );
const service = (spec: Loose = {}, metadata: Loose = {}): KubeObject =>
  object("v1", "Service", { spec: { ports: [{ port: 80 }], ...spec } }, metadata);
const pod = (spec: Loose = {}): KubeObject =>
  object("v1", "Pod", { spec: { containers: [{ name: "c", image: "web:1" }], ...spec } });

function problems(created: KubeObject): string[] {
  return validateCreate(setDefaults(created)).map(({ field, message }) => `${field}: ${message}`);
}

const accepted: [name: string, created: KubeObject][] = [
  ["a plain Deployment", deployment()],
  [
    "a Deployment with everything that a web service uses",
    deployment(
      { strategy: { rollingUpdate: { maxSurge: "10%", maxUnavailable: 0 } }, minReadySeconds: 1 },
      {
        ports: [{ name: "http", containerPort: 80 }],
        env: [
          { name: "A", value: "1" },
          { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
        ],
        readinessProbe: { httpGet: { path: "/", port: "http" } },
        lifecycle: { preStop: { sleep: { seconds: 3 } } },
        resources: { requests: { cpu: "50m" }, limits: { memory: "64Mi" } },
        volumeMounts: [{ name: "config", mountPath: "/etc/web" }],
      },
      { volumes: [{ name: "config", configMap: { name: "web" } }], terminationGracePeriodSeconds: 20 },
    ),
  ],
  [
    "a sidecar with a probe",
    deployment(
      {},
      {},
      {
        initContainers: [
          { name: "s", image: "s:1", restartPolicy: "Always", readinessProbe: { tcpSocket: { port: 1 } } },
        ],
      },
    ),
  ],
  ["a Service", service()],
  ["a headless Service without ports", service({ clusterIP: "None", ports: [] })],
  ["an ExternalName Service", service({ type: "ExternalName", externalName: "db.example.com" })],
  ["a Namespace", { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } }],
  ["a ConfigMap", object("v1", "ConfigMap", { data: { "a.b": "c" } })],
  [
    "a Lease",
    object("coordination.k8s.io/v1", "Lease", { spec: { holderIdentity: "me", leaseDurationSeconds: 15 } }),
  ],
];

for (const [name, created] of accepted) {
  test(`accepts ${name}`, () => assert.deepEqual(problems(created), []));
}

const POD = "spec.template.spec";
const CONTAINER = `${POD}.containers[0]`;

// Compared with the answers of a real server.
const refused: [name: string, created: KubeObject, problems: string[]][] = [
  [
    "a bad name",
    deployment({}, {}, {}, { name: "A_b" }),
    [`metadata.name: Invalid value: "A_b": ${SUBDOMAIN}`],
  ],
  [
    "no name",
    deployment({}, {}, {}, { name: "" }),
    ["metadata.name: Required value: name or generateName is required"],
  ],
  ["no namespace", deployment({}, {}, {}, { namespace: "" }), ["metadata.namespace: Required value"]],
  [
    "a finalizer without a domain",
    deployment({}, {}, {}, { finalizers: ["hold"] }),
    [
      'metadata.finalizers[0]: Invalid value: "hold": name is neither a standard finalizer name nor is it fully qualified',
    ],
  ],
  [
    "fewer than no replicas",
    deployment({ replicas: -1 }),
    ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"],
  ],
  ["no selector", deployment({ selector: undefined }), ["spec.selector: Required value"]],
  [
    "an empty selector",
    deployment({ selector: {} }),
    ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"],
  ],
  [
    "a selector that misses its own pods",
    deployment({ selector: { matchLabels: { app: "y" } } }),
    [
      'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ],
  ],
  [
    "neither surge nor unavailable",
    deployment({ strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: "0%" } } }),
    ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'],
  ],
  [
    "more than all unavailable",
    deployment({ strategy: { rollingUpdate: { maxUnavailable: "101%" } } }),
    ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%'],
  ],
  [
    "parameters for Recreate",
    deployment({ strategy: { type: "Recreate", rollingUpdate: {} } }),
    ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
  ],
  [
    "a deadline inside minReadySeconds",
    deployment({ progressDeadlineSeconds: 5, minReadySeconds: 5 }),
    ["spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"],
  ],
  [
    "a template that does not restart",
    deployment({}, {}, { restartPolicy: "Never" }),
    [`${POD}.restartPolicy: Unsupported value: "Never": supported values: "Always"`],
  ],
  ["no image", deployment({}, { image: "" }), [`${CONTAINER}.image: Required value`]],
  [
    "bad ports",
    deployment(
      {},
      {
        ports: [
          { containerPort: 0 },
          { containerPort: 70_000 },
          { containerPort: 1, name: "a" },
          { containerPort: 2, name: "a" },
        ],
      },
    ),
    [
      `${CONTAINER}.ports[0].containerPort: Required value`,
      `${CONTAINER}.ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive`,
      `${CONTAINER}.ports[3].name: Duplicate value: "a"`,
    ],
  ],
  [
    "a mount without its volume",
    deployment({}, { volumeMounts: [{ name: "v", mountPath: "/v" }] }),
    [`${CONTAINER}.volumeMounts[0].name: Not found: "v"`],
  ],
  [
    "requests above limits",
    deployment({}, { resources: { requests: { cpu: "2" }, limits: { cpu: "1000m" } } }),
    [`${CONTAINER}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`],
  ],
  [
    "probes with no or two handlers",
    deployment(
      {},
      {
        readinessProbe: {},
        livenessProbe: { exec: { command: ["x"] }, tcpSocket: { port: 1 }, successThreshold: 2 },
      },
    ),
    [
      `${CONTAINER}.livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type`,
      `${CONTAINER}.readinessProbe: Required value: must specify a handler type`,
      `${CONTAINER}.livenessProbe.successThreshold: Invalid value: 2: must be 1`,
    ],
  ],
  [
    "a probe on an init container that runs to its end",
    deployment(
      {},
      {},
      { initContainers: [{ name: "i", image: "i:1", readinessProbe: { tcpSocket: { port: 1 } } }] },
    ),
    [
      `${POD}.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always`,
    ],
  ],
  [
    "a name used twice",
    pod({ initContainers: [{ name: "c", image: "i:1" }] }),
    ['spec.initContainers[0].name: Duplicate value: "c"'],
  ],
  ["no containers", pod({ containers: [] }), ["spec.containers: Required value"]],
  ["a Service without ports", service({ ports: [] }), ["spec.ports: Required value"]],
  [
    "a Service with nameless ports",
    service({ ports: [{ port: 80 }, { port: 81 }] }),
    ["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
  ],
  [
    "a Service that begins with a digit",
    service({}, { name: "1a" }),
    [
      "metadata.name: Invalid value: \"1a\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    ],
  ],
  [
    "an unknown type of Service",
    service({ type: "X" }),
    [
      'spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ],
  ],
  [
    "a node port on a ClusterIP",
    service({ ports: [{ port: 80, nodePort: 30_000 }] }),
    ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
  ],
  [
    "a TLS Secret without its key",
    object("v1", "Secret", { type: "kubernetes.io/tls", data: { "tls.crt": "" } }),
    ["data[tls.key]: Required value"],
  ],
  [
    "a Lease of no length",
    object("coordination.k8s.io/v1", "Lease", { spec: { leaseDurationSeconds: 0 } }),
    ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
  ],
  [
    "a budget with both bounds",
    object("policy/v1", "PodDisruptionBudget", { spec: { minAvailable: 1, maxUnavailable: 1 } }),
    [
      'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set',
    ],
  ],
  [
    "an IPv6 address in an IPv4 slice",
    object("discovery.k8s.io/v1", "EndpointSlice", {
      addressType: "IPv4",
      endpoints: [{ addresses: ["::1"] }],
    }),
    ['endpoints[0].addresses[0]: Invalid value: "::1": must be an IPv4 address'],
  ],
];

for (const [name, created, expected] of refused) {
  test(`refuses ${name}`, () => assert.deepEqual(problems(created), expected));
}

const updates: [name: string, old: KubeObject, changed: KubeObject, problems: string[]][] = [
  [
    "a Deployment's selector is fixed",
    deployment(),
    deployment({ selector: { matchLabels: { app: "x", tier: "y" } } }),
    [
      'spec.selector: Invalid value: {"matchLabels":{"app":"x","tier":"y"}}: field is immutable',
      'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ],
  ],
  ["a Deployment's image may change", deployment(), deployment({}, { image: "web:2" }), []],
  [
    "a Pod's image may change",
    pod(),
    pod({ containers: [{ name: "c", image: "web:2", imagePullPolicy: "IfNotPresent" }] }),
    [],
  ],
  [
    "a Pod's containers are fixed in number",
    pod(),
    pod({
      containers: [
        { name: "c", image: "web:1" },
        { name: "d", image: "web:1" },
      ],
    }),
    ["spec.containers: Forbidden: pod updates may not add or remove containers"],
  ],
  [
    "a Service's address is fixed",
    service({ clusterIP: "10.96.0.1" }),
    service({ clusterIP: "10.96.0.2" }),
    ['spec.clusterIPs[0]: Invalid value: ["10.96.0.2"]: may not change once set'],
  ],
  [
    "an immutable ConfigMap's data is fixed",
    object("v1", "ConfigMap", { immutable: true, data: { a: "1" } }),
    object("v1", "ConfigMap", { immutable: true, data: { a: "2" } }),
    ["data: Forbidden: field is immutable when `immutable` is set"],
  ],
  [
    "a Secret's type is fixed",
    object("v1", "Secret", {}),
    object("v1", "Secret", { type: "x/y" }),
    ['type: Invalid value: "x/y": field is immutable'],
  ],
  [
    "identity is fixed",
    pod(),
    { ...pod(), metadata: { name: "x", namespace: "shop", uid: "u" } },
    ['metadata.uid: Invalid value: "u": field is immutable'],
  ],
];

for (const [name, old, changed, expected] of updates) {
  test(name, () => {
    const found = validateUpdate(setDefaults(changed), setDefaults(old));
    assert.deepEqual(
      found.map(({ field, message }) => `${field}: ${message}`),
      expected,
    );
  });
}

test("a Pod update names what it may not change", () => {
  const [error, ...others] = validateUpdate(setDefaults(pod({ hostname: "h" })), setDefaults(pod()));
  assert.equal(others.length, 0);
  assert.match(
    error?.message ?? "",
    /^Forbidden: pod updates may not change fields other than `spec.containers/,
  );
  assert.match(error?.message ?? "", /changed: hostname$/);
});

test("all errors of an object make one Status with a cause each", () => {
  const broken = deployment({ replicas: -1 }, { image: "" });
  const error = invalidError(broken, validateCreate(setDefaults(broken)));
  assert.equal(
    error.message,
    `Deployment.apps "x" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, ${CONTAINER}.image: Required value]`,
  );
  assert.equal(error.httpCode, 422);
  assert.deepEqual(error.status.details, {
    name: "x",
    group: "apps",
    kind: "Deployment",
    causes: [
      {
        reason: "FieldValueInvalid",
        message: "Invalid value: -1: must be greater than or equal to 0",
        field: "spec.replicas",
      },
      { reason: "FieldValueRequired", message: "Required value", field: `${CONTAINER}.image` },
    ],
  });
});
