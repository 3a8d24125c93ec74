/**
 * The objects of a case. `before.yaml` (default: `corpus/base.yaml`) runs and is healthy, `after.yaml` is the change: its
 * documents are strategic-merge patches of the object with the same kind and name, or new objects. `world.yaml` is what
 * else the namespace holds: quotas, claims, autoscalers, other people's pods.
 */
import { join, relative } from "node:path";
import { readTextIfExists } from "@slipway/base";
import { type AnyObject, applyStrategicPatch, schemaOf } from "@slipway/kube";
import { parseAllDocuments } from "yaml";
import { CASE_KINDS, type CorpusCase, invalidCase } from "./case.ts";

/** The service before and after the change, in the order of an apply, and what else is in the namespace. */
export interface CaseObjects {
  readonly before: readonly AnyObject[];
  readonly after: readonly AnyObject[];
  readonly world: readonly AnyObject[];
}

/** A case that plays another's recording is about that one's objects. */
export async function loadObjects(one: CorpusCase): Promise<CaseObjects> {
  const corpus = join(one.directory, "../..");
  const folder =
    one.plays === undefined
      ? one.directory
      : ((await firstExisting(CASE_KINDS.map((kind) => join(corpus, kind, one.plays as string)))) ??
        one.directory);
  const read = async (name: string): Promise<readonly AnyObject[]> =>
    parseObjects((await readTextIfExists(join(folder, name))) ?? "", join(relative(corpus, folder), name));
  const own = await read("before.yaml");
  const base = (await readTextIfExists(join(corpus, "base.yaml"))) ?? "";
  const before = own.length > 0 ? own : parseObjects(base, "base.yaml");
  return { before, after: change(before, await read("after.yaml")), world: await read("world.yaml") };
}

async function firstExisting(folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    if ((await readTextIfExists(join(folder, "case.yaml"))) !== undefined) return folder;
  }
  return undefined;
}

export function parseObjects(text: string, where: string): readonly AnyObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw invalidCase(where, document.errors[0]?.message ?? "is not YAML");
    const object = document.toJS() as AnyObject | null;
    if (object === null) return [];
    if (object.kind === undefined || object.metadata?.name === undefined)
      throw invalidCase(where, "every document needs a kind and metadata.name");
    return [object];
  });
}

/**
 * `before` with each document of `changes` merged into the object of its kind and name, or added. Of a kind whose
 * fields are not known here (StatefulSet, DaemonSet) the document is the whole object.
 */
export function change(before: readonly AnyObject[], changes: readonly AnyObject[]): readonly AnyObject[] {
  const isSame = (a: AnyObject, b: AnyObject): boolean =>
    a.kind === b.kind && a.metadata.name === b.metadata.name;
  const merged = before.map((object) =>
    changes
      .filter((one) => isSame(one, object))
      .reduce<AnyObject>(
        (current, patch) =>
          schemaOf(object.apiVersion, object.kind) === undefined
            ? patch
            : applyStrategicPatch(current, patch, object.apiVersion, object.kind),
        object,
      ),
  );
  // What is new comes first, as a ConfigMap must be there before the pods that read it.
  return [...changes.filter((one) => !before.some((object) => isSame(one, object))), ...merged];
}
