/**
 * The records of releases, kept in the clusters themselves: one for each release in every cluster it goes to, as Secrets
 * of type `slipway.dev/release.v1` holding gzipped JSON. A record above 675 kB is split: the Secret with the release's
 * name holds the first part and says which parts follow. The parts are named by the record's revision and written
 * first, so a writer that dies in between leaves the copy before it whole.
 *
 * Copies can differ when a cluster was away: the one with the highest fencing token, then revision, is the newest.
 */
import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { SlipwayError } from "@slipway/base";
import { findObject, isReason, type KubeClient, type Secret } from "@slipway/kube";
import { FIELD_MANAGER } from "../apply/apply.ts";
import { MANAGED_BY_LABEL, SERVICE_LABEL } from "../manifests/render.ts";
import type { ReleaseRecord } from "../model.ts";

const RECORD_TYPE = "slipway.dev/release.v1";
/** Bytes per Secret before base64, which makes 900 kB of them; an object may have 1 MiB. */
const PART_BYTES = 675_000;
export const RECORD_LABEL = "slipway.dev/record";
const NUMBER_LABEL = "slipway.dev/number";
const PARTS = "slipway.dev/parts";
const REVISION = "slipway.dev/revision";
const FENCE = "slipway.dev/fence";
const SHA256 = "slipway.dev/sha256";

interface Place {
  readonly service: string;
  readonly namespace: string;
}

/**
 * Writes or replaces this release's record in one cluster, by compare-and-swap. A copy under a higher fencing token
 * was written by whoever took the lock since: then this is a late writer, and it is refused.
 */
export async function writeRecord(client: KubeClient, record: ReleaseRecord): Promise<void> {
  const current = await currentMain(client, record);
  const fence = Number(current?.metadata.annotations?.[FENCE] ?? 0);
  if (fence > record.fence) {
    throw new SlipwayError({
      code: "RECORD_FENCED",
      where: `${client.name}/secrets/${mainName(record.service, record.number)}`,
      message: `a later holder of the lock has written the record of release ${record.number}`,
      hint: "This process stops writing. See slipway status.",
    });
  }
  const packed = gzipSync(Buffer.from(JSON.stringify(record)));
  const parts: Buffer[] = [];
  for (let offset = 0; offset === 0 || offset < packed.length; offset += PART_BYTES) {
    parts.push(packed.subarray(offset, offset + PART_BYTES));
  }
  for (const [index, part] of parts.entries()) {
    if (index > 0) await put(client, record, { name: partName(record, index), role: "part", data: part });
  }
  await put(client, record, {
    name: mainName(record.service, record.number),
    role: "main",
    data: parts[0] as Buffer,
    resourceVersion: current?.metadata.resourceVersion,
    annotations: {
      [FENCE]: String(record.fence),
      [PARTS]: String(parts.length),
      [REVISION]: String(record.revision),
      [SHA256]: createHash("sha256").update(packed).digest("hex"),
    },
  });
  if (parts.length > 1) await deleteStaleParts(client, record);
}

function currentMain(client: KubeClient, record: ReleaseRecord): Promise<Secret | undefined> {
  const name = mainName(record.service, record.number);
  return findObject(client, { apiVersion: "v1", kind: "Secret", namespace: record.namespace, name });
}

const mainName = (service: string, number: number): string => `slipway.${service}.${number}`;
const partName = (record: ReleaseRecord, index: number): string =>
  `${mainName(record.service, record.number)}.${record.revision}.${index}`;

