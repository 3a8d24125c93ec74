/**
 * Every cluster alone shall be able to answer for all of the history; this puts that right after a cluster was away, or
 * a record was damaged, or a writer died between the parts of one. Done under the lock at the end of a release: copies
 * that are missing, older or damaged are written again from the newest copy, and what belongs to no record is removed.
 *
 * A record that is damaged everywhere stays as it is, told and passed over, until it is older than what is kept.
 */
import type { KubeClient } from "@slipway/kube";
import type { ReleaseRecord, Target } from "../model.ts";
import {
  deleteRecord,
  deleteSecret,
  isNewer,
  mergeRecords,
  readShelf,
  type Shelf,
  writeRecord,
} from "./records.ts";

export interface Repair {
  readonly cluster: string;
  /** Written from the newest copy; `isDamaged`: what is there is deleted first. */
  readonly write: readonly { readonly record: ReleaseRecord; readonly isDamaged: boolean }[];
  /** Numbers of records that are damaged everywhere and older than everything that is kept. */
  readonly forget: readonly number[];
  /** Names of Secrets that are parts of no record. */
  readonly remove: readonly string[];
}

/** Pure: what each cluster needs; clusters that need nothing are left out. */
export function repairsOf(shelves: ReadonlyMap<string, Shelf>): readonly Repair[] {
  const newest = mergeRecords([...shelves.values()].map((shelf) => shelf.records));
  const oldest = Math.min(...newest.map((record) => record.number));
  const known = new Set(newest.map((record) => record.number));
  return [...shelves].flatMap(([cluster, shelf]): Repair[] => {
    const write = newest.flatMap((record) => {
      const isDamaged = shelf.damaged.includes(record.number);
      const copy = shelf.records.find((one) => one.number === record.number);
      const isGood = copy !== undefined && !isNewer(record, copy);
      return isGood && !isDamaged ? [] : [{ record, isDamaged }];
    });
    const forget = shelf.damaged.filter((number) => !known.has(number) && number < oldest);
    const { orphans: remove } = shelf;
    return write.length + forget.length + remove.length === 0 ? [] : [{ cluster, write, forget, remove }];
  });
}

/** Returns what was repaired, as sentences. A cluster that does not answer is left for the next release. */
export async function repairHistory(
  targets: readonly Target[],
  place: { readonly service: string; readonly namespace: string },
): Promise<readonly string[]> {
  const shelves = new Map<string, Shelf>();
  await Promise.all(
    targets.map(async ({ name, client }) => {
      const shelf = await readShelf(client, place).catch(() => undefined);
      if (shelf !== undefined) shelves.set(name, shelf);
    }),
  );
  const done = await Promise.all(
    repairsOf(shelves).map(async (repair) => {
      const client = targets.find(({ name }) => name === repair.cluster)?.client;
      if (client === undefined) return [];
      await carryOut(client, place, repair).catch(() => undefined);
      const numbers = repair.write.map(({ record }) => record.number).join(", ");
      return numbers === "" ? [] : [`${repair.cluster}: the history has been completed (release ${numbers})`];
    }),
  );
  return done.flat();
}

async function carryOut(
  client: KubeClient,
  place: { readonly service: string; readonly namespace: string },
  repair: Repair,
): Promise<void> {
  for (const name of repair.remove) await deleteSecret(client, place.namespace, name);
  for (const number of repair.forget) await deleteRecord(client, place, number);
  for (const { record, isDamaged } of repair.write) {
    // Its annotations may be damaged too, and a wrong fence would refuse the write for ever.
    if (isDamaged) await deleteRecord(client, place, record.number);
    await writeRecord(client, record);
  }
}
