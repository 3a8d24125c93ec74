import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "@slipway/base";
import { bucketOf } from "../../../observe/counts/histogram.ts";
import { compareAnswer, differenceOfShares, intervalOf } from "./compare.ts";
import type { ReleaseCount, RouteCount } from "./figures.ts";

const one = (release: number, statusClass: string, ms: number, requests: number): ReleaseCount => ({
  release,
  commit: `c${release}`,
  class: statusClass,
  bucket: bucketOf(ms),
  requests,
  firstMs: 0,
  lastMs: 60_000,
});

/** So many good ones of 20 ms and so many that fail, of each release. */
function verdict(a: readonly [good: number, bad: number], b: readonly [good: number, bad: number]): string {
  const counts = [
    one(1, "2xx", 20, a[0]),
    one(1, "5xx", 20, a[1]),
    one(2, "2xx", 20, b[0]),
    one(2, "5xx", 20, b[1]),
  ];
  return compareAnswer({ a: 1, b: 2 }, counts, []).verdict;
}

test("what can be said of errors, and when nothing can", () => {
  const cases: readonly [readonly [number, number], readonly [number, number], RegExp][] = [
    [[0, 0], [1000, 0], /^Too little traffic to tell: release 1 had 0 requests/],
    [[199, 0], [1000, 0], /^Too little .* release 1 had 199 requests, and below 200/],
    [[1000, 0], [1, 0], /^Too little .* release 2 had 1 request,/],
    [[1000, 0], [1000, 0], /^No difference .*: 0 % and 0 % errors, p95 21 ms and 21 ms\.$/],
    // One error in 1,000 is no trend.
    [[1000, 0], [999, 1], /^No difference/],
    [[1000, 0], [996, 4], /^No difference/],
    [[990, 10], [970, 30], /^Release 2 fails more \(3 % instead of 1 %\) than release 1\.$/],
    [[970, 30], [990, 10], /^Release 2 fails less \(1 % instead of 3 %\) than release 1\.$/],
    [[990, 10], [985, 15], /^No difference/],
    [[300, 0], [0, 300], /^Release 2 fails more \(100 % instead of 0 %\)/],
    [[0, 300], [0, 300], /^No difference/],
  ];
  for (const [a, b, expected] of cases) assert.match(verdict(a, b), expected);
});

test("the test of two shares, by the worked example", () => {
  const z = differenceOfShares([10, 1000], [30, 1000]) as number;
  assert.ok(Math.abs(z - 3.19) < 0.01, String(z));
  assert.equal(differenceOfShares([1, 1000], [3, 1000]), undefined);
  assert.equal(differenceOfShares([1000, 1000], [998, 1000]), undefined);
});

test("slower is what cannot be chance and is at least a tenth", () => {
  const of = (before: number, after: number, requests: number): string =>
    compareAnswer({ a: 1, b: 2 }, [one(1, "2xx", before, requests), one(2, "2xx", after, requests)], [])
      .verdict;
  assert.match(of(100, 300, 1000), /^Release 2 is slower \(p95 304 ms instead of 108 ms\)/);
  assert.match(of(300, 100, 1000), /^Release 2 is faster/);
  assert.match(of(1500, 3000, 1000), /p95 3\.158 s instead of 1\.579 s/);
  assert.match(of(100, 102, 1000), /^No difference/);
});

test("two samples of one and the same service are called different less than once in twenty", () => {
  const random = seededRandom(7);
  const sample = (release: number): ReleaseCount[] =>
    Array.from({ length: 400 }, () =>
      one(release, random.ratio(2, 100) ? "5xx" : "2xx", Math.floor(5 * 200 ** (random.int(1000) / 1000)), 1),
    );
  const runs = 300;
  let called = 0;
  for (let run = 0; run < runs; run += 1) {
    const { verdict: said } = compareAnswer({ a: 1, b: 2 }, [...sample(1), ...sample(2)], []);
    if (!said.startsWith("No difference")) called += 1;
  }
  // Two questions at 5 % each, of which that for p95 asks for more.
  assert.ok(called / runs < 0.1, `${called} of ${runs}`);
});

test("the interval of a percentile holds the true one", () => {
  const random = seededRandom(3);
  let held = 0;
  for (let run = 0; run < 300; run += 1) {
    const histogram = new Array<number>(101).fill(0);
    for (let index = 0; index < 500; index += 1) {
      const bucket = random.int(101);
      histogram[bucket] = (histogram[bucket] ?? 0) + 1;
    }
    const [low, high] = intervalOf(histogram, 0.95);
    if (low <= 95 && high >= 95) held += 1;
  }
  assert.ok(held / 300 > 0.93, String(held));
});

test("routes: those with enough requests on both sides, the slowest-grown first", () => {
  const route = (name: string, release: number, ms: number, requests: number): RouteCount => ({
    route: name,
    release,
    class: "2xx",
    bucket: bucketOf(ms),
    requests,
  });
  const { routes } = compareAnswer(
    { a: 1, b: 2 },
    [],
    [
      route("/same", 1, 50, 100),
      route("/same", 2, 50, 100),
      route("/slow", 1, 10, 500),
      route("/slow", 2, 80, 500),
      route("/rare", 1, 10, 99),
      route("/rare", 2, 9000, 1000),
      route("/new", 2, 10, 1000),
      route("/fast", 1, 100, 200),
      route("/fast", 2, 10, 200),
    ],
  );
  assert.deepEqual(
    routes.map(({ route: name }) => name),
    ["/slow", "/same", "/fast"],
  );
  assert.deepEqual(routes[0]?.p95, [10.37, 83]);
});