async function put(
  client: KubeClient,
  record: ReleaseRecord,
  secret: {
    readonly name: string;
    readonly role: "main" | "part";
    readonly data: Buffer;
    readonly annotations?: Record<string, string>;
    readonly resourceVersion?: string | undefined;
  },
): Promise<void> {
  const object: Secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: secret.name,
      namespace: record.namespace,
      ...(secret.resourceVersion === undefined ? {} : { resourceVersion: secret.resourceVersion }),
      labels: {
        [MANAGED_BY_LABEL]: "slipway",
        [SERVICE_LABEL]: record.service,
        [RECORD_LABEL]: secret.role,
        [NUMBER_LABEL]: String(record.number),
      },
      ...(secret.annotations === undefined ? {} : { annotations: secret.annotations }),
    },
    type: RECORD_TYPE,
    data: { release: secret.data.toString("base64") },
  };
  await client.apply(object, { fieldManager: FIELD_MANAGER, force: true });
}

async function deleteStaleParts(client: KubeClient, record: ReleaseRecord): Promise<void> {
  const secrets = await client.list<Secret>(
    { apiVersion: "v1", kind: "Secret" },
    {
      namespace: record.namespace,
      labelSelector: `${SERVICE_LABEL}=${record.service},${RECORD_LABEL}=part,${NUMBER_LABEL}=${record.number}`,
    },
  );
  const current = `${mainName(record.service, record.number)}.${record.revision}.`;
  for (const secret of secrets.items) {
    if (!secret.metadata.name.startsWith(current)) {
      await deleteSecret(client, record.namespace, secret.metadata.name);
    }
  }
}

/**
 * All records that this cluster holds, newest first. One that is damaged is an error that names it; `onDamaged` takes
 * it instead, with the release's number, and the others are returned.
 */
export async function readRecords(
  client: KubeClient,
  place: Place,
  onDamaged?: (error: SlipwayError, number: number) => void,
): Promise<readonly ReleaseRecord[]> {
  return unpackAll(client.name, await recordSecrets(client, place), onDamaged);
}

async function recordSecrets(client: KubeClient, place: Place): Promise<readonly Secret[]> {
  const { items } = await client.list<Secret>(
    { apiVersion: "v1", kind: "Secret" },
    { namespace: place.namespace, labelSelector: `${SERVICE_LABEL}=${place.service},${RECORD_LABEL}` },
  );
  return items;
}

function unpackAll(
  cluster: string,
  items: readonly Secret[],
  onDamaged: ((error: SlipwayError, number: number) => void) | undefined,
): readonly ReleaseRecord[] {
  const byName = new Map(items.map((secret) => [secret.metadata.name, secret]));
  return items
    .filter((secret) => secret.metadata.labels?.[RECORD_LABEL] === "main")
    .flatMap((main) => {
      try {
        return [unpack(cluster, main, byName)];
      } catch (error) {
        if (onDamaged === undefined || !(error instanceof SlipwayError)) throw error;
        onDamaged(error, Number(main.metadata.labels?.[NUMBER_LABEL] ?? 0));
        return [];
      }
    })
    .sort((a, b) => b.number - a.number);
}

/** What one cluster holds of the history, good and bad. */
export interface Shelf {
  readonly records: readonly ReleaseRecord[];
  /** Numbers of releases whose records cannot be read here. */
  readonly damaged: readonly number[];
  /** Names of Secrets that are parts of no record: their writer died, or their record went. */
  readonly orphans: readonly string[];
}

export async function readShelf(client: KubeClient, place: Place): Promise<Shelf> {
  const items = await recordSecrets(client, place);
  const damaged: number[] = [];
  const records = unpackAll(client.name, items, (_damage, number) => damaged.push(number));
  const mains = items.filter((secret) => secret.metadata.labels?.[RECORD_LABEL] === "main");
  const parts = new Set(mains.flatMap(partNames));
  // Those of a damaged record go with it.
  const isOfDamaged = ({ metadata }: Secret): boolean =>
    damaged.includes(Number(metadata.labels?.[NUMBER_LABEL]));
  const orphans = items
    .filter((secret) => secret.metadata.labels?.[RECORD_LABEL] === "part" && !isOfDamaged(secret))
    .map((secret) => secret.metadata.name)
    .filter((name) => !parts.has(name));
  return { records, damaged, orphans };
}

