import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@slipway/base";
import { sampleLabels, sampleLines } from "../sample.ts";
import { writeCommit } from "./commit.ts";
import { closeDatabase, rowsOf } from "./connection.ts";
import { openInstance } from "./instance.ts";
import { loadState } from "./load.ts";
import { SealedDays } from "./sealed.ts";

/** The next COMMIT fails, before or after DuckDB has done it. */
async function withFailingCommit(when: "before" | "after") {
  const sealed = new SealedDays(undefined, "auto");
  const instance = await openInstance({ folder: undefined, memoryBytes: 200_000_000, threads: 1 }, sealed);
  const state = await loadState(instance, sealed, systemClock);
  const { sql } = instance.writer;
  const run = sql.run.bind(sql);
  let isDue = true;
  sql.run = async (text, ...rest) => {
    if (text !== "COMMIT" || !isDue) return run(text, ...rest);
    isDue = false;
    if (when === "after") await run(text);
    throw new Error("Out of Memory Error: while a checkpoint was written");
  };
  const source = state.sources.idOf(sampleLabels());
  const commit = {
    lines: sampleLines(state, { count: 100, source, fromMs: 1e12 }),
    offsets: [{ stream: "s", position: 7 }],
  };
  return { state, commit, close: () => closeDatabase(instance.database) };
}

const COUNTS =
  "SELECT (SELECT count(*) FROM hot_access) AS rows, (SELECT count(*) FROM sources) AS sources, (SELECT count(*) - count(DISTINCT (kind, id)) FROM dict) AS doubled";

test("a COMMIT that fails after it was written counts as stored: tried again, its lines would be there twice", async () => {
  const { state, commit, close } = await withFailingCommit("after");
  await writeCommit(state, commit);
  assert.deepEqual(await rowsOf(state.writer, COUNTS), [{ rows: 100, sources: 1, doubled: 0 }]);
  assert.deepEqual([state.counts.committed, state.counts.access, state.offsets.get("s")], [1, 100, 7]);
  await writeCommit(state, commit);
  assert.deepEqual(await rowsOf(state.writer, COUNTS), [{ rows: 200, sources: 1, doubled: 0 }]);
  close();
});

test("a COMMIT that fails before leaves nothing, and the same commit may be tried again", async () => {
  const { state, commit, close } = await withFailingCommit("before");
  await assert.rejects(writeCommit(state, commit), /Out of Memory/);
  assert.deepEqual(await rowsOf(state.writer, COUNTS), [{ rows: 0, sources: 0, doubled: 0 }]);
  assert.deepEqual([state.counts.committed, state.counts.access, state.offsets.get("s")], [0, 0, undefined]);
  await writeCommit(state, commit);
  assert.deepEqual(await rowsOf(state.writer, COUNTS), [{ rows: 100, sources: 1, doubled: 0 }]);
  close();
});
