import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seededRandom } from "@slipway/base";
import { StatusError } from "../client/status-error.ts";
import type { Namespace, Node } from "../resources/cluster.ts";
import type { AnyObject, KubeObject, ObjectMeta } from "../resources/meta.ts";
import type { Pod, PodSpec } from "../resources/pod.ts";
import type { Service } from "../resources/service.ts";
import type { Deployment, PodDisruptionBudget, ReplicaSet } from "../resources/workload.ts";
import { createStore } from "../store/memory.ts";
import type { Api } from "./api.ts";
import { bootstrapCluster } from "./bootstrap.ts";
import { type ApiOptions, createApi } from "./pipeline.ts";

const START = Date.UTC(2026, 0, 1);

function cluster(options: Partial<ApiOptions> = {}): { api: Api; at: (ms: number) => void } {
  let now = START;
  const api = createApi({ store: createStore(), now: () => now, random: seededRandom(7), ...options });
  bootstrapCluster(api);
  return { api, at: (ms) => (now = START + ms) };
}

const pod = (name: string, spec: Partial<PodSpec> = {}, metadata: Partial<ObjectMeta> = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default", ...metadata },
  spec: { containers: [{ name: "main", image: "main:1" }], ...spec },
});

const service = (name: string, spec: Partial<Service["spec"]> = {}): Service => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: "default" },
  spec: { ports: [{ port: 80 }], ...spec },
});

const deployment = (name: string): Deployment => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace: "default" },
  spec: {
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: "main", image: "main:1" }] },
    },
  },
});

