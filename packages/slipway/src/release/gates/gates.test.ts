/** What each kind of gate concludes, as tables of answers and numbers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import type { GateConfig } from "../../config/types.ts";
import { BUCKETS, bucketOf } from "../../observe/counts/histogram.ts";
import { askErrorRatio, conclude as concludeRatio, sidesOf, splitServed } from "./error-ratio.ts";
import type { CountedRequests, GateFinding, GatePorts, HttpAnswer } from "./gate.ts";
import { askHttp, problemOf } from "./http.ts";
import { askPrometheus, conclude as concludeQuery, seriesOf } from "./prometheus.ts";

const answer = (changes: Partial<HttpAnswer> = {}): HttpAnswer => ({
  status: 200,
  headers: { "content-type": "text/plain", "x-version": "7" },
  body: "all is well",
  ...changes,
});

test("an answer is as expected, or says what is not", () => {
  const expect = { status: 200, body: "well", headers: { "X-Version": "7", "Content-Type": "" } };
  assert.equal(problemOf(expect, answer()), undefined);
  assert.equal(problemOf(expect, answer({ status: 503 })), "answered 503, not 200");
  assert.equal(problemOf(expect, answer({ body: "bad" })), 'answered without "well" in its body');
  assert.equal(problemOf(expect, answer({ headers: {} })), "answered without the header X-Version");
  const other = answer({ headers: { "x-version": "6", "content-type": "a" } });
  assert.equal(problemOf(expect, other), "answered X-Version: 6, not 7");
});

function portsAnswering(answers: readonly (HttpAnswer | Error)[]): { ports: GatePorts; asked: () => number } {
  let asked = 0;
  return {
    asked: () => asked,
    ports: {
      async get() {
        const next = answers[Math.min(asked, answers.length - 1)] as HttpAnswer | Error;
        asked += 1;
        if (next instanceof Error) throw next;
        return next;
      },
      run: () => Promise.reject(new Error("not here")),
      variable: () => undefined,
    },
  };
}

const http: Extract<GateConfig, { kind: "http" }> = {
  kind: "http",
  name: "http",
  timeoutMs: 60_000,
  url: "https://shop.example.com/",
  status: 200,
  body: undefined,
  headers: {},
  attempts: 3,
  intervalMs: 1_000,
};

test("good answers must come in a row: a bad one begins the count again", async () => {
  const clock = new VirtualClock();
  const { ports, asked } = portsAnswering([
    answer(),
    answer({ status: 500 }),
    new Error("refused"),
    answer(),
  ]);
  const said: string[] = [];
  const asking = {
    clock,
    ports,
    signal: new AbortController().signal,
    waiting: (text: string) => said.push(text),
  };
  const found = askHttp(http, asking);
  await clock.advance(30_000);
  assert.equal((await found).outcome, "passed");
  assert.equal(asked(), 6);
  assert.ok(said.includes("https://shop.example.com/ answered 500, not 200"));
  assert.ok(said.includes("https://shop.example.com/ does not answer: refused"));
});

test("too little traffic concludes nothing, and the sentence has the numbers", () => {
  const gate = { maxIncrease: 0.01, minRequests: 100, p95: undefined };
  const rows: readonly [fresh: [number, number], previous: [number, number], outcome: string][] = [
    [[99, 0], [1000, 0], "undecided"],
    [[99, 99], [1000, 0], "undecided"],
    [[200, 2], [1000, 0], "passed"],
    [[200, 3], [1000, 0], "failed"],
    // A release before that failed as much is no better.
    [[200, 20], [1000, 95], "passed"],
    [[200, 20], [1000, 85], "failed"],
    // Too few of the one before: compared with none failed.
    [[200, 2], [10, 10], "passed"],
    [[200, 3], [10, 10], "failed"],
    [[100, 0], [0, 0], "passed"],
  ];
  for (const [[requests, errors], [before, failed], outcome] of rows) {
    const found = concludeRatio(gate, {
      fresh: { requests, errors, times: [] },
      previous: { requests: before, errors: failed, times: [] },
    });
    assert.equal(found.outcome, outcome, `${errors}/${requests} against ${failed}/${before}: ${found.said}`);
    assert.match(found.said, new RegExp(`${errors} of ${requests} requests failed`));
    assert.equal(found.values["previousRequests"], before);
  }
});

/** So many requests of so many milliseconds each. */
const timed = (...groups: readonly (readonly [requests: number, ms: number])[]) => {
  const times = new Array<number>(BUCKETS).fill(0);
  for (const [requests, ms] of groups) times[bucketOf(ms)] = (times[bucketOf(ms)] ?? 0) + requests;
  return { requests: groups.reduce((sum, [requests]) => sum + requests, 0), errors: 0, times };
};

