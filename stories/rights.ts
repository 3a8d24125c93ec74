/**
 * The generated rights are enough, and no more than that: what `slipway rights` prints for an account lets it do its
 * work, without one call that is forbidden on the way, and what an administrator may, it may not. Told of a cluster
 * that enforces rights (`rights.real.test.ts`), and of one for which a client does (`rights.test.ts`).
 *
 * One account deploys, with a migration as a hook Job and a wave that a person lets through; a second one is on call:
 * it approves, holds and lifts holds, and rolls back; a third one reads.
 */
import assert from "node:assert/strict";
import { until } from "@slipway/base";
import { type AnyObject, isReason, type Job, type KubeClient, type Secret } from "@slipway/kube";
import type { GateConfig, HookConfig } from "../packages/slipway/src/config/types.ts";
import { answerGate, waitingGate } from "../packages/slipway/src/release/gates/approval.ts";
import { parseManifest } from "../packages/slipway/src/release/manifests/manifests.ts";
import { renderObjects } from "../packages/slipway/src/release/manifests/render.ts";
import type {
  ReleaseContext,
  ReleaseRecord,
  RenderedRelease,
  Target,
} from "../packages/slipway/src/release/model.ts";
import {
  deploy,
  history,
  hold,
  planRelease,
  rollback,
  status,
  unhold,
} from "../packages/slipway/src/release/release.ts";
import { type Purpose, rightsFor, type Subject } from "../packages/slipway/src/release/rights/rights.ts";
import { contextOf, image, MIGRATION, webManifest } from "../packages/slipway/src/release/testing.ts";

export interface RightsPlace {
  readonly service: string;
  /** Made by an administrator, in the cluster of the rights. */
  readonly namespace: string;
  /** A client of the cluster `tokyo` that may do what `rightsOf` says for this purpose, and nothing else. */
  client(purpose: Purpose): Promise<KubeClient>;
  /** A second cluster, where everything is allowed: a person lets a release through to it. */
  readonly beside: Target;
}

export function rightsOf(
  place: Pick<RightsPlace, "service" | "namespace">,
  purpose: Purpose,
  subjects: readonly Subject[],
): readonly AnyObject[] {
  const rendered = versionOf(place, "v1", "v1");
  const { manifests, unknown } = rightsFor({ ...place, rendered, purpose, subjects });
  assert.deepEqual(unknown, []);
  return manifests;
}

export async function tellRights(place: RightsPlace): Promise<void> {
  const version = (tag: string, migration = tag): RenderedRelease => versionOf(place, tag, migration);

  const deployer = await account(place, "deploy");
  const operator = await account(place, "rollback");
  const reader = await account(place, "read");
  // A cluster where everything is allowed would take what the other refuses.
  const readerAlone = { ...reader.context, targets: reader.context.targets.slice(0, 1) };
  const first = deploy(deployer.context, version("v1"));
  await Promise.race([
    until(
      "somebody is asked",
      async () => (await history(operator.context)).find((one) => waitingGate(one) !== undefined),
      { timeoutMs: 120_000, everyMs: 200 },
    ),
    first.then(({ record }) => assert.fail(`nobody was asked: ${textOf(record)}`)),
  ]);
  // Who only reads neither answers for others nor, below, decides what may be deployed.
  await refused(answerGate(readerAlone, { approved: true, message: "" }));
  reader.forbidden.length = 0;
  const answered = await answerGate(operator.context, { approved: true, message: "looks good" });
  assert.deepEqual(answered.clusters, ["tokyo", place.beside.name]);
  const { record } = await first;
  assertOutcome(record, "healthy");
  assert.deepEqual(migrationsOf(record), [["tokyo", "succeeded", "migrate-1"]]);
  assert.deepEqual(
    record.gates?.map(({ outcome, by }) => [outcome, by]),
    [["passed", "rollback"]],
  );

  const plan = await planRelease(deployer.context, version("v2"));
  assert.deepEqual(
    [plan.refusals, plan.warnings.filter((text) => /may not|cannot be read|not checked/.test(text))],
    [[], []],
  );
  const second = await deploy(deployer.context, version("v2"), { approveGates: true });
  assertOutcome(second.record, "healthy");
  assert.deepEqual(migrationsOf(second.record), [["tokyo", "succeeded", "migrate-2"]]);
  // Of the finished Jobs one is kept: the deployer has deleted the other.
  const jobs = async (): Promise<readonly string[]> => {
    const type = { apiVersion: "batch/v1", kind: "Job" };
    const { items } = await deployer.client.list<Job>(type, { namespace: place.namespace });
    return items.map(({ metadata }) => metadata.name);
  };
  assert.deepEqual(await jobs(), ["migrate-2"]);

  const unmigrated = await deploy(deployer.context, version("v3", "crash"));
  assertOutcome(unmigrated.record, "failed");
  assert.deepEqual(migrationsOf(unmigrated.record), [["tokyo", "failed", "migrate-3"]]);
  const crashed = await deploy(deployer.context, version("crash", "v4"));
  assertOutcome(crashed.record, "rolled-back");
  assert.equal(crashed.clusters[0]?.cause?.code, "ContainerCrash");

  const report = await status(reader.context);
  assert.equal(report.clusters[0]?.runs, 2);
  assert.deepEqual(
    (await history(reader.context)).map(({ number, outcome }) => [number, outcome]),
    [
      [4, "rolled-back"],
      [3, "failed"],
      [2, "healthy"],
      [1, "healthy"],
    ],
  );

  const held = await hold(operator.context, 1, { message: "loses payments" });
  assert.deepEqual(held.missing, []);
  await assert.rejects(deploy(deployer.context, version("v1")), {
    code: "RELEASE_HELD",
    message: /put on hold by rollback .*"loses payments"$/,
  });
  const lifted = await unhold(operator.context, 1);
  assert.deepEqual([lifted.changed, lifted.missing], [held.changed, []]);
  // The newest release went back by itself, so the one to leave is named.
  await assert.rejects(rollback(operator.context), { code: "ROLLBACK_OF_ROLLBACK" });
  const back = await rollback(operator.context, { to: 1 });
  assertOutcome(back.record, "healthy");
  assert.equal(back.record.restores, 1);

  assert.deepEqual(
    { deploy: deployer.forbidden, read: reader.forbidden, rollback: operator.forbidden },
    { deploy: [], read: [], rollback: [] },
  );

  const elsewhere = { namespace: "kube-system" };
  const { namespace } = place;
  await refused(deployer.client.list({ apiVersion: "v1", kind: "Secret" }, elsewhere));
  await refused(deployer.client.delete({ apiVersion: "v1", kind: "Namespace", name: namespace }));
  await refused(deployer.client.exec({ namespace, name: "any" }, { command: ["true"] }));
  await refused(reader.client.apply(version("v1").objects[0] as Secret, { fieldManager: "x", dryRun: true }));
  await refused(hold(readerAlone, `sha256:${"f".repeat(64)}`));
}

