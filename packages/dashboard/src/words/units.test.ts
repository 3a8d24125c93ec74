import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, change, cores, count, duration, milliseconds, percent, perSecond } from "./units.ts";

/** Narrow spaces are for the eye; the tables read better without. */
const plain = (text: string): string => text.replaceAll(/[\u202f\u00a0]/g, " ");

test("numbers have three figures and a unit", () => {
  const table: readonly (readonly [string, string])[] = [
    [count(0), "0"],
    [count(950), "950"],
    [count(9_999), "9 999"],
    [count(12_345), "12.3 k"],
    [count(4_560_000), "4.56 M"],
    [perSecond(0), "0/s"],
    [perSecond(0.254), "0.25/s"],
    [perSecond(41.23), "41.2/s"],
    [perSecond(1_234), "1 234/s"],
    [percent(0), "0 %"],
    [percent(0.00002), "< 0.01 %"],
    [percent(0.0002), "0.02 %"],
    [percent(0.0625), "6.3 %"],
    [percent(1), "100 %"],
    [milliseconds(undefined), "–"],
    [milliseconds(0.84), "0.8 ms"],
    [milliseconds(84.4), "84 ms"],
    [milliseconds(999.7), "1 s"],
    [milliseconds(1_423), "1.42 s"],
    [milliseconds(200_000), "3 min 20 s"],
    [duration(0), "0 s"],
    [duration(45_900), "45 s"],
    [duration(3_600_000), "1 h"],
    [duration(7_505_000), "2 h 5 min"],
    [duration(9 * 86_400_000 + 4 * 3_600_000), "9 d 4 h"],
    [bytes(512), "512 B"],
    [bytes(64 * 1_024 * 1_024), "64 Mi"],
    [bytes(1.5 * 1_024 ** 3), "1.5 Gi"],
    [cores(0.012), "12m"],
    [cores(1.5), "1.5 cores"],
    [change(100, 112), "+12 %"],
    [change(100, 97), "−3 %"],
    [change(100, 100.2), "±0 %"],
    [change(0.004, 0.284), "×71"],
    [change(0, 5), "new"],
  ];
  for (const [said, wanted] of table) assert.equal(plain(said), wanted);
});
