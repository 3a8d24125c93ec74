/**
 * One case through the release engine itself, on a cluster that runs: the release before, which must be healthy, then
 * the change, and what was said about it. The tests on the embedded and on the real cluster share it.
 */
import assert from "node:assert/strict";
import { SlipwayError, seededRandom, systemClock } from "@slipway/base";
import type { AnyObject, KubeClient } from "@slipway/kube";
import { stringify } from "yaml";
import type { PreflightCode } from "../packages/slipway/src/config/preflight-checks.ts";
import type { CorpusCase } from "../packages/slipway/src/corpus/case.ts";
import type { OnReleaseEvent } from "../packages/slipway/src/release/events.ts";
import type { LoadedHook } from "../packages/slipway/src/release/hooks/render-hooks.ts";
import { parseManifest } from "../packages/slipway/src/release/manifests/manifests.ts";
import { renderObjects } from "../packages/slipway/src/release/manifests/render.ts";
import type {
  ReleaseContext,
  ReleaseResult,
  RenderedRelease,
} from "../packages/slipway/src/release/model.ts";
import { deploy } from "../packages/slipway/src/release/release.ts";
import { rightsFor } from "../packages/slipway/src/release/rights/rights.ts";

/** Those that a runner can judge in time: nothing here waits for minutes. */
const LONGEST_BUDGET_SECONDS = 40;
const LONGEST_MS = 180_000;

/** All cases that a place can show; `places.ts` says of the others why not. */
export function casesFor(cases: readonly CorpusCase[], place: "embedded" | "real"): readonly CorpusCase[] {
  return cases.filter((one) => one.places.includes(place));
}

/**
 * Of those the ones for every day: not held back from work on the judge, nothing that waits for minutes, stops a part of
 * the cluster or needs another one.
 */
export function isQuick(one: CorpusCase): boolean {
  const { expect } = one;
  return (
    !one.held &&
    !one.startsBroken &&
    one.recorded === "real" &&
    one.hook === undefined &&
    one.atMostMs <= LONGEST_MS &&
    (expect.verdict === "healthy" || expect.withinSeconds <= LONGEST_BUDGET_SECONDS) &&
    one.steps.every((step) => step.do === "webhook" || step.do.endsWith("-pod"))
  );
}

/**
 * A spread of cases, other ones in each turn: one of each of `count` families, two thirds of them failures. A family
 * is what is expected of a failure, and the first word of a transient's name. The next turn takes the next families, and
 * when all had theirs, the next case of each: after 42 turns no case was left out.
 */
export function spreadOf(cases: readonly CorpusCase[], count: number, turn: number): readonly CorpusCase[] {
  const spread = (kind: CorpusCase["kind"], most: number): readonly CorpusCase[] => {
    const ofKind = cases.filter((one) => one.kind === kind);
    const families = [...Map.groupBy(ofKind, familyOf).values()];
    return Array.from({ length: Math.min(most, families.length) }, (_, index) => {
      const at = turn * most + index;
      const family = families[at % families.length] as readonly CorpusCase[];
      return family[Math.floor(at / families.length) % family.length] as CorpusCase;
    });
  };
  const transients = Math.floor(count / 3);
  return [...spread("failures", count - transients), ...spread("transients", transients)];
}

function familyOf({ id, expect }: CorpusCase): string {
  return expect.verdict === "failed" ? expect.cause : (id.split("-")[0] as string);
}

const SERVICE = "shop";

export interface Ran {
  readonly result: ReleaseResult | undefined;
  /** When the change was refused before anything was changed. */
  readonly refusal: SlipwayError | undefined;
  /** With which preflight would have refused it. */
  readonly preflight: string | undefined;
}

