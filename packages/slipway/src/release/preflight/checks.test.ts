/** Each check as a table: objects in, codes and sentences out. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "@slipway/base";
import { type AnyObject, type KubeClient, type Node, type PodSpec, statusError } from "@slipway/kube";
import { hashConfigNames } from "../manifests/config-names.ts";
import { parseManifest } from "../manifests/manifests.ts";
import type { ImageCheck } from "../model.ts";
import { autoscalerOf } from "./autoscaler.ts";
import { checkAutoscaling, checkBudgets } from "./autoscaling.ts";
import { checkCapacity } from "./capacity.ts";
import { type ClusterFacts, readClusterFacts } from "./facts.ts";
import { type RawFinding, unknownIgnores, weigh } from "./finding.ts";
import { checkHashedNames } from "./hashed-names.ts";
import { checkArchitectures, checkImages, OTHERS_PATIENCE_MS, readImages } from "./images.ts";
import { checkImmutable } from "./immutable.ts";
import { checkLimitRanges, withDefaults } from "./limit-range.ts";
import { checkManifests, checkReadinessGates } from "./lints.ts";
import { checkOwners } from "./owners.ts";
import { checkCluster } from "./preflight.ts";
import { checkObjectCounts, checkUnspecified, quotasOf } from "./quota.ts";
import { checkHookReferences, checkReferences, type Found } from "./references.ts";

const objects = (yaml: string): readonly AnyObject[] =>
  parseManifest(yaml, "k8s/test.yaml").map(({ object }) => ({
    ...object,
    metadata: { ...object.metadata, namespace: object.metadata.namespace ?? "shop" },
  }));
const one = (yaml: string): AnyObject => objects(yaml)[0] as AnyObject;
const codes = (found: readonly RawFinding[]): readonly string[] => found.map(({ code }) => code);

const deployment = (pod: string, spec = "replicas: 2", name = "web"): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  ${spec.replaceAll("\n", "\n  ")}
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      ${pod.trim().replaceAll("\n", "\n      ")}
`;

describe("references of hooks", () => {
  const release = hashConfigNames(
    objects(`
apiVersion: v1
kind: ConfigMap
metadata: { name: hashed }
data: { HERE: x }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: plain, annotations: { slipway.dev/hash-suffix: "false" } }
data: { HERE: x }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: migrator }
`),
  );
  const hashed = release[0]?.metadata.name;
  const rows: readonly [
    what: string,
    when: "before" | "after",
    pod: string,
    Found,
    found: readonly string[],
  ][] = [
    ["what gets a hash is there before", "before", `envFrom: ${hashed}`, "missing", []],
    [
      "a ServiceAccount of the release comes too late",
      "before",
      "account",
      "missing",
      ["applied only after"],
    ],
    ["but not when it stands there already", "before", "account", release[2] as AnyObject, []],
    ["nor for a hook of after", "after", "account", "missing", []],
    ["a plain name comes too late", "before", "envFrom: plain", "missing", ["applied only after"]],
    ["what is nowhere is missing", "after", "envFrom: gone", "missing", ["neither in the manifests"]],
  ];
  for (const [what, when, pod, inCluster, expected] of rows) {
    test(what, () => {
      const [, name] = pod.split(": ");
      const container = name === undefined ? "" : `, envFrom: [{ configMapRef: { name: ${name} } }]`;
      const job = one(`
apiVersion: batch/v1
kind: Job
metadata: { name: migrate-3 }
spec:
  template:
    spec:
      ${pod === "account" ? "serviceAccountName: migrator" : ""}
      containers: [{ name: a${container} }]
`);
      const hook = { hook: { name: "migrate", when }, object: job };
      const found = checkHookReferences([hook], release, () => inCluster);
      assert.deepEqual(
        codes(found),
        expected.map(() => "REFERENCE_MISSING"),
      );
      for (const [index, words] of expected.entries()) assert.ok(found[index]?.message.includes(words));
    });
  }
});

describe("names with a hash", () => {
  const settings = "{ apiVersion: v1, kind: ConfigMap, metadata: { name: settings }, data: { A: x } }";
  const plain = settings.replace(
    "name: settings",
    'name: settings, annotations: { slipway.dev/hash-suffix: "false" }',
  );
  const reader = (of: string): string =>
    deployment(`containers: [{ name: a, envFrom: [{ configMapRef: { name: ${of}, optional: true } }] }]`);
  const rows: readonly [what: string, yaml: string, job: string | undefined, isWarned: boolean][] = [
    [
      "one that a Deployment refers to, be it optional",
      `${reader("settings")}---\n${settings}`,
      undefined,
      false,
    ],
    ["one that keeps its name", plain, undefined, false],
    ["one that nothing refers to", `${reader("other")}---\n${settings}`, undefined, true],
    ["one that only a hook reads", settings, reader("settings"), false],
    [
      "one whose name is only text",
      `${settings}\n---\n${settings.replaceAll("settings", "b").replace("x", "settings")}`,
      undefined,
      true,
    ],
  ];
  for (const [what, yaml, job, isWarned] of rows) {
    test(what, () => {
      const own = objects(yaml);
      const all = hashConfigNames([...own, ...(job === undefined ? [] : objects(job))]);
      const found = checkHashedNames(all.slice(0, own.length), all.slice(own.length));
      assert.equal(codes(found).includes("HASHED_NAME_UNUSED"), isWarned);
      if (!isWarned) return;
      assert.match(
        found[0]?.message ?? "",
        /^is "settings-\w{10}" in the cluster, .* who asks for "settings"/,
      );
      assert.equal(weigh(found, undefined, { purpose: "deploy" })[0]?.where, "ConfigMap settings");
    });
  }
});

describe("references", () => {
  const cases: readonly [
    what: string,
    pod: string,
    cluster: Readonly<Record<string, Found>>,
    found: readonly string[],
  ][] = [
    [
      "a Secret that is nowhere",
      "containers: [{ name: a, envFrom: [{ secretRef: { name: db } }] }]",
      {},
      ["REFERENCE_MISSING"],
    ],
    [
      "an optional one",
      "containers: [{ name: a, envFrom: [{ secretRef: { name: db, optional: true } }] }]",
      {},
      [],
    ],
    [
      "one that may not be read",
      "containers: [{ name: a, envFrom: [{ secretRef: { name: db } }] }]",
      { db: "unreadable" },
      [],
    ],
    [
      "a key that is not in it",
      "containers: [{ name: a, env: [{ name: A, valueFrom: { secretKeyRef: { name: db, key: pasword } } }] }]",
      { db: one("{ apiVersion: v1, kind: Secret, metadata: { name: db }, data: { password: eA== } }") },
      ["REFERENCE_KEY_MISSING"],
    ],
    [
      "a key of a volume's items",
      "containers: [{ name: a }]\nvolumes: [{ name: v, configMap: { name: cfg, items: [{ key: gone, path: x }] } }]",
      { cfg: one("{ apiVersion: v1, kind: ConfigMap, metadata: { name: cfg }, data: { here: x } }") },
      ["REFERENCE_KEY_MISSING"],
    ],
    [
      "a projected Secret",
      "containers: [{ name: a }]\nvolumes: [{ name: v, projected: { sources: [{ secret: { name: db } }] } }]",
      {},
      ["REFERENCE_MISSING"],
    ],
    [
      "a claim",
      "containers: [{ name: a }]\nvolumes: [{ name: v, persistentVolumeClaim: { claimName: data } }]",
      {},
      ["REFERENCE_MISSING"],
    ],
    [
      "a priority class and a runtime class",
      "containers: [{ name: a }]\npriorityClassName: high\nruntimeClassName: gvisor",
      {},
      ["REFERENCE_MISSING", "REFERENCE_MISSING"],
    ],
    [
      "a kind that this cluster does not have",
      "containers: [{ name: a }]\nruntimeClassName: gvisor",
      { gvisor: "unserved" },
      [],
    ],
    [
      "the default account, which is everywhere",
      "containers: [{ name: a }]\nserviceAccountName: default",
      {},
      [],
    ],
    [
      "a pull secret",
      "containers: [{ name: a }]\nimagePullSecrets: [{ name: pull }]",
      {},
      ["PULL_SECRET_MISSING"],
    ],
    [
      "a pull secret of another type",
      "containers: [{ name: a }]\nimagePullSecrets: [{ name: pull }]",
      { pull: one("{ apiVersion: v1, kind: Secret, metadata: { name: pull }, type: Opaque }") },
      ["PULL_SECRET_MISSING"],
    ],
  ];
  for (const [what, pod, cluster, found] of cases) {
    test(what, () => {
      assert.deepEqual(
        codes(checkReferences(objects(deployment(pod)), ({ name }) => cluster[name] ?? "missing")),
        found,
      );
    });
  }
  const pull =
    "{ apiVersion: v1, kind: Secret, metadata: { name: pull }, type: kubernetes.io/dockerconfigjson }";
  const account =
    "{ apiVersion: v1, kind: ServiceAccount, metadata: { name: NAME }, imagePullSecrets: [{ name: pull }] }";
  const ingress = (more = ""): string =>
    `{ apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: { name: web${more} }, spec: { tls: [{ secretName: cert }, { hosts: [a] }] } }`;
  const others: readonly [
    what: string,
    manifest: string,
    cluster: Readonly<Record<string, string>>,
    found: readonly string[],
  ][] = [
    ["an account of the release whose pull secret is nowhere", account, {}, ["PULL_SECRET_MISSING"]],
    ["an account of the release whose pull secret is there", account, { "Secret pull": pull }, []],
    [
      "the default account of the cluster, for pods that name none",
      deployment("containers: [{ name: a }]"),
      { "ServiceAccount default": account.replace("NAME", "default") },
      ["PULL_SECRET_MISSING"],
    ],
    [
      "a named account of the cluster",
      deployment("containers: [{ name: a }]\nserviceAccountName: web"),
      { "ServiceAccount web": account.replace("NAME", "web") },
      ["PULL_SECRET_MISSING"],
    ],
    [
      "and the same with its Secret",
      deployment("containers: [{ name: a }]\nserviceAccountName: web"),
      { "ServiceAccount web": account.replace("NAME", "web"), "Secret pull": pull },
      [],
    ],
    [
      "pods with pull secrets of their own take none of their account",
      deployment("containers: [{ name: a }]\nimagePullSecrets: [{ name: own }]"),
      {
        "ServiceAccount default": account.replace("NAME", "default"),
        "Secret own": pull.replace("name: pull", "name: own"),
      },
      [],
    ],
    ["a certificate that is nowhere", ingress(), {}, ["TLS_SECRET_MISSING"]],
    [
      "a certificate that is there",
      ingress(),
      { "Secret cert": pull.replace("name: pull", "name: cert") },
      [],
    ],
    [
      "a certificate that cert-manager makes",
      ingress(', annotations: { cert-manager.io/cluster-issuer: "le" }'),
      {},
      [],
    ],
  ];
  for (const [what, manifest, cluster, expected] of others) {
    test(what, async () => {
      const release = objects(manifest);
      const client = {
        list: async () => ({ items: [] }),
        get: async ({ kind, name }: { kind: string; name: string }) => {
          const found = cluster[`${kind} ${name}`];
          if (found !== undefined) return one(found);
          throw statusError(404, "NotFound", "not found", { name });
        },
      } as unknown as KubeClient;
      const facts = await readClusterFacts(client, release);
      const seen = release.map((object) => ({ object, live: undefined, after: undefined }));
      const found = checkCluster({ facts, seen, images: [], now: 0, isPruned: () => false, service: "shop" });
      assert.deepEqual(
        codes(found).filter((code) => code.includes("SECRET")),
        expected,
      );
    });
  }

  test("what the release brings itself is not asked for", () => {
    const all = objects(
      `{ apiVersion: v1, kind: Secret, metadata: { name: db }, stringData: { password: x } }\n---${deployment(
        "containers: [{ name: a, env: [{ name: A, valueFrom: { secretKeyRef: { name: db, key: password } } }] }]",
      )}`,
    );
    assert.deepEqual(
      checkReferences(all, () => assert.fail("asked")),
      [],
    );
  });
});

describe("immutable fields", () => {
  const cases: readonly [what: string, live: string, now: string, told: RegExp | undefined][] = [
    [
      "a Service's address",
      "{ apiVersion: v1, kind: Service, metadata: { name: s }, spec: { clusterIP: 10.0.0.1 } }",
      "{ apiVersion: v1, kind: Service, metadata: { name: s }, spec: { clusterIP: None } }",
      /is 10\.0\.0\.1 in the cluster and None in the manifest/,
    ],
    [
      "a Service that names no address",
      "{ apiVersion: v1, kind: Service, metadata: { name: s }, spec: { clusterIP: 10.0.0.1 } }",
      "{ apiVersion: v1, kind: Service, metadata: { name: s }, spec: {} }",
      undefined,
    ],
    [
      "a binding's role",
      "{ apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: { name: r }, roleRef: { kind: Role, name: a } }",
      "{ apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: { name: r }, roleRef: { kind: Role, name: b } }",
      /"name":"a"/,
    ],
    [
      "a frozen ConfigMap",
      "{ apiVersion: v1, kind: ConfigMap, metadata: { name: c }, immutable: true, data: { a: x } }",
      "{ apiVersion: v1, kind: ConfigMap, metadata: { name: c }, immutable: true, data: { a: y } }",
      /^a changed, and the ConfigMap/,
    ],
    [
      "the same content of a frozen Secret, written as text",
      "{ apiVersion: v1, kind: Secret, metadata: { name: c }, immutable: true, data: { a: eA== } }",
      "{ apiVersion: v1, kind: Secret, metadata: { name: c }, immutable: true, stringData: { a: x } }",
      undefined,
    ],
    [
      "a claim that shrinks",
      "{ apiVersion: v1, kind: PersistentVolumeClaim, metadata: { name: p }, spec: { resources: { requests: { storage: 10Gi } } } }",
      "{ apiVersion: v1, kind: PersistentVolumeClaim, metadata: { name: p }, spec: { resources: { requests: { storage: 5Gi } } } }",
      /claims never shrink/,
    ],
    [
      "a claim that grows",
      "{ apiVersion: v1, kind: PersistentVolumeClaim, metadata: { name: p }, spec: { resources: { requests: { storage: 10Gi } } } }",
      "{ apiVersion: v1, kind: PersistentVolumeClaim, metadata: { name: p }, spec: { resources: { requests: { storage: 20Gi } } } }",
      undefined,
    ],
    [
      "a StatefulSet's service",
      "{ apiVersion: apps/v1, kind: StatefulSet, metadata: { name: s }, spec: { serviceName: a } }",
      "{ apiVersion: apps/v1, kind: StatefulSet, metadata: { name: s }, spec: { serviceName: b } }",
      /is a in the cluster and b/,
    ],
    [
      "a Job's template, which has defaults in the cluster",
      "{ apiVersion: batch/v1, kind: Job, metadata: { name: j }, spec: { template: { spec: { restartPolicy: Never, dnsPolicy: ClusterFirst } } } }",
      "{ apiVersion: batch/v1, kind: Job, metadata: { name: j }, spec: { template: { spec: { restartPolicy: Never } } } }",
      undefined,
    ],
    [
      "a Job's template that changed",
      "{ apiVersion: batch/v1, kind: Job, metadata: { name: j }, spec: { template: { spec: { restartPolicy: Never } } } }",
      "{ apiVersion: batch/v1, kind: Job, metadata: { name: j }, spec: { template: { spec: { restartPolicy: OnFailure } } } }",
      /OnFailure/,
    ],
  ];
  for (const [what, live, now, told] of cases) {
    test(what, () => {
      const found = checkImmutable(one(now), one(live));
      if (told === undefined) assert.deepEqual(found, []);
      else assert.match(found[0]?.message ?? "nothing", told);
    });
  }
});

describe("LimitRange and quota", () => {
  const range = one(`
apiVersion: v1
kind: LimitRange
metadata: { name: bounds }
spec:
  limits:
    - type: Container
      default: { cpu: 500m }
      defaultRequest: { cpu: 100m }
      min: { cpu: 50m }
      max: { cpu: "1" }
      maxLimitRequestRatio: { cpu: "4" }`);
  const specOf = (resources: string): PodSpec =>
    (
      one(deployment(`containers: [{ name: a, resources: ${resources} }]`)) as unknown as {
        spec: { template: { spec: PodSpec } };
      }
    ).spec.template.spec;
  const cases: readonly [resources: string, told: readonly RegExp[]][] = [
    ["{ requests: { cpu: 200m } }", []],
    ["{ requests: { cpu: 20m }, limits: { cpu: 60m } }", [/at least 50m cpu, and requests 20m/]],
    ["{ limits: { cpu: 2 } }", [/at most 1 cpu, and its limit is 2/, /at most 1 cpu, and requests 2/]],
    ["{}", [/at most 4 times the request, and is 5 times/]],
  ];
  for (const [resources, told] of cases) {
    test(`a container with ${resources}`, () => {
      const found = checkLimitRanges(
        range && one(deployment("containers: []")),
        withDefaults(specOf(resources), [range], "shop"),
        [range],
      );
      assert.equal(found.length, told.length, JSON.stringify(found.map(({ message }) => message)));
      for (const [index, text] of told.entries()) assert.match(found[index]?.message ?? "", text);
    });
  }
  const quota = (hard: string, used: string, scopes = ""): AnyObject =>
    one(
      `{ apiVersion: v1, kind: ResourceQuota, metadata: { name: team }, spec: { hard: ${hard}${scopes} }, status: { hard: ${hard}, used: ${used} } }`,
    );
  const podWith = (resources: string) =>
    ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "a", namespace: "shop" },
      spec: specOf(resources),
    }) as const;
  test("a quota on limits refuses a container without", () => {
    const found = checkUnspecified(
      one(deployment("containers: []")),
      podWith("{ requests: { cpu: 1 } }"),
      quotasOf([quota("{ limits.memory: 1Gi, requests.cpu: 4 }", "{}")]),
    );
    assert.deepEqual(
      found.map(({ message }) => message),
      ['ResourceQuota "team" demands limits.memory, which it does not state'],
    );
  });
  test("a quota for pods of another kind demands nothing", () => {
    const best = quota("{ limits.memory: 1Gi }", "{}", ", scopes: [Terminating]");
    assert.deepEqual(
      checkUnspecified(one(deployment("containers: []")), podWith("{}"), quotasOf([best])),
      [],
    );
  });
  test("objects are counted", () => {
    const created = objects(
      "{ apiVersion: v1, kind: Service, metadata: { name: a } }\n---\n{ apiVersion: v1, kind: Service, metadata: { name: b } }",
    );
    const found = checkObjectCounts(
      created,
      quotasOf([quota("{ services: 5, configmaps: 1 }", "{ services: 4 }")]),
    );
    assert.deepEqual(
      found.map(({ message }) => message),
      ["the release brings 2 new for services, and 1 of 5 are left in shop"],
    );
  });
});

const noFacts: ClusterFacts = {
  nodes: [],
  pods: [],
  replicaSets: [],
  autoscalers: [],
  budgets: [],
  quotas: [],
  limitRanges: [],
  priorityClasses: [],
  autoscalerStatus: undefined,
  referenced: new Map(),
  unreadable: [],
};
const hpa = (least: number, most: number, name = "web"): AnyObject =>
  one(`{ apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: { name: ${name} }, spec: { minReplicas: ${least}, maxReplicas: ${most},
    scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web },
    metrics: [{ type: Resource, resource: { name: cpu, target: { type: Utilization, averageUtilization: 70 } } }] } }`);
const pdb = (spec: string): AnyObject =>
  one(
    `{ apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: { name: web }, spec: { ${spec}, selector: { matchLabels: { app: web } } } }`,
  );

/** The same of a StatefulSet. */
function set(of: string): string;
function set(of: AnyObject): AnyObject;
function set(of: string | AnyObject): string | AnyObject {
  if (typeof of === "string") return of.replaceAll("kind: Deployment", "kind: StatefulSet");
  return JSON.parse(
    JSON.stringify(of).replaceAll('"kind":"Deployment"', '"kind":"StatefulSet"'),
  ) as AnyObject;
}

