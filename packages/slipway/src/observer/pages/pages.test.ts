/** The pages' server over a cluster in this process: what they show of releases, and what happens without what they need. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { ReleaseContext } from "../../release/model.ts";
import { deploy, rollback } from "../../release/release.ts";
import { behaviours, contextOf, rendered, targetsOf } from "../../release/testing.ts";
import type {
  ClustersAnswer,
  DeedAnswer,
  NowAnswer,
  ReleaseAnswer,
  ReleasesAnswer,
  SeriesAnswer,
  ServerEvent,
} from "../../server/api.ts";
import { type Pages, type PagesOptions, startPages } from "./pages.ts";
import { type Reader, signIn } from "./testing.ts";

const TOKEN = "an-open-secret-of-this-test";

let cluster: Cluster;
before(async () => {
  cluster = await startCluster({ name: "tokyo", runtime: "simulated", behaviours });
});
after(() => cluster.stop());

let count = 0;
let context: ReleaseContext;
let pages: Pages;
let reader: Reader;
let stopped: AbortController;
beforeEach(async () => {
  count += 1;
  stopped = new AbortController();
  context = contextOf(targetsOf([cluster]), { service: `shop${count}`, namespace: `shop${count}` });
  await serve();
});
afterEach(async () => {
  stopped.abort();
  await pages.close();
});

async function serve(changes: Partial<PagesOptions> = {}): Promise<void> {
  await pages?.close();
  pages = await startPages({
    release: context,
    place: "world",
    rows: () => ({ sources: [], nothing: "nothing is collected" }),
    token: TOKEN,
    host: "127.0.0.1",
    port: 0,
    assets: "/nowhere",
    log: () => undefined,
    ...changes,
  });
  reader = await signIn(pages.port, TOKEN);
}

const ship = async (tag: string, options: Parameters<typeof rendered>[1] = {}): Promise<void> => {
  await deploy(context, renderedHere(tag, options));
};

function renderedHere(
  tag: string,
  options: Parameters<typeof rendered>[1] = {},
): ReturnType<typeof rendered> {
  const one = rendered(tag, { ...options, service: context.service });
  return {
    ...one,
    objects: one.objects.map((object) => ({
      ...object,
      metadata: { ...object.metadata, namespace: context.namespace },
    })),
  };
}

/** A page may be a moment behind what has just ended. */
const over = (number: number): Promise<ReleasesAnswer> =>
  until(`the end of release ${number}`, async () => {
    const answer = await reader.get<ReleasesAnswer>("/api/releases");
    const newest = answer.releases[0];
    return newest?.number === number && newest.outcome !== "in-progress" ? answer : undefined;
  });

test("before the first release and with nothing collected, each page says so", async () => {
  const now = await reader.get<NowAnswer>("/api/now");
  assert.equal(now.release, undefined);
  assert.deepEqual(now.services, []);
  assert.equal(now.lines.problem, "nothing is collected");
  const { releases, rollbackTo, noRollback } = await reader.get<ReleasesAnswer>("/api/releases");
  assert.deepEqual([releases, rollbackTo, noRollback], [[], undefined, "nothing was released here yet"]);
  const series = await reader.get<SeriesAnswer>("/api/series");
  assert.ok(series.requests.every((one) => one === 0) && series.times.length >= 60);
});

test("a release, its pods, what it changed and where a rollback would go", async () => {
  await ship("v1", { replicas: 2 });
  await ship("v2", { replicas: 3, setting: "good evening" });
  const { releases, rollbackTo } = await over(2);
  assert.deepEqual(
    releases.map(({ number, outcome, commit }) => [number, outcome, commit.slice(0, 2)]),
    [
      [2, "healthy", "v2"],
      [1, "healthy", "v1"],
    ],
  );
  assert.equal(rollbackTo, 1);
  const shown = await until("all pods are shown as ready", async () => {
    const answer = await reader.get<ReleaseAnswer>("/api/releases/2");
    const isDone = answer.pods.length === 3 && answer.pods.every(({ state }) => state === "ready");
    return isDone ? answer : undefined;
  });
  assert.ok(
    shown.pods.every(({ revision, workload }) => revision === "new" && workload === "Deployment web"),
  );
  assert.match(shown.diff, /replicas: 2 -> 3/);
  assert.match(shown.diff, /~ ConfigMap settings/);
  assert.match(shown.diff, /good evening/);
  // What is counted there is the Deployment's, which is watched apart from its pods.
  const clusters = await until("the pods to be counted as ready", async () => {
    const now = await reader.get<NowAnswer>("/api/now");
    return now.clusters[0]?.pods.ready === 3 ? now.clusters : undefined;
  });
  assert.deepEqual(clusters, [{ name: "tokyo", reachable: true, release: 2, pods: { ready: 3, wanted: 3 } }]);
});

test("a failed release says why, with its evidence", async () => {
  await ship("v1");
  await ship("crash");
  await over(2);
  const { release, causes } = await reader.get<ReleaseAnswer>("/api/releases/2");
  assert.equal(release.outcome, "rolled-back");
  assert.match(release.cause ?? "", /ContainerCrash/);
  assert.equal(causes[0]?.code, "ContainerCrash");
  assert.match(causes[0]?.evidence[0]?.text ?? "", /cannot find module/);
});

