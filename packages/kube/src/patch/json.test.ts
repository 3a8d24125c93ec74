import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusError } from "../client/status-error.ts";
import { applyJsonPatch } from "./json.ts";

const applied: [name: string, target: unknown, patch: object[], result: unknown][] = [
  ["adds a member", { a: 1 }, [{ op: "add", path: "/b", value: 2 }], { a: 1, b: 2 }],
  ["adds before an element", { a: [1, 3] }, [{ op: "add", path: "/a/1", value: 2 }], { a: [1, 2, 3] }],
  ["adds at the end", { a: [1] }, [{ op: "add", path: "/a/-", value: 2 }], { a: [1, 2] }],
  ["adds at the index after the last", { a: [1] }, [{ op: "add", path: "/a/1", value: 2 }], { a: [1, 2] }],
  ["add replaces a member that is there", { a: 1 }, [{ op: "add", path: "/a", value: 2 }], { a: 2 }],
  ["adds null", {}, [{ op: "add", path: "/a", value: null }], { a: null }],
  ["removes a member", { a: 1, b: 2 }, [{ op: "remove", path: "/a" }], { b: 2 }],
  ["removes an element", { a: [1, 2, 3] }, [{ op: "remove", path: "/a/1" }], { a: [1, 3] }],
  [
    "replaces deep inside",
    { a: [{ b: 1 }] },
    [{ op: "replace", path: "/a/0/b", value: 2 }],
    { a: [{ b: 2 }] },
  ],
  ["replaces the whole", { a: 1 }, [{ op: "replace", path: "", value: { b: 2 } }], { b: 2 }],
  ["moves", { a: { b: 1 }, c: {} }, [{ op: "move", from: "/a/b", path: "/c/d" }], { a: {}, c: { d: 1 } }],
  ["moves an element", { a: [1, 2, 3] }, [{ op: "move", from: "/a/0", path: "/a/2" }], { a: [2, 3, 1] }],
  ["copies", { a: { b: 1 } }, [{ op: "copy", from: "/a", path: "/c" }], { a: { b: 1 }, c: { b: 1 } }],
  [
    "a test that holds changes nothing",
    { a: { b: [1] } },
    [{ op: "test", path: "/a", value: { b: [1] } }],
    { a: { b: [1] } },
  ],
  ["tests null against a missing member", {}, [{ op: "test", path: "/a", value: null }], {}],
  [
    "unescapes ~1 and ~0",
    { "a/b": 1, "m~n": 2 },
    [
      { op: "remove", path: "/a~1b" },
      { op: "remove", path: "/m~0n" },
    ],
    {},
  ],
  ["~01 is ~1 and not /", { "~1": 1 }, [{ op: "remove", path: "/~01" }], {}],
  [
    "applies in order",
    { a: 1 },
    [
      { op: "add", path: "/b", value: {} },
      { op: "add", path: "/b/c", value: 1 },
    ],
    { a: 1, b: { c: 1 } },
  ],
  ["the empty key is a key", { "": 1 }, [{ op: "replace", path: "/", value: 2 }], { "": 2 }],
];

for (const [name, target, patch, result] of applied) {
  test(name, () => {
    const before = structuredClone(target);
    assert.deepEqual(applyJsonPatch(target, patch), result);
    assert.deepEqual(target, before, "the target is left alone");
  });
}

const refused: [name: string, target: unknown, patch: object[], cause: RegExp][] = [
  [
    "replacing what is missing",
    {},
    [{ op: "replace", path: "/a", value: 1 }],
    /^replace operation does not apply: doc is missing path: "\/a"/,
  ],
  [
    "removing what is missing",
    { a: [] },
    [{ op: "remove", path: "/a/0" }],
    /^remove operation does not apply/,
  ],
  [
    "adding into what is missing",
    {},
    [{ op: "add", path: "/a/b", value: 1 }],
    /^add operation does not apply/,
  ],
  [
    "adding past the end",
    { a: [] },
    [{ op: "add", path: "/a/1", value: 1 }],
    /^add operation does not apply/,
  ],
  [
    "an index with a leading zero",
    { a: [1, 2] },
    [{ op: "remove", path: "/a/01" }],
    /^remove operation does not apply/,
  ],
  [
    "adding into a scalar",
    { a: 1 },
    [{ op: "add", path: "/a/b", value: 1 }],
    /^add operation does not apply/,
  ],
  [
    "a failing test",
    { a: 1 },
    [{ op: "test", path: "/a", value: 2 }],
    /^testing value \/a failed: test failed$/,
  ],
  ["moving into itself", { a: {} }, [{ op: "move", from: "/a", path: "/a/b" }], /is inside of \/a$/],
  ["moving what is missing", {}, [{ op: "move", from: "/a", path: "/b" }], /^move operation does not apply/],
  ["a path without a slash", { a: 1 }, [{ op: "remove", path: "a" }], /is not a JSON pointer$/],
  ["an unknown operation", {}, [{ op: "merge", path: "/a" }], /^Unexpected kind: merge$/],
  ["an operation without its value", {}, [{ op: "add", path: "/a" }], /missing value$/],
  ["an operation without its source", {}, [{ op: "copy", path: "/a" }], /missing from$/],
  ["something inherited", {}, [{ op: "remove", path: "/constructor" }], /^remove operation does not apply/],
];

for (const [name, target, patch, cause] of refused) {
  test(`refuses ${name}`, () => {
    assert.throws(
      () => applyJsonPatch(target, patch),
      (error) => {
        assert.ok(error instanceof StatusError);
        assert.equal(error.httpCode, 422);
        assert.equal(error.message, "the server rejected our request due to an error in our request");
        assert.match(error.status.details?.causes?.[0]?.message ?? "", cause);
        return true;
      },
    );
  });
}

test("a patch that is no list is a bad request, one with too many operations is too large", () => {
  assert.throws(() => applyJsonPatch({}, { op: "add" }), { reason: "BadRequest" });
  const many = Array.from({ length: 10_001 }, () => ({ op: "test", path: "", value: {} }));
  assert.throws(() => applyJsonPatch({}, many), { reason: "RequestEntityTooLarge" });
});
