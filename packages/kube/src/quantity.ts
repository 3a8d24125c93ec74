/**
 * Resource quantities (`100m`, `1.5Gi`, `2e3`), exact: a value is a bigint of 10^-9 units, which is the smallest
 * step Kubernetes keeps. Floating point is never used, so sums of many pods do not drift. Follows k8s.io/apimachinery
 * `api/resource`: finer values round away from zero, larger ones than 2^63 - 1 are capped, and the canonical form
 * keeps the family of suffix it was written with.
 */
import { SlipwayError } from "@slipway/base";
import type { Quantity } from "./resources/meta.ts";

export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

export interface ParsedQuantity {
  /** The value times 10^9. */
  readonly nanos: bigint;
  readonly format: QuantityFormat;
}

const NANO = 1_000_000_000n;
const MAX_NANOS = (2n ** 63n - 1n) * NANO;
const SHAPE = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(.*)$/s;
const EXPONENT = /^[eE]([+-]?[0-9]+)$/;

const DECIMAL_EXPONENT: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY_SHIFT: Readonly<Record<string, bigint>> = {
  Ki: 10n,
  Mi: 20n,
  Gi: 30n,
  Ti: 40n,
  Pi: 50n,
  Ei: 60n,
};

const WRONG_FORMAT =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX = "unable to parse quantity's suffix";

/** Manifests repeat a handful of quantities in every pod; parsing them once keeps the scheduler cheap. */
const cache = new Map<string, ParsedQuantity>();
const CACHE_LIMIT = 2000;

/** Throws a SlipwayError `QUANTITY_INVALID` with Kubernetes' message. */
export function parseQuantity(quantity: Quantity): ParsedQuantity {
  const text = String(quantity);
  const known = cache.get(text);
  if (known !== undefined) return known;
  const parsed = parse(text);
  if (cache.size >= CACHE_LIMIT) cache.clear();
  cache.set(text, parsed);
  return parsed;
}

/** Why this is not a quantity, or undefined when it is one. */
export function quantityProblem(quantity: Quantity): string | undefined {
  try {
    parseQuantity(quantity);
    return undefined;
  } catch (error) {
    if (error instanceof SlipwayError && error.code === "QUANTITY_INVALID") return error.message;
    throw error;
  }
}

function invalid(message: string): SlipwayError {
  return new SlipwayError({ code: "QUANTITY_INVALID", message });
}

function parse(text: string): ParsedQuantity {
  const [, sign = "", whole = "", fraction = "", suffix = ""] = SHAPE.exec(text) ?? [];
  if (whole === "" && fraction === "") throw invalid(WRONG_FORMAT);
  if (!/^[eEinumkKMGTP]*[-+]?[0-9]*$/.test(suffix)) throw invalid(WRONG_FORMAT);
  const digits = BigInt(whole + fraction);
  const { magnitude, format } = scale(digits, fraction.length, suffix);
  const capped = magnitude > MAX_NANOS ? MAX_NANOS : magnitude;
  return {
    nanos: sign === "-" ? -capped : capped,
    // Below one there is nothing that a binary suffix could express.
    format: format === "BinarySI" && capped < NANO && capped > 0n ? "DecimalSI" : format,
  };
}

/** `digits` with `decimals` of them behind the point and a suffix, in nanos rounded up. */
function scale(
  digits: bigint,
  decimals: number,
  suffix: string,
): { readonly magnitude: bigint; readonly format: QuantityFormat } {
  const shift = BINARY_SHIFT[suffix];
  if (shift !== undefined) {
    return { magnitude: divideUp((digits * NANO) << shift, 10n ** BigInt(decimals)), format: "BinarySI" };
  }
  const exponent = EXPONENT.exec(suffix);
  const power = exponent === null ? DECIMAL_EXPONENT[suffix] : Number(exponent[1]);
  if (power === undefined) throw invalid(WRONG_SUFFIX);
  // A huge exponent would build a huge number only to be capped or rounded; 40 digits past either end are enough.
  const bounded = Math.max(-40 - decimals, Math.min(40 + decimals, power)) + 9 - decimals;
  return {
    magnitude: bounded >= 0 ? digits * 10n ** BigInt(bounded) : divideUp(digits, 10n ** BigInt(-bounded)),
    format: exponent === null ? "DecimalSI" : "DecimalExponent",
  };
}

function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}

/** The canonical form: no fraction, the largest suffix that loses nothing. `1.5` is `1500m`, `1024Mi` is `1Gi`. */
export function formatQuantity(quantity: ParsedQuantity): string {
  const { nanos, format } = quantity;
  if (nanos === 0n) return "0";
  const sign = nanos < 0n ? "-" : "";
  const magnitude = nanos < 0n ? -nanos : nanos;
  if (format === "BinarySI" && magnitude >= 1024n * NANO) return sign + binaryForm(divideUp(magnitude, NANO));
  return sign + decimalForm(magnitude, format === "DecimalExponent");
}

function binaryForm(value: bigint): string {
  let mantissa = value;
  let suffix = "";
  for (const next of Object.keys(BINARY_SHIFT)) {
    if (mantissa % 1024n !== 0n) break;
    mantissa /= 1024n;
    suffix = next;
  }
  return `${mantissa}${suffix}`;
}

function decimalForm(magnitude: bigint, asExponent: boolean): string {
  let mantissa = magnitude;
  let exponent = -9;
  while (mantissa % 1000n === 0n && (asExponent || exponent < 18)) {
    mantissa /= 1000n;
    exponent += 3;
  }
  if (asExponent) return exponent === 0 ? `${mantissa}` : `${mantissa}e${exponent}`;
  const suffix = Object.keys(DECIMAL_EXPONENT).find((name) => DECIMAL_EXPONENT[name] === exponent);
  return `${mantissa}${suffix ?? ""}`;
}

/** The canonical form of a quantity as written. */
export function canonicalQuantity(quantity: Quantity): string {
  return formatQuantity(parseQuantity(quantity));
}

/** Negative, zero or positive, as for Array.sort. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  const difference = parseQuantity(a).nanos - parseQuantity(b).nanos;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The sum in canonical form; its suffixes are of the first operand's family, or the second's when that is zero. */
export function addQuantities(a: Quantity, b: Quantity): string {
  return combine(a, b, 1n);
}

export function subtractQuantities(a: Quantity, b: Quantity): string {
  return combine(a, b, -1n);
}

function combine(a: Quantity, b: Quantity, sign: bigint): string {
  const left = parseQuantity(a);
  const right = parseQuantity(b);
  const format = left.nanos === 0n ? right.format : left.format;
  return formatQuantity({ nanos: left.nanos + sign * right.nanos, format });
}

/** Whole units, rounded away from zero: bytes of memory, a count. */
export function quantityValue(quantity: Quantity): number {
  return Number(roundUp(parseQuantity(quantity).nanos, NANO));
}

/** Thousandths, rounded away from zero: millicores. */
export function quantityMillis(quantity: Quantity): number {
  return Number(roundUp(parseQuantity(quantity).nanos, 1_000_000n));
}

function roundUp(nanos: bigint, step: bigint): bigint {
  return nanos < 0n ? -divideUp(-nanos, step) : divideUp(nanos, step);
}
