/** What a status says beside its table: who is waited for, what nobody looks at any more, and a code for scripts. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import { answerGate } from "../gates/approval.ts";
import type { ReleaseContext } from "../model.ts";
import { deploy, planRelease, status } from "../release.ts";
import { behaviours, contextOf, recordEvents, rendered, targetsOf } from "../testing.ts";
import { renderStatus } from "../text.ts";
import { type ClusterStatus, statusExitCode } from "./status.ts";

let clusters: readonly Cluster[] = [];
let context: ReleaseContext;
before(async () => {
  clusters = await Promise.all(
    ["osaka", "tokyo"].map((name) => startCluster({ name, runtime: "simulated", behaviours })),
  );
  context = contextOf(targetsOf(clusters));
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

test("a release that waits for a person is told with its gate, and how to answer", async () => {
  const gates = [{ kind: "approval", name: "eyes", timeoutMs: 600_000 }] as const;
  const asking = { ...context, release: { ...context.release, gates } };
  const running = deploy(asking, rendered("v1"));
  const report = await until("the release to wait", async () => {
    const now = await status(asking);
    return now.waiting === undefined ? undefined : now;
  });
  const { name, wave, clusters: judged, startedAt } = report.waiting ?? assert.fail("it waits");
  assert.deepEqual([name, wave, judged], ["eyes", 0, ["osaka"]]);
  assert.match(
    renderStatus(report, startedAt + 125_000),
    /^has waited 2m5s for a person: gate eyes after wave 1 \(osaka\)\n {2}yes: slipway release approve · no: slipway release approve --reject$/m,
  );
  await answerGate(asking, { approved: true, message: "" });
  assert.equal((await running).exitCode, 0);
  assert.equal((await status(asking)).waiting, undefined);
});

test("a cluster that was taken out of the configuration is told until a release is healthy without it, and by the status on", async () => {
  await deploy(context, rendered("v2"));
  const alone: ReleaseContext = {
    ...context,
    targets: context.targets.filter(({ name }) => name === "tokyo"),
    release: { ...context.release, waves: [["tokyo"]] },
  };
  const said = /^osaka ran release \d+ when it was last in the configuration; what runs there stays/m;
  assert.match(renderStatus(await status(alone)), said);
  assert.match((await planRelease(alone, rendered("v3"))).warnings.join("\n"), said);
  const shipped = async (tag: string): Promise<string> => {
    const seen = recordEvents();
    assert.equal((await deploy(alone, rendered(tag), seen)).exitCode, 0);
    return seen.events.flatMap((event) => (event.type === "warning" ? [event.message] : [])).join("\n");
  };
  assert.match(await shipped("v3"), said);
  assert.doesNotMatch(await shipped("v4"), said);
  assert.match(renderStatus(await status(alone)), said);
});

const well: ClusterStatus = {
  ...{ name: "tokyo", reachable: true, reason: undefined, runs: 1, workloads: [], drift: [] },
  ...{ health: { verdict: "ok", causes: [] }, lock: undefined },
};
const away = { ...well, reachable: false, runs: undefined, health: undefined };
const coming: ClusterStatus = { ...well, health: { verdict: "waiting", causes: [] } };
const bad: ClusterStatus = { ...well, health: { verdict: "doomed", causes: [] } };
const codes: readonly [what: string, clusters: readonly ClusterStatus[], code: number][] = [
  ["all are well", [well, well], 0],
  ["one without a Deployment of its own runs a release", [well, { ...well, health: undefined }], 0],
  ["one is on its way", [well, coming], 4],
  ["one cannot be asked", [well, away], 3],
  ["one cannot be asked and another is on its way", [coming, away], 3],
  ["one is not well", [well, bad], 1],
  ["one is not well and another cannot be asked", [away, bad], 1],
  ["one runs nothing", [well, { ...well, runs: undefined, health: undefined }], 1],
];
for (const [what, some, code] of codes) {
  test(`the exit code is ${code} when ${what}`, () => {
    assert.equal(statusExitCode({ clusters: some }), code);
  });
}
