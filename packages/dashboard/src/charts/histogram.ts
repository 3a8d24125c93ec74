/** Two latency distributions as steps of one picture. Buckets: 8 for each doubling, bucket i up to 2^(i/8) ms. */
export function bucketMs(bucket: number): number {
  return 2 ** (bucket / 8);
}

export interface Shares {
  /** First and last bucket with anything in one of them. */
  readonly first: number;
  readonly last: number;
  /** Share of all requests of its side, by bucket from `first` on. */
  readonly sides: readonly (readonly number[])[];
  readonly highest: number;
}

/** Undefined when no side has a request. Pairs of buckets are one step: noise is not a finding. */
export function shares(histograms: readonly (readonly number[])[], width = 2): Shares | undefined {
  const length = Math.max(0, ...histograms.map(({ length }) => length));
  const isUsed = (bucket: number): boolean => histograms.some((side) => (side[bucket] ?? 0) > 0);
  const used = [...Array(length).keys()].filter(isUsed);
  if (used.length === 0) return undefined;
  const first = Math.floor((used[0] as number) / width) * width;
  const last = used.at(-1) as number;
  const sides = histograms.map((side) => {
    const total = side.reduce((sum, n) => sum + n, 0);
    const steps: number[] = [];
    for (let bucket = first; bucket <= last; bucket += width) {
      const within = side.slice(bucket, bucket + width).reduce((sum, n) => sum + n, 0);
      steps.push(total === 0 ? 0 : within / total);
    }
    return steps;
  });
  return { first, last, sides, highest: Math.max(...sides.flat()) };
}

/** 1, 2, 5, 10, … ms within the picture, for its axis. */
export function ticks(fromMs: number, toMs: number): readonly number[] {
  const found: number[] = [];
  for (let decade = 1; decade <= toMs; decade *= 10) {
    for (const step of [1, 2, 5]) {
      const tick = decade * step;
      if (tick >= fromMs && tick <= toMs) found.push(tick);
    }
  }
  return found;
}
