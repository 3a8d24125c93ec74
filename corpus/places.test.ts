import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { loadCases } from "../packages/slipway/src/corpus/case.ts";
import { reasonsFor, whyNot } from "./places.ts";

const cases = await loadCases(import.meta.dirname);

test("what was recorded from a real cluster can be made to happen on one", () => {
  for (const one of cases.filter(({ recorded }) => recorded === "real" || recorded === "hollow"))
    assert.ok(one.places.includes("real"), one.id);
});

test("a case that is left out of a place has a reason", () => {
  for (const one of cases)
    for (const place of ["embedded", "real"] as const)
      assert.notEqual(whyNot(one, place), "nobody has said why", `${one.id} on ${place}`);
});

test("every reason is needed, and is in the README", async () => {
  const readme = await readFile(join(import.meta.dirname, "README.md"), "utf8");
  for (const place of ["embedded", "real"] as const) {
    const given = new Set(cases.map((one) => whyNot(one, place)));
    for (const why of reasonsFor(place)) {
      assert.ok(given.has(why), `${place}: no case has the reason "${why}"`);
      assert.ok(readme.includes(`| ${place} | ${why} |`), `corpus/README.md: ${place}: ${why}`);
    }
  }
});
