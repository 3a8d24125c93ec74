import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRoute, routeHash, tokenOf } from "./route.ts";

test("what a link says is what is shown, and back", () => {
  for (const hash of ["#/now", "#/release/42", "#/logs?class=5xx&grep=a%26b", "#/queries/slow%2Froutes"]) {
    assert.equal(routeHash(parseRoute(hash)), hash);
  }
  assert.deepEqual(parseRoute(""), { page: "now", id: undefined, parameters: {} });
  assert.equal(parseRoute("#/nothing/1").page, "now");
  assert.equal(routeHash({ page: "logs", parameters: { grep: "", service: "web" } }), "#/logs?service=web");
  assert.equal(tokenOf("#token=abc"), "abc");
  assert.equal(tokenOf("#/now"), undefined);
});
