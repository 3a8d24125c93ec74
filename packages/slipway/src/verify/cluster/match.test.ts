import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { contains, differences, patternOf, renderDifferences } from "./match.ts";

const service = {
  kind: "Service",
  metadata: { name: "front", labels: { app: "front", tier: "web" } },
  spec: {
    ports: [
      { name: "http", port: 80, targetPort: 8080 },
      { name: "metrics", port: 9090 },
    ],
    externalIPs: ["10.0.0.1", "10.0.0.2"],
    sessionAffinity: "None",
  },
};

const rows: readonly [name: string, expected: unknown, differences: string][] = [
  ["a map is compared by the keys that are named", { metadata: { labels: { app: "front" } } }, ""],
  [
    "a value that differs",
    { spec: { sessionAffinity: "ClientIP" } },
    'spec.sessionAffinity: expected "ClientIP", found "None"',
  ],
  ["a key that is missing", { spec: { type: "NodePort" } }, 'spec.type: expected "NodePort", found nothing'],
  ["a key that must be missing", { metadata: { namespace: undefined } }, ""],
  ["a key that must be missing and is not", { kind: undefined }, 'kind: expected nothing, found "Service"'],
  [
    "elements with names, in any order and not all",
    { spec: { ports: [{ name: "metrics", port: 9090 }] } },
    "",
  ],
  [
    "an element of a name",
    { spec: { ports: [{ name: "http", port: 81 }] } },
    "spec.ports[http].port: expected 81, found 80",
  ],
  [
    "a name that no element has",
    { spec: { ports: [{ name: "grpc" }] } },
    "spec.ports[grpc]: expected an element of this name, found http, metrics",
  ],
  ["a list without names, whole", { spec: { externalIPs: ["10.0.0.1", "10.0.0.2"] } }, ""],
  [
    "a list without names has as many elements",
    { spec: { externalIPs: ["10.0.0.2"] } },
    'spec.externalIPs: expected 1 elements, found 2\nspec.externalIPs[0]: expected "10.0.0.2", found "10.0.0.1"',
  ],
  ["contains, anywhere", { spec: { externalIPs: contains("10.0.0.2") } }, ""],
  [
    "contains, with the nearest element",
    { spec: { ports: contains({ port: 80, targetPort: 81 }) } },
    "spec.ports[…].targetPort: expected 81, found 8080",
  ],
  ["an expression on a text", { metadata: { name: /^fr/ } }, ""],
  ["an expression on a number", { spec: { ports: contains({ port: /^90/ }) } }, ""],
  [
    "an expression that fails",
    { metadata: { name: /^be/g } },
    'metadata.name: expected /^be/, found "front"',
  ],
  ["a map where there is none", { kind: { a: 1 } }, 'kind: expected a map, found "Service"'],
  [
    "a list where there is none",
    { spec: { sessionAffinity: [1] } },
    'spec.sessionAffinity: expected a list, found "None"',
  ],
  ["an empty list", { spec: { ports: [] } }, "spec.ports: expected 0 elements, found 2"],
];

describe("an object matches a part of itself", () => {
  for (const [name, expected, wanted] of rows) {
    test(name, () => {
      const pattern = patternOf(expected);
      assert.deepEqual(JSON.parse(JSON.stringify(pattern)), pattern, "plain data");
      assert.equal(renderDifferences(differences(pattern, service)), wanted);
    });
  }
});

test("what cannot be compared is refused where it stands", () => {
  assert.throws(
    () => patternOf({ spec: { replicas: () => 1 } }),
    /spec\.replicas: a function cannot be expected/,
  );
  assert.throws(() => patternOf({ spec: { ports: [{ port: Number.NaN }] } }), /spec\.ports\[0\]\.port/);
});

test("an object that is not there differs everywhere", () => {
  assert.equal(
    renderDifferences(differences(patternOf({ a: 1 }), undefined)),
    "the object: expected a map, found nothing",
  );
});