test("the new release may be slower by so much, and by what nobody notices", () => {
  const gate = { maxIncrease: 0.01, minRequests: 100, p95: { maxIncrease: 0.5, ignoreBelowMs: 20 } };
  type Groups = readonly (readonly [requests: number, ms: number])[];
  const rows: readonly [name: string, fresh: Groups, previous: Groups, outcome: string, said: RegExp][] = [
    ["as fast", [[200, 100]], [[500, 100]], "passed", /p95 10\d ms against 10\d ms/],
    ["a quarter slower", [[200, 125]], [[500, 100]], "passed", /allowed up to 1[56]\d ms/],
    ["twice as slow", [[200, 200]], [[500, 100]], "failed", /p95 2\d\d ms against 10\d ms/],
    [
      "only the slowest 4 % are slower",
      [
        [192, 100],
        [8, 5000],
      ],
      [[500, 100]],
      "passed",
      /./,
    ],
    [
      "the slowest 6 % are slower",
      [
        [188, 100],
        [12, 5000],
      ],
      [[500, 100]],
      "failed",
      /./,
    ],
    ["four times 4 ms is not noticed", [[200, 16]], [[500, 4]], "passed", /./],
    ["nothing to compare with", [[200, 5000]], [[50, 1]], "passed", /with nothing to compare it with/],
    ["too little traffic", [[99, 5000]], [[500, 1]], "undecided", /too little traffic/],
  ];
  for (const [name, fresh, previous, outcome, said] of rows) {
    const found = concludeRatio(gate, { fresh: timed(...fresh), previous: timed(...previous) });
    assert.equal(found.outcome, outcome, `${name}: ${found.said}`);
    assert.match(found.said, said, name);
  }
  const kept = concludeRatio(gate, { fresh: timed([200, 200]), previous: timed([500, 100]) }).values;
  assert.ok((kept["newP95"] as number) > (kept["allowedP95"] as number));
  const unknown = concludeRatio(gate, {
    fresh: { requests: 200, errors: 0, times: [] },
    previous: timed([500, 100]),
  });
  assert.equal(unknown.outcome, "failed", "response times that nobody measured are not fast");
});

const count = (cluster: string, replicaSet: string, requests: number, errors: number, service = "web") => ({
  cluster,
  service,
  replicaSet,
  requests,
  errors,
});

test("what new pods served before this release is not counted to it, nor other services", () => {
  const split = splitServed(
    [
      count("tokyo", "web-2", 150, 15),
      count("tokyo", "web-1", 80, 1),
      count("osaka", "web-1", 20, 0),
      count("tokyo", "api-2", 999, 999, "api"),
    ],
    {
      service: "web",
      sideOf: ({ cluster, replicaSet }) =>
        cluster === "tokyo" && replicaSet.endsWith("-2") ? "new" : "previous",
      before: [count("tokyo", "web-2", 50, 5)],
    },
  );
  assert.deepEqual(split, {
    fresh: { requests: 100, errors: 10, times: [] },
    previous: { requests: 100, errors: 1, times: [] },
  });
});

test("services that the release does not change speak neither for it nor against the one before", () => {
  const counts = [
    count("tokyo", "web-2", 100, 50),
    count("tokyo", "web-1", 200, 0),
    // A busy service beside it, of which nothing was changed.
    count("tokyo", "api-1", 100_000, 9_000, "api"),
    // What this release served in an earlier wave is neither.
    count("osaka", "web-2", 300, 150),
  ];
  const split = splitServed(counts, {
    service: undefined,
    sideOf: sidesOf(
      new Map([
        ["osaka", { now: ["web-2", "api-1"], before: ["web-1", "api-1"] }],
        ["tokyo", { now: ["web-2", "api-1"], before: ["web-1", "api-1"] }],
      ]),
      ["tokyo"],
    ),
    before: [],
  });
  assert.deepEqual(split, {
    fresh: { requests: 100, errors: 50, times: [] },
    previous: { requests: 200, errors: 0, times: [] },
  });
});

