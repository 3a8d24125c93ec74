import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  parseQuantity,
  quantityMillis,
  quantityProblem,
  quantityValue,
  subtractQuantities,
} from "./quantity.ts";

const canonical: [written: string | number, canonical: string][] = [
  ["0", "0"],
  ["0Mi", "0"],
  ["-0", "0"],
  ["1", "1"],
  [2, "2"],
  [0.5, "500m"],
  ["100m", "100m"],
  ["1000m", "1"],
  ["1.5", "1500m"],
  ["1000", "1k"],
  ["1e3", "1e3"],
  ["1E3", "1e3"],
  ["1E", "1E"],
  ["2000e3", "2e6"],
  ["1500e-3", "1500e-3"],
  [".5", "500m"],
  ["5.", "5"],
  ["+1.25", "1250m"],
  ["1024", "1024"],
  ["1024Ki", "1Mi"],
  ["1.5Gi", "1536Mi"],
  ["1023Ki", "1023Ki"],
  ["0.5Ki", "512"],
  ["0.0005Ki", "512m"],
  ["1.0005Ki", "1025"],
  ["-1.5Gi", "-1536Mi"],
  ["-100m", "-100m"],
  ["1n", "1n"],
  ["0.1n", "1n"],
  ["-0.1n", "-1n"],
  ["1100n", "1100n"],
  ["9223372036854775807", "9223372036854775807"],
  ["9223372036854775808", "9223372036854775807"],
  ["1000E", "9223372036854775807"],
];

for (const [written, expected] of canonical) {
  test(`${written} is ${expected} in canonical form`, () => {
    assert.equal(canonicalQuantity(written), expected);
    assert.equal(canonicalQuantity(expected), expected);
  });
}

const WRONG_FORMAT =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX = "unable to parse quantity's suffix";

const invalid: [written: string, message: string][] = [
  ["", WRONG_FORMAT],
  [".", WRONG_FORMAT],
  ["-", WRONG_FORMAT],
  ["Mi", WRONG_FORMAT],
  [" 1", WRONG_FORMAT],
  ["1 ", WRONG_FORMAT],
  ["1.1.M", WRONG_FORMAT],
  ["1+1.0M", WRONG_FORMAT],
  ["100x", WRONG_FORMAT],
  ["1GB", WRONG_FORMAT],
  ["1mi", WRONG_SUFFIX],
  ["1K", WRONG_SUFFIX],
  ["1e", WRONG_SUFFIX],
  ["1i", WRONG_SUFFIX],
  ["1mm", WRONG_SUFFIX],
  ["-3.01e-", WRONG_SUFFIX],
];

for (const [written, message] of invalid) {
  test(`"${written}" is refused: ${message.slice(0, 30)}`, () => {
    assert.equal(quantityProblem(written), message);
    assert.throws(() => parseQuantity(written), { code: "QUANTITY_INVALID", message });
  });
}

test("an absurd exponent is capped without building an absurd number", () => {
  assert.equal(quantityValue("1e999999999"), 2 ** 63);
  assert.equal(canonicalQuantity("1e-999999999"), "1e-9");
});

const arithmetic: [a: string, b: string, sum: string, difference: string, order: number][] = [
  ["100m", "900m", "1", "-800m", -1],
  ["1Gi", "1024Mi", "2Gi", "0", 0],
  ["1Gi", "1G", "2073741824", "73741824", 1],
  ["0", "1Mi", "1Mi", "-1Mi", -1],
  ["1", "0.1", "1100m", "900m", 1],
];

for (const [a, b, sum, difference, order] of arithmetic) {
  test(`${a} and ${b} add to ${sum}, differ by ${difference}`, () => {
    assert.equal(addQuantities(a, b), sum);
    assert.equal(subtractQuantities(a, b), difference);
    assert.equal(compareQuantities(a, b), order);
  });
}

const rounded: [written: string, value: number, millis: number][] = [
  ["1", 1, 1000],
  ["100m", 1, 100],
  ["1001m", 2, 1001],
  ["128Mi", 134217728, 134217728000],
  ["1u", 1, 1],
  ["-100m", -1, -100],
];

for (const [written, value, millis] of rounded) {
  test(`${written} rounds up to ${value} units and ${millis} thousandths`, () => {
    assert.deepEqual([quantityValue(written), quantityMillis(written)], [value, millis]);
  });
}

const written = fc
  .tuple(
    fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }),
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom("", "m", "k", "M", "Ki", "Mi", "e3", "u", "n"),
  )
  .map(([digits, decimals, suffix]) => {
    const sign = digits < 0n ? "-" : "";
    const text = String(digits < 0n ? -digits : digits).padStart(decimals + 1, "0");
    const at = text.length - decimals;
    return `${sign}${text.slice(0, at)}${decimals === 0 ? "" : `.${text.slice(at)}`}${suffix}`;
  });

test("canonical form is stable and of the same size unless a fraction of a byte was rounded up", () => {
  fc.assert(
    fc.property(written, (quantity) => {
      const form = canonicalQuantity(quantity);
      assert.equal(canonicalQuantity(form), form);
      if (parseQuantity(quantity).format !== "BinarySI") assert.equal(compareQuantities(form, quantity), 0);
    }),
  );
});

test("adding and taking away again changes nothing", () => {
  const whole = fc.integer({ min: -(10 ** 9), max: 10 ** 9 }).map((n) => `${n}m`);
  fc.assert(
    fc.property(whole, whole, (a, b) => {
      assert.equal(compareQuantities(subtractQuantities(addQuantities(a, b), b), a), 0);
    }),
  );
});