const nodes = [
  {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n1" },
    status: { allocatable: { cpu: "1", memory: "1Gi", pods: "110" } },
  },
] as const;
for (const counts of [
  "replicas: two",
  'replicas: "2"',
  "replicas: 2.5",
  "replicas: -1",
  "replicas: .nan",
  "replicas: 2\nstrategy: { rollingUpdate: { maxSurge: few } }",
  "replicas: 2\nstrategy: { rollingUpdate: { maxUnavailable: 1.5 } }",
]) {
  test(`no rollout is forecast with ${counts.replace("\n", ", ")}: the dry run has refused it`, () => {
    const object = one(deployment("containers: [{ name: a }]", counts));
    const seen = { object, live: undefined, after: undefined };
    assert.deepEqual(checkCapacity({ ...noFacts, nodes }, [seen], 0), []);
  });
}

describe("autoscalers, replicas and budgets", () => {
  const asking = "containers: [{ name: a, resources: { requests: { cpu: 100m } } }]";
  const seen = (yaml: string, live?: number) => {
    const object = one(yaml);
    return {
      object,
      live:
        live === undefined
          ? undefined
          : ({ ...object, spec: { ...(object["spec"] as object), replicas: live } } as AnyObject),
      after: undefined,
    };
  };
  const cases: readonly [
    what: string,
    manifest: string,
    live: number | undefined,
    cluster: readonly AnyObject[],
    found: readonly string[],
  ][] = [
    ["no autoscaler", deployment(asking), 2, [], []],
    ["an autoscaler that only the cluster has", deployment(asking), 5, [hpa(2, 10)], ["HPA_OWNS_REPLICAS"]],
    [
      "a count outside of its range",
      deployment(asking),
      1,
      [hpa(2, 10)],
      ["HPA_OWNS_REPLICAS", "HPA_OUT_OF_RANGE"],
    ],
    [
      "containers without a request",
      deployment("containers: [{ name: a }]", "paused: false"),
      3,
      [hpa(2, 10)],
      ["HPA_WITHOUT_REQUESTS"],
    ],
    ["many pods that would go at once", deployment(asking), 12, [], ["REPLICAS_DROP"]],
    ["a set that the cluster scales", set(deployment(asking)), 5, [set(hpa(2, 10))], ["HPA_OWNS_REPLICAS"]],
    ["a set, and an autoscaler of a Deployment of its name", set(deployment(asking)), 5, [hpa(2, 10)], []],
    ["a set, whose pods go one after the other", set(deployment(asking)), 12, [], []],
  ];
  for (const [what, manifest, live, autoscalers, found] of cases) {
    test(what, () => {
      assert.deepEqual(codes(checkAutoscaling({ ...noFacts, autoscalers }, [seen(manifest, live)])), found);
    });
  }
  const budgets: readonly [spec: string, replicas: number, scaler: AnyObject | undefined, blocks: boolean][] =
    [
      ["minAvailable: 2", 2, undefined, true],
      ["minAvailable: 1", 2, undefined, false],
      ["minAvailable: 50%", 1, undefined, true],
      ["minAvailable: 100%", 5, undefined, true],
      ["maxUnavailable: 0", 3, undefined, true],
      ["maxUnavailable: 10%", 3, undefined, false],
      ["minAvailable: 2", 5, hpa(2, 10), true],
    ];
  for (const [spec, replicas, scaler, blocks] of budgets) {
    test(`a budget with ${spec} for ${replicas} pods${scaler === undefined ? "" : " or as few as 2"}`, () => {
      const found = checkBudgets({ ...noFacts, autoscalers: scaler === undefined ? [] : [scaler] }, [
        seen(deployment(asking, `replicas: ${replicas}`)),
        { object: pdb(spec), live: undefined, after: undefined },
      ]);
      assert.deepEqual(codes(found), blocks ? ["PDB_BLOCKS_DRAINS"] : []);
      const ofSet = checkBudgets({ ...noFacts, autoscalers: scaler === undefined ? [] : [set(scaler)] }, [
        seen(set(deployment(asking, `replicas: ${replicas}`))),
        { object: pdb(spec), live: undefined, after: undefined },
      ]);
      assert.deepEqual(codes(ofSet), codes(found));
    });
  }

  test("a budget of the release replaces that of its name in its own namespace alone", () => {
    const asked = seen(deployment(asking, "replicas: 2"));
    const live = { ...noFacts, budgets: [pdb("minAvailable: 2")] };
    const ours = pdb("minAvailable: 1");
    const elsewhere = { ...ours, metadata: { ...ours.metadata, namespace: "other" } };
    const found = (budget: AnyObject): readonly string[] =>
      codes(checkBudgets(live, [asked, { object: budget, live: undefined, after: undefined }]));
    assert.deepEqual(found(ours), []);
    assert.deepEqual(found(elsewhere), ["PDB_BLOCKS_DRAINS"]);
  });
});

