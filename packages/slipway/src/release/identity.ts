/**
 * Which cluster a name stands for. A kubeconfig's context can be edited, overwritten by a login, or point elsewhere on
 * another machine; so a cluster is its name and its identity: the UID of its `kube-system` Namespace, which every
 * cluster has, nobody can choose, and no rebuilt cluster shares. The first release binds the two. Every record holds
 * the identities of all clusters, so that any one of them can answer for the others.
 *
 * A configuration may pin the identity. Then that is the truth: no earlier release is needed to tell that a context leads
 * elsewhere, which an environment of one cluster, with nobody else to ask, has no other way to know; and `--rebind` does
 * not help, only another pin does.
 *
 * A target without a `place` is a local cluster, found through the process that runs it: when its identity changed it
 * was made anew, and is never a wrong one. It is bound again without a question.
 */
import { SlipwayError } from "@slipway/base";
import { isReason } from "@slipway/kube";
import { isUnreachable } from "./apply/apply.ts";
import type { ReleaseContext, ReleaseRecord, Target, WrittenCluster } from "./model.ts";

/** A name as it was bound. */
export interface Binding {
  readonly uid: string;
  /** The first of the kept releases that found it so, and when that was. */
  readonly release: number;
  readonly at: number;
}

export interface ClusterIdentity {
  readonly cluster: string;
  /** `context gke_shop at https://34.84.1.2`; undefined for a local cluster. */
  readonly place: string | undefined;
  /** Undefined when the cluster did not say. */
  readonly uid: string | undefined;
  readonly bound: Binding | undefined;
  /** Undefined for a local cluster. */
  readonly written?: WrittenCluster | undefined;
  /** Why it did not say, where that is not because it cannot be reached. */
  readonly reason?: string | undefined;
}

/** What the kept releases say about each name; the newest that says anything counts. Newest release first. */
export function bindingsOf(
  records: readonly Pick<ReleaseRecord, "number" | "startedAt" | "identities">[],
): ReadonlyMap<string, Binding> {
  const bindings = new Map<string, Binding>();
  const settled = new Set<string>();
  for (const { number, startedAt, identities = {} } of records) {
    for (const [cluster, uid] of Object.entries(identities)) {
      const known = bindings.get(cluster);
      if (known !== undefined && known.uid !== uid) settled.add(cluster);
      if (!settled.has(cluster)) bindings.set(cluster, { uid, release: number, at: startedAt });
    }
  }
  return bindings;
}

/** What the names of before stand for now: a cluster that was renamed in the configuration is still the same one. */
export function renamed(
  records: Parameters<typeof bindingsOf>[0],
  identities: readonly ClusterIdentity[],
): ReadonlyMap<string, string> {
  const present = new Set(identities.map(({ cluster }) => cluster));
  const former = [...bindingsOf(records)].filter(([name]) => !present.has(name));
  return new Map(
    former.flatMap(([name, { uid }]): [string, string][] => {
      const now = identities.find((one) => uidOf(one) === uid);
      return now === undefined ? [] : [[name, now.cluster]];
    }),
  );
}

/**
 * The records with the names that the clusters have now, for whoever asks what ran in one. Only to be read: a record is
 * stored as it was written.
 */
export function underPresentNames<
  T extends Pick<ReleaseRecord, "number" | "startedAt" | "identities" | "clusters" | "only" | "waves">,
>(records: readonly T[], identities: readonly ClusterIdentity[]): readonly T[] {
  const names = renamed(records, identities);
  if (names.size === 0) return records;
  const nameOf = (name: string): string => names.get(name) ?? name;
  return records.map((record) => {
    const { clusters, only, waves } = record;
    // What it has under the name of now is later than what it had under another.
    const entries = Object.entries(clusters).sort(([a], [b]) => Number(names.has(b)) - Number(names.has(a)));
    return {
      ...record,
      clusters: Object.fromEntries(entries.map(([name, cluster]) => [nameOf(name), cluster])),
      waves: waves.map((wave) => wave.map(nameOf)),
      ...(only === undefined ? {} : { only: only.map(nameOf) }),
    };
  });
}