interface Account {
  readonly context: ReleaseContext;
  readonly client: KubeClient;
  /** What was forbidden so far. */
  readonly forbidden: string[];
}

async function account(place: RightsPlace, purpose: Purpose): Promise<Account> {
  const { service, namespace } = place;
  const forbidden: string[] = [];
  const client = audited(await place.client(purpose), forbidden);
  const targets = [{ name: "tokyo", client, place: `context ${purpose}` }, place.beside];
  const gate: GateConfig = { kind: "approval", name: "go", timeoutMs: 120_000 };
  const base = contextOf(targets, { service, namespace, who: purpose });
  return { context: { ...base, release: { ...base.release, gates: [gate] } }, client, forbidden };
}

/** The same client, which writes down every call that was forbidden. */
function audited(client: KubeClient, forbidden: string[]): KubeClient {
  const note = (call: string, error: unknown): never => {
    if (isReason(error, "Forbidden")) forbidden.push(`${call}: ${(error as Error).message}`);
    throw error;
  };
  return new Proxy(client, {
    get(of, name) {
      const value = of[name as keyof KubeClient] as unknown;
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        const result: unknown = Reflect.apply(value, of, args);
        if (result instanceof Promise) return result.catch((error: unknown) => note(String(name), error));
        return (async function* () {
          try {
            yield* result as AsyncIterable<unknown>;
          } catch (error) {
            note(String(name), error);
          }
        })();
      };
    },
  });
}

const BUDGET = `---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: { maxUnavailable: 1, selector: { matchLabels: { app: web } } }
`;
const HOOK: HookConfig = {
  ...{ name: "migrate", when: "before", timeoutMs: 120_000, onRollback: false },
  run: { kind: "job", file: "hooks/migrate.yaml", in: "first-cluster", keep: 1 },
};

function versionOf(
  { service, namespace }: Pick<RightsPlace, "service" | "namespace">,
  tag: string,
  migration: string,
): RenderedRelease {
  return renderObjects({
    service,
    namespace,
    loaded: parseManifest(webManifest({ setting: tag }) + BUDGET, "k8s/web.yaml"),
    patches: [],
    hooks: [{ config: HOOK, job: parseManifest(MIGRATION, "hooks/migrate.yaml")[0] }],
    images: [image("web", tag), image("migrate", migration)],
    version: { commit: `${tag}0000000`, message: `ship ${tag}`, author: "Story", dirty: false },
  });
}

function migrationsOf({ hooks = [] }: ReleaseRecord): readonly unknown[] {
  return hooks.flatMap(({ runs }) => runs.map(({ cluster, outcome, job }) => [cluster, outcome, job]));
}

function assertOutcome(record: ReleaseRecord, outcome: ReleaseRecord["outcome"]): void {
  assert.equal(record.outcome, outcome, textOf(record));
}

function textOf({ outcome, clusters, hooks, gates }: ReleaseRecord): string {
  return JSON.stringify({ outcome, clusters, hooks, gates }, undefined, 2);
}

async function refused(call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => isReason(error, "Forbidden"));
}
