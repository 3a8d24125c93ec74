/**
 * Times as histograms with 8 buckets for each doubling: bucket i holds times up to 2^(i/8) ms, so a percentile read from
 * them is at most 9 % above the exact one, and histograms of many minutes, pods or clusters are simply added up.
 * (Percentiles cannot be: the mean of two p95 is no p95.)
 */

/** Up to 2^20 ms, 17 minutes; what is longer is in the last one. */
export const BUCKETS = 161;

const TABLE_MS = 4096;
/** Nearly all requests: a look-up is several times cheaper than a logarithm. */
const table = Uint8Array.from({ length: TABLE_MS }, (_, ms) => computed(ms));

export function bucketOf(ms: number): number {
  return ms < TABLE_MS ? (table[ms] as number) : computed(ms);
}

function computed(ms: number): number {
  // A hair less, because 8 · log2(2^(i/8)) may come out just above i.
  return ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(8 * Math.log2(ms) - 1e-9));
}

/** The longest time of a bucket, ms. */
export function upperMs(bucket: number): number {
  return 2 ** (bucket / 8);
}

/** The time that this share of all does not exceed (nearest rank), ms, as its bucket's upper end; undefined when empty. */
export function quantile(histogram: ArrayLike<number>, share: number): number | undefined {
  let total = 0;
  for (let bucket = 0; bucket < histogram.length; bucket += 1) total += histogram[bucket] as number;
  if (total === 0) return undefined;
  const rank = Math.max(1, Math.ceil(share * total));
  let seen = 0;
  for (let bucket = 0; bucket < histogram.length; bucket += 1) {
    seen += histogram[bucket] as number;
    if (seen >= rank) return upperMs(bucket);
  }
  return upperMs(histogram.length - 1);
}