const ref = (kind: string, name: string, apiVersion = "v1") => ({
  apiVersion,
  kind,
  name,
  namespace: "default",
});

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof StatusError) return `${error.httpCode} ${error.reason}: ${error.message}`;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("creating", () => {
  it("replaces whatever server's metadata the client sends with its own", () => {
    const { api } = cluster();
    const sent = pod("a", {}, { uid: "mine", generation: 7, creationTimestamp: "2000-01-01T00:00:00Z" });
    const { metadata, status } = api.create({ ...sent, status: { phase: "Running" } } as Pod) as Pod;
    assert.notEqual(metadata.uid, "mine");
    assert.equal(metadata.creationTimestamp, "2026-01-01T00:00:00Z");
    assert.equal(metadata.generation, undefined);
    assert.deepEqual(status, { phase: "Pending", qosClass: "BestEffort" });
    assert.equal((api.create(deployment("a")) as Deployment).metadata.generation, 1);
    const versioned = pod("b", {}, { resourceVersion: "1" });
    assert.equal(
      refusal(() => api.create(versioned)),
      "500 : resourceVersion should not be set on objects to be created",
    );
  });

  it("draws a generated name again when it is taken", () => {
    const sameDraws = () => ({ ...seededRandom(1), name: fixedNames("aaaaa", "aaaaa", "bbbbb") });
    const { api } = cluster({ random: sameDraws() });
    const names = [0, 1].map(() => api.create(pod("", {}, { generateName: "web-" })).metadata.name);
    assert.deepEqual(names, ["web-aaaaa", "web-bbbbb"]);
    const long = "x".repeat(80);
    assert.equal(api.create(pod("", {}, { generateName: long })).metadata.name.length, 63);
    assert.match(
      refusal(() => api.create(pod(""))),
      /metadata\.name: Required value: name or generateName is required/,
    );
  });

  it("gives pods their account, tolerations and priority", () => {
    const { api } = cluster();
    const { spec } = api.create(pod("a")) as Pod;
    assert.deepEqual([spec.serviceAccountName, spec.priority], ["default", 0]);
    assert.deepEqual(spec.tolerations, [
      {
        key: "node.kubernetes.io/not-ready",
        operator: "Exists",
        effect: "NoExecute",
        tolerationSeconds: 300,
      },
      {
        key: "node.kubernetes.io/unreachable",
        operator: "Exists",
        effect: "NoExecute",
        tolerationSeconds: 300,
      },
    ]);
    const own = [{ key: "node.kubernetes.io/not-ready", operator: "Exists" as const }];
    const second = api.create(pod("b", { tolerations: own })) as Pod;
    assert.deepEqual(
      second.spec.tolerations?.map(({ key, tolerationSeconds }) => [key, tolerationSeconds]),
      [
        ["node.kubernetes.io/not-ready", undefined],
        ["node.kubernetes.io/unreachable", 300],
      ],
    );
    assert.equal(
      refusal(() => api.create(pod("c", { serviceAccountName: "builder" }))),
      '403 Forbidden: pods "c" is forbidden: error looking up service account default/builder: serviceaccount "builder" not found',
    );
  });

  it("classes pods by what they ask for", () => {
    const { api } = cluster();
    const cases: [string, PodSpec["containers"][number]["resources"], string][] = [
      ["nothing", undefined, "BestEffort"],
      ["zero", { requests: { cpu: "0" } }, "BestEffort"],
      ["some", { requests: { cpu: "100m" } }, "Burstable"],
      ["limits", { limits: { cpu: "1", memory: "1Gi" } }, "Guaranteed"],
      [
        "equal",
        { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "1000m", memory: "1024Mi" } },
        "Guaranteed",
      ],
      [
        "less",
        { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m", memory: "1Gi" } },
        "Burstable",
      ],
    ];
    for (const [name, resources, expected] of cases) {
      const container = { name: "main", image: "main:1", ...(resources === undefined ? {} : { resources }) };
      const { status } = api.create(pod(name, { containers: [container] })) as Pod;
      assert.equal(status?.qosClass, expected, name);
    }
  });

  it("taints a new node until it is known to be ready", () => {
    const { api } = cluster();
    const node = api.create({ apiVersion: "v1", kind: "Node", metadata: { name: "n1" } }) as Node;
    assert.deepEqual(node.spec?.taints, [{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }]);
  });

  it("furnishes a namespace with an account and the cluster's certificate", () => {
    const { api } = cluster({ rootCertificate: "PEM" });
    api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
    const namespace = api.get({ apiVersion: "v1", kind: "Namespace", name: "shop" }) as Namespace;
    assert.deepEqual(namespace.metadata.labels, { "kubernetes.io/metadata.name": "shop" });
    assert.deepEqual([namespace.spec?.finalizers, namespace.status?.phase], [["kubernetes"], "Active"]);
    assert.ok(api.store.get("ServiceAccount", "shop", "default"));
    assert.deepEqual(api.store.get("ConfigMap", "shop", "kube-root-ca.crt")?.data, { "ca.crt": "PEM" });
  });

  it("may be bootstrapped again after a restart, and nothing changes", () => {
    const { api } = cluster({ rootCertificate: "PEM" });
    bootstrapCluster(api, { endpoint: { ip: "10.0.0.1", port: 6443 } });
    const before = api.store.resourceVersion;
    bootstrapCluster(api, { endpoint: { ip: "10.0.0.1", port: 6443 } });
    assert.equal(api.store.resourceVersion, before);
    assert.deepEqual(api.store.get("Endpoints", "default", "kubernetes")?.subsets?.[0]?.addresses, [
      { ip: "10.0.0.1" },
    ]);
  });

  it("warns about unknown fields, or refuses them, or says nothing, as asked", () => {
    const { api } = cluster();
    const wrong = (name: string) => ({ ...deployment(name), speck: 1 }) as KubeObject;
    api.takeWarnings();
    api.create(wrong("a"));
    assert.deepEqual(api.takeWarnings(), ['unknown field "speck"']);
    api.create(wrong("b"), { fieldValidation: "Ignore" });
    assert.deepEqual(api.takeWarnings(), []);
    assert.equal(
      refusal(() => api.create(wrong("c"), { fieldValidation: "Strict" })),
      '400 BadRequest: Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "speck"',
    );
  });
});