/**
 * Why these clusters may not be touched; empty when each is the one it is pinned to, or without a pin the one it is bound
 * to, not bound yet, or named by `rebind`.
 */
export function checkIdentities(
  identities: readonly ClusterIdentity[],
  rebind: readonly string[] = [],
): readonly SlipwayError[] {
  const names = identities.map(({ cluster }) => cluster);
  const unknown = rebind.filter((name) => !names.includes(name)).map((name) => unknownCluster(name, names));
  const shared = identities.flatMap((one, index) => {
    const first = identities.findIndex((other) => uidOf(other) !== undefined && uidOf(other) === uidOf(one));
    return first >= 0 && first < index ? [sharedCluster(identities[first] as ClusterIdentity, one)] : [];
  });
  const moved = identities.flatMap((one) => {
    const { cluster, uid, bound, place, written, reason } = one;
    if (written?.pin !== undefined) {
      if (uid === undefined) return reason === undefined ? [] : [uncheckedPin(one, written, reason)];
      return uid === written.pin ? [] : [otherThanPinned(one, written, uid)];
    }
    const isBound = uid === undefined || bound === undefined || uid === bound.uid;
    if (isBound || place === undefined || rebind.includes(cluster)) return [];
    const other = identities.find((each) => each.cluster !== cluster && each.bound?.uid === uid);
    return [otherCluster(one, bound, other?.cluster)];
  });
  return [...unknown, ...shared, ...moved];
}

/** What it is, or was when it last said. */
function uidOf({ uid, bound }: ClusterIdentity): string | undefined {
  return uid ?? bound?.uid;
}

function otherCluster(one: ClusterIdentity, bound: Binding, isBoundAs: string | undefined): SlipwayError {
  const since = new Date(bound.at).toISOString().slice(0, 16).replace("T", " ");
  const known = isBoundAs === undefined ? "" : `, which is bound as "${isBoundAs}"`;
  return new SlipwayError({
    code: "CLUSTER_IDENTITY_MISMATCH",
    where: `clusters/${one.cluster}`,
    message: `${one.place} leads to the cluster ${one.uid}${known}, but "${one.cluster}" is bound to ${bound.uid} (release ${bound.release}, ${since} UTC)`,
    hint: `Nothing was changed. Point the context at the right cluster; if it was rebuilt, say so: --rebind ${one.cluster}`,
    exitCode: 2,
  });
}

function otherThanPinned(
  { cluster, place }: ClusterIdentity,
  written: WrittenCluster,
  uid: string,
): SlipwayError {
  const { where, pin } = written;
  return new SlipwayError({
    code: "CLUSTER_IDENTITY_MISMATCH",
    where: `clusters/${cluster}`,
    message: `${place} leads to the cluster ${uid}, but ${where} pins ${pin}`,
    hint: `Nothing was changed. Point the context at the right cluster; if it was rebuilt, write its new identity (--rebind does not change a pin):\n  ${pinLine(cluster, written, uid)}`,
    exitCode: 2,
  });
}

/** A pin was asked for, so a cluster that hides its identity is not taken on trust. */
function uncheckedPin(
  { cluster }: ClusterIdentity,
  { where, pin }: WrittenCluster,
  reason: string,
): SlipwayError {
  return new SlipwayError({
    code: "CLUSTER_IDENTITY_UNREADABLE",
    where: `clusters/${cluster}`,
    message: `its identity cannot be read, and ${where} pins ${pin}: ${reason}`,
    hint: "Nothing was changed. Give whoever runs this the right to get the Namespace kube-system (slipway rights has it), or take the pin away.",
    exitCode: 2,
  });
}

/** The line of the configuration that pins a cluster. */
function pinLine(cluster: string, { context }: WrittenCluster, uid: string): string {
  return `${cluster}: context(${JSON.stringify(context)}, { uid: ${JSON.stringify(uid)} })`;
}

