import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyObject, KubeClient, TypeRef } from "@slipway/kube";
import { applyObjects } from "../apply/apply.ts";
import { prune } from "../apply/prune.ts";
import { planRelease } from "../plan/plan.ts";
import { renderPlan } from "../plan/plan-text.ts";
import { apiClient, contextOf, rendered } from "../testing.ts";
import { convertTo, groupOf, versionsOf } from "./api-versions.ts";

const object = (apiVersion: string, kind: string, rest: Record<string, unknown>): AnyObject => ({
  apiVersion,
  kind,
  metadata: { name: "web", namespace: "default" },
  ...rest,
});
const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
const cpu = (target: object): object => ({ type: "Resource", resource: { name: "cpu", target } });
const budget = { minAvailable: 1, selector: { matchLabels: { app: "web" } } };
const jobTemplate = { spec: { template: { spec: { containers: [] } } } };
const backend = { serviceName: "web", servicePort: 80 };
const service = { service: { name: "web", port: { number: 80 } } };

/** Both ways: the left one becomes the right one, and the right one the left one. */
const pairs: readonly (readonly [name: string, left: AnyObject, right: AnyObject])[] = [
  [
    "a budget",
    object("policy/v1", "PodDisruptionBudget", { spec: budget }),
    object("policy/v1beta1", "PodDisruptionBudget", { spec: budget }),
  ],
  [
    "an autoscaler by CPU",
    object("autoscaling/v1", "HorizontalPodAutoscaler", {
      spec: { scaleTargetRef, maxReplicas: 5, targetCPUUtilizationPercentage: 60 },
    }),
    object("autoscaling/v2", "HorizontalPodAutoscaler", {
      spec: {
        scaleTargetRef,
        maxReplicas: 5,
        metrics: [cpu({ type: "Utilization", averageUtilization: 60 })],
      },
    }),
  ],
  [
    "an autoscaler by CPU, through the version between",
    object("autoscaling/v1", "HorizontalPodAutoscaler", {
      spec: { scaleTargetRef, maxReplicas: 5, targetCPUUtilizationPercentage: 60 },
    }),
    object("autoscaling/v2beta2", "HorizontalPodAutoscaler", {
      spec: {
        scaleTargetRef,
        maxReplicas: 5,
        metrics: [cpu({ type: "Utilization", averageUtilization: 60 })],
      },
    }),
  ],
  [
    "an autoscaler with behaviour",
    object("autoscaling/v2", "HorizontalPodAutoscaler", {
      spec: { scaleTargetRef, maxReplicas: 5, behavior: { scaleDown: { selectPolicy: "Disabled" } } },
    }),
    object("autoscaling/v2beta2", "HorizontalPodAutoscaler", {
      spec: { scaleTargetRef, maxReplicas: 5, behavior: { scaleDown: { selectPolicy: "Disabled" } } },
    }),
  ],
  [
    "a cron job",
    object("batch/v1", "CronJob", { spec: { schedule: "* * * * *", jobTemplate } }),
    object("batch/v1beta1", "CronJob", { spec: { schedule: "* * * * *", jobTemplate } }),
  ],
  [
    "an ingress",
    object("networking.k8s.io/v1", "Ingress", {
      spec: {
        defaultBackend: { service: { name: "web", port: { name: "http" } } },
        rules: [
          { host: "a.example.com", http: { paths: [{ path: "/", pathType: "Prefix", backend: service }] } },
        ],
      },
    }),
    object("networking.k8s.io/v1beta1", "Ingress", {
      spec: {
        backend: { serviceName: "web", servicePort: "http" },
        rules: [{ host: "a.example.com", http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
      },
    }),
  ],
  [
    "an endpoint slice",
    object("discovery.k8s.io/v1", "EndpointSlice", {
      endpoints: [{ addresses: ["10.0.0.1"], nodeName: "n1", zone: "a" }],
    }),
    object("discovery.k8s.io/v1beta1", "EndpointSlice", {
      endpoints: [
        {
          addresses: ["10.0.0.1"],
          topology: { "kubernetes.io/hostname": "n1", "topology.kubernetes.io/zone": "a" },
        },
      ],
    }),
  ],
];

for (const [name, left, right] of pairs) {
  test(`${name} says the same in ${left.apiVersion} and ${right.apiVersion}`, () => {
    assert.deepEqual(convertTo(left, right.apiVersion), { object: right });
    assert.deepEqual(convertTo(right, left.apiVersion), { object: left });
  });
}

test("an ingress of v1beta1 without a path type gets the one that it had by default", () => {
  const paths = [{ path: "/", backend }];
  const old = object("extensions/v1beta1", "Ingress", { spec: { rules: [{ http: { paths } }] } });
  const expected = [{ path: "/", pathType: "ImplementationSpecific", backend: service }];
  assert.deepEqual(convertTo(old, "networking.k8s.io/v1"), {
    object: object("networking.k8s.io/v1", "Ingress", { spec: { rules: [{ http: { paths: expected } }] } }),
  });
});

const unfaithful: readonly (readonly [object: AnyObject, to: string, reason: RegExp])[] = [
  [
    object("policy/v1", "PodDisruptionBudget", {
      spec: { ...budget, unhealthyPodEvictionPolicy: "AlwaysAllow" },
    }),
    "policy/v1beta1",
    /^spec\.unhealthyPodEvictionPolicy is not/,
  ],
  [
    object("policy/v1", "PodDisruptionBudget", { spec: { selector: {} } }),
    "policy/v1beta1",
    /takes all pods in v1/,
  ],
  [
    object("policy/v1beta1", "PodDisruptionBudget", { spec: { selector: {} } }),
    "policy/v1",
    /none in v1beta1/,
  ],
  [
    object("autoscaling/v2", "HorizontalPodAutoscaler", {
      spec: { scaleTargetRef, metrics: [{ type: "ContainerResource", containerResource: {} }] },
    }),
    "autoscaling/v2beta2",
    /^spec\.metrics\[0\]\.containerResource is not/,
  ],
  [
    object("autoscaling/v2", "HorizontalPodAutoscaler", {
      spec: { scaleTargetRef, behavior: { scaleUp: { tolerance: "0.1" } } },
    }),
    "autoscaling/v2beta2",
    /^spec\.behavior\.scaleUp\.tolerance is not/,
  ],
  [
    object("autoscaling/v2", "HorizontalPodAutoscaler", {
      spec: { scaleTargetRef, metrics: [cpu({ type: "AverageValue", averageValue: "500m" })] },
    }),
    "autoscaling/v1",
    /^spec\.metrics says more/,
  ],
  [
    object("autoscaling/v2beta2", "HorizontalPodAutoscaler", { spec: { scaleTargetRef, behavior: {} } }),
    "autoscaling/v1",
    /^spec\.behavior is not/,
  ],
  [
    object("batch/v1", "CronJob", { spec: { schedule: "", timeZone: "Asia/Tokyo" } }),
    "batch/v1beta1",
    /timeZone/,
  ],
  [
    object("discovery.k8s.io/v1", "EndpointSlice", { endpoints: [{ addresses: [], hints: {} }] }),
    "discovery.k8s.io/v1beta1",
    /^endpoints\[0\]\.hints is not/,
  ],
  [
    object("policy/v1", "PodDisruptionBudget", { spec: budget }),
    "policy/v99",
    /^PodDisruptionBudget has no policy/,
  ],
  [object("apps/v1", "Deployment", {}), "apps/v1beta1", /^Deployment has no/],
];

for (const [from, to, reason] of unfaithful) {
  test(`${from.kind} of ${from.apiVersion} is not made ${to}: ${reason.source}`, () => {
    const conversion = convertTo(from, to);
    assert.match("reason" in conversion ? conversion.reason : "", reason);
  });
}

test("an ingress is the same object in its old and its new group", () => {
  assert.equal(groupOf({ apiVersion: "extensions/v1beta1", kind: "Ingress" }), "networking.k8s.io");
  assert.equal(groupOf({ apiVersion: "v1", kind: "Service" }), "");
});

test("kinds and versions that nothing is known of have no alternative", () => {
  assert.deepEqual(versionsOf({ apiVersion: "apps/v1", kind: "Deployment" }), []);
  assert.deepEqual(versionsOf({ apiVersion: "other.example.com/v1", kind: "Ingress" }), []);
});

/** The API before 1.21, as far as budgets go. */
function olderCluster(): KubeClient {
  const client = apiClient();
  const inside = <T extends TypeRef>(ref: T): T =>
    ref.apiVersion === "policy/v1beta1"
      ? { ...ref, apiVersion: "policy/v1" }
      : ref.apiVersion === "policy/v1"
        ? { ...ref, apiVersion: "policy/v0" }
        : ref;
  const outside = <T>(object: T): T => {
    const { apiVersion, kind } = object as TypeRef;
    return apiVersion === "policy/v1" ? ({ ...object, apiVersion: "policy/v1beta1", kind } as T) : object;
  };
  return {
    ...client,
    serves: (type) => client.serves(inside(type)),
    get: async (ref) => outside(await client.get(inside(ref))),
    apply: async (sent, options) =>
      outside(await client.apply(inside(sent as typeof sent & TypeRef) as typeof sent, options)),
    delete: (ref, options) => client.delete(inside(ref), options),
  };
}

const manifest = (spec: string): string => `
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: ${spec}
`;
const flow = "{ minAvailable: 1, selector: { matchLabels: { app: web } } }";

test("a cluster that serves an older version is planned, applied and pruned in it", async () => {
  const client = olderCluster();
  const release = rendered("v1", { manifest: manifest(flow) });
  const plan = await planRelease(contextOf([{ name: "tokyo", client }]), release);
  assert.deepEqual(plan.refusals, []);
  assert.match(renderPlan(plan), /^ {2}\+ PodDisruptionBudget web$/m);
  assert.equal(release.objects[0]?.apiVersion, "policy/v1", "the release keeps what was written");

  await applyObjects(client, release.objects, contextOf([]));
  const ref = { kind: "PodDisruptionBudget", namespace: "default", name: "web" };
  const live = await client.get({ ...ref, apiVersion: "policy/v1beta1" });
  assert.equal(live.apiVersion, "policy/v1beta1");
  const again = await planRelease(contextOf([{ name: "tokyo", client }]), release);
  assert.equal(again.hasChanges, false);

  assert.deepEqual(await prune(client, [{ ...ref, apiVersion: "policy/v1" }], "shop"), {
    deleted: ["PodDisruptionBudget web"],
    failed: [],
  });
});

test("what the served version would understand otherwise is refused with the reason", async () => {
  const release = rendered("v1", { manifest: manifest("{ minAvailable: 1, selector: {} }") });
  const client = olderCluster();
  const plan = await planRelease(contextOf([{ name: "tokyo", client }]), release);
  assert.deepEqual(
    plan.refusals.map(({ code, message }) => [code, message]),
    [
      [
        "KIND_NOT_SERVED",
        "the cluster does not serve PodDisruptionBudget of policy/v1; it serves policy/v1beta1, but spec.selector is empty, which takes all pods in v1 and none in v1beta1",
      ],
    ],
  );
  await assert.rejects(applyObjects(client, release.objects, contextOf([])), { code: "KIND_NOT_SERVED" });
});
