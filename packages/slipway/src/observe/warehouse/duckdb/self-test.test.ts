import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { chunkAppender } from "./chunks.ts";
import type { Column, Rows } from "./columns.ts";
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
    ...wrong,
    append: (to, rows) => wrong.append(to, { ...rows, columns: rows.columns.map(cut) }),
  } as const satisfies ReturnType<typeof vectorAppender>;
  assert.equal((await chooseAppender(connection, cutting)).name, "chunks");
  const failing = {
    ...wrong,
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

test("rows that are added piece by piece are all there, in order, and nothing of what is abandoned", async () => {
  await connection.sql.run("CREATE TABLE pieces (a UINTEGER, b VARCHAR)");
  const piece = (from: number, length: number): Omit<Rows, "table"> => {
    const numbers = Uint32Array.from({ length }, (_, index) => from + index);
    return {
      length,
      columns: [
        { kind: "u32", values: numbers },
        { kind: "text", values: Array.from(numbers, (number) => `the text of ${number}`) },
      ],
    };
  };
  for (const appender of [vectorAppender(), chunkAppender()]) {
    for (const end of ["close", "abandon"] as const) {
      await connection.sql.run("BEGIN");
      const opened = appender.open(connection, { table: "pieces" });
      for (let from = 0; from < 27_000; from += 4_500) opened.add(piece(from, 4_500));
      opened[end]();
      const kept = await rowsOf(
        connection,
        "SELECT count(*) FILTER (WHERE a = rowid AND b = concat('the text of ', a)) AS n FROM (FROM pieces SELECT a, b, row_number() OVER () - 1 AS rowid)",
      );
      await connection.sql.run(end === "close" ? "COMMIT" : "ROLLBACK");
      if (end === "close") assert.deepEqual(kept, [{ n: 27_000 }]);
      await connection.sql.run("TRUNCATE pieces");
    }
    const opened = appender.open(connection, { table: "pieces" });
    assert.throws(() => opened.add({ ...piece(0, 3), length: 4 }), /column 0 has 3 of 4 rows/);
    opened.abandon();
    assert.deepEqual(await rowsOf(connection, "SELECT count(*) AS n FROM pieces"), [{ n: 0 }]);
  }
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
