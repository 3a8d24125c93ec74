import assert from "node:assert/strict";
import { test } from "node:test";
import { idInside, programAt, withoutVisitors } from "./processes.ts";

test("what an exec began is left out with all below it; what it left behind stays", () => {
  const process = (pid: number, parent: number) => ({
    pid,
    parent,
    uid: 0,
    comm: "x",
    argv: ["x"],
    program: "x",
  });
  const table: readonly (readonly [
    what: string,
    all: readonly (readonly [number, number])[],
    own: number[],
  ])[] = [
    [
      "a tree",
      [
        [1, 0],
        [7, 1],
        [8, 7],
      ],
      [1, 7, 8],
    ],
    [
      "a healthcheck and its child",
      [
        [1, 0],
        [7, 1],
        [20, 0],
        [21, 20],
      ],
      [1, 7],
    ],
    [
      "a daemon that an exec left behind",
      [
        [1, 0],
        [20, 0],
        [21, 1],
      ],
      [1, 21],
    ],
    [
      "a daemon under another that adopts",
      [
        [1, 0],
        [5, 1],
        [30, 5],
      ],
      [1, 5, 30],
    ],
    ["only visitors", [[20, 0]], []],
  ];
  for (const [what, all, own] of table) {
    const shown = withoutVisitors(
      all.map(([pid, parent]) => process(pid, parent)),
      1,
    );
    assert.deepEqual(
      shown.map(({ pid }) => pid),
      own,
      what,
    );
  }
});

test("an id is told as the container has it", () => {
  const range = "         0       4321          1\n         1     100000      65536\n";
  assert.deepEqual(
    [idInside("      1000          0          1\n", 0), idInside(range, 4321), idInside(range, 100999)],
    [1000, 0, 1000],
  );
  assert.equal(idInside(range, 5), 65534);
});

test("the file that a process runs, by its link", () => {
  assert.deepEqual(["/usr/local/bin/node", "/opt/my app (deleted)", "node", ""].map(programAt), [
    "node",
    "my app",
    "node",
    undefined,
  ]);
});