test("who could add nodes is read from the autoscaler's own words, or said to be unknown", () => {
  const labelled = (label: string): Node => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n", labels: { [label]: "x" } },
  });
  const plain = `Cluster-wide:\n  Health: Healthy\nNodeGroups:\n  Name: a\n  Health: Healthy (ready=3 cloudProviderTarget=3 (minSize=1, maxSize=5))\n`;
  const yaml =
    "clusterWide: {}\nnodeGroups:\n- name: a\n  health:\n    cloudProviderTarget: 5\n    minSize: 1\n    maxSize: 5\n";
  assert.deepEqual(autoscalerOf(undefined, []), { kind: "none" });
  assert.deepEqual(autoscalerOf(plain, []), { kind: "can", what: "cluster-autoscaler", room: 2 });
  assert.equal(autoscalerOf(yaml, []).kind, "full");
  assert.equal(autoscalerOf(undefined, [labelled("karpenter.sh/nodepool")]).kind, "can");
  assert.equal(autoscalerOf(undefined, [labelled("cloud.google.com/gke-nodepool")]).kind, "unknown");
  assert.equal(autoscalerOf("unreadable", []).kind, "unknown");
});

describe("advice on manifests", () => {
  const service = (annotations = "{}"): string =>
    `{ apiVersion: v1, kind: Service, metadata: { name: web, annotations: ${annotations} }, spec: { selector: { app: web } } }\n---`;
  const good = (
    changes: {
      readonly container?: string;
      readonly pod?: string;
      readonly preStop?: string;
      readonly grace?: number;
    } = {},
  ): string =>
    `containers:\n- name: web\n  image: web@sha256:0\n  ports: [{ containerPort: 80 }]\n  resources: { requests: { cpu: 1, memory: 1Gi } }\n  ${
      changes.container ?? "readinessProbe: { httpGet: { port: 80 } }"
    }\n  lifecycle: { preStop: ${changes.preStop ?? "{ sleep: { seconds: 5 } }"} }\nterminationGracePeriodSeconds: ${changes.grace ?? 30}\n${
      changes.pod ??
      "topologySpreadConstraints: [{ maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway }]"
    }`;
  const neg = `{ cloud.google.com/neg: '{"ingress": true}' }`;
  const rolling = "replicas: 2\nstrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }";
  const cases: readonly [what: string, manifest: string, found: readonly string[]][] = [
    ["everything as it should be", service() + deployment(good(), rolling), []],
    [
      "no readiness probe",
      service() + deployment(good({ container: "tty: false" }), rolling),
      ["READINESS_PROBE_MISSING"],
    ],
    ["nobody sends requests there", deployment(good({ container: "tty: false" }), rolling), []],
    [
      "preStop of a second",
      service() + deployment(good({ preStop: '{ exec: { command: [sh, -c, "sleep 1"] } }' }), rolling),
      ["PRESTOP_TOO_SHORT"],
    ],
    [
      "preStop by Node's timer",
      service() +
        deployment(
          good({ preStop: '{ exec: { command: [node, -e, "setTimeout(() => {}, 40_000)"] } }', grace: 75 }),
          rolling,
        ),
      [],
    ],
    [
      "preStop of unknown length",
      service() + deployment(good({ preStop: "{ httpGet: { port: 80 } }" }), rolling),
      [],
    ],
    ["no time left after preStop", service() + deployment(good({ grace: 8 }), rolling), ["GRACE_TOO_SHORT"]],
    ["behind a NEG", service(neg) + deployment(good(), rolling), ["NEG_WITHOUT_PRESTOP"]],
    [
      "behind a NEG, and patient",
      service(neg) + deployment(good({ preStop: "{ sleep: { seconds: 40 } }", grace: 75 }), rolling),
      [],
    ],
    ["not spread", service() + deployment(good({ pod: "hostNetwork: false" }), rolling), ["SPREAD_MISSING"]],
    ["one replica", service() + deployment(good(), rolling.replace("2", "1")), ["SINGLE_REPLICA"]],
    [
      "the default strategy with 4 replicas",
      service() + deployment(good(), "replicas: 4"),
      ["ROLLOUT_LOSES_CAPACITY"],
    ],
    [
      "recreated",
      service() + deployment(good(), "replicas: 2\nstrategy: { type: Recreate }"),
      ["STRATEGY_RECREATE"],
    ],
    [
      "liveness that is as eager as readiness",
      service() +
        deployment(
          good({
            container:
              "readinessProbe: { httpGet: { port: 80 } }\n  livenessProbe: { httpGet: { port: 80, path: / } }",
          }),
          rolling,
        ),
      ["LIVENESS_TOO_EAGER"],
    ],
    [
      "a container without requests and with a moving tag",
      deployment(
        "containers: [{ name: a, image: 'reg:5000/web' }]\ntopologySpreadConstraints: [{ maxSkew: 1 }]",
        rolling,
      ),
      ["REQUESTS_MISSING", "IMAGE_TAG_MOVING"],
    ],
  ];
  for (const [what, manifest, found] of cases) {
    test(what, () => assert.deepEqual(codes(checkManifests(objects(manifest))), found));
  }
  test("a readiness gate that nobody here opens", () => {
    const gated = objects(
      deployment(
        "containers: [{ name: a }]\nreadinessGates: [{ conditionType: cloud.google.com/load-balancer-neg-ready }]",
      ),
    );
    const on = (labels: Record<string, string>) => ({
      ...noFacts,
      nodes: [{ apiVersion: "v1", kind: "Node", metadata: { name: "n", labels } }] as Node[],
    });
    assert.deepEqual(codes(checkReadinessGates(on({}), gated)), ["READINESS_GATE_UNSERVED"]);
    assert.deepEqual(codes(checkReadinessGates(on({ "cloud.google.com/gke-nodepool": "a" }), gated)), []);
  });
});

