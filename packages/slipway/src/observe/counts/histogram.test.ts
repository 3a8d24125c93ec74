import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BUCKETS, bucketOf, quantile, upperMs } from "./histogram.ts";

test("a bucket holds times up to 2^(i/8) ms", () => {
  const table: readonly (readonly [number, number])[] = [
    [0, 0],
    [1, 0],
    [2, 8],
    [3, 13],
    [4, 16],
    [300, 66],
    [1024, 80],
    [1025, 81],
    [4096, 96],
    [5000, 99],
    [0xffff_fffe, BUCKETS - 1],
  ];
  for (const [ms, bucket] of table) assert.equal(bucketOf(ms), bucket, `${ms} ms`);
});

test("a percentile is at least the exact one and at most 9 % above it", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 900_000 }), { minLength: 1, maxLength: 300 }),
      fc.constantFrom(0.5, 0.9, 0.95, 0.99, 1),
      (times, share) => {
        const histogram = new Float64Array(BUCKETS);
        for (const ms of times) (histogram[bucketOf(ms)] as number) += 1;
        const exact = times.sort((a, b) => a - b)[Math.ceil(share * times.length) - 1] as number;
        const read = quantile(histogram, share) as number;
        assert.ok(read >= exact - 1e-6 && read <= exact * 2 ** (1 / 8) + 1e-6, `${read} for ${exact}`);
      },
    ),
  );
});

test("nothing has no percentile; what is longest ends the last bucket", () => {
  assert.equal(quantile(new Float64Array(BUCKETS), 0.95), undefined);
  assert.equal(upperMs(BUCKETS - 1), 2 ** 20);
});
