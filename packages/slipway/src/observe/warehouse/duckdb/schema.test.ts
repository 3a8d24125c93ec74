/** How DuckDB carries out what is asked of the views: what makes them slow is seen in its plans, without a clock. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closeDatabase, connect, openDatabase, rowsOf } from "./connection.ts";
import { NOTHING_SEALED, TABLES, viewsOf } from "./schema.ts";

const database = await openDatabase(":memory:", { threads: "1" });
const connection = await connect(database);
after(() => closeDatabase(database));

before(async () => {
  for (const statement of [...TABLES, ...viewsOf(NOTHING_SEALED, "auto")])
    await connection.sql.run(statement);
  await connection.sql.run(`INSERT INTO sources SELECT n, 1, 'pod', 'osaka', 'default', 'node-1', concat('web-', n), 'nginx',
    'web', 1, 'abc1234' FROM range(1, 4) t (n)`);
  await connection.sql.run(`INSERT INTO series VALUES (1, 'pod', 'osaka', 'web', 1, 'abc1234')`);
  await connection.sql.run(
    `INSERT INTO dict SELECT kind, n, concat(kind, n), false FROM range(1, 2000) t (n), (VALUES ('route'), ('referer'), ('ua')) k (kind)`,
  );
  // Two hours.
  await connection.sql.run(`INSERT INTO hot_access SELECT TIMESTAMP '2026-01-05' + to_milliseconds(n * 24), 1 + n % 3, '192.0.2.7', 'GET',
    '/', 'HTTP/1.1', 200, n, n % 2000, n % 1999, n % 1000, n % 700, NULL, 0 FROM range(300000) t (n)`);
  await connection.sql.run(`INSERT INTO rollup_minutes SELECT TIMESTAMP '2026-01-05' + to_minutes(n // 100), 1, 2, false, n % 100, 25, 0
    FROM range(12000) t (n)`);
});

interface Step {
  readonly name: string;
  readonly children: readonly Step[];
  readonly extra_info: Readonly<Record<string, unknown>>;
}

/** From the top down to the scan of the table. Of a join the first child streams through; the other is put into memory. */
function wayTo(
  table: string,
  step: Step,
): readonly { readonly step: Step; readonly child: number }[] | undefined {
  if (String(step.extra_info["Table"] ?? "").endsWith(`.${table}`)) return [];
  for (const [child, below] of step.children.entries()) {
    const rest = wayTo(table, below);
    if (rest !== undefined) return [{ step, child }, ...rest];
  }
  return undefined;
}

const HOUR = "ts >= TIMESTAMP '2026-01-05 00:30:00' AND ts < TIMESTAMP '2026-01-05 01:30:00'";
const MINUTE = "time_bucket(INTERVAL 1 minute, ts)";
for (const [table, sql] of [
  ["hot_access", `SELECT ${MINUTE}, quantile_disc(rt_ms, 0.95) FROM requests GROUP BY 1`],
  ["hot_access", `SELECT ${MINUTE}, quantile_disc(rt_ms, 0.95) FROM requests WHERE ${HOUR} GROUP BY 1`],
  [
    "hot_access",
    `SELECT route, class, count(*) FROM requests WHERE ${HOUR} AND service = 'web' GROUP BY ALL`,
  ],
  ["hot_access", `SELECT probe, referer, ua, count(*) FROM access GROUP BY ALL`],
  ["rollup_minutes", "SELECT minute, bucket, sum(n) FROM rollup WHERE counts GROUP BY ALL"],
] as const) {
  test(`rows stream through inner joins: ${sql}`, async () => {
    const [row] = await rowsOf(connection, `EXPLAIN (FORMAT json) ${sql}`);
    const [plan] = JSON.parse(row?.["explain_value"] as string) as readonly Step[];
    const joins = wayTo(table, plan as Step)?.filter(({ step }) => step.name.includes("JOIN"));
    assert.ok(joins !== undefined && joins.length > 0);
    for (const { step, child } of joins) {
      assert.deepEqual([step.extra_info["Join Type"], child], ["INNER", 0], JSON.stringify(step.extra_info));
    }
  });
}

test("numbers that quantiles are asked of are signed", async () => {
  const types = await rowsOf(
    connection,
    "SELECT typeof(rt_ms) AS rt, typeof(urt_ms) AS urt, typeof(bytes) AS bytes FROM requests LIMIT 1",
  );
  assert.deepEqual(types, [{ rt: "INTEGER", urt: "INTEGER", bytes: "BIGINT" }]);
});