test("values of Secrets are in no answer", async () => {
  const secret = (value: string): string => `apiVersion: v1
kind: Secret
metadata: { name: key }
stringData: { password: ${value} }
`;
  await deploy(context, renderedHere("v1", { manifest: secret("tulip-and-rose") }));
  await deploy(context, renderedHere("v1", { manifest: secret("daisy-and-lily") }));
  await over(2);
  for (const path of ["/api/releases", "/api/releases/1", "/api/releases/2", "/api/now", "/api/clusters"]) {
    const text = JSON.stringify(await reader.get(path));
    for (const plain of ["tulip-and-rose", "daisy-and-lily"]) {
      assert.ok(!text.includes(plain) && !text.includes(Buffer.from(plain).toString("base64")), path);
    }
  }
  assert.match((await reader.get<ReleaseAnswer>("/api/releases/2")).diff, /~ Secret key/);
});

test("pods, nodes and events of a cluster", async () => {
  await ship("v1");
  // A page does not wait for what a cluster does not answer within a moment, and may be behind what has just ended.
  let shown: ClustersAnswer | undefined;
  const isAll = async (): Promise<boolean> => {
    shown = await reader.get<ClustersAnswer>("/api/clusters");
    const [{ pods = [], nodes = [], events = [], resources = "" } = {}] = shown.clusters;
    const isReady = pods.length === 2 && pods.every(({ ready }) => ready);
    return isReady && nodes.length > 0 && events.length > 0 && !resources.startsWith("no answer");
  };
  await until("its pods, nodes and events", isAll, { describe: () => JSON.stringify(shown) });
  const tokyo = shown?.clusters[0];
  assert.equal(tokyo?.reachable, true);
  assert.ok((tokyo?.nodes.length ?? 0) > 0 && tokyo?.nodes.every(({ ready }) => ready));
  assert.ok(tokyo?.pods.every(({ phase, ready }) => phase === "Running" && ready));
  assert.ok((tokyo?.events.length ?? 0) > 0);
  assert.match(tokyo?.resources ?? "", /nobody measures/);
});

test("a release that is going on comes as events, its pods step by step", async () => {
  await ship("v1");
  const seen: ReleaseAnswer[] = [];
  void (async () => {
    for await (const event of reader.events("/api/events", stopped.signal)) {
      const told = event as ServerEvent;
      if (told.kind === "release" && told.number === 2) seen.push(told.release);
    }
  })();
  await ship("v2");
  /** Of the first new pod; what pods go through is looked at apart from what becomes of the release. */
  const stepsIn = ({ changes }: ReleaseAnswer): readonly string[] => {
    const firstNew = changes.find(({ revision }) => revision === "new");
    return changes.filter(({ name }) => name === firstNew?.name).map(({ state }) => state);
  };
  const isOver = (one: ReleaseAnswer): boolean =>
    one.release.outcome === "healthy" && stepsIn(one).at(-1) === "ready";
  const last = await until("the end of it, and of its pods' steps", () => seen.find(isOver), {
    describe: () => JSON.stringify(seen.map((one) => [one.release.outcome, ...stepsIn(one)])),
  });
  assert.equal(last.release.number, 2);
});

test("while it is stuck, the page says which pod waits for what; afterwards why it failed", async () => {
  await ship("v1");
  const seen: ReleaseAnswer[] = [];
  const shipping = ship("gone");
  await until("release 2", async () => {
    const { releases } = await reader.get<ReleasesAnswer>("/api/releases");
    if (releases[0]?.number !== 2) return false;
    const answer = await reader.get<ReleaseAnswer>("/api/releases/2");
    seen.push(answer);
    return answer.release.outcome !== "in-progress";
  });
  await shipping;
  const stuck = seen.find(({ pods }) => pods.some(({ state }) => state === "failing"));
  const failing = stuck?.pods.find(({ state }) => state === "failing");
  assert.equal(failing?.revision, "new");
  assert.match(failing?.why ?? "", /manifest unknown/);
  assert.ok(seen.some(({ waiting }) => waiting.some(({ text }) => /manifest unknown/.test(text))));
  assert.ok(stuck?.pods.some(({ revision, state }) => revision === "old" && state === "ready"));
  const over = seen.at(-1) as ReleaseAnswer;
  assert.deepEqual(
    over.causes.map(({ code }) => code),
    ["ImageNotFound"],
  );
  assert.ok(over.changes.some(({ state }) => state === "failing"));
});

test("a rollback goes through the engine, once, and as the page showed it", async () => {
  await serve({
    rollBack: async ({ leaves, to }, who, signal) => {
      const { record } = await rollback({ ...context, who }, { promised: { leaves, to }, signal });
      return `release ${record.number}`;
    },
  });
  await ship("v1");
  await ship("v2");
  await over(2);
  const stale = await reader.post("/api/rollback", { release: 1, to: 7, confirm: TOKEN });
  assert.match((stale.body as DeedAnswer).text, /release 2 back to release 1; look again/);
  const answers = await Promise.all(
    [1, 2].map(() => reader.post("/api/rollback", { release: 2, to: 1, confirm: TOKEN })),
  );
  assert.deepEqual(answers.map(({ body }) => (body as DeedAnswer).started).sort(), [false, true]);
  const newest = await until("the rollback is over", async () => {
    const { releases } = await reader.get<ReleasesAnswer>("/api/releases");
    return releases[0]?.number === 3 && releases[0].outcome === "healthy" ? releases[0] : undefined;
  });
  assert.equal(newest.kind, "rollback");
});

test("what is not there is a sentence", async () => {
  for (const [path, body, message] of [
    ["/api/rollback", { release: 2, to: 1 }, "nothing can be changed from here"],
    ["/api/alerts/mute", { id: "a", forMs: 1000, reason: "" }, "there are none here"],
    ["/api/queries/save", { name: "a", title: "", sql: "SELECT 1" }, "nothing can be saved here"],
  ] as const) {
    const { status, text } = await reader.post(path, { ...body, confirm: TOKEN });
    assert.equal(status, 422, text);
    assert.ok(text.includes(message), text);
  }
});
