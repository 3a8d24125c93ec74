/** The dashboard of a real local world: two releases with requests through the edge, and the numbers that come out. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { commitRelease, jsonLines, type Project, smallShop } from "../../../../../stories/testing.ts";
import type { EdgeStatus } from "../../edge/edge.ts";
import type {
  ClustersAnswer,
  CompareAnswer,
  DeedAnswer,
  LogsAnswer,
  NowAnswer,
  QueryAnswerView,
  ReleaseAnswer,
  ReleasesAnswer,
  SeriesAnswer,
} from "../../server/api.ts";
import { callWorld } from "../../world/control.ts";
import { ask, type Reader, signIn } from "./testing.ts";

/** How long something is waited for on a machine that has much else to do. */
const PATIENCE_MS = 120_000;
const GOOD = 300;
/** The backends are not there, so the front answers 502. */
const BAD = 60;

let project: Project;
let reader: Reader;
let port: number;
let token: string;
before(async () => {
  project = await smallShop();
  await project.ok("ship");
  await until("the dashboard", async () => (await project.world()).observer?.url);
  const [told] = jsonLines(await project.ok("dashboard", "--json")) as [{ url: string; link: string }];
  port = Number(new URL(told.url).port);
  token = decodeURIComponent(new URL(told.link).hash.replace("#token=", ""));
  reader = await signIn(port, token);
});
after(() => project.remove());

async function send(count: number, path: string): Promise<void> {
  const { edge } = await project.world();
  for (let sent = 0; sent < count; sent += 10) {
    await Promise.all(Array.from({ length: 10 }, async () => (await fetch(`${edge}${path}`)).text()));
  }
}

const requestsOf = ({ services }: NowAnswer): number | undefined =>
  services.find(({ service }) => service === "web")?.traffic.requests;

async function nowWith(requests: number): Promise<NowAnswer> {
  let last: NowAnswer | undefined;
  return until(
    `${requests} requests on the page`,
    async () => {
      last = await reader.get<NowAnswer>("/api/now");
      // A page may be a moment behind what has just ended, and which release a new pod is of becomes known a moment later.
      const isOver = last.release?.outcome !== "in-progress";
      const isNamed = last.services.every(({ byRelease }) => byRelease.every(({ release }) => release > 0));
      return isOver && isNamed && requestsOf(last) === requests ? last : undefined;
    },
    {
      timeoutMs: PATIENCE_MS,
      describe: () => JSON.stringify({ services: last?.services, lines: last?.lines }),
    },
  );
}

/** Before the first request: what it answered meanwhile would be counted, too. */
async function edgeKnowsBoth(): Promise<void> {
  await until("the edge to know the pods of both clusters", async () => {
    const { edgeStatus } = await callWorld<{ edgeStatus: EdgeStatus }>(await project.world(), "status");
    const web = edgeStatus.services.find(({ name }) => name === "web");
    return web?.endpoints.filter(({ state }) => state === "healthy").length === 2;
  });
}

test("the first release, its pods and its requests", async () => {
  await edgeKnowsBoth();
  await project.get("/");
  await send(GOOD, "/");
  const now = await nowWith(GOOD + 1);
  assert.deepEqual(
    now.clusters.map(({ name, reachable, release, pods }) => [name, reachable, release, pods.ready]),
    [
      ["tokyo", true, 1, 1],
      ["osaka", true, 1, 1],
    ],
  );
  const [web] = now.services;
  assert.equal(web?.traffic.errors, 0);
  assert.ok((web?.traffic.p95 ?? 0) > 0);
  assert.deepEqual(
    web?.byRelease.map(({ release }) => release),
    [1],
  );
  assert.deepEqual(web?.byCluster.map(({ cluster }) => cluster).sort(), ["osaka", "tokyo"]);
  assert.equal(now.release?.outcome, "healthy");
  const { problem, read, requests, logs, quarantine } = now.lines;
  assert.equal(problem, undefined);
  assert.equal(read, requests + logs + quarantine);
});

test("the second release fails more: compare says so, with the numbers that were sent", async () => {
  await commitRelease(project, "v2");
  await project.ok("ship");
  await edgeKnowsBoth();
  await send(GOOD, "/");
  await send(BAD, "/be1/menu");
  const now = await nowWith(2 * GOOD + 1 + BAD);
  assert.equal(now.services[0]?.traffic.errors, BAD);
  const compared = await reader.get<CompareAnswer>("/api/compare?service=web&a=1&b=2");
  assert.deepEqual(
    [compared.a, compared.b].map(({ traffic, classes }) => [traffic.requests, classes["5xx"] ?? 0]),
    [
      [GOOD + 1, 0],
      [GOOD + BAD, BAD],
    ],
  );
  assert.match(compared.verdict, /^Release 2 fails more \(16\.67 % instead of 0 %\)/);
  assert.ok(compared.routes.some(({ route, requests }) => route === "/" && requests[1] === GOOD));
  const series = await reader.get<SeriesAnswer>("/api/series?service=web");
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  assert.deepEqual([sum(series.requests), sum(series.errors)], [2 * GOOD + 1 + BAD, BAD]);
  assert.deepEqual(
    series.markers.map(({ release }) => release),
    [1, 2],
  );
});

test("failed requests are found, and SQL answers", async () => {
  const { entries } = await reader.get<LogsAnswer>("/api/logs?class=5xx&service=web&limit=1000");
  assert.equal(entries.filter(({ text }) => text.startsWith("GET /be1/menu 502")).length, BAD);
  const run = await reader.post("/api/queries/run", {
    sql: "SELECT release, count(*) AS n FROM requests WHERE status >= 500 GROUP BY release",
  });
  assert.deepEqual((run.body as QueryAnswerView).rows, [[2, BAD]]);
  const refused = await reader.post("/api/queries/run", { sql: "DROP TABLE hot_access" });
  assert.equal(refused.status, 400, refused.text);
});