/** The names of the parts beside the first one. */
function partNames(main: Secret): readonly string[] {
  const { name, annotations = {} } = main.metadata;
  const count = Number(annotations[PARTS] ?? 1);
  return Array.from(
    { length: Math.max(0, count - 1) },
    (_, index) => `${name}.${annotations[REVISION]}.${index + 1}`,
  );
}

function unpack(cluster: string, main: Secret, byName: ReadonlyMap<string, Secret>): ReleaseRecord {
  const { name, annotations = {} } = main.metadata;
  const names = partNames(main);
  const parts = [main, ...names.flatMap((part) => byName.get(part) ?? [])];
  const packed = Buffer.concat(parts.map((part) => Buffer.from(part.data?.["release"] ?? "", "base64")));
  const isWhole =
    parts.length === names.length + 1 &&
    createHash("sha256").update(packed).digest("hex") === annotations[SHA256];
  const record = isWhole ? parse(packed) : undefined;
  if (record !== undefined) return record;
  throw new SlipwayError({
    code: "RECORD_DAMAGED",
    where: `${cluster}/secrets/${name}`,
    message: "the release record is incomplete or was changed; it is passed over",
    hint: "The next release writes it again from another cluster's copy, when there is one.",
  });
}

/** Whole, and yet not a record that we can read: of another version, or written by other hands. */
function parse(packed: Buffer): ReleaseRecord | undefined {
  try {
    const record = JSON.parse(gunzipSync(packed).toString("utf8")) as ReleaseRecord;
    const lists = [record.images, record.objects, record.waves, record.held, record.evidence];
    const isRecord = typeof record.number === "number" && typeof record.clusters === "object";
    return isRecord && lists.every(Array.isArray) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** The newest copy of each release over all clusters, newest release first. */
export function mergeRecords(copies: readonly (readonly ReleaseRecord[])[]): readonly ReleaseRecord[] {
  const newest = new Map<number, ReleaseRecord>();
  for (const record of copies.flat()) {
    const known = newest.get(record.number);
    if (known === undefined || isNewer(record, known)) newest.set(record.number, record);
  }
  return [...newest.values()].sort((a, b) => b.number - a.number);
}

export function isNewer(a: ReleaseRecord, b: ReleaseRecord): boolean {
  return a.fence > b.fence || (a.fence === b.fence && a.revision > b.revision);
}

/** Deletes a release's record, all parts, from one cluster. */
export async function deleteRecord(client: KubeClient, place: Place, number: number): Promise<void> {
  const { items } = await client.list<Secret>(
    { apiVersion: "v1", kind: "Secret" },
    {
      namespace: place.namespace,
      labelSelector: `${SERVICE_LABEL}=${place.service},${RECORD_LABEL},${NUMBER_LABEL}=${number}`,
    },
  );
  for (const secret of items) await deleteSecret(client, place.namespace, secret.metadata.name);
}

export async function deleteSecret(client: KubeClient, namespace: string, name: string): Promise<void> {
  await client.delete({ apiVersion: "v1", kind: "Secret", namespace, name }).catch((error: unknown) => {
    if (!isReason(error, "NotFound")) throw error;
  });
}

/** The record as it may be shown: names of Secrets and their keys, never their values. */
export function withoutSecrets(record: ReleaseRecord): ReleaseRecord {
  const hide = (values: unknown): Record<string, string> =>
    Object.fromEntries(Object.keys((values ?? {}) as object).map((key) => [key, "(hidden)"]));
  return {
    ...record,
    objects: record.objects.map((object) => {
      if (object.kind !== "Secret") return object;
      const { data, stringData, ...rest } = object as typeof object & {
        data?: unknown;
        stringData?: unknown;
      };
      return {
        ...rest,
        ...(data === undefined ? {} : { data: hide(data) }),
        ...(stringData === undefined ? {} : { stringData: hide(stringData) }),
      } as typeof object;
    }),
  };
}
