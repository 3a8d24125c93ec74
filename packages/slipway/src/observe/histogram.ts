/**
 * Response times as histograms with 8 buckets for each doubling: bucket i holds times of up to 2^(i/8) ms, so a
 * percentile read from it is at most 9 % above the exact one. Histograms of minutes, releases and clusters are added;
 * percentiles cannot be.
 */

/** 2^(190/8) ms are 3.9 hours; longer ones count as that. */
export const LAST_BUCKET = 190;

const PER_DOUBLING = 8;
const TABLE_MS = 4096;
/** Bucket of each whole number of ms, because a logarithm for each request is slow. */
const byMs = Uint8Array.from({ length: TABLE_MS }, (_, ms) => compute(ms));

/** `ms` is a whole number. */
export function bucketOf(ms: number): number {
  return ms < TABLE_MS ? (byMs[ms] as number) : compute(ms);
}

function compute(ms: number): number {
  if (ms <= 1) return 0;
  return Math.min(LAST_BUCKET, Math.ceil(PER_DOUBLING * Math.log2(ms) - 1e-9));
}

/** The longest time that the bucket holds, ms. */
export function bucketLimitMs(bucket: number): number {
  return 2 ** (bucket / PER_DOUBLING);
}

/** The time that a share of requests did not exceed (0.95), ms; undefined without requests. Counts by bucket. */
export function percentileOf(counts: ArrayLike<number>, share: number): number | undefined {
  let total = 0;
  for (let bucket = 0; bucket < counts.length; bucket += 1) total += counts[bucket] as number;
  if (total === 0) return undefined;
  // The k-th smallest, as quantile_disc counts: of 100 requests the 95th.
  const rank = Math.max(1, Math.ceil(share * total - 1e-9));
  let seen = 0;
  for (let bucket = 0; bucket < counts.length; bucket += 1) {
    seen += counts[bucket] as number;
    if (seen >= rank) return bucketLimitMs(bucket);
  }
  return bucketLimitMs(counts.length - 1);
}
