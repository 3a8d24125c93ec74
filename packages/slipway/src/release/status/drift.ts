/**
 * What in a cluster differs from what its release applied, object by object, and by whose hand. Read-only: it compares
 * the stored objects with the live ones and reads `managedFields`, so it needs no right to write and no dry run.
 */
import { type AnyObject, type FieldDifference, fieldDrift, isReason, type KubeObject } from "@slipway/kube";
import { FIELD_MANAGER, isUnreachable } from "../apply/apply.ts";
import { identityOf, refOf } from "../apply/prune.ts";
import { accountOf } from "../apply/service-account.ts";
import { canonicalJson } from "../manifests/config-names.ts";
import { podSpecOf } from "../manifests/workload.ts";
import type { Target } from "../model.ts";

export interface ObjectDrift {
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  /** `unreadable`: this user may not read it, or its kind is not served any more; `reason` says which. */
  readonly state: "changed" | "missing" | "unreadable";
  readonly reason?: string | undefined;
  readonly differences: readonly {
    /** `spec.template.spec.containers[web].image`. */
    readonly path: string;
    /** As text; undefined when it was not applied. Values of Secrets are hidden. */
    readonly applied: string | undefined;
    /** As text; undefined when it is gone. */
    readonly live: string | undefined;
    readonly by: FieldDifference["by"];
  }[];
}

/** Their additions are how a cluster works: conditions, scaling, addresses, placement. */
const PLATFORM: ReadonlySet<string> = new Set([
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "cluster-autoscaler",
  "horizontal-pod-autoscaler",
  "vpa-updater",
  "neg-controller",
  "glbc",
  "cloud-controller-manager",
  "service-controller",
  "before-first-apply",
]);

/**
 * Objects that are as they were applied are left out. `before` is what ran until then, where the apply was cut off or is
 * going on: which objects it has reached is not known, so one that is as it was before is left out as well. Throws when the
 * cluster does not answer.
 */
export async function driftOf(
  target: Target,
  objects: readonly AnyObject[],
  before?: readonly AnyObject[],
): Promise<readonly ObjectDrift[]> {
  const found = await Promise.all(
    objects.map(async (object) => {
      const drift = await driftOfObject(target, object);
      if (drift === undefined || before === undefined) return drift;
      const earlier = before.find((one) => identityOf(one) === identityOf(object));
      if (earlier === undefined) return drift.state === "missing" ? undefined : drift;
      return (await driftOfObject(target, earlier)) === undefined ? undefined : drift;
    }),
  );
  return found.filter((drift) => drift !== undefined);
}

async function driftOfObject(target: Target, object: AnyObject): Promise<ObjectDrift | undefined> {
  const { kind, metadata } = object;
  const place = { kind, namespace: metadata.namespace, name: metadata.name };
  let live: KubeObject;
  try {
    live = await target.client.get<KubeObject>(refOf(object));
  } catch (error) {
    if (isUnreachable(error)) throw error;
    if (isReason(error, "NotFound")) return { ...place, state: "missing", differences: [] };
    const reason = error instanceof Error ? error.message : String(error);
    return { ...place, state: "unreadable", reason, differences: [] };
  }
  // On its way out is gone, whatever its fields still say.
  if (live.metadata.deletionTimestamp !== undefined) {
    return { ...place, state: "missing", reason: "it is being deleted", differences: [] };
  }
  const differences = fieldDrift(asStored(object), live, {
    manager: FIELD_MANAGER,
    ignored: PLATFORM,
  }).filter((difference) => !isAccountCopy(object, difference));
  if (differences.length === 0) return undefined;
  const isSecret = kind === "Secret";
  return {
    ...place,
    state: "changed",
    differences: differences.map(({ path, applied, live: is, by }) => ({
      path,
      applied: show(applied, isSecret),
      live: show(is, isSecret),
      by,
    })),
  };
}

/** The other name of the account that was applied: the server's copy, which whoever created the object still owns. */
function isAccountCopy(object: AnyObject, { path, applied, live }: FieldDifference): boolean {
  return (
    applied === undefined && /\.serviceAccount(?:Name)?$/.test(path) && live === accountOf(podSpecOf(object))
  );
}

/** `stringData` is written and never read: the server keeps it as `data`. */
function asStored(object: AnyObject): KubeObject {
  if (object.kind !== "Secret") return object as KubeObject;
  const { stringData, data, ...rest } = object as AnyObject & {
    readonly stringData?: Readonly<Record<string, string>>;
    readonly data?: Readonly<Record<string, string>>;
  };
  if (stringData === undefined) return object as KubeObject;
  const encoded = Object.entries(stringData).map(([key, text]) => [
    key,
    Buffer.from(text).toString("base64"),
  ]);
  return { ...rest, data: { ...data, ...Object.fromEntries(encoded) } } as KubeObject;
}

const LONGEST_VALUE = 80;

function show(value: unknown, isHidden: boolean): string | undefined {
  if (value === undefined) return undefined;
  if (isHidden) return "(hidden)";
  const whole = typeof value === "string" ? value : canonicalJson(value);
  const text = whole.replaceAll(/@sha256:([0-9a-f]{8})[0-9a-f]{56}/g, "@$1…");
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE - 1)}…`;
}
