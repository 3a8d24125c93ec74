import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { aService } from "../engines/testing.ts";
import { ready } from "../spec/ready.ts";
import type { Readiness } from "./forms.ts";
import { completedFor, leavesOf, longestDeadline, mergeReadyWhen, showLeaf } from "./readiness.ts";

const shown = (readiness: Readiness): string => leavesOf(readiness).map(showLeaf).join("; ");
const tcp = (port: number) => ({ port, protocol: "tcp" as const });

describe("what only the service says is put in", () => {
  const web = aService("web", { exposed: [tcp(8080), { port: 53, protocol: "udp" }] });
  const two = aService("web", { exposed: [tcp(80), tcp(443)] });
  const cases: readonly (readonly [string, Readiness, typeof web, string | RegExp])[] = [
    ["its ports", ready.ports(), two, "port 80, 443 to listen"],
    ["but not over those that are named", ready.ports(81), two, "port 81 to listen"],
    ["its only port", ready.http("/a"), web, "a status below 400 from GET http://127.0.0.1:8080/a"],
    [
      "inside of all, too",
      ready.all([ready.log("up"), ready.http("/", { tls: true, status: [200, 204], body: /ok/ })]),
      web,
      '"up" in its log; 200 or 204 and the body /ok/ from GET https://127.0.0.1:8080/',
    ],
    ["none of two", ready.http("/"), two, /web: it exposes the ports 80, 443.*\{ port: 80 \}/s],
    ["there is none", ready.http("/"), aService("web"), /it exposes no TCP port.*port: 8080/s],
    ["there are none", ready.ports(), aService("web"), /it exposes no TCP port.*ready\.ports\(8080\)/s],
    [
      "no healthcheck",
      ready.health(),
      aService("web", { healthcheck: "none" }),
      /its healthcheck is switched off/,
    ],
  ];
  for (const [what, readiness, service, expected] of cases) {
    test(what, () => {
      const complete = (): string => shown(completedFor({ web: readiness }, [service])["web"] as Readiness);
      if (typeof expected === "string") return assert.equal(complete(), expected);
      assert.throws(complete, (error: Error & { code: string; where: string; hint: string }) => {
        assert.equal(error.code, "VERIFY_SPEC_INVALID");
        assert.match(error.where, /readiness\.test\.ts:\d+:\d+$/);
        assert.match(`${error.message}\n${error.hint}`, expected);
        return true;
      });
    });
  }
});

test("several stacks may say it of services of their own, and the same of one", () => {
  const merged = mergeReadyWhen([{ db: ready.log("up") }, { web: ready.ports() }, { db: ready.log("up") }]);
  assert.deepEqual(Object.keys(merged), ["db", "web"]);
  assert.throws(
    () => mergeReadyWhen([{ db: ready.log("up") }, { db: ready.log("up", 2) }]),
    /said twice, and differently, when "db" is ready/,
  );
});

test("the longest deadline of all parts", () => {
  const inner = ready.all([ready.ports()], { deadline: "3m" });
  assert.equal(longestDeadline({ db: ready.health(), web: ready.all([inner], { deadline: "2m" }) }), 180_000);
  assert.equal(longestDeadline({ db: ready.health() }), 0);
});
