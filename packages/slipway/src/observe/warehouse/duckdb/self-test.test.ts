import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { chunkAppender } from "./chunks.ts";
import type { Column } from "./columns.ts";
import { closeDatabase, connect, openDatabase, rowsOf } from "./connection.ts";
import { chooseAppender, isFaithful } from "./self-test.ts";
import { vectorAppender } from "./vectors.ts";

const database = await openDatabase(":memory:", { threads: "1" });
const connection = await connect(database);
after(() => closeDatabase(database));

test("both writers give back what they are given, and the fast one is taken", async () => {
  assert.equal(await isFaithful(connection, vectorAppender()), true);
  assert.equal(await isFaithful(connection, chunkAppender()), true);
  assert.equal((await chooseAppender(connection)).name, "vectors");
});

test("a writer that stores something else, or fails, is not taken", async () => {
  const wrong = vectorAppender();
  const cut = (column: Column): Column =>
    column.kind === "text"
      ? { kind: "text", values: column.values.map((text) => text.slice(0, 12)) }
      : column;
  const cutting = {
    name: "vectors",
    append: (to, rows) => wrong.append(to, { ...rows, columns: rows.columns.map(cut) }),
  } as const satisfies ReturnType<typeof vectorAppender>;
  assert.equal((await chooseAppender(connection, cutting)).name, "chunks");
  const failing = {
    name: "vectors",
    append: () => {
      throw new Error("no such function");
    },
  } as const;
  assert.equal((await chooseAppender(connection, failing)).name, "chunks");
});

test("a column that is too short is refused, and leaves nothing behind", async () => {
  await connection.sql.run("CREATE TABLE short (a UINTEGER, b VARCHAR)");
  for (const appender of [vectorAppender(), chunkAppender()]) {
    assert.throws(
      () =>
        appender.append(connection, {
          table: "short",
          length: 3,
          columns: [
            { kind: "u32", values: new Uint32Array(3) },
            { kind: "text", values: ["a", "b"] },
          ],
        }),
      /column 1 has 2 of 3 rows/,
    );
    assert.throws(() =>
      appender.append(connection, {
        table: "short",
        length: 1,
        columns: [{ kind: "u32", values: new Uint32Array(1) }],
      }),
    );
  }
  assert.deepEqual(await rowsOf(connection, "SELECT count(*) AS n FROM short"), [{ n: 0 }]);
});

test("any text of any length, in any number of rows, comes back as UTF-8 can say it", async () => {
  await connection.sql.run("CREATE TABLE texts (v VARCHAR)");
  const fast = vectorAppender();
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), fc.string({ maxLength: 13 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { maxLength: 50 }),
      fc.integer({ min: 1, max: 60 }),
      async (some, times) => {
        const values = Array.from({ length: times }, () => some).flat();
        fast.append(connection, {
          table: "texts",
          length: values.length,
          columns: [{ kind: "text", values }],
        });
        const read = await rowsOf(connection, "SELECT v FROM texts ORDER BY rowid");
        await connection.sql.run("TRUNCATE texts");
        assert.deepEqual(
          read.map(({ v }) => v),
          values.map((value) => value.toWellFormed()),
        );
      },
    ),
    { numRuns: 60 },
  );
});
