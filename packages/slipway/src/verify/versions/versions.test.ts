import assert from "node:assert/strict";
import { test } from "node:test";
import type { PackageManager } from "../check.ts";
import { compareAlpine } from "./alpine.ts";
import { compareDebian } from "./debian.ts";
import { isInRange, isRange } from "./range.ts";
import { compareRpm } from "./rpm.ts";

/** Each row rises from left to right; `=` joins equals. */
const DEBIAN = [
  "1.0~rc1-1 1.0~rc2-1 1.0-1 1.0-1+b1 1.0-2 1.0.1-1 1.1-1 1.9-1 1.10-1 2-1 1:0.5-1",
  "1.22.1-9 1.22.1-9+deb12u1 1.22.1-9+deb12u2 1.22.1-10",
  "0~~ 0~~a 0~ 0 0a",
  "1a 1b 1+ 1.1",
  "20240101000000000000001 20240101000000000000002",
  "1.0=1.00 1.1=1.01",
  "0:1.0-1=1.0-1",
];
const ALPINE = [
  "1.0_alpha 1.0_alpha2 1.0_beta 1.0_pre 1.0_rc1 1.0 1.0_git20200101 1.0_p1 1.0a 1.0b 1.0.1",
  "1.2.3-r0 1.2.3-r1 1.2.3-r10 1.2.4-r0",
  "1.05 1.1 1.10",
  "3.1.4-r5=3.1.4-r5",
  "1.2=1.2-r0",
];
const RPM = [
  "1.0~rc1-1 1.0-1 1.0-2 1.0^git1-1 1.0.1-1 1.1-1 1.10-1 1:0.1-1",
  "a 1",
  "1.0a 1.0b 1.0.1",
  "1.0-1.el8 1.0-1.el9 1.0-10.el8",
  "1.01=1.1 1_2=1.2",
];

for (const [name, rows, compare] of [
  ["Debian", DEBIAN, compareDebian],
  ["Alpine", ALPINE, compareAlpine],
  ["RPM", RPM, compareRpm],
] as const) {
  test(`${name} versions stand in the order of its package manager`, () => {
    for (const row of rows) {
      const ranks = row.split(" ").map((group) => group.split("="));
      const flat = ranks.flatMap((group, rank) => group.map((version) => ({ version, rank })));
      for (const a of flat) {
        for (const b of flat) {
          const wanted = Math.sign(a.rank - b.rank);
          assert.equal(Math.sign(compare(a.version, b.version)), wanted, `${a.version} and ${b.version}`);
        }
      }
    }
  });
}

const RANGES: readonly [PackageManager, string, string, boolean | undefined][] = [
  ["dpkg", "1.22.1-9+deb12u1", ">=1.22", true],
  ["dpkg", "1.22.1-9", ">=1.22 <1.22.1", false],
  ["dpkg", "1.22.1-9", "<1 || >= 1.22.1-9", true],
  ["dpkg", "1.22.1-9", "1.22.1-9", true],
  ["dpkg", "1.22.1-9", "1.22.1", false],
  ["dpkg", "2:8.2-1", ">8", true],
  ["dpkg", "1.22~rc1-1", ">=1.22", false],
  ["dpkg", "1.22.1-9", "^1.22", undefined],
  ["apk", "3.1.4-r5", ">=3.1.4-r5", true],
  ["apk", "3.1.4_rc1-r0", ">=3.1.4", false],
  ["rpm", "1.1.1-2.el9", "=1.1.1", true],
  ["npm", "4.17.21", "^4.17", true],
  ["npm", "5.0.0-beta.1", ">=4", false],
  ["npm", "4.17.21", "~4.16", false],
  ["npm", "1.2.3", "1 - 2 || 9.x", true],
  ["npm", "not-a-version", "^1", undefined],
];

test("ranges are read in each manager's own way", () => {
  for (const [manager, version, range, expected] of RANGES) {
    assert.equal(isInRange(manager, version, range), expected, `${manager} ${version} in ${range}`);
  }
  for (const range of [">=1.22 <2", "^1", "1.x", "1.2.3-r4", "1:2.3-4"]) assert.ok(isRange(range), range);
  for (const range of ["", "newest", ">=", ">= 1 oops", "|| 1"]) assert.ok(!isRange(range), range);
});
