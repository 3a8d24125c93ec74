/**
 * Sources whose last line was dropped. They go when the warehouse is opened and at no other time: then nobody has their
 * ids in memory, and a container that speaks again gets another.
 */
import { type Connection, rowsOf } from "./connection.ts";
import { SEALED_KINDS } from "./schema.ts";

/** Fewer are not worth a look at the lines of all days: half a second for ten million. */
const MANY = 1_000;

export async function removeUnusedSources(connection: Connection, many = MANY): Promise<void> {
  const [known] = await rowsOf(connection, "SELECT count(*) AS n FROM sources");
  if ((known?.["n"] as number) < many) return;
  const used = SEALED_KINDS.map((kind) => `SELECT source FROM all_${kind}`).join(" UNION ");
  await connection.sql.run(`DELETE FROM sources WHERE id NOT IN (${used} UNION SELECT source FROM hot_gaps)`);
}
