/** What is planned around the objects: as data for each policy, and as the lines that people read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import type { AnyObject } from "@slipway/kube";
import type { GateConfig, ReleaseConfig } from "../../config/types.ts";
import { describeGate } from "../gates/describe-gate.ts";
import type { Hook, HookRecord } from "../hooks/hook.ts";
import type { Target } from "../model.ts";
import { apiClient, contextOf, rendered } from "../testing.ts";
import { orderOfDeploy, orderOfRollback, type SilentCluster } from "./order.ts";
import { renderOrder, silenceText } from "./order-text.ts";
import { planRelease } from "./plan.ts";
import { renderPlan } from "./plan-text.ts";

const job: AnyObject = { apiVersion: "batch/v1", kind: "Job", metadata: { name: "migrate" } };
const hook = (when: Hook["when"], run: Partial<Extract<Hook["run"], { kind: "job" }>> = {}): HookRecord => ({
  hook: {
    name: "migrate",
    when,
    timeoutMs: 600_000,
    onRollback: false,
    run: { kind: "job", job, in: "first-cluster", keep: 3, file: "hooks/migrate.yaml", ...run },
  },
  runs: [],
});
const program = (when: Hook["when"], onRollback: boolean): HookRecord => ({
  hook: {
    ...{ name: "warm", when, timeoutMs: 60_000, onRollback },
    run: { kind: "command", command: ["npm", "run", "warm"] },
  },
  runs: [],
});

const smoke: GateConfig = { name: "smoke", kind: "command", timeoutMs: 300_000, command: ["npm", "test"] };
const person: GateConfig = { name: "approval", kind: "approval", timeoutMs: 3_600_000 };

const release = (changes: Partial<ReleaseConfig> = {}): ReleaseConfig => ({
  waves: [["osaka"], ["tokyo", "kyoto"], ["nara"]],
  bakeMs: 60_000,
  onFailure: "rollback-all",
  keep: 20,
  ...changes,
});
const input = (changes: Partial<Parameters<typeof orderOfDeploy>[0]> = {}) => ({
  release: release(),
  clusters: ["osaka", "tokyo", "kyoto", "nara"],
  silent: [],
  skipUnreachable: false,
  hooks: [],
  backTo: 7,
  ...changes,
});

test("what is not configured is no line: two lines tell a release of plain waves", () => {
  assert.deepEqual(renderOrder(orderOfDeploy(input())), [
    "order: osaka, then tokyo + kyoto, then nara; bake 1 min 00 s each",
    "on failure: every cluster that was begun goes back to release 7",
  ]);
});

test("hooks, waves, bakes, gates and maxParallel are told in their order", () => {
  const order = orderOfDeploy(
    input({
      release: release({
        waveSettings: [{ bakeMs: 2_000 }, { maxParallel: 1 }, {}],
        gates: [smoke, person],
        onFailure: "rollback-wave",
      }),
      hooks: [hook("before"), program("after", false), hook("after", { in: "each", file: undefined })],
    }),
  );
  assert.deepEqual(renderOrder(order), [
    "order:",
    "  hook migrate: Job migrate of hooks/migrate.yaml in osaka; within 10 min 00 s",
    "  then osaka; bake 2.0 s",
    "    gate smoke (command): npm test ends with exit code 0; within 5 min 00 s",
    "    gate approval: a person says yes: slipway release approve; within 1 h 00 min",
    "  then tokyo + kyoto, 1 at a time; bake 1 min 00 s",
    "    gate smoke (command): npm test ends with exit code 0; within 5 min 00 s",
    "    gate approval: a person says yes: slipway release approve; within 1 h 00 min",
    // A person is not asked when nothing is left to let through.
    "  then nara; bake 1 min 00 s",
    "    gate smoke (command): npm test ends with exit code 0; within 5 min 00 s",
    "  then hook warm: npm run warm on this machine; within 1 min 00 s",
    "  then hook migrate: Job migrate in osaka, tokyo, kyoto, nara; within 10 min 00 s",
    "on failure: the wave that failed, with what was begun after it, goes back to release 7",
  ]);
});

test("waves that differ in nothing but their clusters are told once, with their gates", () => {
  const order = orderOfDeploy(input({ release: release({ bakeMs: 0, gates: [smoke] }) }));
  assert.deepEqual(renderOrder(order).slice(0, 3), [
    "order:",
    "  osaka, then tokyo + kyoto, then nara; after each",
    "    gate smoke (command): npm test ends with exit code 0; within 5 min 00 s",
  ]);
});

test("where a failure goes is told", () => {
  const failure = (changes: Parameters<typeof input>[0]) => renderOrder(orderOfDeploy(input(changes))).at(-1);
  assert.equal(failure({ release: release({ onFailure: "halt" }) }), "on failure: nothing goes back (halt)");
  assert.equal(
    failure({ backTo: undefined }),
    "on failure: nothing goes back, there is no other release that was healthy",
  );
  assert.equal(
    failure({ backTo: undefined, sameAs: 6 }),
    "on failure: nothing goes back, release 6 that was healthy last has the same content",
  );
});

test("a cluster that did not answer has the fate that the policy gives it", () => {
  const hooks = [hook("before"), hook("after", { in: "each" })];
  const rows = [
    // policy, --skip-unreachable → fate, waves, where the hooks run
    ["fail", false, "refused", "osaka, then tokyo + kyoto, then nara", "osaka"],
    ["fail", true, "left-behind", "tokyo + kyoto, then nara", "tokyo"],
    ["skip", false, "left-behind", "tokyo + kyoto, then nara", "tokyo"],
    ["requeue", false, "requeued", "tokyo + kyoto, then nara, then osaka", "tokyo"],
    ["requeue", true, "requeued", "tokyo + kyoto, then nara, then osaka", "tokyo"],
  ] as const;
  for (const [unreachable, skipUnreachable, fate, waves, first] of rows) {
    const policy = release({ unreachable, requeueForMs: 120_000 });
    const order = orderOfDeploy(input({ release: policy, skipUnreachable, silent: ["osaka"], hooks }));
    assert.deepEqual(order.silent, [{ cluster: "osaka", fate }]);
    assert.equal(order.waves.map(({ clusters }) => clusters.join(" + ")).join(", then "), waves);
    assert.deepEqual(order.before[0]?.clusters, [first]);
    // Hooks of after run when every cluster is healthy, which one that is left behind cannot be.
    const isLeft = fate === "left-behind";
    assert.equal(order.after[0]?.clusters.includes("osaka"), isLeft ? undefined : true, `${unreachable}`);
    assert.deepEqual(order.notRun, isLeft ? ["migrate"] : undefined);
    const text = silenceText(order.silent[0] as SilentCluster, order);
    assert.equal(text.includes("go on without hook migrate at the end, and"), isLeft);
  }
});

test("the wave of those that are tried again says until when, and has the gates that no person answers", () => {
  const policy = release({ unreachable: "requeue", requeueForMs: 120_000, gates: [smoke, person] });
  const order = orderOfDeploy(input({ release: policy, silent: ["osaka"] }));
  assert.deepEqual(
    order.waves.at(-1)?.gates.map(({ name }) => name),
    ["smoke"],
  );
  const late = orderOfDeploy(
    input({ release: policy, silent: ["osaka"], hooks: [hook("before", { in: "each" }), hook("after")] }),
  );
  assert.match(
    renderOrder(late).join("\n"),
    /then osaka, when it answers again within 2 min 00 s, hook migrate first; bake/,
  );
  assert.ok(
    renderOrder(order).includes("  then osaka, when it answers again within 2 min 00 s; bake 1 min 00 s"),
    renderOrder(order).join("\n"),
  );
});

test("a rollback goes everywhere at once, with the hooks that are meant for it", () => {
  const hooks = [hook("before"), program("before", true)];
  const order = orderOfRollback({ clusters: ["osaka", "tokyo", "nara"], silent: ["nara"], hooks });
  assert.deepEqual(renderOrder(order), [
    "order:",
    "  hook warm: npm run warm on this machine; within 1 min 00 s",
    "  then osaka + tokyo",
  ]);
  assert.deepEqual(order.silent, [{ cluster: "nara", fate: "left-behind" }]);
});

test("each kind of gate says what it asks", () => {
  const times = { name: "g", timeoutMs: 1 };
  const url = "https://shop.example.com/healthz";
  const rows: readonly [GateConfig, string][] = [
    [
      { ...times, kind: "http", url, status: 200, headers: {}, attempts: 3, intervalMs: 1 },
      `${url} answers 200, 3 times in a row`,
    ],
    [
      {
        ...{ ...times, kind: "http", url, status: 204, body: "ok", attempts: 1, intervalMs: 1 },
        headers: { server: "", via: "edge" },
      },
      `${url} answers 204, "ok" in its body, the header server, via: edge`,
    ],
    [
      { ...times, kind: "error-ratio", service: "web", maxIncrease: 0.01, minRequests: 100, tooFew: "fail" },
      "the new pods of web fail at most 1 % more of 100 requests than the old ones",
    ],
    [
      {
        ...{ ...times, kind: "prometheus", url: "http://prometheus:9090", query: "sum(\n  errors\n)" },
        ...{ expect: { operator: "<", value: 0.01 }, tokenFrom: "T", noData: "fail" },
      },
      "sum( errors ) < 0.01, asked of http://prometheus:9090",
    ],
    [{ ...times, kind: "command", command: ["sh", "-c", "a\nb"] }, "sh -c 'a b' ends with exit code 0"],
    [person, "a person says yes: slipway release approve"],
  ];
  for (const [gate, asks] of rows) assert.equal(describeGate(gate), asks);
});

test("a plan shows it after the objects, and says of a silent cluster what becomes of it", async () => {
  const away = async (): Promise<never> => {
    throw new SlipwayError({ code: "CLUSTER_UNREACHABLE", message: "connect ECONNREFUSED" });
  };
  const osaka = apiClient("osaka");
  const targets: readonly Target[] = [
    { name: "tokyo", client: apiClient("tokyo") },
    { name: "osaka", client: { ...osaka, get: away, list: away, version: away } },
  ];
  const base = contextOf(targets);
  const manifest =
    "apiVersion: v1\nkind: Service\nmetadata: { name: api }\nspec: { ports: [{ port: 80 }] }\n";
  const show = async (unreachable: "skip" | "requeue"): Promise<string> =>
    renderPlan(
      await planRelease({ ...base, release: { ...base.release, unreachable } }, rendered("v1", { manifest })),
    ).split("\nwarning")[0] as string;
  assert.equal(
    await show("skip"),
    `tokyo:
  + Service api
osaka:
  unreachable: connect ECONNREFUSED
  is left behind as unknown; the others go on, and the release cannot become healthy
order: tokyo; bake 50 ms
on failure: nothing goes back, there is no other release that was healthy`,
  );
  assert.match(
    await show("requeue"),
    /is tried again after the other waves, for 10 min 00 s; unknown if it stays away\norder:\n {2}tokyo; bake 50 ms\n {2}then osaka, when it answers again within 10 min 00 s; bake 50 ms\n/,
  );
});
