import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { quantile } from "./histogram.ts";
import { countsForTests, labelsForTests, type WrittenRequest } from "./testing.ts";

const MINUTE = 60_000;
const now = Date.UTC(2026, 4, 1, 12, 0, 30);
const web = { service: "web" };

test("a minute's requests by what became of them; health checks apart", () => {
  const { counts, add } = countsForTests();
  add(
    [
      { at: now, status: 200, ms: 20 },
      { at: now, status: 404, ms: 301 },
      { at: now, status: 499, ms: 9_000 },
      { at: now, status: 500, ms: 300 },
      { at: now, status: 599, ms: undefined },
      { at: now, status: 500, agent: "kube-probe/1.34" },
      { at: now, status: 200, source: 77 },
    ],
    now,
  );
  assert.deepEqual(counts.sum(web, now, 1), { requests: 5, errors: 2, closed: 1, slow: 2, probes: 1 });
  assert.ok(Math.abs((quantile(counts.times(web, now, 1), 0.5) as number) - 304) < 1);
});

test("windows end with the minute of now and are as long as they say", () => {
  const { counts, add } = countsForTests();
  // One request in each of the last 3 days' minutes, and one older than that.
  const minutes = 3 * 24 * 60;
  add(
    Array.from({ length: minutes + 1 }, (_, index) => ({ at: now - index * MINUTE })),
    now,
  );
  for (const window of [1, 5, 30, 59, 60, 61, 120, 360, 1440, minutes]) {
    assert.equal(counts.sum(web, now, window).requests, window, `${window} min`);
  }
  assert.equal(counts.sum(web, now + 2 * MINUTE, 5).requests, 3);
});

test("late lines are counted in their minute, too late and too early ones are told apart", () => {
  const { counts, add } = countsForTests();
  const days = 24 * 60 * MINUTE;
  add([{ at: now - 2 * MINUTE }, { at: now }, { at: now - 2 * MINUTE }], now);
  assert.equal(counts.sum(web, now - 2 * MINUTE, 1).requests, 2);
  add([{ at: now - 4 * days }, { at: now + 10 * days }], now);
  assert.deepEqual([counts.tooLate, counts.ahead], [1, 1]);
  assert.equal(counts.sum(web, now, 1).requests, 2, "a wrong clock's line counts where it came in");
});

