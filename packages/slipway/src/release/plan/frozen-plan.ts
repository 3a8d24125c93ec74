/**
 * A plan kept in a file, to be looked at, agreed on and then carried out exactly: the rendered objects with their
 * digests, the order and the policies, and of each cluster what stood there and what would be done. Carrying it out
 * needs neither git nor a build; it is refused as soon as anything is no longer as it was. Two things keep that so:
 * the live objects are compared, and the dry run is made again and must come to the same.
 *
 * The objects include the data of Secrets, so the file is a secret. Its digest finds an edit made by mistake; it is no
 * signature, since whoever can write the file can compute it.
 */
import { createHash } from "node:crypto";
import { SlipwayError } from "@slipway/base";
import type { AnyObject, KubeObject, ObjectRef } from "@slipway/kube";
import type { ReleaseConfig } from "../../config/types.ts";
import type { Knowledge } from "../history/knowledge.ts";
import { canonicalJson } from "../manifests/config-names.ts";
import type { ReleaseContext, RenderedRelease } from "../model.ts";
import type { ClusterPlan } from "./cluster-plan.ts";
import { describeChanges, type FieldChange, withoutBookkeeping } from "./diff.ts";
import type { DetailedPlan, PlanOptions, ReleasePlan } from "./plan.ts";
import type { LiveObject } from "./planned-object.ts";

export const FORMAT = "slipway-plan/1";

interface FrozenObject {
  readonly ref: ObjectRef;
  readonly uid?: string | undefined;
  /** What a release could change of it; undefined where nothing was. */
  readonly content?: Readonly<Record<string, unknown>> | undefined;
}

interface FrozenCluster {
  readonly name: string;
  /** UID of kube-system, where it could be read: the cluster itself, whatever its name is. */
  readonly identity?: string | undefined;
  readonly plan: ClusterPlan;
  readonly live: readonly FrozenObject[];
}

export interface FrozenPlan {
  readonly format: typeof FORMAT;
  /** ms since the epoch. */
  readonly createdAt: number;
  readonly createdBy: string;
  readonly service: string;
  readonly namespace: string;
  readonly environment: string;
  /** Waves, bake and what happens on a failure, as they were. */
  readonly release: ReleaseConfig;
  readonly options: Pick<PlanOptions, "allowHeld" | "skipUnreachable" | "rebind">;
  readonly rendered: RenderedRelease;
  /** Static files by bucket, as a digest of what is in them. */
  readonly buckets: Readonly<Record<string, string>>;
  /** The newest release when it was made; 0 when there was none. */
  readonly basedOn: number;
  readonly clusters: readonly FrozenCluster[];
  /** `sha256:…` over everything else. */
  readonly digest: string;
}

export function freeze(
  context: ReleaseContext,
  rendered: RenderedRelease,
  detailed: DetailedPlan,
  about: {
    readonly knowledge: Knowledge;
    readonly options: PlanOptions;
    readonly buckets: Readonly<Record<string, string>>;
  },
): FrozenPlan {
  const { plan, live } = detailed;
  const clusters = plan.clusters.map((cluster): FrozenCluster => {
    const identity = identityOf(plan, cluster.name);
    return {
      name: cluster.name,
      ...(identity === undefined ? {} : { identity }),
      plan: cluster,
      live: (live.get(cluster.name) ?? []).map((one) => frozenObject(one, rendered)),
    };
  });
  const whole: Omit<FrozenPlan, "digest"> = {
    format: FORMAT,
    createdAt: context.clock.now(),
    createdBy: context.who,
    service: context.service,
    namespace: context.namespace,
    environment: context.environment,
    release: context.release,
    options: {
      allowHeld: about.options.allowHeld === true,
      skipUnreachable: about.options.skipUnreachable === true,
      ...(about.options.rebind === undefined ? {} : { rebind: about.options.rebind }),
    },
    rendered,
    buckets: about.buckets,
    basedOn: newestOf(about.knowledge.records),
    clusters,
  };
  return { ...whole, digest: digestOf(whole) };
}

