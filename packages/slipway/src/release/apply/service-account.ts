/**
 * The account of a pod template has two names: `serviceAccountName` and, from before it, `serviceAccount`. The API
 * server copies either into the other, and server-side apply knows nothing of that: when a manifest drops
 * `serviceAccountName`, apply takes that away, nobody owns the copy, and the server fills the one in from the other
 * again. The account would never leave the template, and once its ServiceAccount is pruned no pod can be created.
 * kubectl and Helm leave their users alone with it.
 *
 * An empty string in both is the one apply that takes the account away: the server stores neither. So that is sent, as
 * long as the cluster has an account that the manifest does not say. Whoever put it there: of no other field does a pod
 * that cannot be created follow when what it names goes with a release.
 */
import {
  type AnyObject,
  findObject,
  type KubeClient,
  type KubeObject,
  type ManagedFieldsEntry,
  type PodSpec,
} from "@slipway/kube";
import { mapPodSpec, podSpecOf, podSpecPath } from "../manifests/workload.ts";
import { refOf } from "./prune.ts";

const NAMES = ["serviceAccountName", "serviceAccount"] as const;

/** What pods get that ask for none, so in a template it says the same as nothing. */
const DEFAULT_ACCOUNT = "default";

/** As the API server reads it: the new name wins. Undefined for none. */
export function accountOf(spec: PodSpec | undefined): string | undefined {
  return spec?.serviceAccountName || spec?.serviceAccount || undefined;
}

/** `object` as it must be applied for its template to have the account that it says, or none; itself where it does. */
export function withAccount(object: AnyObject, live: KubeObject | undefined, manager: string): AnyObject {
  const spec = podSpecOf(object);
  if (live === undefined || spec === undefined || !isAccountUnsettled(spec)) return object;
  const wanted = accountOf(spec);
  const is = accountOf(podSpecOf(live as AnyObject));
  if (is === undefined || is === wanted) return object;
  if (wanted === undefined && is === DEFAULT_ACCOUNT && !hasApplied(live, manager)) return object;
  const account = wanted ?? "";
  return mapPodSpec(object, (one) => ({ ...one, serviceAccountName: account, serviceAccount: account }));
}

/** The same, with what the cluster has now. */
export async function withLiveAccount(
  client: KubeClient,
  object: AnyObject,
  manager: string,
): Promise<AnyObject> {
  const spec = podSpecOf(object);
  if (spec === undefined || !isAccountUnsettled(spec)) return object;
  return withAccount(object, await findObject(client, refOf(object)), manager);
}

/** A manifest with the new name decides by itself. */
const isAccountUnsettled = (spec: PodSpec): boolean => !spec.serviceAccountName;

function hasApplied(live: KubeObject, manager: string): boolean {
  const path = podSpecPath(live as AnyObject) ?? [];
  const isApply = (entry: ManagedFieldsEntry): boolean =>
    entry.manager === manager && entry.operation === "Apply";
  return (live.metadata.managedFields ?? []).filter(isApply).some(({ fieldsV1 }) => {
    const fields = path.reduce<Fields | undefined>((at, step) => at?.[`f:${step}`], fieldsV1 as Fields);
    return NAMES.some((name) => fields?.[`f:${name}`] !== undefined);
  });
}

type Fields = { readonly [element: string]: Fields };
