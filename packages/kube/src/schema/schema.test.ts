import assert from "node:assert/strict";
import { test } from "node:test";
import { apiVersionOf, resourceTypes } from "../resources/kinds.ts";
import { definitionNameOf, schemaOf, schemaTable, walkSchema } from "./schema.ts";

const pod = ["spec", "template", "spec"];

test("every kind that is served has a schema, and so has its list", () => {
  for (const resource of resourceTypes) {
    assert.ok(schemaOf(apiVersionOf(resource), resource.kind), resource.kind);
    assert.ok(schemaOf(apiVersionOf(resource), `${resource.kind}List`), `${resource.kind}List`);
  }
});

test("kinds that are not served have none", () => {
  assert.equal(schemaOf("policy/v1beta1", "PodDisruptionBudget"), undefined);
  assert.equal(definitionNameOf("example.com/v1", "Widget"), undefined);
});

const merges: [
  apiVersion: string,
  kind: string,
  path: string[],
  listType: string,
  keys: string[],
  smp?: string,
][] = [
  ["apps/v1", "Deployment", [...pod, "containers"], "map", ["name"], "name"],
  [
    "apps/v1",
    "Deployment",
    [...pod, "containers", "*", "ports"],
    "map",
    ["containerPort", "protocol"],
    "containerPort",
  ],
  ["apps/v1", "Deployment", [...pod, "containers", "*", "env"], "map", ["name"], "name"],
  ["apps/v1", "Deployment", [...pod, "containers", "*", "command"], "atomic", [], undefined],
  ["apps/v1", "Deployment", [...pod, "tolerations"], "atomic", [], undefined],
  ["apps/v1", "Deployment", ["status", "conditions"], "map", ["type"], "type"],
  ["v1", "Service", ["spec", "ports"], "map", ["port", "protocol"], "port"],
  ["v1", "Pod", ["metadata", "finalizers"], "set", [], undefined],
  ["v1", "Pod", ["metadata", "ownerReferences"], "map", ["uid"], "uid"],
  ["v1", "Endpoints", ["subsets"], "atomic", [], undefined],
  ["policy/v1", "PodDisruptionBudget", ["status", "conditions"], "map", ["type"], "type"],
];

for (const [apiVersion, kind, path, listType, keys, smp] of merges) {
  test(`${kind} ${path.join(".")} is a list of type ${listType}`, () => {
    const root = schemaOf(apiVersion, kind);
    const list = root && walkSchema(root, path);
    assert.equal(list?.type, "list");
    assert.deepEqual([list.listType, list.listKeys, list.mergeKey], [listType, keys, smp]);
  });
}

const newer: [apiVersion: string, kind: string, path: string[], type: string][] = [
  ["v1", "Pod", ["spec", "containers", "*", "lifecycle", "preStop", "sleep", "seconds"], "integer"],
  ["v1", "Pod", ["spec", "containers", "*", "readinessProbe", "grpc", "port"], "integer"],
  ["v1", "Pod", ["spec", "initContainers", "*", "restartPolicy"], "string"],
  ["v1", "Pod", ["spec", "containers", "*", "resizePolicy", "*", "resourceName"], "string"],
  ["v1", "Service", ["spec", "internalTrafficPolicy"], "string"],
  ["v1", "Service", ["spec", "trafficDistribution"], "string"],
  ["apps/v1", "Deployment", ["status", "terminatingReplicas"], "integer"],
  ["discovery.k8s.io/v1", "EndpointSlice", ["endpoints", "*", "zone"], "string"],
  ["policy/v1", "PodDisruptionBudget", ["spec", "unhealthyPodEvictionPolicy"], "string"],
];

for (const [apiVersion, kind, path, type] of newer) {
  test(`${kind} knows ${path.join(".")}, which came after 1.20`, () => {
    const root = schemaOf(apiVersion, kind);
    assert.equal((root && walkSchema(root, path))?.type, type);
  });
}

test("label selectors and scalars are owned as a whole, maps of labels key by key", () => {
  const deployment = schemaOf("apps/v1", "Deployment");
  assert.ok(deployment);
  assert.equal(walkSchema(deployment, ["spec", "selector"])?.isAtomic, true);
  assert.equal(walkSchema(deployment, ["spec", "replicas"])?.isAtomic, true);
  assert.equal(walkSchema(deployment, ["metadata", "labels"])?.isAtomic, false);
  assert.equal(walkSchema(deployment, [...pod, "nodeSelector"])?.isAtomic, true);
});

test("quantities, int-or-string and both kinds of time are told apart", () => {
  const deployment = schemaOf("apps/v1", "Deployment");
  const lease = schemaOf("coordination.k8s.io/v1", "Lease");
  assert.ok(deployment && lease);
  const limits = walkSchema(deployment, [...pod, "containers", "*", "resources", "limits"]);
  assert.equal(limits?.values?.format, "quantity");
  assert.equal(
    walkSchema(deployment, ["spec", "strategy", "rollingUpdate", "maxSurge"])?.format,
    "int-or-string",
  );
  assert.equal(walkSchema(deployment, ["metadata", "creationTimestamp"])?.format, "date-time");
  assert.equal(walkSchema(lease, ["spec", "renewTime"])?.format, "micro-time");
});

test("no name of a property is inherited from JavaScript's own objects", () => {
  assert.equal(schemaOf("v1", "Pod")?.field("constructor"), undefined);
});

test("the table holds facts only, no descriptions", () => {
  assert.equal(JSON.stringify(schemaTable).includes('"description":"'), false);
});
