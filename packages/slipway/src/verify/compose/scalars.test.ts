import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { meaningOf } from "./scalars.ts";

/** What `yaml.Unmarshal` of gopkg.in/yaml.v3 3.0.1 makes of it, and what `fmt.Sprint` then prints. */
const answers: readonly (readonly [string, "whole" | "fraction", string])[] = [
  ["0123", "whole", "83"],
  ["0o17", "whole", "15"],
  ["0O17", "whole", "15"],
  ["-0o17", "whole", "-15"],
  ["0x1F", "whole", "31"],
  ["0x_1", "whole", "1"],
  ["0b11", "whole", "3"],
  ["-0b11", "whole", "-3"],
  ["1_000", "whole", "1000"],
  ["0_1", "whole", "1"],
  ["-0", "whole", "0"],
  ["+5", "whole", "5"],
  ["9007199254740993", "whole", "9007199254740993"],
  ["12345678901234567890", "whole", "12345678901234567890"],
  ["123456789012345678901234567890", "fraction", "1.2345678901234568e+29"],
  ["08", "fraction", "8"],
  ["1.10", "fraction", "1.1"],
  ["1.0", "fraction", "1"],
  ["1.", "fraction", "1"],
  ["-0.0", "fraction", "-0"],
  [".5", "fraction", "0.5"],
  ["+.5", "fraction", "0.5"],
  ["1e3", "fraction", "1000"],
  ["1e6", "fraction", "1e+06"],
  ["123456789.0", "fraction", "1.23456789e+08"],
  ["685230.15", "fraction", "685230.15"],
  ["0.0001", "fraction", "0.0001"],
  ["0.00001", "fraction", "1e-05"],
  ["1.5e-7", "fraction", "1.5e-07"],
];

describe("a number is what go-yaml reads, printed as Go prints it", () => {
  for (const [source, kind, shown] of answers)
    test(source, () => assert.deepEqual(meaningOf(source), { kind, value: Number(shown), shown }));
});

describe("what is no number", () => {
  const texts = [
    "yes",
    "no",
    "on",
    "off",
    "y",
    "22:22",
    "1.2.3",
    "_1",
    ".",
    "-",
    "1e999",
    "0xg",
    "2024-13-01",
  ];
  for (const source of [...texts, "+inf", "10.0.0.1", "1 2", "<<"])
    test(source, () => assert.deepEqual(meaningOf(source), { kind: "text", value: source }));
  for (const source of [
    "2001-12-14",
    "2001-1-2",
    "2001-12-14 10:00:00",
    "2001-12-14t21:59:43.10-05:00",
    "-.inf",
    ".NaN",
  ])
    test(source, () => assert.equal(meaningOf(source).kind, "unclear"));
  for (const source of ["", "~", "null", "Null"])
    test(`"${source}"`, () => assert.deepEqual(meaningOf(source), { kind: "null", value: null }));
  for (const source of ["true", "TRUE", "False"])
    test(source, () => assert.equal(meaningOf(source).value, source.toLowerCase() === "true"));
});
