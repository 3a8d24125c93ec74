/**
 * What a value without quotes means in a Compose file. Compose reads YAML with go-yaml 3, which is neither YAML 1.1 nor
 * 1.2: `0123` is 83 and `1_000` is 1000, but `yes` is a text and `22:22` too. Where a number becomes a text, as in
 * `environment`, it is Go that prints it: `1.10` becomes `1.1`, and `1000000.0` becomes `1e+06`.
 *
 * Source: gopkg.in/yaml.v3 3.0.1, resolve.go; the table in the test is its own answers.
 */
export type Meaning =
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "null"; readonly value: null }
  | { readonly kind: "truth"; readonly value: boolean }
  /** `shown` is the number as a text. */
  | { readonly kind: "whole" | "fraction"; readonly value: number; readonly shown: string }
  /** A date, or no finite number: it depends on Compose's version what is made of it. `shown` is as it was written. */
  | { readonly kind: "unclear"; readonly value: string; readonly shown: string };

const WORDS: ReadonlyMap<string, Meaning> = new Map<string, Meaning>([
  ...["", "~", "null", "Null", "NULL"].map((word) => [word, { kind: "null", value: null }] as const),
  ...["true", "True", "TRUE"].map((word) => [word, { kind: "truth", value: true }] as const),
  ...["false", "False", "FALSE"].map((word) => [word, { kind: "truth", value: false }] as const),
]);
const NOT_FINITE = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const FRACTION = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const DATE =
  /^\d{4}-(\d{1,2})-(\d{1,2})(?:[Tt]\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?(?:Z|[-+]\d\d:\d\d)| \d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?)?$/;
const [LEAST, MOST] = [-(2n ** 63n), 2n ** 64n - 1n];

export function meaningOf(source: string): Meaning {
  const word = WORDS.get(source);
  if (word !== undefined) return word;
  if (NOT_FINITE.test(source) || isDate(source)) return { kind: "unclear", value: source, shown: source };
  if (!/^[-+.0-9]/.test(source)) return { kind: "text", value: source };
  // Of what begins with a point, no underscore is taken out.
  const digits = source.startsWith(".") ? source : source.replaceAll("_", "");
  const whole = wholeNumber(digits);
  if (whole !== undefined) return { kind: "whole", value: Number(whole), shown: String(whole) };
  const value = FRACTION.test(digits) ? Number(digits) : Number.NaN;
  return Number.isFinite(value)
    ? { kind: "fraction", value, shown: printed(value) }
    : { kind: "text", value: source };
}

function isDate(source: string): boolean {
  const [, month, day] = DATE.exec(source) ?? [];
  return Number(month) >= 1 && Number(month) <= 12 && Number(day) >= 1 && Number(day) <= 31;
}

/** With a sign, in base 10, 16, 8 (0o17 and 017) or 2, and no longer than 64 bits. */
function wholeNumber(digits: string): bigint | undefined {
  const match = /^([-+]?)(?:(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+)|(0|[1-9][0-9]*))$/.exec(digits);
  if (match === null) return undefined;
  const [, sign, based, decimal = "0"] = match;
  const size = BigInt(based === undefined ? decimal : based.replace(/^0[oO]?(?=[0-7])/, "0o"));
  const value = sign === "-" ? -size : size;
  // A sign makes it a signed one.
  return value >= LEAST && value <= (sign === "" ? MOST : -LEAST - 1n) ? value : undefined;
}

/** Go's `%v` of a float64: the shortest digits, with an exponent below 1e-4 and from 1e+06 on. */
function printed(value: number): string {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa = "", exponent = "0"] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(value);
  const size = String(Math.abs(power)).padStart(2, "0");
  return `${mantissa}e${power < 0 ? "-" : "+"}${size}`;
}