/** The file's text as a plan. Throws for a format of another version, and for a text that was changed. */
export function parseFrozenPlan(text: string, file: string): FrozenPlan {
  const fail = (code: string, message: string, hint: string): SlipwayError =>
    new SlipwayError({ code, where: file, message, hint, exitCode: 2 });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fail("PLAN_UNREADABLE", "is not a plan: not JSON", "Make one: slipway plan --out FILE.");
  }
  const format = typeof value === "object" && value !== null ? (value as FrozenPlan).format : undefined;
  if (typeof format !== "string" || !format.startsWith("slipway-plan/")) {
    throw fail("PLAN_UNREADABLE", "is not a plan of slipway", "Make one: slipway plan --out FILE.");
  }
  if (format !== FORMAT) {
    throw fail(
      "PLAN_FORMAT",
      `is a plan in the format ${format}, and this slipway knows ${FORMAT}`,
      "Use the slipway that made it, or plan again with this one.",
    );
  }
  const { digest, ...rest } = value as FrozenPlan;
  if (digest !== digestOf(rest)) {
    throw stale(file, "was edited since it was made");
  }
  // The digest finds a mistake; it does not say who computed it.
  const missing = PARTS.find(([path, is]) => !is(partAt(value, path)));
  if (missing !== undefined) {
    const [path] = missing;
    throw fail(
      "PLAN_UNREADABLE",
      `is no whole plan: ${path} is missing`,
      "Make one: slipway plan --out FILE.",
    );
  }
  return value as FrozenPlan;
}

const isText = (value: unknown): boolean => typeof value === "string";
const isObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What carrying it out relies on. */
const PARTS: readonly (readonly [path: string, is: (value: unknown) => boolean])[] = [
  ["service", isText],
  ["namespace", isText],
  ["environment", isText],
  ["release", isObject],
  ["options", isObject],
  ["rendered", isObject],
  ["rendered.objects", Array.isArray],
  ["rendered.images", Array.isArray],
  ["rendered.warnings", Array.isArray],
  ["rendered.content", isText],
  ["rendered.version", isObject],
  ["buckets", isObject],
  ["basedOn", Number.isInteger],
  ["clusters", Array.isArray],
];

function partAt(value: unknown, path: string): unknown {
  return path.split(".").reduce((at, key) => (at as Record<string, unknown>)[key], value);
}

const AGAIN = "Nothing was changed. Plan again, and look at it again: slipway plan --out FILE.";

/** What is no longer as it was when the plan was made; empty when it can be carried out. */
export function stalenessOf(
  frozen: FrozenPlan,
  context: ReleaseContext,
  detailed: DetailedPlan,
  knowledge: Knowledge,
): readonly SlipwayError[] {
  const moved = releaseMoved(frozen, knowledge.records[0]);
  const found = [
    ...scopeChanges(frozen, context),
    ...(moved === undefined ? [] : [moved]),
    ...identityChanges(frozen, detailed),
  ];
  for (const cluster of detailed.plan.clusters) {
    const then = frozen.clusters.find(({ name }) => name === cluster.name);
    if (then === undefined) continue;
    if (then.plan.reachable !== cluster.reachable) {
      const now = cluster.reachable ? "answers again" : `does not answer: ${cluster.reason}`;
      found.push(stale(`clusters/${cluster.name}`, now));
      continue;
    }
    const changed = liveChanges(then, detailed.live.get(cluster.name) ?? [], frozen);
    found.push(...changed);
    // The same objects, and still something else would be done: pruning, a webhook, another server's defaults.
    if (changed.length === 0 && found.length === 0 && actionsOf(then.plan) !== actionsOf(cluster)) {
      found.push(stale(cluster.name, `would now change something else: ${otherActions(then.plan, cluster)}`));
    }
  }
  return found;
}

/** Also asked under the lock, where it can no longer change. */
export function releaseMoved(
  frozen: Pick<FrozenPlan, "basedOn">,
  newest: { readonly number: number; readonly who: string } | undefined,
): SlipwayError | undefined {
  const number = newest?.number ?? 0;
  if (number === frozen.basedOn) return undefined;
  const then = frozen.basedOn === 0 ? "there was none" : `${frozen.basedOn} was the newest`;
  return stale(
    "release",
    `release ${number} by ${newest?.who ?? "nobody"} is the newest; ${then} when it was planned`,
  );
}

/** Exit code 1, as for any check that fails: the plan was one, and is none of what is there now. */
export function stale(where: string, message: string): SlipwayError {
  return new SlipwayError({ code: "PLAN_STALE", where, message, hint: AGAIN });
}

function newestOf(records: readonly { readonly number: number }[]): number {
  return Math.max(0, ...records.map(({ number }) => number));
}

function digestOf(plan: Omit<FrozenPlan, "digest">): string {
  // What JSON drops or turns into text would otherwise give another digest after reading it back.
  const stored: unknown = JSON.parse(JSON.stringify(plan));
  return `sha256:${createHash("sha256").update(canonicalJson(stored)).digest("hex")}`;
}

