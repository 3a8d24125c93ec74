import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SlipwayError } from "@slipway/base";
import { type KubeClient, statusError } from "@slipway/kube";
import { answerGate } from "./gates/approval.ts";
import type { GateRecord } from "./gates/gate.ts";
import { hold, unhold } from "./history/hold.ts";
import { readRecords, writeRecord } from "./history/records.ts";
import {
  bindingsOf,
  type ClusterIdentity,
  checkIdentities,
  describeIdentities,
  identitiesToKeep,
  readIdentities,
} from "./identity.ts";
import { freeze, unlock } from "./lock/freeze.ts";
import type { ReleaseContext, ReleaseRecord, Target } from "./model.ts";
import { deploy, planRelease, rollback, status } from "./release.ts";
import { apiClient, contextOf, gated, recordEvents, rendered } from "./testing.ts";

const record = (number: number, identities: Record<string, string> | undefined) => ({
  number,
  startedAt: Date.UTC(2026, 10, number),
  identities,
});
const at = (day: number): number => Date.UTC(2026, 10, day);

describe("the cluster a name is bound to", () => {
  it("is what the newest release says, since the first that said so without a break", () => {
    const bindings = bindingsOf([
      record(5, { tokyo: "t2" }),
      record(4, { tokyo: "t2", osaka: "o1" }),
      record(3, { tokyo: "t1", osaka: "o1" }),
      record(2, undefined),
      record(1, { tokyo: "t2" }),
    ]);
    assert.deepEqual(Object.fromEntries(bindings), {
      tokyo: { uid: "t2", release: 4, at: at(4) },
      osaka: { uid: "o1", release: 3, at: at(3) },
    });
  });

  it("is kept for a cluster that is away, and changed for one that was bound again", () => {
    const kept = identitiesToKeep(
      [record(1, { tokyo: "t1", osaka: "o1" })],
      [
        { cluster: "tokyo", place: "context t", uid: "t2", bound: undefined },
        { cluster: "osaka", place: "context o", uid: undefined, bound: undefined },
        { cluster: "kyoto", place: "context k", uid: "k1", bound: undefined },
      ],
    );
    assert.deepEqual(kept, { tokyo: "t2", osaka: "o1", kyoto: "k1" });
  });
});

