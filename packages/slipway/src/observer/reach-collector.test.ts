import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SlipwayError } from "@slipway/base";
import type { Answers } from "./answers.ts";
import { newSecrets } from "./install/secrets.ts";
import { reachCollector } from "./reach-collector.ts";
import { startTestCollector, type TestCollector } from "./testing-collector.ts";

const other = await newSecrets(Date.now());
const place = { namespace: "web", service: "shop" };
let collecting: TestCollector;

const [asked, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
const answers = {
  query: async (body: unknown, signal: AbortSignal) => {
    const { sql } = body as { sql: string };
    if (sql === "slow") {
      asked.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      left.resolve();
    }
    if (sql === "wrong")
      throw new SlipwayError({ code: "QUERY_SYNTAX", message: "no such thing", hint: "think", exitCode: 2 });
    if (sql === "failing") throw new SlipwayError({ code: "QUERY_FAILED", message: "no space left" });
    return { columns: [], rows: [[sql]], isTruncated: false, elapsedMs: 1, committed: 1 };
  },
  figures: async () => ({ lines: 1, unread: 0, logs: 0, gaps: 0, warehouse: {} }),
} as unknown as Answers;

before(async () => {
  collecting = await startTestCollector(answers);
});
after(() => collecting.close());

test("a question goes through the API server and comes back with its answer", async () => {
  const collector = await reachCollector("tokyo", collecting.cluster(), place);
  assert.deepEqual((await collector?.query("SELECT 1"))?.rows, [["SELECT 1"]]);
  assert.partialDeepStrictEqual(await collector?.figures(), { lines: 1 });
  await assert.rejects(collector?.query("wrong") as Promise<unknown>, {
    ...{ code: "QUERY_SYNTAX", where: "tokyo/collector", hint: "think", exitCode: 2 },
  });
  await assert.rejects(collector?.query("failing") as Promise<unknown>, {
    code: "QUERY_FAILED",
    exitCode: 3,
  });
});

test("a cluster where none is installed has none", async () => {
  assert.equal(await reachCollector("tokyo", collecting.cluster({ secrets: {} }), place), undefined);
});

test("the token of agents opens nothing", async () => {
  const { secrets } = collecting;
  const stolen = collecting.cluster({ secrets: { ...secrets, "read-token": secrets["agent-token"] } });
  const collector = await reachCollector("tokyo", stolen, place);
  await assert.rejects(collector?.query("SELECT 1") as Promise<unknown>, { code: "COLLECTOR_TOKEN" });
});

test("who shows another certificate gets no token", async () => {
  const collector = await reachCollector(
    "tokyo",
    collecting.cluster({ secrets: { ...collecting.secrets, "ca.crt": other["ca.crt"] } }),
    place,
  );
  await assert.rejects(collector?.query("SELECT 1") as Promise<unknown>, { code: "COLLECTOR_UNREACHABLE" });
});

test("a collector that is not ready says so", async () => {
  const collector = await reachCollector("tokyo", collecting.cluster({ isReady: false }), place);
  await assert.rejects(collector?.figures() as Promise<unknown>, { code: "COLLECTOR_NOT_READY" });
});

test("a collector of an earlier version, which does not know the question, says so", async () => {
  const collector = await reachCollector("tokyo", collecting.cluster(), place);
  await assert.rejects(collector?.ask("asked-of-later-ones") as Promise<unknown>, {
    ...{ code: "COLLECTOR_OTHER", where: "tokyo/collector" },
    hint: /slipway observe install/,
  });
});

test("Ctrl-C ends a question, and the collector hears of it", async () => {
  const collector = await reachCollector("tokyo", collecting.cluster(), place);
  const interrupt = new AbortController();
  const answer = collector?.query("slow", {}, { signal: interrupt.signal });
  await asked.promise;
  interrupt.abort();
  await assert.rejects(answer as Promise<unknown>, { code: "INTERRUPTED", exitCode: 130 });
  await left.promise;
});
