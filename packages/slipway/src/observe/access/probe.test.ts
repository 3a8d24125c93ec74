import assert from "node:assert/strict";
import { test } from "node:test";
import { Dictionary } from "./dictionary.ts";
import { isProbe } from "./probe.ts";

test("health checks are told from people by their user agent", () => {
  const agents = {
    "kube-probe/1.34": true,
    "GoogleHC/1.0": true,
    "ELB-HealthChecker/2.0": true,
    "Mozilla/5.0 (X11; Linux x86_64)": false,
    "curl/8.5.0 kube-probe/1.34": false,
    "": false,
  };
  for (const [agent, expected] of Object.entries(agents)) assert.equal(isProbe(agent), expected, agent);
});

test("a dictionary gives the value of an id, new or known, and `other` for what it does not have", () => {
  const routes = new Dictionary("route", 2, [[1, "/cart"]]);
  assert.equal(routes.idOf("/pay"), 2);
  assert.equal(routes.idOf("/more"), 0);
  assert.deepEqual(
    [0, 1, 2, 3].map((id) => routes.valueOf(id)),
    ["other", "/cart", "/pay", "other"],
  );
});
