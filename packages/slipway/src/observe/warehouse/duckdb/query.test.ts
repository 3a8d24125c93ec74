/** What ends a query, and that it ends no other one. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { until, VirtualClock } from "@slipway/base";
import { closeDatabase, connect, openDatabase } from "./connection.ts";
import { createQueryRunner } from "./query.ts";

const database = await openDatabase(":memory:", { threads: "1" });
after(() => closeDatabase(database));

/** As long as a machine takes for it. */
const LONG = "SELECT sum(range % 7) FROM range(200000000)";

async function stage() {
  const clock = new VirtualClock();
  const memory = { bytes: 1_000_000_000 };
  const { sql } = await connect(database);
  await sql.run("CREATE TABLE IF NOT EXISTS meta AS SELECT 'committed' AS key, 1 AS value");
  sql.disconnectSync();
  const queries = createQueryRunner({
    ...{ database: () => database, clock, atOnce: 2, residentBytes: () => memory.bytes },
    onRunaway: (why) => assert.fail(why),
  });
  return { clock, memory, queries };
}

/** Virtual time goes on, look by look, until this has come to its end in real time. */
async function ticking<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  work.then(over, over);
  const look = async (): Promise<boolean> => {
    await clock.advance(50);
    return isOver;
  };
  await until("its end", look, { everyMs: 5 });
  return work;
}

test("a query that takes too much memory is ended", async () => {
  const { clock, memory, queries } = await stage();
  const greedy = queries.run(LONG, {}, { timeoutMs: 1e9 });
  memory.bytes += 2_000_000_000;
  await assert.rejects(ticking(clock, greedy), { code: "QUERY_MEMORY" });
  await queries.close();
});

test("what a query has taken and the process still holds ends no query after it", async () => {
  const { clock, memory, queries } = await stage();
  await queries.run("SELECT 1", {}, {});
  memory.bytes += 2_000_000_000;
  const next = queries.run("SELECT sum(range % 7) FROM range(20000000)", {}, { timeoutMs: 1e9 });
  assert.equal((await ticking(clock, next)).rows.length, 1);
  await queries.close();
});

test("a query is ended at whatever moment that is asked for: before it runs, too", async () => {
  const { clock, queries } = await stage();
  for (let turns = 0; turns < 12; turns += 1) {
    const stop = new AbortController();
    const asked = queries.run(`${LONG} -- ${turns}`, {}, { timeoutMs: 1e9, signal: stop.signal });
    for (let turn = 0; turn < turns; turn += 1) await clock.advance(0);
    stop.abort();
    await assert.rejects(
      ticking(clock, asked),
      { code: "QUERY_FAILED", message: "was given up" },
      `${turns}`,
    );
  }
  await queries.close();
});

test("whoever needs the instance ends a query that is only just connecting, and waits for it", async () => {
  const { clock, queries } = await stage();
  const asked = queries.run(LONG, {}, { timeoutMs: 1e9 });
  await Promise.all([
    assert.rejects(ticking(clock, asked), { code: "QUERY_MEMORY" }),
    queries.without(async () => undefined),
  ]);
  await queries.close();
});

test("what still runs at the end is ended, at whatever moment, and not waited for", async () => {
  for (let turns = 0; turns < 12; turns += 1) {
    const { clock, queries } = await stage();
    const asked = queries.run(`${LONG} -- ${turns}`, {}, { timeoutMs: 1e9 });
    for (let turn = 0; turn < turns; turn += 1) await clock.advance(0);
    const closed = queries.close();
    await assert.rejects(ticking(clock, asked), { code: "QUERY_FAILED" }, `${turns}`);
    await closed;
  }
});