describe("addresses of Services", () => {
  it("refuses an address outside of the range and one that is taken", () => {
    const { api } = cluster();
    assert.equal((api.store.get("Service", "default", "kubernetes") as Service).spec.clusterIP, "10.96.0.1");
    const create = (clusterIP: string) => refusal(() => api.create(service("a", { clusterIP })));
    assert.equal(
      create("10.96.0.1"),
      '422 Invalid: Service "a" is invalid: spec.clusterIPs: Invalid value: []string{"10.96.0.1"}: failed to allocate IP 10.96.0.1: provided IP is already allocated',
    );
    assert.match(
      create("10.97.0.1"),
      /is not in the valid range\. The range of valid IPs is 10\.96\.0\.0\/16$/,
    );
    assert.match(create("10.96.300.1"), /^422 Invalid/);
  });

  it("never gives the same address twice, and takes none in a dry run", () => {
    const { api } = cluster();
    const seen = new Set<string>();
    for (let index = 0; index < 500; index += 1) {
      api.create(service(`dry-${index}`), { dryRun: true });
      seen.add((api.create(service(`s-${index}`)) as Service).spec.clusterIP as string);
    }
    assert.equal(seen.size, 500);
    assert.ok([...seen].every((ip) => /^10\.96\.\d+\.\d+$/.test(ip) && !ip.startsWith("10.96.0.")));
    assert.equal(api.store.list("Service").length, 501);
  });

  it("keeps address and node port of a Service that is replaced without them", () => {
    const { api } = cluster();
    const before = api.create(service("a", { type: "NodePort" })) as Service;
    const after = api.replace(service("a", { type: "NodePort", selector: { app: "a" } })) as Service;
    assert.equal(after.spec.clusterIP, before.spec.clusterIP);
    assert.equal(after.spec.ports?.[0]?.nodePort, before.spec.ports?.[0]?.nodePort);
    assert.ok((before.spec.ports?.[0]?.nodePort as number) >= 30_000);
    const external = api.replace(
      service("a", { type: "ExternalName", externalName: "db.example.com" }),
    ) as Service;
    assert.equal(external.spec.clusterIP, undefined);
  });
});

