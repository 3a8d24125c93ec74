import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import type { QueryAnswer } from "../../observe/warehouse/warehouse.ts";
import type { CliContext, CommandInput } from "../command.ts";
import { ask } from "./asking.ts";
import type { NamedPlace } from "./place.ts";

const query = {
  ...{ name: "q", title: "", about: "", parameters: {}, sql: { duckdb: "SELECT 1" }, file: "q.sql" },
  ...{ chart: undefined, schedule: undefined, threshold: undefined },
};

const placeOf = (name: string, answer: Partial<QueryAnswer>): NamedPlace => ({
  name,
  place: {
    dialect: "duckdb",
    committed: () => undefined,
    query: async () => ({
      ...{ columns: [{ name: "n", type: "number" }], rows: [[1]], isTruncated: false },
      ...{ elapsedMs: 1, committed: 1, ...answer },
    }),
  },
});

async function said(places: readonly NamedPlace[]): Promise<{ readonly out: string; readonly err: string }> {
  const text = { out: "", err: "" };
  const context = {
    write: (more: string) => {
      text.out += more;
    },
    writeError: (more: string) => {
      text.err += more;
    },
    signal: new AbortController().signal,
  } as unknown as CliContext;
  const input = { arguments: [], options: { csv: true, rows: "1000", timeout: "30s" } } as CommandInput;
  await ask(context, input, places, query, {});
  return text;
}

test("CSV of several places is one table that says of which each row is", async () => {
  const places = [placeOf("tokyo", { rows: [[1], [2]] }), placeOf("osaka", { rows: [[3]] })];
  assert.deepEqual(await said(places), { out: "place,n\r\ntokyo,1\r\ntokyo,2\r\nosaka,3\r\n", err: "" });
});

test("CSV that lacks rows says so, beside it", async () => {
  const { out, err } = await said([placeOf("world", { isTruncated: true })]);
  assert.equal(out, "n\r\n1\r\n");
  assert.equal(err, "only 1 rows; more with --rows\n");
});

/** [what the world or a collector said, how the command ends] */
const ENDS: readonly (readonly [string, number])[] = [
  ["QUERY_SYNTAX", 2],
  ["QUERY_NOT_SELECT", 2],
  ["QUERY_TIMEOUT", 3],
  ["COLLECTOR_UNREACHABLE", 3],
];
for (const [code, exitCode] of ENDS) {
  test(`${code} ends with ${exitCode}`, async () => {
    const place = placeOf("world", {});
    const fails = async (): Promise<never> => {
      throw new SlipwayError({ code, where: "query", message: "no", hint: "think", exitCode: 3 });
    };
    const asked = said([{ ...place, place: { ...place.place, query: fails } }]);
    await assert.rejects(asked, { code, where: "query", message: "no", hint: "think", exitCode });
  });
}