test("the same numbers in any order of lines and any cut into batches", () => {
  const request = fc.record({
    at: fc.integer({ min: now - 90 * MINUTE, max: now }),
    status: fc.constantFrom(200, 302, 404, 499, 500, 503),
    ms: fc.integer({ min: 0, max: 2_000 }),
  });
  fc.assert(
    fc.property(fc.array(request, { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), (requests, size) => {
      const whole = countsForTests();
      whole.add(requests, now);
      const cut = countsForTests();
      const shuffled: WrittenRequest[] = [...requests].reverse();
      for (let from = 0; from < shuffled.length; from += size)
        cut.add(shuffled.slice(from, from + size), now);
      for (const window of [1, 7, 60, 91]) {
        const expected = requests.filter(
          ({ at }) => Math.floor(at / MINUTE) > Math.floor(now / MINUTE) - window,
        );
        const sums = whole.counts.sum(web, now, window);
        assert.deepEqual(sums, cut.counts.sum(web, now, window));
        assert.equal(sums.requests, expected.length);
        assert.equal(sums.errors, expected.filter(({ status }) => status >= 500).length);
        assert.equal(sums.slow, expected.filter(({ ms }) => ms > 300).length);
      }
    }),
  );
});

test("requests of a pod whose release becomes known later count as that release's", () => {
  const { counts, add } = countsForTests();
  counts.label(2, labelsForTests({ pod: "web-2", release: 0 }), now);
  counts.label(3, labelsForTests({ pod: "web-3", release: 0 }), now);
  add(
    [
      { at: now, source: 2, status: 500 },
      { at: now, source: 3 },
    ],
    now,
  );
  assert.deepEqual(counts.releases("web"), [0, 1]);
  counts.relabel(2, 7, "abc");
  add([{ at: now, source: 2 }], now);
  assert.deepEqual(counts.sum({ ...web, release: 7 }, now, 1), {
    requests: 2,
    errors: 1,
    closed: 0,
    slow: 0,
    probes: 0,
  });
  assert.equal(counts.sum({ ...web, release: 0 }, now, 1).requests, 1);
  // Nobody names the other: it stays unknown, with what it has counted.
  counts.tidy(now + 31 * MINUTE);
  assert.equal(counts.sum({ ...web, release: 0 }, now, 1).requests, 1);
  assert.equal(counts.sum(web, now, 1).requests, 3);
});

test("where the edge logs a service, only the edge's lines are its requests", () => {
  for (const [accessLog, expected] of [
    ["auto", 2],
    ["edge", 2],
    ["pods", 1],
  ] as const) {
    const { counts, add } = countsForTests({ accessLog });
    counts.label(2, labelsForTests({ origin: "edge" }), now);
    counts.label(3, labelsForTests({ origin: "import" }), now);
    add([{ at: now }, { at: now, source: 2 }, { at: now, source: 2 }, { at: now, source: 3 }], now);
    assert.equal(counts.sum(web, now, 5).requests, expected, accessLog);
  }
  const { counts, add } = countsForTests();
  add([{ at: now }], now);
  assert.equal(counts.sum(web, now, 5).requests, 1, "auto, and the edge has no lines of it");
});

test("more series than there is room for are counted together, never away", () => {
  const { counts, add } = countsForTests({ maxSeries: 3 });
  for (let release = 2; release <= 10; release += 1) counts.label(release, labelsForTests({ release }), now);
  add(
    Array.from({ length: 10 }, (_, index) => ({ at: now, source: index + 1 })),
    now,
  );
  assert.equal(counts.sum(web, now, 1).requests + counts.sum({ service: "other" }, now, 1).requests, 10);
  assert.equal(counts.overflow, 7);
});

test("failures are shown by their routes and a few lines, however many there are", () => {
  const { counts, add } = countsForTests();
  add(
    Array.from({ length: 1_000 }, (_, index) => ({
      at: now + index,
      status: 502,
      ms: 31,
      path: index % 4 === 0 ? "/cart" : `/pay?token=REDACTED`,
    })),
    now,
  );
  assert.deepEqual(counts.failedRoutes(web), [
    { route: "/pay", count: 750 },
    { route: "/cart", count: 250 },
  ]);
  assert.deepEqual(
    counts.samples(web, now).map(({ text }) => text),
    [
      "GET /pay?token=REDACTED → 502 in 31 ms (tokyo, web-1)",
      "GET /pay?token=REDACTED → 502 in 31 ms (tokyo, web-1)",
      "GET /cart → 502 in 31 ms (tokyo, web-1)",
    ],
  );
  assert.deepEqual(counts.samples(web, now + MINUTE), []);
});

test("restored minutes and new lines add up", () => {
  const { counts, add } = countsForTests();
  const key = {
    cluster: "tokyo",
    service: "web",
    release: 1,
    origin: "pod",
    minuteMs: now - (now % MINUTE),
  } as const;
  counts.restore([
    { ...key, class: "2xx", bucket: 40, count: 5 },
    { ...key, class: "5xx", bucket: 90, count: 2 },
    { ...key, class: "499", bucket: undefined, count: 1 },
  ]);
  add([{ at: now, status: 500 }], now);
  assert.deepEqual(counts.sum(web, now, 1), { requests: 9, errors: 3, closed: 1, slow: 2, probes: 0 });
});

test("what no window reaches is forgotten", () => {
  const { counts, add } = countsForTests();
  add([{ at: now }], now);
  const later = now + 4 * 24 * 60 * MINUTE;
  counts.restore([
    {
      cluster: "osaka",
      service: "old",
      release: 3,
      origin: "pod",
      minuteMs: now,
      class: "2xx",
      bucket: 1,
      count: 1,
    },
  ]);
  counts.tidy(later);
  assert.deepEqual(counts.services(), ["web"]);
  assert.equal(counts.sum(web, now, 1).requests, 0);
});