export async function runCase(input: {
  readonly one: CorpusCase;
  readonly client: KubeClient;
  readonly namespace: string;
  readonly before: readonly AnyObject[];
  readonly after: readonly AnyObject[];
  /** Just before the change is applied. */
  readonly onChange?: () => Promise<void>;
  /** Of the release of the change. */
  readonly onEvent?: OnReleaseEvent;
}): Promise<Ran> {
  const { one, client, namespace } = input;
  const cluster = one.expect.verdict === "healthy" ? "tokyo" : one.expect.cluster;
  const context: ReleaseContext = {
    service: SERVICE,
    namespace,
    environment: "corpus",
    targets: [{ name: cluster, client }],
    clock: systemClock,
    random: seededRandom(1),
    who: "corpus",
    from: "test",
    host: "test",
    pid: process.pid,
    release: { waves: [[cluster]], bakeMs: 1_000, onFailure: "halt", keep: 5 } as ReleaseContext["release"],
  };
  if (!one.startsBroken) {
    const first = await deploy(context, rendered(one, input.before, namespace, "1"));
    assert.equal(first.record.outcome, "healthy", `${one.id}: the release before the change is healthy`);
  }
  // What only shows after a while is waited for by the bake that the case has.
  const bakeMs = one.kind === "failures" ? one.bakeMs : context.release.bakeMs;
  const release = { ...context.release, bakeMs };
  await input.onChange?.();
  const change = rendered(one, input.after, namespace, "2");
  // No registry is asked here, so what preflight would hear from it is not known.
  const known = one.preflight?.startsWith("IMAGE_")
    ? undefined
    : (one.preflight as PreflightCode | undefined);
  let preflight: string | undefined;
  if (known !== undefined) {
    // What preflight sees never reaches the judge: first that it does see it, then the judge alone.
    const refusal = await refusalOf(deploy(context, change));
    assert.ok(refusal !== undefined, `${one.id}: preflight refuses it`);
    preflight = refusal.code;
  }
  const blind = {
    ...context,
    release,
    preflight: Object.fromEntries(known === undefined ? [] : [[known, "off"]]),
  };
  let result: ReleaseResult | undefined;
  const refusal = await refusalOf(
    deploy(blind, change, { onEvent: input.onEvent }).then((done) => {
      result = done;
    }),
  );
  return { result, refusal, preflight };
}

async function refusalOf(running: Promise<unknown>): Promise<SlipwayError | undefined> {
  try {
    await running;
    return undefined;
  } catch (error) {
    if (error instanceof SlipwayError) return error;
    throw error;
  }
}

/** What `slipway rights deploy` prints for who releases a case, as a ServiceAccount of its namespace. */
export function rightsOf(
  account: string,
  namespace: string,
  objects: readonly AnyObject[],
): readonly AnyObject[] {
  const subjects = [{ kind: "ServiceAccount", name: account, namespace }] as const;
  const release = {
    service: SERVICE,
    namespace,
    rendered: { objects },
    purpose: "deploy",
    subjects,
  } as const;
  const { manifests, unknown } = rightsFor(release);
  assert.deepEqual(unknown, []);
  return manifests;
}

/** What should have been said, was. */
export function assertSaid(one: CorpusCase, ran: Ran): void {
  const { expect } = one;
  if (ran.preflight !== undefined) assert.equal(ran.preflight, one.preflight, `${one.id}: preflight's code`);
  if (one.decisive !== undefined && "refused" in one.decisive) {
    // The dry run of the plan meets the same refusal, before anything is changed.
    assert.match(`${ran.refusal?.message}`, one.decisive.refused, one.id);
    return;
  }
  assert.equal(ran.refusal?.message, undefined, `${one.id}: nothing refuses it`);
  const [cluster] = ran.result?.clusters ?? [];
  const hook = ran.result?.record.hooks?.flatMap(({ runs }) => runs).find((run) => run.cause !== undefined);
  if (expect.verdict === "healthy") {
    assert.equal(
      ran.result?.record.outcome,
      "healthy",
      `${one.id}: ${cluster?.cause?.code} ${cluster?.cause?.why}`,
    );
    return;
  }
  // Nothing was sent to the cluster where a hook has failed.
  assert.equal(hook === undefined ? cluster?.verdict : "failed", expect.verdict, one.id);
  if (expect.verdict !== "failed") return;
  const cause = hook?.cause ?? cluster?.cause;
  assert.deepEqual(
    { cause: cause?.code, cluster: cause?.cluster, container: cause?.object.container },
    { cause: expect.cause, cluster: expect.cluster, container: expect.container },
    `${one.id}: ${cause?.why}`,
  );
}

function rendered(
  { hook }: CorpusCase,
  all: readonly AnyObject[],
  namespace: string,
  version: string,
): RenderedRelease {
  const isHook = ({ kind, metadata }: AnyObject): boolean => kind === "Job" && metadata.name === hook?.job;
  const job = all.find(isHook);
  const text = all
    .filter((object) => !isHook(object))
    .map((object) => stringify(object))
    .join("---\n");
  const hooks: readonly LoadedHook[] =
    hook === undefined || job === undefined
      ? []
      : [
          {
            config: {
              ...{ name: hook.job, when: "before", timeoutMs: hook.timeoutMs, onRollback: false },
              run: { kind: "job", file: "after.yaml", in: "first-cluster", keep: 1 },
            },
            job: parseManifest(stringify(job), "after.yaml")[0],
          },
        ];
  return renderObjects({
    hooks,
    service: SERVICE,
    namespace,
    loaded: parseManifest(text, "after.yaml"),
    patches: [],
    images: [],
    version: { commit: version.repeat(40), message: `version ${version}`, author: "corpus", dirty: false },
  });
}

/** So many at a time, the others wait; each outcome is a test of its own, so all of them are run. */
export function taking<T>(width: number): (work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = width;
  return async (work) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
