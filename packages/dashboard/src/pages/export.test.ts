import assert from "node:assert/strict";
import { test } from "node:test";
import { csv, json } from "./export.ts";

const answer = {
  columns: [
    { name: "path", type: "text" as const },
    { name: "n", type: "number" as const },
  ],
  rows: [
    ['/a,"b"', 1],
    ["=cmd()", null],
  ],
};

test("a result is a file that a spreadsheet reads as what it is", () => {
  assert.equal(csv(answer), 'path,n\r\n"/a,""b""",1\r\n\'=cmd(),\r\n');
  assert.deepEqual(JSON.parse(json(answer)), [
    { path: '/a,"b"', n: 1 },
    { path: "=cmd()", n: null },
  ]);
});