describe("updating", () => {
  it("counts a generation for a Deployment's spec and annotations, not for labels and status", () => {
    const { api } = cluster();
    api.create(deployment("web"));
    const generationAfter = (patch: unknown, subresource?: "status"): number | undefined => {
      const options = subresource === undefined ? {} : { subresource };
      return api.patch(ref("Deployment", "web", "apps/v1"), "merge", patch, options).metadata.generation;
    };
    assert.equal(generationAfter({ metadata: { labels: { a: "b" } } }), 1);
    assert.equal(generationAfter({ spec: { replicas: 3 } }), 2);
    assert.equal(generationAfter({ metadata: { annotations: { a: "b" } } }), 3);
    assert.equal(generationAfter({ status: { replicas: 3 } }, "status"), 3);
    assert.equal(generationAfter({ spec: { replicas: 3 } }), 3);
  });

  it("makes no new version when nothing changes, also not for newer times in managed fields", () => {
    const { api, at } = cluster();
    const created = api.create(deployment("web"), { fieldManager: "a" });
    const version = api.store.resourceVersion;
    at(60_000);
    assert.equal(api.replace(created, { fieldManager: "a" }), created);
    api.patch(ref("Deployment", "web", "apps/v1"), "merge", { spec: { replicas: 1 } }, { fieldManager: "a" });
    assert.equal(api.store.resourceVersion, version);
  });

  it("records who changed what, also through the status", () => {
    const { api } = cluster();
    api.create(deployment("web"), { fieldManager: "maker" });
    const target = ref("Deployment", "web", "apps/v1");
    api.patch(target, "merge", { spec: { replicas: 5 } }, { fieldManager: "scaler" });
    api.patch(
      target,
      "merge",
      { status: { replicas: 5 } },
      { fieldManager: "controller", subresource: "status" },
    );
    const { managedFields = [] } = api.get(target).metadata;
    const entryOf = (name: string) => {
      const { subresource, fieldsV1 } = managedFields.find(({ manager }) => manager === name) ?? {};
      return [subresource, fieldsV1];
    };
    assert.deepEqual(entryOf("controller"), ["status", { "f:status": { "f:replicas": {} } }]);
    assert.deepEqual(entryOf("scaler"), [undefined, { "f:spec": { "f:replicas": {} } }]);
    assert.equal(managedFields.length, 3);
  });

  it("refuses an object of another uid, and a Lease without a version", () => {
    const { api } = cluster();
    const created = api.create(deployment("web"));
    const other = { ...created, metadata: { ...created.metadata, uid: "other" } };
    assert.equal(
      refusal(() => api.replace(other)),
      `409 Conflict: Operation cannot be fulfilled on deployments.apps "web": StorageError: invalid object, Code: 4, Key: /registry/deployments/default/web, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: other, UID in object meta: ${created.metadata.uid}`,
    );
    const lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "l", namespace: "default" },
    };
    api.create(lease);
    assert.match(
      refusal(() => api.replace(lease)),
      /metadata\.resourceVersion: Invalid value: 0: must be specified for an update/,
    );
  });

  it("refuses a patch that leads to a value of the wrong type, and unknown fields in an apply", () => {
    const { api } = cluster();
    api.create(deployment("web"));
    const target = ref("Deployment", "web", "apps/v1");
    const refused = refusal(() => api.patch(target, "merge", { spec: { replicas: "x" } }));
    assert.match(
      refused,
      /^422 Invalid: {2}"" is invalid: patch: Invalid value: "\{.*\}": json: cannot unmarshal string /,
    );
    const body = refusal(() =>
      api.replace({ ...deployment("web"), spec: { replicas: "x" } } as unknown as Deployment),
    );
    assert.match(
      body,
      /^400 BadRequest: Deployment in version "v1" cannot be handled as a Deployment: json: /,
    );
    const applied = { ...deployment("web"), speck: 1 } as KubeObject;
    assert.equal(
      refusal(() => api.apply(applied, { fieldManager: "me" })),
      "500 : failed to create typed patch object (default/web; apps/v1, Kind=Deployment): .speck: field not declared in schema",
    );
    assert.match(
      refusal(() => api.apply(deployment("web"), { fieldManager: "" })),
      /fieldManager: Required value/,
    );
  });

  it("refuses a patch that renames, and kinds and versions that are not served", () => {
    const { api } = cluster();
    api.create(deployment("web"));
    const target = ref("Deployment", "web", "apps/v1");
    assert.equal(
      refusal(() => api.patch(target, "merge", { metadata: { name: "other" } })),
      "400 BadRequest: the name of the object (other) does not match the name on the URL (web)",
    );
    assert.match(
      refusal(() => api.get({ ...target, apiVersion: "apps/v1beta1" })),
      /^404 NotFound/,
    );
  });
});

describe("scaling", () => {
  it("reads and writes the replicas of a Deployment as a Scale, with its version as a precondition", () => {
    const { api } = cluster();
    api.create(deployment("web"));
    const target = ref("Deployment", "web", "apps/v1");
    const scale = api.get(target, { subresource: "scale" }) as AnyObject;
    assert.deepEqual(scale["spec"], { replicas: 1 });
    assert.deepEqual(scale["status"], { replicas: 0, selector: "app=web" });
    const options = { subresource: "scale", scaleTarget: target } as const;
    const scaled = api.replace({ ...scale, spec: { replicas: 4 } } as KubeObject, options) as AnyObject;
    assert.deepEqual(scaled["spec"], { replicas: 4 });
    assert.equal((api.get(target) as Deployment).spec.replicas, 4);
    assert.match(
      refusal(() => api.replace({ ...scale, spec: { replicas: 5 } } as KubeObject, options)),
      /^409 Conflict/,
    );
    assert.match(
      refusal(() => api.get(ref("Pod", "web"), { subresource: "scale" })),
      /^404/,
    );
  });
});