/** Asks until `looks` answers were given, the last of them again and again; then the time is over. */
async function askRatio(
  looks: readonly (CountedRequests | Error)[],
  tooFew: "fail" | "pass" = "fail",
): Promise<{ readonly found: GateFinding; readonly waited: readonly string[] }> {
  const clock = new VirtualClock();
  const over = new AbortController();
  const waited: string[] = [];
  let asked = 0;
  const { ports } = portsAnswering([]);
  const asking = {
    clock,
    signal: over.signal,
    waiting: (said: string) => void waited.push(said),
    ports: {
      ...ports,
      served: {
        by: "collectors" as const,
        async count() {
          const next = looks[asked];
          asked += 1;
          if (next === undefined) over.abort();
          if (next === undefined || next instanceof Error) throw next ?? over.signal.reason;
          return next;
        },
      },
    },
  };
  const ratio: Extract<GateConfig, { kind: "error-ratio" }> = {
    ...{
      kind: "error-ratio",
      name: "errors",
      timeoutMs: 60_000,
      maxIncrease: 0.01,
      minRequests: 100,
      tooFew,
    },
  };
  const sets = { now: ["web-2"], before: ["web-1"] };
  const running = askErrorRatio(ratio, asking, {
    ...{ wave: ["osaka", "tokyo"], startedAt: 0, before: [] },
    sides: () => sidesOf(new Map(["osaka", "tokyo"].map((name) => [name, sets])), ["osaka", "tokyo"]),
  });
  await clock.advance(60_000);
  return { found: await running, waited };
}

test("nothing is concluded without a cluster of the wave; one beside it may be missing, and is named", async () => {
  const away = (cluster: string, isInstalled = true) => ({ cluster, isInstalled, reason: "is away" });
  const osaka = [count("osaka", "web-1", 500, 0), count("osaka", "web-2", 500, 0)];
  const tokyo = (errors: number) => [count("tokyo", "web-1", 500, 0), count("tokyo", "web-2", 500, errors)];
  const partly = { counts: osaka, missing: [away("tokyo")] };
  const few = { counts: [count("tokyo", "web-2", 5, 0)], missing: [] };
  const whole = { counts: [...osaka, ...tokyo(500)], missing: [away("kyoto")] };
  const rows: readonly (readonly [string, Parameters<typeof askRatio>, GateFinding["outcome"], RegExp])[] = [
    [
      "it comes back, with failures",
      [[partly, new Error("no"), whole]],
      "failed",
      /by the collectors, without kyoto \(is away\)$/,
    ],
    ["it stays away", [[partly, partly]], "timed-out", /^$/],
    ["it went away: too few of before is no pass", [[few, partly], "pass"], "timed-out", /^$/],
    ["too few are a pass where that is wanted", [[partly, few], "pass"], "passed", /too little traffic/],
    [
      "one is installed nowhere",
      [[{ counts: [], missing: [away("osaka", false), away("tokyo", false)] }]],
      "undecided",
      /^nothing is concluded without the requests of osaka \(is away\), tokyo/,
    ],
  ];
  for (const [name, looks, outcome, said] of rows) {
    const { found, waited } = await askRatio(...looks);
    assert.equal(found.outcome, outcome, `${name}: ${found.said}`);
    assert.match(found.said, said, name);
    if (looks[0].includes(partly)) {
      assert.ok(waited.includes("nothing is concluded without the requests of tokyo (is away)"), name);
    }
  }
  const { found } = await askRatio([whole]);
  assert.partialDeepStrictEqual(found.values, { newRequests: 1000, newErrors: 500, countedBy: "collectors" });
});

