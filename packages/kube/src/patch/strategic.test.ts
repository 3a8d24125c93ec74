import assert from "node:assert/strict";
import { test } from "node:test";
import { applyStrategicPatch } from "./strategic.ts";

type Loose = Record<string, unknown>;

/** Patches the spec of a Pod and returns the new one. */
function patchPod(spec: Loose, patch: Loose): unknown {
  const before = structuredClone(spec);
  const result = applyStrategicPatch<{ spec: Loose }>({ spec }, { spec: patch }, "v1", "Pod").spec;
  assert.deepEqual(spec, before, "the target is left alone");
  return result;
}

const c = (name: string, image?: string, rest: Loose = {}): Loose => ({
  name,
  ...(image === undefined ? {} : { image }),
  ...rest,
});
const order = (...names: string[]): Loose => ({
  "$setElementOrder/containers": names.map((name) => ({ name })),
});

const cases: [name: string, spec: Loose, patch: Loose, result: Loose][] = [
  [
    "containers merge by name",
    { containers: [c("a", "1"), c("b", "1")] },
    { containers: [c("b", "2")] },
    { containers: [c("a", "1"), c("b", "2")] },
  ],
  [
    "a new container is put first, as upstream does when the patch asks for no order",
    { containers: [c("a", "1")] },
    { containers: [c("b", "1")] },
    { containers: [c("b", "1"), c("a", "1")] },
  ],
  [
    "an element is deleted by its key",
    { containers: [c("a", "1"), c("b", "1")] },
    { containers: [{ name: "a", $patch: "delete" }] },
    { containers: [c("b", "1")] },
  ],
  [
    "deleting an absent element is no error",
    { containers: [c("a", "1")] },
    { containers: [{ name: "x", $patch: "delete" }] },
    { containers: [c("a", "1")] },
  ],
  [
    "a list is replaced by the replace directive",
    { containers: [c("a", "1"), c("b", "1")] },
    { containers: [{ $patch: "replace" }, c("c", "1")] },
    { containers: [c("c", "1")] },
  ],
  [
    "an object is replaced by the replace directive",
    { nodeSelector: { a: "1", b: "2" } },
    { nodeSelector: { $patch: "replace", c: "3" } },
    { nodeSelector: { c: "3" } },
  ],
  [
    "an object is emptied by the delete directive",
    { nodeSelector: { a: "1" } },
    { nodeSelector: { $patch: "delete" } },
    { nodeSelector: {} },
  ],
  ["null deletes a field", { hostname: "x", containers: [] }, { hostname: null }, { containers: [] }],
  [
    "null deletes inside an element",
    { containers: [c("a", "1", { tty: true })] },
    { containers: [{ name: "a", tty: null }] },
    { containers: [c("a", "1")] },
  ],
  [
    "nulls in what is added are dropped",
    {},
    { containers: [c("a", "1", { tty: null })] },
    { containers: [c("a", "1")] },
  ],
  [
    "a list without a merge key is replaced",
    { tolerations: [{ key: "a" }] },
    { tolerations: [{ key: "b" }] },
    { tolerations: [{ key: "b" }] },
  ],
  [
    "a list of scalars is replaced",
    { containers: [c("a", "1", { args: ["x"] })] },
    { containers: [c("a", undefined, { args: ["y"] })] },
    { containers: [c("a", "1", { args: ["y"] })] },
  ],
  [
    "env merges by name inside a container",
    {
      containers: [
        c("a", "1", {
          env: [
            { name: "X", value: "1" },
            { name: "Y", value: "1" },
          ],
        }),
      ],
    },
    {
      containers: [
        c("a", undefined, {
          env: [
            { name: "Y", value: "2" },
            { name: "Z", value: "3" },
          ],
        }),
      ],
    },
    {
      containers: [
        c("a", "1", {
          env: [
            { name: "X", value: "1" },
            { name: "Y", value: "2" },
            { name: "Z", value: "3" },
          ],
        }),
      ],
    },
  ],
  [
    "ports merge by containerPort alone, though apply keys them by protocol too",
    { containers: [c("a", "1", { ports: [{ containerPort: 53, protocol: "TCP" }] })] },
    { containers: [c("a", undefined, { ports: [{ containerPort: 53, protocol: "UDP" }] })] },
    { containers: [c("a", "1", { ports: [{ containerPort: 53, protocol: "UDP" }] })] },
  ],
  [
    "a volume keeps only the source that is retained",
    { volumes: [{ name: "v", emptyDir: {} }] },
    { volumes: [{ $retainKeys: ["name", "configMap"], name: "v", configMap: { name: "c" } }] },
    { volumes: [{ name: "v", configMap: { name: "c" } }] },
  ],
  [
    "the order list orders the elements",
    { containers: [c("a", "1"), c("b", "1"), c("c", "1")] },
    { ...order("c", "a", "b"), containers: [c("b", "2")] },
    { containers: [c("c", "1"), c("a", "1"), c("b", "2")] },
  ],
  [
    "elements that only the server has keep their place before the next one they preceded",
    { containers: [c("a", "1"), c("sidecar", "1"), c("b", "1")] },
    { ...order("a", "b", "new"), containers: [c("new", "1")] },
    { containers: [c("a", "1"), c("sidecar", "1"), c("b", "1"), c("new", "1")] },
  ],
  [
    "an order list alone reorders",
    { containers: [c("a", "1"), c("b", "1")] },
    order("b", "a"),
    { containers: [c("b", "1"), c("a", "1")] },
  ],
  ["an order list without a list does nothing", {}, order("a"), {}],
  [
    "an unchanged directive merges",
    { nodeSelector: { a: "1" } },
    { nodeSelector: { $patch: "merge", b: "2" } },
    { nodeSelector: { a: "1", b: "2" } },
  ],
];

