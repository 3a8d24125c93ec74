import assert from "node:assert/strict";
import { test } from "node:test";
import type { LineFigures } from "../../server/api.ts";
import { linesOfAll, type Rows } from "./rows.ts";

const lines: LineFigures = {
  read: 10,
  requests: 6,
  logs: 3,
  quarantine: 1,
  gaps: 2,
  lagMs: 5,
  probes: 1,
  problem: undefined,
};
const rows = (name: string, answer: () => Promise<LineFigures>): Rows => ({
  name,
  query: () => assert.fail("not asked"),
  lines: answer,
});

test("nothing collected, a disk that is full and a collector that is away are each said, and the rest is added", async () => {
  assert.equal((await linesOfAll([], "nothing is collected")).problem, "nothing is collected");
  const all = await linesOfAll(
    [
      rows("tokyo", async () => lines),
      rows("osaka", async () => ({ ...lines, lagMs: 900, problem: "the disk is full" })),
      rows("kyoto", () => Promise.reject(new Error("no answer"))),
    ],
    "",
  );
  assert.deepEqual(all, {
    ...{ read: 20, requests: 12, logs: 6, quarantine: 2, gaps: 4, lagMs: 900, probes: 2 },
    problem: "the disk is full; kyoto: no answer",
  });
});
