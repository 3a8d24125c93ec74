import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import type { QueryAnswer } from "../../warehouse/warehouse.ts";
import { chartSvg, niceCeiling } from "./chart-svg.ts";
import { pngOf } from "./png.ts";

const minute = (at: number): string => new Date(Date.UTC(2026, 0, 31, 9, at)).toISOString();
const answerOf = (columns: QueryAnswer["columns"], rows: QueryAnswer["rows"]): QueryAnswer => ({
  columns,
  rows,
  isTruncated: false,
  elapsedMs: 1,
  committed: 1,
});
const times = answerOf(
  [
    { name: "minute", type: "time" },
    { name: "p50", type: "number" },
    { name: "p95", type: "number" },
  ],
  [
    [minute(0), 20, 90],
    [minute(1), 25, null],
    [minute(2), 22, 180],
    [minute(3), 24, 170],
  ],
);

test("a line has a hole where there is no value, and a point where it is alone", () => {
  const svg = chartSvg("Response times", { kind: "line", x: "minute", y: ["p50", "p95"] }, times) ?? "";
  assert.equal(svg.match(/<polyline/g)?.length, 2);
  assert.equal(svg.match(/<circle/g)?.length, 1);
  assert.match(svg, />09:00</);
});

test("bars stand on each other, up to their sum", () => {
  const svg = chartSvg("t", { kind: "bar", x: "minute", y: ["p50", "p95"] }, times) ?? "";
  assert.match(svg, />250</, "the sum is 202, so the axis ends at 250");
});

test("values of a column are lines of their own", () => {
  const answer = answerOf(
    [
      { name: "minute", type: "time" },
      { name: "release", type: "number" },
      { name: "ratio", type: "number" },
    ],
    [
      [minute(0), 1, 0.1],
      [minute(1), 1, 0.2],
      [minute(1), 2, 0.3],
      [minute(2), 2, 0.4],
      [minute(2), null, 0.5],
    ],
  );
  const svg = chartSvg("t", { kind: "line", x: "minute", y: ["ratio"], by: "release" }, answer) ?? "";
  assert.match(svg, />release 1</);
  assert.match(svg, />release 2</);
  assert.match(svg, />no release</);
});

test("hostile text stays text", () => {
  const answer = answerOf(
    [
      { name: "route", type: "text" },
      { name: "n", type: "number" },
    ],
    [['</text><script>&"\u0000\ud800', 1]],
  );
  const svg = chartSvg("<b>&", { kind: "bar", x: "route", y: ["n"] }, answer) ?? "";
  assert.doesNotMatch(svg, /<script|<b>|\u0000/);
});

test("nothing to draw", () => {
  const chart = { kind: "line" as const, x: "minute", y: ["p50"] };
  assert.equal(chartSvg("t", chart, answerOf(times.columns, [])), undefined);
  assert.equal(chartSvg("t", { ...chart, y: ["p59"] }, times), undefined);
});

const ceilings = [
  [0, 1],
  [0.034, 0.05],
  [1, 1],
  [1.1, 2],
  [202, 250],
  [998, 1000],
] as const;
for (const [value, ceiling] of ceilings) {
  test(`the axis for ${value} ends at ${ceiling}`, () => assert.equal(niceCeiling(value), ceiling));
}

test("the picture is drawn, with its letters", async () => {
  const chart = { kind: "line" as const, x: "minute", y: ["p50", "p95"] };
  const withText = await pngOf(chartSvg("Response times", chart, times) as string);
  const without = await pngOf(
    (chartSvg("Response times", chart, times) as string).replaceAll(/<text.*<\/text>/g, ""),
  );
  assert.deepEqual([...withText.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const size = new DataView(withText.buffer, withText.byteOffset);
  assert.deepEqual([size.getUint32(16), size.getUint32(20)], [1600, 720]);
  assert.notDeepEqual(pixels(withText), pixels(without));
});

function pixels(png: Uint8Array): Buffer {
  const parts: Uint8Array[] = [];
  for (let at = 8; at < png.length; ) {
    const length = new DataView(png.buffer, png.byteOffset + at).getUint32(0);
    const type = Buffer.from(png.subarray(at + 4, at + 8)).toString("latin1");
    if (type === "IDAT") parts.push(png.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  return inflateSync(Buffer.concat(parts));
}
