import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bucketLimitMs, bucketOf, LAST_BUCKET, percentileOf } from "./histogram.ts";

test("a time is in the first bucket that holds it", () => {
  assert.deepEqual([0, 1, 2, 4, 8, 1024, 4096, 8192].map(bucketOf), [0, 0, 8, 16, 24, 80, 96, 104]);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 13_000_000 }), (ms) => {
      const bucket = bucketOf(ms);
      assert.ok(ms <= bucketLimitMs(bucket) * 1.000001);
      assert.ok(bucket === 0 || ms > bucketLimitMs(bucket - 1) * 0.999999);
    }),
  );
  assert.equal(bucketOf(4_000_000_000), LAST_BUCKET);
});

test("a percentile is at most one bucket above the exact one", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 400 }),
      fc.constantFrom(0.5, 0.95, 0.99, 1),
      (times, share) => {
        const counts = new Uint32Array(LAST_BUCKET + 1);
        for (const ms of times) counts[bucketOf(ms)] = (counts[bucketOf(ms)] as number) + 1;
        const exact = [...times].sort((a, b) => a - b)[Math.ceil(share * times.length - 1e-9) - 1] as number;
        const told = percentileOf(counts, share) as number;
        assert.ok(
          told >= exact * 0.999999 && told <= exact * 2 ** (1 / 8) * 1.000001,
          `${told} for ${exact}`,
        );
      },
    ),
  );
  assert.equal(percentileOf([0, 0], 0.5), undefined);
});
