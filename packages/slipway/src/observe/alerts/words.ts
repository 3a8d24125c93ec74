/** Numbers as people say them in a message. */

/** `99.9 %`, `0.13 %`: as many digits as say something. */
export function percent(share: number): string {
  const value = 100 * share;
  const digits = value > 99 && value < 100 ? 3 : value >= 10 ? 1 : 2;
  return `${Number(value.toFixed(digits))} %`;
}

const UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
  [1_000, "s"],
];

/** `300 ms`, `1.2 s`, `5 min`, `6 h`, `3 d`: rounded to two digits. */
export function span(ms: number): string {
  const [unit, name] = UNITS.find(([one]) => ms >= one) ?? [1, "ms"];
  const count = ms / unit;
  return `${count >= 10 ? Math.round(count) : Number(count.toFixed(1))} ${name}`;
}

export function number(count: number): string {
  return count.toLocaleString("en-US");
}

export function times(factor: number): string {
  return `${factor >= 10 ? number(Math.round(factor)) : Number(factor.toFixed(1))}×`;
}