test("a line comes to who follows the log within a moment", async () => {
  const stop = new AbortController();
  const seen: string[] = [];
  void (async () => {
    for await (const entry of reader.events("/api/logs/tail?service=web", stop.signal))
      seen.push((entry as { text: string }).text);
  })();
  try {
    await until("the line", async () => {
      await send(10, "/menu-of-today");
      return seen.some((text) => text.includes("/menu-of-today"));
    });
  } finally {
    stop.abort();
  }
});

test("nodes and pods of each cluster", async () => {
  const clusters = await until("the pods of before to be gone", async () => {
    const answer = await reader.get<ClustersAnswer>("/api/clusters");
    return answer.clusters.every(({ pods }) => pods.length === 1) ? answer.clusters : undefined;
  });
  assert.deepEqual(
    clusters.map(({ name, pods }) => [name, pods.length, pods[0]?.ready]),
    [
      ["tokyo", 1, true],
      ["osaka", 1, true],
    ],
  );
});

test("what the pods of local clusters use is measured, and shown as that of any cluster", async () => {
  let clusters: ClustersAnswer["clusters"] = [];
  // A page does not wait for what a cluster does not answer within a moment: measuring takes half of it.
  const isMeasured = async (): Promise<boolean> => {
    ({ clusters } = await reader.get<ClustersAnswer>("/api/clusters"));
    return clusters.every(({ pods }) =>
      pods.every(({ cpu, memory }) => cpu !== undefined && memory !== undefined),
    );
  };
  await until("what all of them use", isMeasured, { describe: () => JSON.stringify(clusters) });
  for (const { resources, pods } of clusters) {
    assert.equal(resources, "metrics.k8s.io");
    for (const { cpu, memory } of pods) assert.ok(cpu !== undefined && (memory ?? 0) > 1_000_000);
  }
});

test("rolled back from the page, while the pages live on", async () => {
  const { rollbackTo } = await reader.get<ReleasesAnswer>("/api/releases");
  assert.equal(rollbackTo, 1);
  const answer = await reader.post("/api/rollback", { release: 2, to: 1, confirm: token });
  assert.deepEqual([(answer.body as DeedAnswer).started, answer.status], [true, 200], answer.text);
  await until(
    "the rollback",
    async () => {
      const { releases } = await reader.get<ReleasesAnswer>("/api/releases");
      return releases[0]?.number === 3 && releases[0].outcome === "healthy";
    },
    { timeoutMs: PATIENCE_MS },
  );
  const { release } = await reader.get<ReleaseAnswer>("/api/releases/3");
  assert.deepEqual([release.kind, release.who, release.from], ["rollback", "story", "dashboard"]);
  await until("the steps of its pods", async () => {
    const { changes } = await reader.get<ReleaseAnswer>("/api/releases/3");
    return changes.some(({ state }) => state === "ready");
  });
});

test("a cluster that is lost is said to be, and the page goes on", async () => {
  await callWorld(await project.world(), "lose", { cluster: "osaka" });
  const lost = await until(
    "osaka to be away",
    async () => {
      const { clusters } = await reader.get<NowAnswer>("/api/now");
      const osaka = clusters.find(({ name }) => name === "osaka");
      return osaka?.reachable === false ? osaka : undefined;
    },
    { timeoutMs: PATIENCE_MS },
  );
  assert.notEqual(lost.reason ?? "", "");
  await callWorld(await project.world(), "restore", { cluster: "osaka" });
  await until(
    "osaka to be back",
    async () => (await reader.get<NowAnswer>("/api/now")).clusters.every(({ reachable }) => reachable),
    { timeoutMs: PATIENCE_MS },
  );
});

test("the link outlives a restart of the world, and the session with it", async () => {
  let url = "";
  let isSame = false;
  for (let time = 0; time < 3; time += 1) {
    await project.ok("local", "down");
    await project.ok("local", "up");
    await until("the dashboard", async () => (await project.world()).observer?.url);
    const [told] = jsonLines(await project.ok("dashboard", "--json")) as [{ url: string }];
    url = told.url;
    const here = Number(new URL(url).port);
    isSame = here === port;
    if (isSame) break;
    // Somebody else on this machine may have taken it meanwhile; not each time.
    port = here;
    reader = await signIn(port, token);
  }
  assert.ok(isSame, "the port is another one each time");
  const { status } = await ask(port, { path: "/api/now", headers: { cookie: reader.cookie } });
  assert.equal(status, 200);
  const text = (await project.ok("local", "status")).text;
  assert.ok(text.includes(url) && !text.includes(token), text);
});

test("the pages themselves come compressed, and a new copy only when they changed", async () => {
  const page = await ask(port, { path: "/" });
  assert.equal(page.status, 200);
  assert.match(page.headers["content-type"] ?? "", /^text\/html/);
  const again = await ask(port, { path: "/", headers: { "if-none-match": page.headers.etag ?? "" } });
  assert.deepEqual([again.status, again.text], [304, ""]);
  const [, script = ""] = /src="([^"]+\.js)"/.exec(page.text) ?? [];
  const loaded = await ask(port, {
    path: new URL(script, "http://a/").pathname,
    headers: { "accept-encoding": "br" },
  });
  assert.deepEqual([loaded.status, loaded.headers["content-encoding"]], [200, "br"]);
  assert.match(loaded.headers["cache-control"] ?? "", /immutable/);
  assert.doesNotMatch(
    page.text,
    /<script(?![^>]*\ssrc=)|\son[a-z]+=|<style/,
    "nothing that the policy refuses",
  );
});