describe("whether a cluster may be touched", () => {
  const one = (
    cluster: string,
    uid?: string,
    bound?: string,
    place: string | undefined = `context ${cluster}`,
  ) =>
    ({
      cluster,
      place,
      uid,
      bound: bound === undefined ? undefined : { uid: bound, release: 3, at: at(3) },
    }) satisfies ClusterIdentity;
  const local = (cluster: string, uid: string, bound: string): ClusterIdentity => ({
    ...one(cluster, uid, bound),
    place: undefined,
  });
  const rows: readonly [
    what: string,
    identities: readonly ClusterIdentity[],
    rebind: readonly string[],
    refused: readonly RegExp[],
  ][] = [
    ["not bound yet", [one("tokyo", "t1")], [], []],
    ["what it is bound to", [one("tokyo", "t1", "t1"), one("osaka", "o1", "o1")], [], []],
    ["not reached", [one("tokyo", undefined, "t1")], [], []],
    [
      "another one",
      [one("tokyo", "x9", "t1")],
      [],
      [
        /context tokyo leads to the cluster x9, but "tokyo" is bound to t1 \(release 3, 2026-11-03 00:00 UTC\)/,
      ],
    ],
    ["another one, rebuilt", [one("tokyo", "x9", "t1")], ["tokyo"], []],
    [
      "another one, and the wrong name is bound again",
      [one("tokyo", "x9", "t1"), one("osaka", "o1", "o1")],
      ["osaka"],
      [/bound to t1/],
    ],
    [
      "two that changed places",
      [one("tokyo", "o1", "t1"), one("osaka", "t1", "o1")],
      [],
      [/cluster o1, which is bound as "osaka", but "tokyo" is bound to t1/, /which is bound as "tokyo"/],
    ],
    [
      "one with two names",
      [one("tokyo", "t1"), one("osaka", "t1")],
      [],
      [/is the same cluster as "tokyo" \(t1\)/],
    ],
    [
      "the one that an unreachable name is bound to",
      [one("tokyo", undefined, "t1"), one("osaka", "t1")],
      [],
      [/is the same cluster as "tokyo"/],
    ],
    [
      "one with two names, bound again",
      [one("tokyo", "t1"), one("osaka", "t1", "o1")],
      ["osaka"],
      [/same cluster/],
    ],
    ["nobody's", [one("tokyo", "t1", "t1")], ["tokio"], [/is not a cluster of this environment/]],
    ["a local one that was made anew", [local("tokyo", "t2", "t1")], [], []],
  ];
  for (const [what, identities, rebind, refused] of rows) {
    it(`${refused.length === 0 ? "yes" : "no"}: ${what}`, () => {
      const found = checkIdentities(identities, rebind);
      assert.equal(found.length, refused.length, found.map(String).join("\n"));
      for (const [index, pattern] of refused.entries()) assert.match(found[index]?.message ?? "", pattern);
    });
  }

  const pinned = (identity: ClusterIdentity, pin?: string): ClusterIdentity => ({
    ...identity,
    written: { where: `c.ts/environments/p/clusters/${identity.cluster}`, context: "gke", pin },
  });

  it("is decided by a pin alone, where there is one", () => {
    const checked = (identity: ClusterIdentity, rebind: readonly string[] = []): readonly string[] =>
      checkIdentities([identity], rebind).map(({ code }) => code);
    assert.deepEqual(checked(pinned(one("tokyo", "t1"), "t1")), []);
    assert.deepEqual(checked(pinned(one("tokyo", "t1"), "x9")), ["CLUSTER_IDENTITY_MISMATCH"]);
    assert.deepEqual(checked(pinned(one("tokyo", "t1"), "x9"), ["tokyo"]), ["CLUSTER_IDENTITY_MISMATCH"]);
    // Rebuilt, and the pin says so: what an earlier release found there is no longer asked.
    assert.deepEqual(checked(pinned(one("tokyo", "t2", "t1"), "t2")), []);
    assert.deepEqual(checked(pinned(one("tokyo", "t1", "t1"), "t2")), ["CLUSTER_IDENTITY_MISMATCH"]);
    assert.deepEqual(checked(pinned(one("tokyo"), "t1")), [], "it does not answer");
    const hidden = { ...pinned(one("tokyo"), "t1"), reason: "it may not be read" };
    assert.deepEqual(checked(hidden), ["CLUSTER_IDENTITY_UNREADABLE"]);
    assert.deepEqual(checked({ ...pinned(one("tokyo")), reason: "it may not be read" }), []);
  });

  it("is told with the pin and the line of the configuration to change", () => {
    const [error] = checkIdentities([pinned(one("tokyo", "t2"), "t1")]);
    assert.equal(
      error?.message,
      "context tokyo leads to the cluster t2, but c.ts/environments/p/clusters/tokyo pins t1",
    );
    assert.match(error?.hint ?? "", /\n {2}tokyo: context\("gke", \{ uid: "t2" \}\)$/);
    assert.equal(error?.exitCode, 2);
  });

  it("comes with the way to pin it as long as nothing is bound", () => {
    assert.deepEqual(
      describeIdentities([
        pinned(one("tokyo", "7f3a9c12-1")),
        pinned(one("osaka", "88888888-1"), "88888888-1"),
      ]),
      [
        "tokyo is context tokyo, cluster 7f3a9c12, not bound yet",
        '  pin it: tokyo: context("gke", { uid: "7f3a9c12-1" })',
        "osaka is context osaka, cluster 88888888, as pinned",
      ],
    );
    assert.deepEqual(
      describeIdentities([pinned(one("tokyo", "7f3a9c12-1")), pinned(one("osaka", "o", "o"))]),
      [
        "tokyo is context tokyo, cluster 7f3a9c12, not bound yet",
        "osaka is context osaka, cluster o since release 3",
      ],
    );
  });

  it("is shown in a line each, and not at all for local ones", () => {
    const bound = "7f3a9c12-0000-4000-8000-000000000000";
    assert.deepEqual(
      describeIdentities([
        one("tokyo", bound, bound),
        one("osaka", bound),
        one("kyoto", "99999999-1", bound),
        one("nara"),
        local("local", bound, bound),
      ]),
      [
        "tokyo is context tokyo, cluster 7f3a9c12 since release 3",
        "osaka is context osaka, cluster 7f3a9c12, not bound yet",
        "kyoto is context kyoto, cluster 99999999, bound before to 7f3a9c12",
        "nara is context nara",
      ],
    );
  });
});

