import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { duplicateFields } from "./duplicates.ts";

const cases: [text: string, fields: string[]][] = [
  ["{}", []],
  ['{"a":1,"b":{"a":2}}', []],
  ['{"a":1,"a":2}', ["a"]],
  ['{"a":1,"a":2,"a":3}', ["a"]],
  ['{"spec":{"replicas":1,"template":{},"replicas":2}}', ["spec.replicas"]],
  ['{"c":[{"n":1},{"n":1,"n":2}]}', ["c[1].n"]],
  ['{"a":{"x":1},"a":{"x":2}}', ["a"]],
  ['{"a":"{\\"b\\":1,\\"b\\":2}"}', []],
  ['{"a":["a","a"],"b":"a"}', []],
  ['{"\\u0061":1,"a":2}', ["a"]],
  ['{"a" : {"b":[[],{"k":1,"k":1}]}}', ["a.b[1].k"]],
];

for (const [text, fields] of cases) {
  test(`${text} gives ${fields.length === 0 ? "nothing" : fields.join(", ")} twice`, () => {
    assert.deepEqual(
      duplicateFields(text),
      fields.map((field) => `duplicate field "${field}"`),
    );
  });
}

test("what JSON.stringify writes never has a field twice", () => {
  fc.assert(
    fc.property(fc.json(), (text) => assert.deepEqual(duplicateFields(JSON.stringify(JSON.parse(text))), [])),
  );
});