describe("binding and eviction", () => {
  const binding = (name: string, node: string): KubeObject =>
    ({
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name, namespace: "default" },
      target: { name: node },
    }) as KubeObject;
  const eviction = (name: string): KubeObject => ({
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name, namespace: "default" },
  });
  const evict = { subresource: "eviction" } as const;

  it("binds a pod to a node once", () => {
    const { api } = cluster();
    api.create(pod("a"));
    const bound = api.create(binding("a", "n1"), { subresource: "binding" }) as Pod;
    assert.equal(bound.spec.nodeName, "n1");
    assert.deepEqual(
      bound.status?.conditions?.map(({ type, status }) => `${type}=${status}`),
      ["PodScheduled=True"],
    );
    assert.equal(
      refusal(() => api.create(binding("a", "n2"), { subresource: "binding" })),
      '409 Conflict: Operation cannot be fulfilled on pods "a": pod a is already assigned to node "n1"',
    );
  });

  function runningPod(api: Api, name: string, isReady = true): void {
    api.create(pod(name, { nodeName: "n1" }, { labels: { app: "web" } }));
    const conditions = [{ type: "Ready", status: isReady ? "True" : "False" }];
    api.patch(
      ref("Pod", name),
      "merge",
      { status: { phase: "Running", conditions } },
      { subresource: "status" },
    );
  }

  function budget(api: Api, disruptionsAllowed: number): void {
    const object: PodDisruptionBudget = {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "web", namespace: "default" },
      spec: { minAvailable: 1, selector: { matchLabels: { app: "web" } } },
    };
    api.create(object);
    const status = {
      observedGeneration: 1,
      disruptionsAllowed,
      currentHealthy: 1,
      desiredHealthy: 1,
      expectedPods: 2,
    };
    api.patch(ref("PodDisruptionBudget", "web", "policy/v1"), "merge", { status }, { subresource: "status" });
  }

  it("evicts while the budget allows it, and counts", () => {
    const { api } = cluster();
    runningPod(api, "a");
    runningPod(api, "b");
    budget(api, 1);
    assert.ok(api.create(eviction("a"), evict).metadata.deletionTimestamp);
    const left = api.store.get("PodDisruptionBudget", "default", "web")?.status;
    assert.equal(left?.disruptionsAllowed, 0);
    assert.deepEqual(left?.disruptedPods, { a: "2026-01-01T00:00:00Z" });
    const message = refusal(() => api.create(eviction("b"), evict));
    assert.equal(
      message,
      "429 TooManyRequests: Cannot evict pod as it would violate the pod's disruption budget.",
    );
    assert.equal(api.store.get("Pod", "default", "b")?.metadata.deletionTimestamp, undefined);
  });

  it("lets a pod go that is not ready while enough others are, and one that no budget covers", () => {
    const { api } = cluster();
    runningPod(api, "broken", false);
    budget(api, 0);
    assert.ok(api.create(eviction("broken"), evict).metadata.deletionTimestamp);
    api.create(pod("free", { nodeName: "n1" }));
    assert.ok(api.create(eviction("free"), evict).metadata.deletionTimestamp);
  });

  it("refuses to evict under a budget that nobody has counted yet", () => {
    const { api } = cluster();
    runningPod(api, "a");
    budget(api, 1);
    api.patch(ref("PodDisruptionBudget", "web", "policy/v1"), "merge", { spec: { minAvailable: 2 } });
    assert.match(
      refusal(() => api.create(eviction("a"), evict)),
      /^429 TooManyRequests/,
    );
  });
});