describe("objects of others", () => {
  const live = (labels: object, more: object = {}): AnyObject => ({
    ...one("{ apiVersion: v1, kind: Service, metadata: { name: settings } }"),
    metadata: { name: "settings", namespace: "shop", labels: { ...labels }, ...more },
  });
  const service = "slipway.dev/service";
  const manager = "app.kubernetes.io/managed-by";
  const helm = { annotations: { "meta.helm.sh/release-name": "redis" } };
  const going = { deletionTimestamp: "2026-01-01T00:00:00Z" };
  const cases: readonly [what: string, live: AnyObject | undefined, code?: string, message?: string][] = [
    ["one that is new", undefined],
    ["one of our own", live({ [service]: "shop", [manager]: "slipway" })],
    ["one of our own that Helm's chart labels as its own", live({ [service]: "shop", [manager]: "Helm" })],
    ["one that nobody has put a name on", live({ app: "web" })],
    [
      "one of another service",
      live({ [service]: "store", [manager]: "slipway" }),
      "OBJECT_OF_ANOTHER_SERVICE",
      'is in the cluster already, as the service "store" released it',
    ],
    ["one of another service that is being deleted", live({ [service]: "store" }, going)],
    [
      "one of Helm",
      live({ [manager]: "Helm" }, helm),
      "OBJECT_OF_ANOTHER_MANAGER",
      'is in the cluster already, managed by Helm (release "redis")',
    ],
    [
      "one of something else",
      live({ [manager]: "kustomize" }),
      "OBJECT_OF_ANOTHER_MANAGER",
      "is in the cluster already, managed by kustomize",
    ],
  ];
  for (const [what, found, code, message] of cases) {
    test(what, () => {
      const object = live({});
      const findings = checkOwners([{ object, live: found, after: undefined }], "shop");
      assert.deepEqual(
        findings.map((finding) => [finding.code, finding.message]),
        code === undefined ? [] : [[code, message]],
      );
    });
  }
  test("what two services often share is only warned of", () => {
    for (const kind of ["ConfigMap", "Secret", "ServiceAccount", "PriorityClass"]) {
      const object = { ...live({ [service]: "store" }), kind };
      const [finding] = checkOwners([{ object, live: object, after: undefined }], "shop");
      assert.equal(finding?.code, "OBJECT_OF_ANOTHER_MANAGER", kind);
    }
  });
  test("a namespace is there for all", () => {
    const object = one("{ apiVersion: v1, kind: Namespace, metadata: { name: shop } }");
    const theirs = { ...object, metadata: { name: "shop", labels: { [service]: "store" } } };
    assert.deepEqual(checkOwners([{ object, live: theirs, after: undefined }], "shop"), []);
  });
});

