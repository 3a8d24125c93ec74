import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bucketOf } from "../../../observe/counts/histogram.ts";
import { bucketAt, type Count, groupBy, histogramOf, quantileOf, trafficOf } from "./traffic.ts";

const count = (statusClass: string, bucket: number, requests: number): Count => ({
  class: statusClass,
  bucket,
  requests,
});

test("without requests there is nothing to divide by", () => {
  assert.deepEqual(trafficOf([], 300_000), {
    requests: 0,
    perSecond: 0,
    errors: 0,
    errorRatio: 0,
    p50: undefined,
    p95: undefined,
    p99: undefined,
  });
  assert.equal(trafficOf([count("2xx", 0, 5)], 0).perSecond, 0);
});

test("5xx alone are errors: a client that left is none, and what a scanner sends neither", () => {
  const traffic = trafficOf(
    [count("2xx", 8, 60), count("5xx", 8, 30), count("499", 8, 5), count("4xx", 8, 5)],
    10_000,
  );
  assert.deepEqual(
    [traffic.requests, traffic.errors, traffic.errorRatio, traffic.perSecond],
    [100, 30, 0.3, 10],
  );
});

test("requests without a time count, but not for percentiles", () => {
  const traffic = trafficOf([count("2xx", -1, 99), count("2xx", 16, 1)], 1000);
  assert.deepEqual([traffic.requests, traffic.p50], [100, 4]);
  assert.equal(trafficOf([count("2xx", -1, 99)], 1000).p50, undefined);
});

test("the bucket of a rank", () => {
  const histogram = [0, 3, 0, 2];
  assert.deepEqual(
    [1, 3, 4, 5, 6].map((rank) => bucketAt(histogram, rank)),
    [1, 1, 3, 3, 3],
  );
  assert.equal(bucketAt([], 1), 0);
});

test("a percentile of two clusters' sum is that of all their requests together, within a bucket", () => {
  const times = fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(times, times, fc.constantFrom(0.5, 0.95, 0.99), (tokyo, osaka, share) => {
      const counts = [...tokyo, ...osaka].map((ms) => count("2xx", bucketOf(ms), 1));
      const all = [...tokyo, ...osaka].sort((a, b) => a - b);
      const exact = all[Math.max(0, Math.ceil(share * all.length - 1e-9) - 1)] as number;
      const seen = quantileOf(histogramOf(counts), share) as number;
      assert.ok(seen >= exact * 0.999 && seen <= exact * 1.0912, `${seen} for ${exact}`);
    }),
  );
});

test("groups keep the order of their first", () => {
  assert.deepEqual(
    [...groupBy([3, 1, 4, 1, 5, 9, 2, 6], (n) => n % 2)],
    [
      [1, [3, 1, 1, 5, 9]],
      [0, [4, 2, 6]],
    ],
  );
});
