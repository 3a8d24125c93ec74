/** Numbers as people read them: three figures and a unit, never a bare number. */

/** Between a number and its unit; and between groups of digits. */
const space = "\u00a0";
const narrowSpace = "\u202f";

/** `950`, `12.3 k`, `4.56 M`: counts. Below ten thousand a count is exact. */
export function count(value: number): string {
  if (Math.abs(value) < 10_000) return grouped(Math.round(value));
  return scaled(value, 1_000, ["", "k", "M", "G", "T"]);
}

/** `41.2/s`; `0.3/s` */
export function perSecond(value: number): string {
  return `${value === 0 ? "0" : value < 10 ? trimmed(value, 2) : figures(value)}/s`;
}

/** Of a ratio: `0 %`, `0.02 %`, `6.2 %`. What is not nothing is never shown as nothing. */
export function percent(ratio: number): string {
  const value = ratio * 100;
  if (value === 0) return `0${space}%`;
  if (value < 0.01) return `<${space}0.01${space}%`;
  return `${value < 1 ? trimmed(value, 2) : trimmed(value, 1)}${space}%`;
}

/** Response times and short durations: `0.8 ms`, `84 ms`, `1.42 s`, `3 min 20 s`. */
export function milliseconds(value: number | null | undefined): string {
  if (value === undefined || value === null) return "–";
  if (value < 10) return `${trimmed(value, 1)}${space}ms`;
  if (value < 999.5) return `${Math.round(value)}${space}ms`;
  if (value < 60_000) return `${trimmed(value / 1_000, value < 10_000 ? 2 : 1)}${space}s`;
  return duration(value);
}

/** The two largest units: `45 s`, `3 min 20 s`, `2 h 5 min`, `9 d 4 h`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const pairs: readonly (readonly [number, string])[] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = pairs.findIndex(([size]) => seconds >= size);
  if (first < 0) return `0${space}s`;
  const [size, unit] = pairs[first] as readonly [number, string];
  const whole = Math.floor(seconds / size);
  const next = pairs[first + 1];
  const rest = next === undefined ? 0 : Math.floor((seconds % size) / next[0]);
  const head = `${whole}${space}${unit}`;
  return rest === 0 || next === undefined ? head : `${head} ${rest}${space}${next[1]}`;
}

/** Memory: `64 Mi`, `1.5 Gi`, as Kubernetes counts. */
export function bytes(value: number): string {
  return scaled(value, 1_024, ["B", "Ki", "Mi", "Gi", "Ti"]);
}

/** Processor time: `12m` is 12 thousandths of a core. */
export function cores(value: number): string {
  return value < 1 ? `${Math.round(value * 1_000)}m` : `${trimmed(value, 2)} cores`;
}

/** `+12 %`, `−3 %`; `×71`, where percents would not be read; and `new` where there was nothing. */
export function change(before: number, after: number): string {
  if (before === 0) return after === 0 ? `±0${space}%` : "new";
  const ratio = (after - before) / before;
  if (ratio >= 9) return `×${figures(after / before)}`;
  const text = trimmed(Math.abs(ratio) * 100, 0);
  return `${text === "0" ? "±" : ratio > 0 ? "+" : "−"}${text}${space}%`;
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let rest = value;
  let unit = 0;
  while (Math.abs(rest) >= step && unit < units.length - 1) {
    rest /= step;
    unit += 1;
  }
  return `${figures(rest)}${units[unit] === "" ? "" : `${space}${units[unit]}`}`;
}

/** Three figures: 4.56, 45.6, 456. */
function figures(value: number): string {
  const size = Math.abs(value);
  return trimmed(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

function trimmed(value: number, digits: number): string {
  return grouped(Number(value.toFixed(digits)));
}

function grouped(value: number): string {
  const [whole = "0", fraction] = String(value).split(".");
  const spaced = whole.replaceAll(/\B(?=(\d{3})+$)/g, narrowSpace);
  return fraction === undefined ? spaced : `${spaced}.${fraction}`;
}
