/** Makes one row of those that commits have added for a key of the rollup. */
import { rowsOf } from "./connection.ts";
import type { State } from "./state.ts";

export async function compactRollup(state: State): Promise<void> {
  if (state.rollupRows === 0) return;
  const { sql } = state.writer;
  await sql.run("BEGIN");
  try {
    await sql.run(`INSERT INTO rollup_minutes
      SELECT minute, series, class, probe, bucket, sum(n)::BIGINT, sum(bytes)::BIGINT FROM rollup_new
      GROUP BY minute, series, class, probe, bucket HAVING sum(n) <> 0 OR sum(bytes) <> 0
      ORDER BY minute, series, class, probe, bucket`);
    await sql.run("DELETE FROM rollup_new");
    await sql.run("COMMIT");
  } catch (error) {
    await sql.run("ROLLBACK").catch(() => undefined);
    throw error;
  }
  state.rollupRows = 0;
}

/** A key has a row for each compaction since its minute began; of days that are over, one is enough. */
export async function mergeRollup(state: State, fromMs: number, toMs: number): Promise<void> {
  const where = `minute >= make_timestamp_ms(${fromMs}) AND minute < make_timestamp_ms(${toMs})`;
  const [many] = await rowsOf(
    state.writer,
    `SELECT count(*) > 2 * count(DISTINCT (minute, series, class, probe, bucket)) AS yes FROM rollup_minutes WHERE ${where}`,
  );
  if (many?.["yes"] !== true) return;
  const { sql } = state.writer;
  await sql.run("BEGIN");
  try {
    await sql.run(`CREATE OR REPLACE TEMP TABLE merged AS
      SELECT minute, series, class, probe, bucket, sum(n)::BIGINT AS n, sum(bytes)::BIGINT AS bytes FROM rollup_minutes
      WHERE ${where} GROUP BY minute, series, class, probe, bucket HAVING sum(n) <> 0 OR sum(bytes) <> 0 ORDER BY ALL`);
    await sql.run(`DELETE FROM rollup_minutes WHERE ${where}`);
    await sql.run("INSERT INTO rollup_minutes FROM merged");
    await sql.run("DROP TABLE merged");
    await sql.run("COMMIT");
  } catch (error) {
    await sql.run("ROLLBACK").catch(() => undefined);
    throw error;
  }
}
