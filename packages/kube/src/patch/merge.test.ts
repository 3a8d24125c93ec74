import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { applyMergePatch, createMergePatch } from "./merge.ts";
import type { JsonObject } from "./value.ts";

// The table of RFC 7386, appendix A.
const cases: [target: unknown, patch: unknown, result: unknown][] = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

for (const [target, patch, result] of cases) {
  test(`${JSON.stringify(target)} merged with ${JSON.stringify(patch)} is ${JSON.stringify(result)}`, () => {
    const before = structuredClone(target);
    assert.deepEqual(applyMergePatch(target, patch), result);
    assert.deepEqual(target, before, "the target is left alone");
  });
}

test("a key called __proto__ is a key like any other", () => {
  const patch = JSON.parse('{"__proto__":{"polluted":true}}') as unknown;
  const result = applyMergePatch<JsonObject>({}, patch);
  assert.deepEqual(Object.keys(result), ["__proto__"]);
  assert.equal(({} as JsonObject)["polluted"], undefined);
});

const value = fc.letrec((tie) => ({
  object: fc.dictionary(fc.constantFrom("a", "b", "c", "__proto__"), tie("any"), { maxKeys: 3 }),
  any: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.integer(),
    fc.boolean(),
    fc.string(),
    fc.array(fc.integer(), { maxLength: 2 }),
    tie("object"),
  ),
}));
const object = value.object as fc.Arbitrary<JsonObject>;

test("the patch between two objects turns the one into the other", () => {
  fc.assert(
    fc.property(object, object, (from, to) => {
      const patch = createMergePatch(from, to);
      assert.deepEqual(
        JSON.stringify(sorted(patch === undefined ? from : applyMergePatch(from, patch))),
        JSON.stringify(sorted(to)),
      );
    }),
  );
});

function sorted(input: unknown): unknown {
  if (typeof input !== "object" || input === null || Array.isArray(input)) return input;
  return Object.entries(input)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, child]) => [key, sorted(child)]);
}
