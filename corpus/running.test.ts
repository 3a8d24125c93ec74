import assert from "node:assert/strict";
import { test } from "node:test";
import { loadCases } from "../packages/slipway/src/corpus/case.ts";
import { casesFor, isQuick, spreadOf } from "./running.ts";

const all = casesFor(await loadCases(import.meta.dirname), "real").filter(isQuick);
const names = (turn: number): readonly string[] => spreadOf(all, 8, turn).map(({ id }) => id);

test("a spread has one case of a family, two thirds of them failures, and is the same in the same turn", () => {
  const chosen = spreadOf(all, 8, 7);
  assert.equal(chosen.filter(({ kind }) => kind === "failures").length, 6);
  assert.equal(chosen.filter(({ kind }) => kind === "transients").length, 2);
  const causes = chosen.flatMap(({ expect }) => (expect.verdict === "failed" ? [expect.cause] : []));
  assert.equal(new Set(causes).size, causes.length);
  assert.deepEqual(names(7), names(7));
});

test("after 42 turns every case has had its turn", () => {
  const seen = new Set(Array.from({ length: 42 }, (_, turn) => names(turn)).flat());
  assert.deepEqual(
    all.filter(({ id }) => !seen.has(id)).map(({ id }) => id),
    [],
  );
});
