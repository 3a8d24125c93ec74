import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "../resources/meta.ts";
import { decodeProblem, pruneUnknown, strictProblems } from "./strict.ts";

type Loose = Record<string, unknown>;

function deployment(spec: Loose = {}, container: Loose = {}): KubeObject {
  const template = { spec: { containers: [{ name: "c", image: "web:1", ...container }] } };
  const object = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "x" } };
  return { ...object, spec: { template, ...spec } } as KubeObject;
}

test("unknown fields are told with their paths", () => {
  const object = deployment({ replicsa: 3 }, { imge: "x", ports: [{ containerPort: 80, host: 1 }] });
  assert.deepEqual([...strictProblems(object)].sort(), [
    'unknown field "spec.replicsa"',
    'unknown field "spec.template.spec.containers[0].imge"',
    'unknown field "spec.template.spec.containers[0].ports[0].host"',
  ]);
});

test("unknown fields are dropped, and nothing else", () => {
  const object = deployment({ replicsa: 3, replicas: 3 }, { imge: "x", env: [{ name: "A", vale: "1" }] });
  assert.deepEqual(pruneUnknown(object), deployment({ replicas: 3 }, { env: [{ name: "A" }] }));
  const clean = deployment();
  assert.equal(pruneUnknown(clean), clean);
});

test("free keys and free-form parts are never unknown", () => {
  const labels = { "example.com/x": "y", constructor: "z" };
  const managedFields = [{ manager: "m", fieldsV1: { "f:spec": { "f:anything": {} } } }];
  const object = { ...deployment(), metadata: { name: "x", labels, managedFields } } as unknown as KubeObject;
  assert.deepEqual(strictProblems(object), []);
});

test("a kind without a schema is not looked at", () => {
  const object = {
    apiVersion: "example.com/v1",
    kind: "Widget",
    metadata: { name: "x" },
    any: 1,
  } as KubeObject;
  assert.deepEqual([strictProblems(object), decodeProblem(object)], [[], undefined]);
});

const PREFIX = 'Deployment in version "v1" cannot be handled as a Deployment: ';
const STRUCT = "json: cannot unmarshal";

const mismatches: [name: string, object: KubeObject, problem: string][] = [
  [
    "a string for a number",
    deployment({ replicas: "3" }),
    `${STRUCT} string into Go struct field DeploymentSpec.spec.replicas of type int32`,
  ],
  [
    "a fraction for a whole number",
    deployment({ replicas: 1.5 }),
    `${STRUCT} number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32`,
  ],
  [
    "a number that is too large",
    deployment({ replicas: 2 ** 31 }),
    `${STRUCT} number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32`,
  ],
  [
    "a string for a list",
    deployment({}, { command: "x" }),
    `${STRUCT} string into Go struct field Container.spec.template.spec.containers.command of type []string`,
  ],
  [
    "a number for a string",
    deployment({}, { env: [{ name: "A", value: 1 }] }),
    `${STRUCT} number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string`,
  ],
  [
    "a list for an object",
    deployment({ template: [] }),
    `${STRUCT} array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec`,
  ],
  [
    "a string for a boolean",
    deployment({ paused: "true" }),
    `${STRUCT} string into Go struct field DeploymentSpec.spec.paused of type bool`,
  ],
  [
    "a bad quantity",
    deployment({}, { resources: { limits: { cpu: "1K" } } }),
    "unable to parse quantity's suffix",
  ],
];

for (const [name, object, problem] of mismatches) {
  test(`cannot decode ${name}`, () => assert.equal(decodeProblem(object), PREFIX + problem));
}

test("null decodes into anything, numbers and strings into int-or-string and quantities", () => {
  const probe = { httpGet: { port: "http" }, periodSeconds: null };
  const resources = { limits: { cpu: 1, memory: "1Gi" } };
  const strategy = { rollingUpdate: { maxSurge: "10%", maxUnavailable: 0 } };
  assert.equal(
    decodeProblem(deployment({ strategy, replicas: null }, { readinessProbe: probe, resources })),
    undefined,
  );
});

const secrets: [data: string, problem: string | undefined][] = [
  ["", undefined],
  ["YQ==", undefined],
  ["YWI=", undefined],
  ["YW\nJj", undefined],
  ["a b", "illegal base64 data at input byte 1"],
  ["YQ=", "illegal base64 data at input byte 2"],
];

for (const [data, problem] of secrets) {
  test(`a Secret with data ${JSON.stringify(data)} ${problem === undefined ? "decodes" : "does not decode"}`, () => {
    const secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "x" },
      data: { a: data },
    } as KubeObject;
    const prefix = 'Secret in version "v1" cannot be handled as a Secret: ';
    assert.equal(decodeProblem(secret), problem === undefined ? undefined : prefix + problem);
  });
}