test("where nobody counts, the words say who could", async () => {
  const clock = new VirtualClock();
  const { ports } = portsAnswering([]);
  const ratio = {
    kind: "error-ratio",
    name: "e",
    timeoutMs: 1,
    maxIncrease: 0,
    minRequests: 1,
    tooFew: "fail",
  } as const;
  const asking = { clock, ports, signal: new AbortController().signal, waiting: () => undefined };
  const facts = { wave: ["osaka"], startedAt: 0, before: [], sides: () => () => "new" as const };
  const found = await askErrorRatio(ratio, asking, facts);
  assert.equal(found.outcome, "undecided");
  assert.match(found.said, /neither an edge of Slipway nor collectors \(slipway observe install\)/);
});

test("a release that replaces no pod is judged by all that its pods serve", () => {
  const side = sidesOf(new Map([["tokyo", { now: ["web-1"], before: ["web-1"] }]]), ["tokyo"]);
  assert.equal(side({ cluster: "tokyo", replicaSet: "web-1" }), "new");
  assert.equal(side({ cluster: "tokyo", replicaSet: "web-0" }), "previous");
  assert.equal(side({ cluster: "kyoto", replicaSet: "web-1" }), "previous", "it was not come to yet");
});

const query: Extract<GateConfig, { kind: "prometheus" }> = {
  kind: "prometheus",
  name: "prometheus",
  timeoutMs: 60_000,
  url: "http://prometheus:9090/",
  query: "errors",
  expect: { operator: "<", value: 0.01 },
  tokenFrom: "PROMETHEUS_TOKEN",
  noData: "fail",
};
const vector = (...values: readonly string[]): string =>
  JSON.stringify({
    status: "success",
    data: {
      resultType: "vector",
      result: values.map((value, index) => ({ metric: { pod: `p${index}` }, value: [1, value] })),
    },
  });

test("every series of an answer must hold; none, or NaN alone, is no data", () => {
  const outcome = (...values: readonly string[]) => concludeQuery(query, seriesOf(vector(...values)));
  assert.equal(outcome("0.001", "0").outcome, "passed");
  assert.equal(outcome("0.001", "0.5").outcome, "failed");
  assert.equal(outcome("0.001", "0.5").said, 'errors{pod="p1"} is 0.5 (2 series), expected < 0.01');
  assert.equal(outcome().outcome, "undecided");
  assert.equal(outcome("NaN").outcome, "undecided");
  assert.equal(outcome("NaN").said, "no data for errors");
  assert.equal(outcome("NaN", "0").outcome, "passed");
  assert.equal(outcome("+Inf").outcome, "failed");
});

test("a scalar is an answer, a matrix and an error are not", () => {
  const scalar = '{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}';
  assert.deepEqual(seriesOf(scalar), [{ labels: {}, value: 2 }]);
  const matrix = '{"status":"success","data":{"resultType":"matrix","result":[]}}';
  assert.throws(() => seriesOf(matrix), /should give a scalar or an instant vector/);
  assert.throws(() => seriesOf('{"status":"error","error":"parse error"}'), /parse error/);
  assert.throws(() => seriesOf("<html>"), /no answer of Prometheus: <html>/);
});

test("no data until the time is over fails, or passes where the gate says so", async () => {
  for (const noData of ["fail", "pass"] as const) {
    const clock = new VirtualClock();
    const { ports } = portsAnswering([answer({ body: vector() })]);
    const stop = new AbortController();
    const asking = { clock, ports, signal: stop.signal, waiting: () => {} };
    const found = askPrometheus({ ...query, noData }, asking);
    await clock.advance(20_000);
    stop.abort();
    assert.equal((await found).outcome, noData === "fail" ? "undecided" : "passed");
    assert.equal((await found).said, "no data for errors");
  }
});

test("a Prometheus that does not answer is not the same as one without data", async () => {
  const clock = new VirtualClock();
  const { ports } = portsAnswering([new Error("connection refused")]);
  const stop = new AbortController();
  const asking = { clock, ports, signal: stop.signal, waiting: () => {} };
  const found = askPrometheus({ ...query, noData: "pass" }, asking);
  await clock.advance(20_000);
  stop.abort();
  assert.equal((await found).outcome, "undecided");
  assert.match((await found).said, /does not answer the query: connection refused/);
});