test("other images are asked for too, each once and not for long, and none of them refuses", async () => {
  const clock = new VirtualClock();
  const other = (name: string, image: string, more = ""): string =>
    `{ name: ${name}, image: "${image}"${more} }`;
  const containers = [
    other("web", "r/web@sha256:0"),
    other("proxy", "r/proxy:1"),
    other("gone", "r/gone:1"),
    other("private", "r/private:1"),
    other("silent", "r/silent:1"),
    other("local", "r/local:1", ", imagePullPolicy: Never"),
  ];
  const all = [
    ...objects(deployment(`initContainers: [${other("init", "r/gone:1")}]\ncontainers: [${containers}]`)),
    ...objects(deployment(`containers: [${containers}]`, "replicas: 1", "again")),
  ];
  const ours = { name: "web", digest: "sha256:0", reference: "r/web@sha256:0" };
  const asked: string[] = [];
  let isEnded = false;
  const check: ImageCheck = {
    exists: async (reference, signal) => {
      asked.push(reference);
      if (reference === "r/gone:1") return "missing";
      if (reference === "r/private:1") throw new Error("unauthorized");
      if (reference !== "r/silent:1") return "exists";
      return new Promise(() => signal?.addEventListener("abort", () => (isEnded = true)));
    },
  };
  const reading = readImages({ images: [ours], objects: all }, { check, clock });
  await clock.advance(OTHERS_PATIENCE_MS);
  const facts = await reading;
  assert.deepEqual(asked, ["r/web@sha256:0", "r/gone:1", "r/proxy:1", "r/private:1", "r/silent:1"]);
  assert.equal(isEnded, true, "a question without an answer is ended");
  const shown = checkImages(facts, all).map(({ code, object, place }) => [
    code,
    `${object?.metadata.name}/${place}`,
  ]);
  assert.deepEqual(shown, [
    ["IMAGE_UNCHECKED", "web/containers/init"],
    ["IMAGE_UNCHECKED", "web/containers/private"],
    ["IMAGE_UNCHECKED", "web/containers/silent"],
  ]);
});

