/** What a release would do in one cluster: every object tried, preflight, and what would go. */
import { SlipwayError } from "@slipway/base";
import type { AnyObject } from "@slipway/kube";
import { autoscaledIn } from "../apply/autoscaled.ts";
import { atMost } from "../engine/at-most.ts";
import { runningIn } from "../history/history.ts";
import type { HookJob } from "../hooks/hook-object.ts";
import { discoveryOf } from "../manifests/served.ts";
import type { ReleaseContext, ReleaseRecord, RenderedRelease, Target } from "../model.ts";
import type { Finding } from "../preflight/finding.ts";
import type { ImageFacts } from "../preflight/images.ts";
import { preflightCluster } from "../preflight/preflight.ts";
import { configOf } from "./config-versions.ts";
import { planObject } from "./dry-run.ts";
import type { LiveObject, PlannedObject } from "./planned-object.ts";
import { leftBehind, onceHealthy, planPrune, pruneRefs } from "./prune-plan.ts";

/** Requests that a plan has open in one cluster at a time: a cluster of many objects must not feel its planning. */
const AT_ONCE = 8;

export interface ClusterPlan {
  readonly name: string;
  readonly reachable: boolean;
  /** Why it could not be asked. */
  readonly reason: string | undefined;
  readonly objects: readonly PlannedObject[];
  /** The release that is there now. */
  readonly runs: number | undefined;
}

export interface PlannedCluster {
  readonly cluster: ClusterPlan;
  readonly live: readonly LiveObject[];
  readonly refusals: readonly SlipwayError[];
  readonly warnings: readonly string[];
  readonly findings: readonly Finding[];
}

/** One that could not be asked. */
export function silent(name: string, reason: string): PlannedCluster {
  const cluster = { name, reachable: false, reason, objects: [], runs: undefined };
  return { cluster, live: [], refusals: [], warnings: [], findings: [] };
}

/** Throws when it does not answer. */
export async function planCluster(input: {
  readonly context: ReleaseContext;
  readonly target: Target;
  readonly rendered: Pick<RenderedRelease, "objects" | "images" | "content">;
  readonly records: readonly ReleaseRecord[];
  readonly images: readonly ImageFacts[];
  readonly purpose: "deploy" | "rollback";
  /** Jobs that hooks create there. */
  readonly hooks: readonly HookJob[];
}): Promise<PlannedCluster> {
  const { context, target, rendered, records, hooks } = input;
  const refusals: SlipwayError[] = [];
  const warnings: string[] = [];
  const running = runningIn(records, target.name);
  const config = configOf(rendered.objects, records, running);
  const discovery = discoveryOf(target.client);
  const scaled = await autoscaledIn(target.client, rendered.objects);
  const after = [onceHealthy(context, rendered, records), ...records];
  const { length } = rendered.objects;
  const all = [...rendered.objects, ...hooks.map(({ object }) => object)];
  const brought = new Set([context.namespace, ...namesOf(rendered.objects, "Namespace")]);
  const planning = { target, discovery, config, scaled, brought, clock: context.clock };
  const trying = atMost(AT_ONCE, all, (object) => planObject(planning, object));
  const [both, findings] = await Promise.all([
    trying,
    preflightCluster(
      { ...input, leftBehind: leftBehind(context, after, target.name) },
      trying.then((results) => results.slice(0, length).map(({ seen }) => seen)),
    ),
  ]);
  const [tried, jobs] = [both.slice(0, length), both.slice(length)];
  for (const one of tried) {
    refusals.push(...one.refusals.filter((refusal) => !isExplained(refusal, findings)));
    warnings.push(...one.warnings);
  }
  hooks.forEach(({ hook }, index) => {
    const place = (text: string): string =>
      text.replace(`${target.name}/`, `${target.name}/hook ${hook.name}/`);
    refusals.push(...(jobs[index]?.refusals ?? []).map((one) => placed(one, place(one.where ?? ""))));
    warnings.push(...(jobs[index]?.warnings ?? []).map(place));
  });
  const going = await atMost(AT_ONCE, pruneRefs(context, after, target.name), (ref) =>
    planPrune({ target, discovery, config }, ref, context),
  );
  const objects = [...tried.map(({ planned }) => planned), ...going.flat()];
  const cluster = { name: target.name, reachable: true, reason: undefined, objects, runs: running?.number };
  return { cluster, live: tried.map(({ live }) => live), refusals, warnings, findings };
}

function namesOf(objects: readonly AnyObject[], wanted: string): readonly string[] {
  return objects.flatMap(({ kind, metadata }) => (kind === wanted ? [metadata.name] : []));
}

function placed(refusal: SlipwayError, where: string): SlipwayError {
  const { code, message, hint, exitCode, cause } = refusal;
  return new SlipwayError({ code, where, message, hint, exitCode, cause });
}

/** What the dry run calls invalid is told once, in the words that say the way out. */
function isExplained(refusal: SlipwayError, findings: readonly Finding[]): boolean {
  return (
    refusal.code === "MANIFEST_REFUSED" &&
    findings.some(
      ({ code, where }) =>
        (code === "FIELD_IMMUTABLE" || code === "SELECTOR_CHANGED") && where.startsWith(`${refusal.where}/`),
    )
  );
}
