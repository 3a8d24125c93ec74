/** `slipway dashboard` for clusters of a kubeconfig: served by the command itself, until Ctrl-C. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { jsonLines, type Project, type Running, smallShop } from "../../../../stories/testing.ts";
import { type Reader, signIn } from "../observer/pages/testing.ts";
import type { ClustersAnswer, NowAnswer, ReleasesAnswer, SessionAnswer } from "../server/api.ts";

let project: Project;
before(async () => {
  project = await smallShop();
  await project.edit("slipway.config.ts", 'context("gke_shop_asia-northeast1")', 'context("tokyo")');
  await project.edit("slipway.config.ts", 'context("gke_shop_asia-northeast2")', 'context("osaka")');
  await project.commit("production is what the local clusters look like from outside");
  await project.ok("ship");
  project.env["KUBECONFIG"] = (await project.ok("local", "kubeconfig")).stdout.trim();
});
after(() => project.remove());

interface Served {
  readonly running: Running;
  readonly reader: Reader;
}

async function serve(...options: readonly string[]): Promise<Served> {
  const running = project.start("dashboard", "--env", "production", "--json", ...options);
  await running.sees('"link"');
  const told = jsonLines({ code: 0, stdout: running.text(), stderr: "", text: "" }).find(
    (line) => line["link"] !== undefined,
  ) as { link: string };
  const { hash, port } = new URL(told.link);
  return { running, reader: await signIn(Number(port), decodeURIComponent(hash.replace("#token=", ""))) };
}

test("clusters and releases are there without a collector, and the page says that there is none", async () => {
  const { running, reader } = await serve();
  const session = await reader.get<SessionAnswer>("/api/session");
  assert.deepEqual([session.service, session.environment, session.place], ["shop", "production", "clusters"]);
  const now = await until("both clusters", async () => {
    const answer = await reader.get<NowAnswer>("/api/now");
    return answer.clusters.every(({ reachable }) => reachable) ? answer : undefined;
  });
  assert.match(
    now.lines.problem ?? "",
    /tokyo: no collector is installed.*; osaka: no collector is installed/,
  );
  // A cluster that keeps a page waiting is shown without what it did not say.
  const releases = await until("what was released", async () => {
    const answer = await reader.get<ReleasesAnswer>("/api/releases");
    return answer.releases.length > 0 ? answer.releases : undefined;
  });
  assert.deepEqual(
    releases.map(({ number, outcome }) => [number, outcome]),
    [[1, "healthy"]],
  );
  const clusters = await until("nodes and pods of both clusters", async () => {
    const answer = await reader.get<ClustersAnswer>("/api/clusters");
    return answer.clusters.every(({ nodes, pods }) => nodes.length > 0 && pods.length > 0)
      ? answer.clusters
      : undefined;
  });
  assert.deepEqual(
    clusters.map(({ pods }) => pods.length),
    [1, 1],
  );
  running.child.kill("SIGINT");
  await running.ended;
});

test("a token of one's own is taken, a short one and a wrong port are not", async () => {
  project.env["SLIPWAY_DASHBOARD_TOKEN"] = "0123456789abcdef-chosen";
  const { running } = await serve();
  assert.match(running.text(), /#token=0123456789abcdef-chosen/);
  running.child.kill("SIGINT");
  await running.ended;
  project.env["SLIPWAY_DASHBOARD_TOKEN"] = "short";
  assert.match((await project.fails(2, "dashboard", "--env", "production")).stderr, /at least 16 characters/);
  delete project.env["SLIPWAY_DASHBOARD_TOKEN"];
  const wrong = await project.fails(2, "dashboard", "--env", "production", "--port", "70000");
  assert.match(wrong.stderr, /should be a number from 0 to 65535/);
});

test("what everybody may reach is warned of; of the local world the dashboard is served already", async () => {
  const { running } = await serve("--host", "0.0.0.0");
  assert.match(running.text(), /warning: everybody who reaches 0\.0\.0\.0/);
  running.child.kill("SIGINT");
  await running.ended;
  const told = await project.ok("dashboard");
  assert.match(told.stdout, /served as long as the local world runs/);
  assert.match((await project.fails(2, "dashboard", "--port", "7070")).stderr, /observe\.dashboard\.port/);
});