test("an image must run on every node that its pods can go to, and on no other", () => {
  const node = (name: string, arch: string, taint?: string): Node => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/arch": arch, "kubernetes.io/os": "linux" } },
    ...(taint === undefined ? {} : { spec: { taints: [{ key: taint, effect: "NoSchedule" }] } }),
  });
  const image = {
    name: "web",
    reference: "r/web@sha256:0",
    state: "exists",
    platforms: ["linux/amd64"],
  } as const;
  const release = (pod = "tolerations: []") =>
    objects(deployment(`containers: [{ name: web, image: "r/web@sha256:0" }]\n${pod}`));
  const check = (pod: string | undefined, nodes: readonly Node[]) =>
    codes(checkArchitectures(release(pod), [image], nodes));
  assert.deepEqual(check(undefined, [node("a", "amd64")]), []);
  assert.deepEqual(check(undefined, [node("a", "amd64"), node("b", "arm64")]), ["IMAGE_ARCHITECTURE"]);
  assert.deepEqual(check(undefined, [node("a", "amd64"), node("b", "arm64", "arm")]), []);
  assert.deepEqual(
    check(undefined, [node("a", "amd64"), node("b", "arm64", "node.kubernetes.io/not-ready")]),
    ["IMAGE_ARCHITECTURE"],
  );
  assert.deepEqual(
    check("nodeSelector: { kubernetes.io/arch: amd64 }", [node("a", "amd64"), node("b", "arm64")]),
    [],
  );
});

