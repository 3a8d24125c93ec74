import assert from "node:assert/strict";
import { test } from "node:test";
import { type PrometheusAnswer, queryAddress, readAnswer } from "./answer.ts";

const success = (resultType: string, result: unknown): string =>
  JSON.stringify({ status: "success", data: { resultType, result } });
const vector = (value: string): string => success("vector", [{ metric: { pod: "p" }, value: [1.5, value] }]);
const one = (value: number): PrometheusAnswer => ({
  kind: "series",
  series: [{ labels: { pod: "p" }, value }],
});

const answers: readonly (readonly [what: string, body: string, answer: PrometheusAnswer])[] = [
  ["a vector", vector("0.5"), one(0.5)],
  ["small numbers", vector("1e-3"), one(0.001)],
  ["no number", vector("NaN"), one(Number.NaN)],
  ["a division by zero", vector("+Inf"), one(Number.POSITIVE_INFINITY)],
  ["a negative one", vector("-Inf"), one(Number.NEGATIVE_INFINITY)],
  ["no series", success("vector", []), { kind: "series", series: [] }],
  ["a scalar", success("scalar", [1, "2"]), { kind: "series", series: [{ labels: {}, value: 2 }] }],
  ["a matrix", success("matrix", []), { kind: "other", type: "matrix" }],
  ["a string", success("string", [1, "x"]), { kind: "other", type: "string" }],
  [
    "a refusal",
    '{"status":"error","errorType":"bad_data","error":"parse error"}',
    { kind: "refused", why: "parse error" },
  ],
  ["one without a word", '{"status":"error"}', { kind: "refused", why: "no reason given" }],
  ["a page", "<html>", { kind: "unreadable" }],
  ["an answer of something else", '{"ok":true}', { kind: "unreadable" }],
];
for (const [what, body, answer] of answers) {
  test(`Prometheus answers with ${what}`, () => assert.deepEqual(readAnswer(body), answer));
}

test("a query is sent whole, below whatever path the server has", () => {
  const { pathname, searchParams } = new URL(queryAddress("http://p:9090/base/", 'a{b="c"} + 1'));
  assert.equal(pathname, "/base/api/v1/query");
  assert.equal(searchParams.get("query"), 'a{b="c"} + 1');
});
