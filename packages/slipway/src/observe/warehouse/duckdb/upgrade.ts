/** Makes a new warehouse, or brings one of an earlier version to this one. One of a later version is not touched. */
import { SlipwayError } from "@slipway/base";
import { type Connection, rowsOf } from "./connection.ts";
import { SCHEMA_VERSION, TABLES } from "./schema.ts";

/** Statements that lead from version N to N + 1, by N. */
const STEPS: Readonly<Record<number, readonly string[]>> = {
  // When streams were heard of nobody knows any more: as if it were just now.
  1: [
    "ALTER TABLE off ADD COLUMN heard TIMESTAMP",
    "UPDATE off SET heard = make_timestamp_ms(epoch_ms(now()))",
  ],
};

export async function prepareSchema(
  connection: Connection,
  where: string,
  steps: Readonly<Record<number, readonly string[]>> = STEPS,
  wanted: number = SCHEMA_VERSION,
): Promise<void> {
  const { sql } = connection;
  const [found] = await rowsOf(
    connection,
    "SELECT count(*) AS n FROM duckdb_tables() WHERE table_name = 'meta' AND NOT internal",
  );
  const isNew = found?.["n"] === 0;
  const version = isNew ? wanted : await versionOf(connection);
  if (version > wanted) {
    throw new SlipwayError({
      code: "WAREHOUSE_NEWER",
      where,
      message: `was written by a later version of Slipway (schema ${version}; this one knows ${wanted})`,
      hint: "Run the later version, or move the folder away to begin a new warehouse.",
    });
  }
  await sql.run("BEGIN");
  try {
    if (isNew) for (const statement of TABLES) await sql.run(statement);
    for (let from = version; from < wanted; from += 1) {
      const step = steps[from];
      if (step === undefined) throw new Error(`no way from schema ${from} to ${from + 1}`);
      for (const statement of step) await sql.run(statement);
    }
    await sql.run(`UPDATE meta SET value = ${wanted} WHERE key = 'version'`);
    await sql.run("COMMIT");
  } catch (error) {
    await sql.run("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

async function versionOf(connection: Connection): Promise<number> {
  const [row] = await rowsOf(connection, "SELECT value FROM meta WHERE key = 'version'");
  return row?.["value"] as number;
}
