import assert from "node:assert/strict";
import { test } from "node:test";
import { meaningOf, otherKeys, pageKeys } from "./keys.ts";
import { pageNames } from "./route.ts";

test("g and a letter go to each page; k is a row alone and the cluster behind g", () => {
  for (const page of pageNames) assert.deepEqual(meaningOf("g", pageKeys[page]), { kind: "go", page });
  assert.deepEqual(meaningOf(undefined, "g"), { kind: "prefix" });
  assert.deepEqual(meaningOf(undefined, "k"), { kind: "previous" });
  assert.equal(meaningOf("g", "x"), undefined);
  assert.equal(meaningOf(undefined, "x"), undefined);
});

test("no key has two meanings", () => {
  const keys = otherKeys.map(({ key }) => key);
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(new Set(Object.values(pageKeys)).size, pageNames.length);
});