describe("deleting", () => {
  it("only ever shortens the grace period of a pod that is going", () => {
    const { api, at } = cluster();
    api.create(pod("a", { nodeName: "n1", terminationGracePeriodSeconds: 60 }));
    const going = (gracePeriodSeconds?: number): string => {
      const options = gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds };
      const metadata = api.delete(ref("Pod", "a"), options)?.metadata;
      return metadata === undefined
        ? "gone"
        : `${metadata.deletionGracePeriodSeconds} ${metadata.deletionTimestamp}`;
    };
    assert.equal(going(), "60 2026-01-01T00:01:00Z");
    at(10_000);
    assert.equal(going(90), "60 2026-01-01T00:01:00Z");
    assert.equal(going(20), "20 2026-01-01T00:00:20Z");
    const version = api.store.resourceVersion;
    assert.equal(going(), "20 2026-01-01T00:00:20Z");
    assert.equal(api.store.resourceVersion, version);
    assert.equal(going(0), "gone");
  });

  it("removes a pod that has ended at once", () => {
    const { api } = cluster();
    api.create(pod("a", { nodeName: "n1" }));
    api.patch(ref("Pod", "a"), "merge", { status: { phase: "Succeeded" } }, { subresource: "status" });
    assert.equal(api.delete(ref("Pod", "a")), undefined);
  });

  it("waits for a finalizer even when the kubelet is done", () => {
    const { api } = cluster();
    api.create(pod("a", { nodeName: "n1" }, { finalizers: ["example.com/hold"] }));
    api.delete(ref("Pod", "a"));
    api.patch(ref("Pod", "a"), "merge", { metadata: { finalizers: null } });
    assert.ok(api.store.get("Pod", "default", "a"), "the grace period still holds it");
    assert.equal(api.delete(ref("Pod", "a"), { gracePeriodSeconds: 0 }), undefined);
    api.create(pod("b", { nodeName: "n1" }, { finalizers: ["example.com/hold"] }));
    assert.equal(
      api.delete(ref("Pod", "b"), { gracePeriodSeconds: 0 })?.metadata.deletionGracePeriodSeconds,
      0,
    );
    api.patch(ref("Pod", "b"), "merge", { metadata: { finalizers: null } });
    assert.equal(api.store.get("Pod", "default", "b"), undefined);
  });

  it("leaves dependents to the garbage collector as the policy says", () => {
    const { api } = cluster();
    const finalizersAfter = (propagationPolicy: "Foreground" | "Orphan" | "Background") => {
      api.create(deployment("web"));
      const target = ref("Deployment", "web", "apps/v1");
      const deleted = api.delete(target, { propagationPolicy });
      if (deleted !== undefined) api.patch(target, "merge", { metadata: { finalizers: null } });
      assert.equal(api.store.get("Deployment", "default", "web"), undefined);
      return deleted?.metadata.finalizers;
    };
    assert.deepEqual(finalizersAfter("Foreground"), ["foregroundDeletion"]);
    assert.deepEqual(finalizersAfter("Orphan"), ["orphan"]);
    assert.equal(finalizersAfter("Background"), undefined);
  });

  it("takes a namespace down in two steps, and never the first ones", () => {
    const { api } = cluster();
    api.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
    const target = { apiVersion: "v1", kind: "Namespace", name: "shop" };
    const going = api.delete(target) as Namespace;
    assert.equal(going.status?.phase, "Terminating");
    const inShop = pod("late", {}, { namespace: "shop" });
    assert.match(
      refusal(() => api.create(inShop)),
      /^403 Forbidden: pods "late" is forbidden: unable to create new content/,
    );
    api.replace({ ...going, spec: { finalizers: [] } } as Namespace, { subresource: "finalize" });
    assert.equal(api.store.get("Namespace", "", "shop"), undefined);
    assert.equal(
      refusal(() => api.delete({ ...target, name: "default" })),
      '403 Forbidden: namespaces "default" is forbidden: this namespace may not be deleted',
    );
  });

  it("does nothing in a dry run", () => {
    const { api } = cluster();
    api.create(pod("a", { nodeName: "n1" }));
    const version = api.store.resourceVersion;
    assert.ok(api.delete(ref("Pod", "a"), { dryRun: true })?.metadata.deletionTimestamp);
    assert.equal(api.delete(ref("Pod", "a"), { dryRun: true, gracePeriodSeconds: 0 }), undefined);
    assert.equal(api.store.resourceVersion, version);
  });
});

