/**
 * What a rollback would do and how long it takes, from the stored records alone: no cluster is asked, so that the
 * first write is not kept waiting. What the clusters themselves would answer is `slipway rollback --dry-run`.
 */
import { formatAge, formatDuration } from "@slipway/base";
import type { AnyObject } from "@slipway/kube";
import { identityOf } from "../apply/prune.ts";
import { showCommit } from "../commit.ts";
import { canonicalJson } from "../manifests/config-names.ts";
import { podSpecOf } from "../manifests/workload.ts";
import type { ReleaseRecord } from "../model.ts";

export interface RollbackEta {
  readonly ms: number;
  /** Numbers of the releases it was taken from. */
  readonly from: readonly number[];
}

export interface RollbackChange {
  readonly action: "create" | "change" | "prune";
  readonly kind: string;
  readonly name: string;
  /** `image web: shop/web:3f2a91b -> shop/web:9c01d77`, for Deployments. */
  readonly images: readonly string[];
}

/** How the objects of the release that is left differ from those that come back; unchanged ones are left out. */
export function rollbackChanges(
  leaves: Pick<ReleaseRecord, "objects">,
  target: Pick<ReleaseRecord, "objects">,
): readonly RollbackChange[] {
  const before = new Map(leaves.objects.map((object) => [identityOf(object), object]));
  const after = new Set(target.objects.map(identityOf));
  const changes = target.objects.flatMap((object): RollbackChange[] => {
    const was = before.get(identityOf(object));
    const { kind, metadata } = object;
    if (was === undefined) return [{ action: "create", kind, name: metadata.name, images: [] }];
    if (canonicalJson(was) === canonicalJson(object)) return [];
    return [{ action: "change", kind, name: metadata.name, images: imageChanges(was, object) }];
  });
  const gone = leaves.objects
    .filter((object) => !after.has(identityOf(object)))
    // Configuration stays for as long as a kept release names it.
    .filter(({ kind }) => kind !== "ConfigMap" && kind !== "Secret")
    .map(
      ({ kind, metadata }): RollbackChange => ({ action: "prune", kind, name: metadata.name, images: [] }),
    );
  return [...changes, ...gone];
}

function imageChanges(was: AnyObject, object: AnyObject): readonly string[] {
  const imagesOf = (one: AnyObject): Map<string, string> => {
    const spec = podSpecOf(one);
    const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
    return new Map(containers.map(({ name, image }) => [name, image ?? ""]));
  };
  const before = imagesOf(was);
  return [...imagesOf(object)].flatMap(([name, image]) => {
    const old = before.get(name);
    return old === undefined || old === image ? [] : [`image ${name}: ${short(old)} -> ${short(image)}`];
  });
}

/** `shop/web:3f2a91b@sha256:12ab…` without the registry and the most of the digest. */
function short(image: string): string {
  const [name = "", digest] = image.split("@");
  const path = name.split("/").slice(-2).join("/");
  return digest === undefined ? path : `${path}@${digest.slice(7, 15)}`;
}

const SAMPLES = 5;

/**
 * The median of the last rollbacks that went well; before there is one, what the slowest cluster took for its last
 * healthy deploys, without the bake that a rollback does not have. Undefined when nothing is known.
 */
export function rollbackEta(
  records: readonly ReleaseRecord[],
  clusters: readonly string[],
  bakeMs: number,
): RollbackEta | undefined {
  const healthy = records.filter((record) => record.outcome === "healthy" && record.resumes === undefined);
  const timed = (
    kind: ReleaseRecord["kind"],
    tookMs: (record: ReleaseRecord) => number | undefined,
  ): RollbackEta | undefined => {
    const samples = healthy
      .filter((record) => record.kind === kind)
      .flatMap((record) => {
        const ms = tookMs(record);
        return ms === undefined ? [] : [{ ms, number: record.number }];
      })
      .slice(0, SAMPLES);
    if (samples.length === 0) return undefined;
    const sorted = samples.map(({ ms }) => ms).sort((a, b) => a - b);
    return {
      ms: sorted[Math.floor(sorted.length / 2)] as number,
      from: samples.map(({ number }) => number),
    };
  };
  return (
    timed("rollback", (record) =>
      record.finishedAt === undefined ? undefined : record.finishedAt - record.startedAt,
    ) ??
    timed("deploy", (record) => {
      const each = clusters.flatMap((name) => {
        const { startedAt, finishedAt } = record.clusters[name] ?? {};
        return startedAt === undefined || finishedAt === undefined ? [] : [finishedAt - startedAt];
      });
      if (each.length === 0) return undefined;
      // What is shorter than the bake of now was released with another one.
      const tookMs = Math.max(...each);
      return tookMs > bakeMs ? tookMs - bakeMs : tookMs;
    })
  );
}

/** The short plan that a person is asked about. */
export function renderRollbackPlan(input: {
  readonly service: string;
  readonly environment: string;
  readonly clusters: readonly string[];
  readonly others: readonly string[];
  readonly target: ReleaseRecord;
  readonly leaves: ReleaseRecord;
  readonly changes: readonly RollbackChange[];
  readonly eta: RollbackEta | undefined;
  readonly now: number;
}): string {
  const { target, leaves, changes, eta, now } = input;
  const name = (record: ReleaseRecord): string => {
    const line = record.version.message.split("\n")[0] ?? "";
    const age = formatAge(now - record.startedAt);
    return `release ${record.number} (${showCommit(record.version)}${line === "" ? "" : ` ${line}`}, ${age} ago, by ${record.who})`;
  };
  const marks = { create: "+", change: "~", prune: "-" } as const;
  const untouched = input.others.length === 0 ? "" : `; ${input.others.join(", ")} not`;
  return [
    `rollback of ${input.service} (${input.environment}) in ${input.clusters.join(", ")}${untouched}`,
    `  from  ${name(leaves)}`,
    `  to    ${name(target)}`,
    ...changes.flatMap((change) => [
      `  ${marks[change.action]} ${change.kind} ${change.name}`,
      ...change.images.map((image) => `      ${image}`),
    ]),
    ...(changes.length === 0 ? ["  no object differs"] : []),
    eta === undefined
      ? "  how long it takes is not known: nothing was timed here yet"
      : `  takes about ${formatDuration(eta.ms)}, as release${eta.from.length === 1 ? "" : "s"} ${eta.from.join(", ")} did`,
  ].join("\n");
}
