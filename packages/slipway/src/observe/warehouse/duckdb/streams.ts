/** Which streams are known, since when nothing was heard of them, and that some are not needed any more. */
import { listValue } from "@duckdb/node-api";
import type { HeardStream } from "../warehouse.ts";
import { inTransaction } from "./commit.ts";
import { type Connection, rowsOf } from "./connection.ts";
import type { State } from "./state.ts";

export async function heardStreams(connection: Connection): Promise<readonly HeardStream[]> {
  return (await rowsOf(connection, 'SELECT stream, heard AS "heardMs" FROM off')) as unknown as HeardStream[];
}

export async function forgetStreams(state: State, streams: readonly string[], before: number): Promise<void> {
  // What came since it was looked at is decided here, between two commits.
  const condition = "stream IN (SELECT unnest($1::VARCHAR[])) AND heard < make_timestamp_ms($2::BIGINT)";
  const values = [listValue([...streams]), BigInt(Math.floor(before))];
  let gone: readonly unknown[] = [];
  await inTransaction(state, async () => {
    const { sql } = state.writer;
    const deleted = await sql.runAndReadAll(`DELETE FROM off WHERE ${condition} RETURNING stream`, values);
    gone = deleted.getRows().map(([stream]) => stream);
  });
  for (const stream of gone) state.offsets.delete(stream as string);
}
