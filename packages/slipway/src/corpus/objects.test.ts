import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment } from "@slipway/kube";
import { change, parseObjects } from "./objects.ts";

test("a change merges by kind and name, and new objects come first", () => {
  const before = parseObjects(
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec: { replicas: 2, template: { spec: { containers: [{ name: web, image: a }] } } }",
    "before",
  );
  const changes = parseObjects(
    "kind: Deployment\nmetadata: { name: web }\nspec: { template: { spec: { containers: [{ name: web, image: b }] } } }\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: c }",
    "after",
  );
  const after = change(before, changes);
  assert.deepEqual(
    after.map((object) => object.kind),
    ["ConfigMap", "Deployment"],
  );
  const deployment = after[1] as unknown as Deployment;
  assert.equal(deployment.spec.replicas, 2);
  assert.equal(deployment.spec.template.spec.containers[0]?.image, "b");
});
