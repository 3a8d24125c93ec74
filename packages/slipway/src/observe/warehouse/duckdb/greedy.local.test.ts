/**
 * Queries that ask for everything, while lines come in: each ends with an error that says why, and not one commit is
 * lost or fails. The queries are those that are hard to stop: DuckDB's own limits end some, the interrupt the others.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { sampleLabels, sampleLines } from "../sample.ts";
import type { Warehouse } from "../warehouse.ts";
import { openWarehouse } from "./open.ts";

const folder = mkdtempSync(join(tmpdir(), "slipway-greedy-"));
const warehouse = await openWarehouse({ folder });
after(async () => {
  await warehouse.close();
  rmSync(folder, { recursive: true, force: true });
});
const source = warehouse.sourceOf(sampleLabels());
const BATCH = 2000;
let stored = 0;
for (; stored < 100; stored += 1) await commit(warehouse);

function commit(to: Warehouse): Promise<void> {
  const lines = sampleLines(to, { count: BATCH, source, fromMs: 1e12 + stored * 20_000 });
  return to.commit({ lines, offsets: [{ stream: "s", position: stored }] });
}

const GREEDY: readonly (readonly [what: string, sql: string])[] = [
  ["a cross join", "SELECT count(*) FROM access a, access b, access c"],
  ["a sort of far too much", "SELECT a.*, r.range FROM access a, range(100000) r ORDER BY path, ip, r.range"],
  [
    "a regular expression over and over",
    "SELECT count(*) FROM access a, range(100000) r WHERE regexp_matches(path || r.range, '(a|b|ab|p|e|s)*c.*(x+x+)+y')",
  ],
  ["a series without end", "SELECT sum(range) FROM range(1000000000000)"],
  [
    "one text of everything",
    "SELECT length(string_agg(path || ua || ip, ',')) FROM access a, range(10000) b",
  ],
  ["a list of everything", "SELECT list(path) FROM access a, range(100000) b"],
  ["all pairs, each once", "SELECT count(*) FROM (SELECT DISTINCT a.path, b.path FROM access a, access b)"],
  [
    "a recursion without end",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r",
  ],
  [
    "a text that doubles",
    "WITH RECURSIVE r AS (SELECT 'x' AS n, 1 AS i UNION ALL SELECT n || n, i + 1 FROM r WHERE i < 40) SELECT max(length(n)) FROM r",
  ],
  [
    "a window over far too much",
    "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY path, range) AS n FROM access, range(100000))",
  ],
];

for (const [what, sql] of GREEDY) {
  test(`${what} fails, and what comes in is stored`, { timeout: 120_000 }, async () => {
    let isOver = false;
    const before = stored;
    const asked = warehouse.query(sql, {}, { timeoutMs: 1500 }).then(
      ({ rows }) => `answered ${JSON.stringify(rows).slice(0, 80)}`,
      (error: unknown) => error,
    );
    void asked.then(() => {
      isOver = true;
    });
    do {
      await commit(warehouse);
      stored += 1;
    } while (!isOver);
    const error = await asked;
    assert.ok(error instanceof SlipwayError, String(error));
    assert.match(error.code, /^QUERY_(?:TIMEOUT|MEMORY|FAILED)$/);
    assert.ok(stored > before);
    const { rows } = await warehouse.query("SELECT count(*) FROM access");
    assert.deepEqual(rows, [[stored * BATCH]]);
  });
}