describe("identities in a release", () => {
  const target = (name: string, client: KubeClient = apiClient(name)): Target => ({
    name,
    client,
    place: `context ${name}`,
  });
  /** Nothing but what a release stores: no Deployment, so that no pod is waited for. */
  const manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { a: b }\n";
  const v1 = rendered("v1", { manifest });
  const isMismatch = (error: unknown): boolean =>
    error instanceof SlipwayError && error.code === "CLUSTER_IDENTITY_MISMATCH" && error.exitCode === 2;
  /** Passes reads on and refuses every write. */
  const untouchable = (client: KubeClient): KubeClient => {
    const never = async (): Promise<never> => assert.fail("a stranger's cluster was written to");
    return { ...client, create: never, replace: never, patch: never, apply: never, delete: never };
  };

  it("are told before anything is planned, and stored in every cluster for all of them", async () => {
    const [tokyo, osaka] = [target("tokyo"), target("osaka")];
    const { events, onEvent } = recordEvents();
    await deploy(contextOf([tokyo, osaka]), v1, { onEvent });
    assert.deepEqual(
      events.slice(0, 2).map(({ type }) => type),
      ["identified", "planned"],
    );
    const live = await readIdentities({ targets: [tokyo, osaka] }, []);
    const expected = Object.fromEntries(live.map(({ cluster, uid }) => [cluster, uid]));
    for (const { client } of [tokyo, osaka]) {
      const [stored] = await readRecords(client, { service: "shop", namespace: "default" });
      assert.deepEqual(stored?.identities, expected);
    }
  });

  it("that do not fit stop deploy and rollback before any write, and plan and status say so", async () => {
    const tokyo = target("tokyo");
    await deploy(contextOf([tokyo, target("osaka")]), v1);
    const stranger = apiClient("stranger");
    const moved = contextOf([
      { ...tokyo, client: untouchable(tokyo.client) },
      target("osaka", untouchable(stranger)),
    ]);
    await assert.rejects(deploy(moved, v1), isMismatch);
    await assert.rejects(deploy(moved, v1, { rebind: ["tokyo"] }), isMismatch);
    await assert.rejects(rollback(moved, { to: 1 }));
    const plan = await planRelease(moved, v1);
    assert.ok(plan.refusals.some(isMismatch));
    const report = await status(moved);
    assert.match(
      report.warnings.join("\n"),
      /context osaka leads to the cluster .*, but "osaka" is bound to/,
    );
    const rebound = contextOf([tokyo, target("osaka", stranger)]);
    const result = await deploy(rebound, v1, { rebind: ["osaka"] });
    assert.equal(result.exitCode, 0);
    await deploy(rebound, v1);
  });

  it("that do not fit stop whatever else writes, and what fits is written", async () => {
    let writes = 0;
    const counted = (name: string, client = apiClient(name)): Target =>
      target(
        name,
        gated(client, async (isWrite) => {
          writes += isWrite ? 1 : 0;
        }),
      );
    const [tokyo, osaka] = [counted("tokyo"), counted("osaka")];
    const right = contextOf([tokyo, osaka]);
    const { record: first } = await deploy(right, v1);
    const gate: GateRecord = {
      ...{ wave: 0, clusters: ["tokyo"], name: "go", kind: "approval", outcome: "waiting" },
      ...{ said: "", values: {}, startedAt: 0 },
    };
    const waiting: ReleaseRecord = { ...first, number: 2, outcome: "in-progress", gates: [gate] };
    for (const { client } of [tokyo, osaka]) await writeRecord(client, waiting);
    const commands: readonly [string, (context: ReleaseContext) => Promise<unknown>][] = [
      ["lock", (context) => freeze(context, { message: "the sale" })],
      ["unlock", (context) => unlock(context, { force: true })],
      ["release hold", (context) => hold(context, 1)],
      ["release unhold", (context) => unhold(context, 1)],
      ["release approve", (context) => answerGate(context, { approved: true, message: "" })],
    ];
    // It knows the service and its records, as a copy of osaka does, and is another cluster all the same.
    const stranger = counted("osaka");
    await deploy(contextOf([stranger]), v1);
    await writeRecord(stranger.client, { ...waiting, identities: {} });
    const moved = contextOf([tokyo, stranger]);
    for (const [command, run] of commands) {
      writes = 0;
      await assert.rejects(run(moved), isMismatch, command);
      assert.equal(writes, 0, `${command} wrote to a stranger's cluster`);
      await run(right);
      assert.ok(writes > 0, `${command} has nothing to write, so this says nothing`);
    }
  });

  it("that are pinned stop a lone cluster's first release to another one, whatever --rebind says", async () => {
    const right = target("tokyo");
    const [{ uid }] = (await readIdentities({ targets: [right] }, [])) as [ClusterIdentity];
    const written = { where: "slipway.config.ts/environments/production/clusters/tokyo", context: "t" };
    const at = (client: KubeClient): ReleaseContext =>
      contextOf([{ ...target("tokyo", client), written: { ...written, pin: uid } }]);
    // Nothing was ever released there, so there is no history that could tell.
    const elsewhere = at(untouchable(apiClient("stranger")));
    await assert.rejects(deploy(elsewhere, v1), isMismatch);
    await assert.rejects(deploy(elsewhere, v1, { rebind: ["tokyo"] }), isMismatch);
    await assert.rejects(freeze(elsewhere, { message: "the sale" }), isMismatch);
    assert.equal((await deploy(at(right.client), v1)).exitCode, 0);
  });

  it("of which two are one stop it too", async () => {
    const client = apiClient("both");
    const twice = contextOf([target("tokyo", untouchable(client)), target("osaka", untouchable(client))]);
    await assert.rejects(
      deploy(twice, v1),
      (error) => error instanceof SlipwayError && error.code === "CLUSTER_IDENTITY_SHARED",
    );
  });

  it("that may not be read are a warning", async () => {
    const client = apiClient("tokyo");
    const forbidden: KubeClient = {
      ...client,
      get: (ref) =>
        ref.name === "kube-system"
          ? Promise.reject(statusError(403, "Forbidden", "namespaces is forbidden"))
          : client.get(ref),
    };
    const plan = await planRelease(contextOf([target("tokyo", forbidden)]), v1);
    assert.deepEqual(plan.refusals, []);
    assert.match(
      plan.warnings.join("\n"),
      /clusters\/tokyo: its identity is not checked: it may not be read/,
    );
  });
});