function sharedCluster(first: ClusterIdentity, second: ClusterIdentity): SlipwayError {
  return new SlipwayError({
    code: "CLUSTER_IDENTITY_SHARED",
    where: `clusters/${second.cluster}`,
    message: `is the same cluster as "${first.cluster}" (${uidOf(second)})`,
    hint: "Nothing was changed. Two names for one cluster would release to it twice; correct one of the contexts.",
    exitCode: 2,
  });
}

function unknownCluster(name: string, known: readonly string[]): SlipwayError {
  return new SlipwayError({
    code: "USAGE_CLUSTER",
    where: `--rebind ${name}`,
    message: "is not a cluster of this environment",
    hint: `Its clusters: ${known.join(", ")}.`,
    exitCode: 2,
  });
}

/** What a new record says: all that is known, the clusters of this moment first. */
export function identitiesToKeep(
  records: Parameters<typeof bindingsOf>[0],
  identities: readonly ClusterIdentity[],
): Readonly<Record<string, string>> {
  const known = [...bindingsOf(records)].map(([cluster, { uid }]): [string, string] => [cluster, uid]);
  const live = identities.flatMap(({ cluster, uid }): [string, string][] =>
    uid === undefined ? [] : [[cluster, uid]],
  );
  return Object.fromEntries([...known, ...live]);
}

/** Asks every cluster at once. Never rejects: one that does not say is unbound for now. */
export async function readIdentities(
  context: Pick<ReleaseContext, "targets">,
  records: Parameters<typeof bindingsOf>[0],
  unreachable: ReadonlyMap<string, string> = new Map(),
): Promise<readonly ClusterIdentity[]> {
  const bindings = bindingsOf(records);
  return Promise.all(
    context.targets.map(async (target): Promise<ClusterIdentity> => {
      const { name: cluster, place, written } = target;
      const known = {
        ...{ cluster, place, bound: bindings.get(cluster) },
        ...(written === undefined ? {} : { written }),
      };
      if (unreachable.has(cluster)) return { ...known, uid: undefined };
      return { ...known, ...(await askUid(target)) };
    }),
  );
}

async function askUid(target: Target): Promise<Pick<ClusterIdentity, "uid" | "reason">> {
  try {
    const ref = { apiVersion: "v1", kind: "Namespace", name: "kube-system" };
    return { uid: (await target.client.get(ref)).metadata.uid };
  } catch (error) {
    if (isUnreachable(error)) return { uid: undefined };
    const isForbidden = isReason(error, "Forbidden");
    const message = error instanceof Error ? error.message : String(error);
    return { uid: undefined, reason: isForbidden ? "it may not be read; see slipway rights" : message };
  }
}

/** What a person should know although nothing is stopped by it. */
export function identityWarnings(identities: readonly ClusterIdentity[]): readonly string[] {
  return identities.flatMap(({ cluster, reason }) =>
    reason === undefined ? [] : [`clusters/${cluster}: its identity is not checked: ${reason}`],
  );
}

/**
 * `tokyo is context gke_shop at https://34.84.1.2, cluster 7f3a9c12 since release 4`; nothing for local clusters. Where
 * nothing is bound yet, also how to pin: nobody but the reader can tell whether these are the right clusters.
 */
export function describeIdentities(identities: readonly ClusterIdentity[]): readonly string[] {
  const isFirst = identities.every(({ bound }) => bound === undefined);
  return identities.flatMap(({ cluster, place, uid, bound, written }) => {
    if (place === undefined) return [];
    if (uid === undefined) return [`${cluster} is ${place}`];
    if (written?.pin !== undefined) {
      const pinned = written.pin === uid ? "as pinned" : `pinned to ${shortUid(written.pin)}`;
      return [`${cluster} is ${place}, cluster ${shortUid(uid)}, ${pinned}`];
    }
    const advice = isFirst && written !== undefined ? [`  pin it: ${pinLine(cluster, written, uid)}`] : [];
    const since =
      bound === undefined
        ? ", not bound yet"
        : bound.uid === uid
          ? ` since release ${bound.release}`
          : `, bound before to ${shortUid(bound.uid)}`;
    return [`${cluster} is ${place}, cluster ${shortUid(uid)}${since}`, ...advice];
  });
}

function shortUid(uid: string): string {
  return uid.slice(0, 8);
}