describe("listing", () => {
  it("answers at a version, not before it was given out, and not after it was forgotten", () => {
    const { api } = cluster({ store: createStore({ replay: 20 }) });
    api.create(pod("a"));
    const version = String(api.store.resourceVersion);
    api.create(pod("b"));
    api.delete(ref("Pod", "a"));
    const names = (options: object): string[] =>
      api.list({ apiVersion: "v1", kind: "Pod" }, options).items.map(({ metadata }) => metadata.name);
    assert.deepEqual(names({}), ["b"]);
    assert.deepEqual(names({ resourceVersion: "0" }), ["b"]);
    assert.deepEqual(names({ resourceVersion: version }), ["b"]);
    assert.deepEqual(names({ resourceVersion: version, resourceVersionMatch: "Exact" }), ["a"]);
    assert.match(
      refusal(() => names({ resourceVersion: "999999" })),
      /^504 Timeout: Timeout: Too large resource version: 999999, current: \d+$/,
    );
    assert.match(
      refusal(() => names({ resourceVersionMatch: "Exact" })),
      /^422 Invalid: ListOptions/,
    );
    for (let index = 0; index < 30; index += 1) api.create(pod(`x-${index}`));
    const old = { resourceVersion: version, resourceVersionMatch: "Exact" };
    assert.match(
      refusal(() => names(old)),
      /^410 Expired: too old resource version/,
    );
  });

  it("says how much is left when no selector is given", () => {
    const { api } = cluster();
    for (const name of ["a", "b", "c"]) api.create(pod(name));
    const options = { namespace: "default", limit: 2 };
    const { metadata } = api.list({ apiVersion: "v1", kind: "Pod" }, options);
    assert.equal(metadata.remainingItemCount, 1);
    const selected = api.list(
      { apiVersion: "v1", kind: "Pod" },
      { ...options, fieldSelector: "status.phase=Pending" },
    );
    assert.equal(selected.metadata.remainingItemCount, undefined);
    assert.ok(selected.metadata.continue);
  });
});

describe("events", () => {
  it("are forgotten an hour after they were last seen", () => {
    const { api, at } = cluster();
    const event = (name: string, lastTimestamp?: string): KubeObject =>
      ({
        apiVersion: "v1",
        kind: "Event",
        metadata: { name, namespace: "default" },
        involvedObject: { kind: "Pod", namespace: "default", name: "a" },
        ...(lastTimestamp === undefined ? {} : { lastTimestamp }),
      }) as KubeObject;
    api.create(event("old"));
    api.create(event("seen-again", "2026-01-01T00:30:00Z"));
    at(3_601_000);
    for (let index = 0; index < 198; index += 1) api.create(event(`new-${index}`));
    assert.equal(api.store.get("Event", "default", "old"), undefined);
    assert.ok(api.store.get("Event", "default", "seen-again"));
    assert.equal(api.store.list("Event").length, 199);
  });
});

describe("the trusted API", () => {
  it("keeps what controllers rely on, and leaves out what only foreign input needs", () => {
    const store = createStore();
    const api = createApi({ store, now: () => START, random: seededRandom(1), trusted: true });
    const created = api.create(deployment("web"), { fieldManager: "someone" }) as Deployment;
    assert.equal(created.metadata.managedFields, undefined);
    assert.equal(created.spec.strategy?.type, "RollingUpdate");
    const owner: ReplicaSet = {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name: "rs", namespace: "default", resourceVersion: "" },
      spec: { selector: created.spec.selector, template: created.spec.template },
    };
    assert.equal((api.create(owner) as ReplicaSet).spec.replicas, 1);
    const stale = { ...created, metadata: { ...created.metadata, resourceVersion: "99" } };
    assert.match(
      refusal(() => api.replace(stale)),
      /^409 Conflict/,
    );
  });
});

function fixedNames(...names: string[]): () => string {
  let index = 0;
  return () => names[Math.min(index++, names.length - 1)] as string;
}