for (const [name, spec, patch, result] of cases) {
  test(name, () => assert.deepEqual(patchPod(spec, patch), result));
}

const finalizers: [name: string, before: string[] | undefined, patch: Loose, after: string[] | undefined][] =
  [
    ["sets of scalars are united", ["a", "b"], { finalizers: ["b", "c"] }, ["a", "b", "c"]],
    [
      "elements are deleted by the directive",
      ["a", "b"],
      { "$deleteFromPrimitiveList/finalizers": ["a"] },
      ["b"],
    ],
    [
      "deletion and addition come together in the order asked for",
      ["a", "b"],
      {
        "$deleteFromPrimitiveList/finalizers": ["a"],
        "$setElementOrder/finalizers": ["c", "b"],
        finalizers: ["c"],
      },
      ["c", "b"],
    ],
    [
      "deleting from nothing is no error",
      undefined,
      { "$deleteFromPrimitiveList/finalizers": ["a"] },
      undefined,
    ],
  ];

for (const [name, before, patch, after] of finalizers) {
  test(`finalizers: ${name}`, () => {
    const metadata = before === undefined ? {} : { finalizers: before };
    const result = applyStrategicPatch<{ metadata: Loose }>({ metadata }, { metadata: patch }, "v1", "Pod");
    assert.deepEqual(result.metadata["finalizers"], after);
  });
}

test("a strategy that changes its type loses the other's parameters", () => {
  const result = applyStrategicPatch<{ spec: Loose }>(
    { spec: { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } } },
    { spec: { strategy: { $retainKeys: ["type"], type: "Recreate" } } },
    "apps/v1",
    "Deployment",
  );
  assert.deepEqual(result.spec["strategy"], { type: "Recreate" });
});

const refused: [name: string, spec: Loose, patch: Loose, message: RegExp][] = [
  [
    "an element without its merge key",
    { containers: [c("a")] },
    { containers: [{ image: "x" }] },
    /does not contain declared merge key: name$/,
  ],
  [
    "a deletion without a key",
    { containers: [c("a")] },
    { containers: [{ $patch: "delete" }] },
    /^delete patch type with no merge key defined$/,
  ],
  ["an unknown directive", {}, { $patch: "explode" }, /^Unknown directive in patch: "explode"$/],
  [
    "a change of what is not retained",
    { volumes: [{ name: "v" }] },
    { volumes: [{ name: "v", $retainKeys: ["name"], emptyDir: {} }] },
    /^invalid patch format of retainKeys$/,
  ],
  [
    "a change that the order list leaves out",
    { containers: [c("a")] },
    { ...order("a"), containers: [c("b", "1")] },
    /^invalid patch format of setElementOrder list$/,
  ],
];

for (const [name, spec, patch, message] of refused) {
  test(`refuses ${name}`, () => {
    assert.throws(() => patchPod(spec, patch), { reason: "BadRequest", message });
  });
}

test("a kind without a schema takes no strategic patch", () => {
  assert.throws(() => applyStrategicPatch({}, {}, "example.com/v1", "Widget"), {
    reason: "UnsupportedMediaType",
  });
});
