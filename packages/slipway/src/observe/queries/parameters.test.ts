import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { resolveParameters, timeOf } from "./parameters.ts";
import type { QueryParameter } from "./query-file.ts";

const now = Date.UTC(2026, 0, 31, 12, 0, 0) + 789;

const times: readonly (readonly [text: unknown, iso: string | undefined])[] = [
  ["now", "2026-01-31T12:00:00.000Z"],
  ["-1h", "2026-01-31T11:00:00.000Z"],
  ["-1h30m", "2026-01-31T10:30:00.000Z"],
  ["-7d", "2026-01-24T12:00:00.000Z"],
  ["2026-01-30", "2026-01-30T00:00:00.000Z"],
  ["2026-01-30 09:30", "2026-01-30T09:30:00.000Z"],
  ["2026-01-30T09:30:00Z", "2026-01-30T09:30:00.000Z"],
  ["2026-01-30T09:30:00+09:00", "2026-01-30T00:30:00.000Z"],
  [now, "2026-01-31T12:00:00.789Z"],
  ["yesterday", undefined],
  ["2026-13-01", undefined],
  ["-1x", undefined],
  ["'; DROP TABLE access", undefined],
  [Number.NaN, undefined],
];
for (const [text, iso] of times) {
  test(`time ${String(text)}`, () => {
    const at = timeOf(text, now);
    assert.equal(at === undefined ? undefined : new Date(at).toISOString(), iso);
  });
}

const parameters: Readonly<Record<string, QueryParameter>> = {
  from: { type: "time", default: "-1h" },
  rows: { type: "number", default: 50, min: 1, max: 1000 },
  kind: { type: "text", default: "all", oneOf: ["all", "some"] },
  exact: { type: "boolean", default: false },
};
const query = { name: "q", parameters };

test("defaults, and text from a command line", () => {
  assert.deepEqual(resolveParameters(query, {}, now), {
    from: "2026-01-31T11:00:00.000Z",
    rows: 50,
    kind: "all",
    exact: false,
  });
  assert.deepEqual(resolveParameters(query, { rows: "7", exact: "true", kind: "some" }, now), {
    from: "2026-01-31T11:00:00.000Z",
    rows: 7,
    kind: "some",
    exact: true,
  });
});

const refused: readonly Readonly<Record<string, unknown>>[] = [
  { row: 1 },
  { rows: "many" },
  { rows: "" },
  { rows: 0 },
  { rows: 1001 },
  { rows: Number.POSITIVE_INFINITY },
  { kind: "none" },
  { exact: "yes" },
  { from: "soon" },
  { constructor: 1 },
];
for (const given of refused) {
  test(`refused: ${JSON.stringify(given)}`, () => {
    assert.throws(
      () => resolveParameters(query, given, now),
      (error) => error instanceof SlipwayError && error.code === "QUERY_PARAMETER",
    );
  });
}
