/** How far back one looks, and in which steps: about sixty to a hundred and twenty on a chart. */
export const ranges = [
  { value: "15m", text: "15 min", ms: 900_000, stepMs: 15_000 },
  { value: "1h", text: "1 h", ms: 3_600_000, stepMs: 60_000 },
  { value: "6h", text: "6 h", ms: 21_600_000, stepMs: 300_000 },
  { value: "24h", text: "24 h", ms: 86_400_000, stepMs: 900_000 },
  { value: "10d", text: "10 d", ms: 864_000_000, stepMs: 7_200_000 },
] as const;
export type RangeName = (typeof ranges)[number]["value"];

export interface Span {
  readonly from: number;
  readonly to: number;
  readonly stepMs: number;
}

/** The chosen range up to now, or what was chosen with the pointer. On round steps, so that a question is not new each second. */
export function spanOf(
  parameters: Readonly<Record<string, string>>,
  now: number,
  normal: RangeName = "1h",
): Span {
  const from = Number(parameters["from"]);
  const to = Number(parameters["to"]);
  if (from > 0 && to > from) {
    const step = ranges.find(({ stepMs }) => (to - from) / stepMs <= 120) ?? ranges[4];
    return { from, to, stepMs: step.stepMs };
  }
  const range = rangeOf(parameters, normal);
  const end = Math.ceil(now / range.stepMs) * range.stepMs;
  return { from: end - range.ms, to: end, stepMs: range.stepMs };
}

/** `normal` when none is chosen. */
export function rangeOf(
  parameters: Readonly<Record<string, string>>,
  normal: RangeName = "1h",
): (typeof ranges)[number] {
  const wanted = ranges.some(({ value }) => value === parameters["range"]) ? parameters["range"] : normal;
  return ranges.find(({ value }) => value === wanted) ?? ranges[1];
}