function frozenObject({ ref, object }: LiveObject, rendered: Pick<RenderedRelease, "objects">): FrozenObject {
  if (object === undefined) return { ref };
  return { ref, uid: object.metadata.uid, content: comparable(object, sentOf(ref, rendered)) };
}

function sentOf(ref: ObjectRef, rendered: Pick<RenderedRelease, "objects">): AnyObject | undefined {
  return rendered.objects.find(
    ({ kind, metadata }) =>
      kind === ref.kind && metadata.name === ref.name && metadata.namespace === ref.namespace,
  );
}

/** Without what controllers write all the time: replicas that an autoscaler sets are nobody's change. */
function comparable(object: KubeObject, sent: AnyObject | undefined): Readonly<Record<string, unknown>> {
  const content = withoutBookkeeping(object);
  const spec = content["spec"] as Record<string, unknown> | undefined;
  const named = (sent?.["spec"] as Record<string, unknown> | undefined)?.["replicas"];
  if (spec?.["replicas"] === undefined || named !== undefined) return content;
  const { replicas: _replicas, ...rest } = spec;
  return { ...content, spec: rest };
}

function scopeChanges(frozen: FrozenPlan, context: ReleaseContext): readonly SlipwayError[] {
  const found: SlipwayError[] = [];
  for (const key of ["service", "namespace", "environment"] as const) {
    if (frozen[key] !== context[key]) {
      found.push(stale(key, `is ${context[key]} and was ${frozen[key]} when it was planned`));
    }
  }
  const before = frozen.clusters.map(({ name }) => name);
  const now = context.targets.map(({ name }) => name);
  const added = now.filter((name) => !before.includes(name));
  const gone = before.filter((name) => !now.includes(name));
  if (added.length > 0) found.push(stale("clusters", `${added.join(", ")} came since`));
  if (gone.length > 0) found.push(stale("clusters", `${gone.join(", ")} went since`));
  return found;
}

function identityChanges(frozen: FrozenPlan, { plan }: DetailedPlan): readonly SlipwayError[] {
  return frozen.clusters.flatMap(({ name, identity: then }) => {
    const now = identityOf(plan, name);
    return then === undefined || now === undefined || now === then
      ? []
      : [stale(`clusters/${name}`, `is another cluster: kube-system is ${now} and was ${then}`)];
  });
}

/** Undefined where the cluster did not say: then its name alone has to do. */
function identityOf({ identities }: ReleasePlan, name: string): string | undefined {
  return identities.find(({ cluster }) => cluster === name)?.uid;
}

function liveChanges(
  then: FrozenCluster,
  live: readonly LiveObject[],
  frozen: FrozenPlan,
): readonly SlipwayError[] {
  const found: SlipwayError[] = [];
  const now = new Map(live.map((one) => [keyOf(one.ref), frozenObject(one, frozen.rendered)]));
  for (const before of then.live) {
    const after = now.get(keyOf(before.ref));
    const where = `${then.name}/${before.ref.kind} ${before.ref.name}`;
    if (before.content === undefined && after?.content === undefined) continue;
    if (before.content === undefined) found.push(stale(where, "was created since"));
    else if (after?.content === undefined) found.push(stale(where, "was deleted since"));
    else if (before.uid !== after.uid) found.push(stale(where, "was deleted and created again since"));
    else {
      const changes = describeChanges(before.content, after.content, {
        masked: before.ref.kind === "Secret",
      });
      if (changes.length > 0) found.push(stale(where, `changed since: ${changes.map(inWords).join(", ")}`));
    }
  }
  return found;
}

function inWords({ path, before, after, lines }: FieldChange): string {
  if (lines !== undefined) return path;
  return `${path}: ${before ?? "(absent)"} -> ${after ?? "(absent)"}`;
}

const keyOf = ({ apiVersion, kind, namespace, name }: ObjectRef): string =>
  `${apiVersion} ${kind} ${namespace ?? ""}/${name}`;

function actionsOf({ objects }: ClusterPlan): string {
  return canonicalJson(objects);
}

function otherActions(then: ClusterPlan, now: ClusterPlan): string {
  const lines = (plan: ClusterPlan): Map<string, string> =>
    new Map(
      plan.objects.map((object) => [`${object.action} ${object.kind} ${object.name}`, canonicalJson(object)]),
    );
  const [before, after] = [lines(then), lines(now)];
  const differing = [...new Set([...before.keys(), ...after.keys()])].filter(
    (key) => before.get(key) !== after.get(key),
  );
  return differing.join(", ");
}
