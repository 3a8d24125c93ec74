import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SlipwayError } from "@slipway/base";
import fc from "fast-check";
import { parseQueryFile } from "./query-file.ts";
import { queryFileText, writeQueryFile } from "./write-file.ts";

let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "slipway-queries-"));
});
after(() => rm(root, { recursive: true, force: true }));

test("written, read again, and never written over", async () => {
  const query = {
    name: "slow-ones",
    title: 'Slow: the "worst" ones',
    sql: "SELECT route, count(*) AS n FROM requests GROUP BY route;\n",
    chart: { kind: "bar" as const, x: "route", y: ["n"] },
    schedule: "0 9 * * 1-5",
  };
  assert.equal(await writeQueryFile(root, query), "queries/slow-ones.sql");
  const text = await readFile(join(root, "queries/slow-ones.sql"), "utf8");
  const read = parseQueryFile("slow-ones", text, "queries/slow-ones.sql");
  assert.equal(read.title, query.title);
  assert.equal(read.schedule?.cron, "0 9 * * 1-5");
  assert.equal(read.sql.duckdb, "SELECT route, count(*) AS n FROM requests GROUP BY route");
  await assert.rejects(
    writeQueryFile(root, { ...query, sql: "SELECT 2" }),
    (error) => error instanceof SlipwayError && error.code === "QUERY_EXISTS",
  );
  assert.equal(await readFile(join(root, "queries/slow-ones.sql"), "utf8"), text);
});

test("a name that leads out of the folder is refused", async () => {
  for (const name of ["../evil", "a/b", ".hidden", ""]) {
    await assert.rejects(
      writeQueryFile(root, { name, title: "x", sql: "SELECT 1" }),
      (error) => error instanceof SlipwayError && error.code === "QUERY_FILE",
    );
  }
});

test("whatever the title is, it comes back and stays a comment", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 100, unit: "grapheme" }), (title) => {
      const text = queryFileText({ name: "q", title, sql: "SELECT 1" });
      const read = parseQueryFile("q", text, "q.sql");
      return read.title === title && read.sql.duckdb === "SELECT 1";
    }),
    // A whole em that JavaScript trims and YAML does not, and what either takes for the end of a line.
    {
      examples: [
        ["\u2000"],
        ["a\u2003"],
        ["\u2028a"],
        ["a\u0085"],
        ["\ufeff"],
        ["a\nb\r\n"],
        ["-- a"],
        [": #"],
        ["a\n\n"],
        ["a\ndialect: bigquery"],
        ['"\ndialect: bigquery'],
        [`${"a".repeat(50)} b\n\n c\n`],
      ],
    },
  );
});