test("the configuration and the object itself weigh a finding; a rollback is never made harder", () => {
  const object = one(
    deployment("containers: []").replace(
      "metadata: { name: web }",
      'metadata: { name: web, annotations: { slipway.dev/preflight-ignore: "SINGLE_REPLICA, SPREAD_MISING; a worker" } }',
    ),
  );
  const raw = (code: RawFinding["code"]): RawFinding => ({ code, message: "m", object });
  const weighed = (
    code: RawFinding["code"],
    purpose: "deploy" | "rollback",
    severities = {},
  ): string | undefined => weigh([raw(code)], "tokyo", { severities, purpose })[0]?.severity;
  assert.equal(weighed("CAPACITY_SHORT", "deploy"), "error");
  assert.equal(weighed("CAPACITY_SHORT", "deploy", { CAPACITY_SHORT: "off" }), undefined);
  assert.equal(weighed("CAPACITY_SHORT", "rollback"), "warning");
  assert.equal(weighed("CAPACITY_SHORT", "rollback", { CAPACITY_SHORT: "error" }), "warning");
  assert.equal(weighed("REFERENCE_MISSING", "rollback"), "error");
  assert.equal(weighed("REFERENCE_MISSING", "rollback", { REFERENCE_MISSING: "warning" }), "warning");
  assert.equal(weighed("SPREAD_MISSING", "rollback"), undefined);
  assert.equal(weighed("SINGLE_REPLICA", "deploy"), undefined);
  assert.deepEqual(unknownIgnores([object]).length, 1);
});
