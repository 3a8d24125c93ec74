/**
 * Reads plain Kubernetes YAML: files and folders (not their subfolders, as `kubectl apply -f` does), several
 * documents in a file, lists (`kind: List`). Every problem is told with file, line and column, and every object keeps a way
 * to find the place of one of its fields, so that later checks can point at it too.
 *
 * YAML is read as version 1.1, as Kubernetes' own tools do: `defaultMode: 0644` is octal, `yes` is true. Dates and
 * base-60 numbers, which Kubernetes does not know, stay text.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { nearest, SlipwayError, systemCode } from "@slipway/base";
import { type AnyObject, applyMergePatch, applyStrategicPatch, schemaOf } from "@slipway/kube";
import { type Document, isNode, LineCounter, parseAllDocuments, type Tags } from "yaml";
import { identityIn } from "./scope.ts";

export interface LoadedObject {
  readonly object: AnyObject;
  /** `k8s/web.yaml:3:7` of the field at `path`, or of the nearest thing that holds it. */
  readonly locate: (path?: readonly (string | number)[]) => string;
}

/** All objects of these files and folders, in the order of the file names and of the documents. */
export async function loadManifests(
  paths: readonly string[],
  root: string,
): Promise<readonly LoadedObject[]> {
  const loaded: LoadedObject[] = [];
  for (const file of await filesOf(paths, root)) {
    loaded.push(...parseManifest(await readFile(file, "utf8"), relative(root, file) || file));
  }
  refuseDuplicates(loaded);
  return loaded;
}

/** The objects in one file's text; `name` is what errors call it. */
export function parseManifest(text: string, name: string): readonly LoadedObject[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: "1.1",
    customTags: kubernetesTags,
    lineCounter: lines,
    prettyErrors: false,
    // A key written twice hides the first one; kubectl warns, Slipway refuses.
    uniqueKeys: true,
  });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${Math.max(1, line)}:${Math.max(1, col)}`;
  };
  const objects: LoadedObject[] = [];
  if (!Array.isArray(documents)) return objects;
  for (const document of documents) {
    const problem = document.errors[0];
    if (problem !== undefined) {
      throw new SlipwayError({
        code: "MANIFEST_INVALID_YAML",
        where: at(problem.pos[0]),
        message: `not valid YAML: ${problem.message.split("\n")[0]}`,
        hint: "Correct the file; nothing was changed.",
        exitCode: 2,
      });
    }
    objects.push(...objectsOf(document, at));
  }
  return objects;
}

const kubernetesTags = (tags: Tags): Tags =>
  tags.filter(
    (tag) =>
      typeof tag === "string" ||
      (tag.tag !== "tag:yaml.org,2002:timestamp" && !("format" in tag && tag.format === "TIME")),
  );

function objectsOf(document: Document, at: (offset: number) => string): LoadedObject[] {
  const value: unknown = document.toJS();
  // A document of comments only, as a leading `---` makes it.
  if (value === null || value === undefined) return [];
  const locate =
    (prefix: readonly (string | number)[]) =>
    (path: readonly (string | number)[] = []): string => {
      const full = [...prefix, ...path];
      for (let length = full.length; length > 0; length -= 1) {
        const node = document.getIn(full.slice(0, length), true);
        if (isNode(node) && node.range) return at(node.range[0]);
      }
      return at(document.contents?.range?.[0] ?? 0);
    };
  return opened(value, []).map(({ item, path }) => checked(item, locate(path)));
}

/** The items of a `List`, `ConfigMapList`, …, also of lists in a list, with their places; anything else as it is. */
function opened(
  value: unknown,
  path: readonly (string | number)[],
): readonly { readonly item: unknown; readonly path: readonly (string | number)[] }[] {
  const list = listOf(value);
  if (list === undefined) return [{ item: value, path }];
  return list.items.flatMap((item, index) =>
    // In a list of one kind the items need not repeat it.
    opened(isRecord(item) ? { ...list.type, ...item } : item, [...path, "items", index]),
  );
}

function listOf(value: unknown):
  | {
      readonly items: readonly unknown[];
      readonly type: { readonly apiVersion?: unknown; readonly kind?: string };
    }
  | undefined {
  if (!isRecord(value)) return undefined;
  const { apiVersion, kind, items, metadata } = value;
  if (typeof kind !== "string" || !kind.endsWith("List") || !Array.isArray(items)) return undefined;
  // An object of a kind that happens to end so, like an AllowList, has a name.
  if (isRecord(metadata) && metadata["name"] !== undefined) return undefined;
  return { items, type: kind === "List" ? {} : { apiVersion, kind: kind.slice(0, -"List".length) } };
}

function checked(value: unknown, locate: LoadedObject["locate"]): LoadedObject {
  const refuse = (message: string, path: readonly string[] = []): never => {
    throw new SlipwayError({
      code: "MANIFEST_INVALID",
      where: locate(path),
      message,
      hint: "Every document needs apiVersion, kind and metadata.name, as kubectl expects them.",
      exitCode: 2,
    });
  };
  if (!isRecord(value)) return refuse("is not a Kubernetes object");
  if (typeof value["apiVersion"] !== "string") refuse("apiVersion is missing or not text", ["apiVersion"]);
  if (typeof value["kind"] !== "string") refuse("kind is missing or not text", ["kind"]);
  const metadata = value["metadata"];
  if (!isRecord(metadata)) return refuse(`${value["kind"]} has no metadata`, ["metadata"]);
  if (typeof metadata["name"] !== "string" || metadata["name"] === "") {
    refuse(`${value["kind"]} has no metadata.name`, ["metadata"]);
  }
  const { namespace, ...rest } = metadata;
  // As kubectl has it: an empty namespace is none.
  if (namespace === "" || namespace === null) {
    return { object: { ...value, metadata: rest } as unknown as AnyObject, locate };
  }
  if (namespace !== undefined && typeof namespace !== "string") {
    refuse(`${value["kind"]} "${metadata["name"]}": metadata.namespace is not text`, [
      "metadata",
      "namespace",
    ]);
  }
  return { object: value as unknown as AnyObject, locate };
}

async function filesOf(paths: readonly string[], root: string): Promise<readonly string[]> {
  const files: string[] = [];
  for (const path of paths) {
    const info = await stat(path).catch((error: unknown) => {
      if (systemCode(error) !== "ENOENT") throw error;
      throw new SlipwayError({
        code: "MANIFEST_NOT_FOUND",
        where: relative(root, path) || path,
        message: "no such file or folder",
        hint: "Correct `manifests` or `patches` in slipway.config.ts.",
        exitCode: 2,
      });
    });
    if (!info.isDirectory()) {
      files.push(path);
      continue;
    }
    const names = (await readdir(path, { withFileTypes: true }))
      .filter((entry) => entry.isFile() && /\.(ya?ml|json)$/.test(entry.name))
      .map((entry) => entry.name)
      .sort();
    files.push(...names.map((name) => join(path, name)));
  }
  return files;
}

/** Of all sources together, too: the second one would silently win. `namespace`: of objects that name none. */
export function refuseDuplicates(loaded: readonly LoadedObject[], namespace?: string): void {
  const seen = new Map<string, LoadedObject>();
  for (const entry of loaded) {
    const { kind, metadata } = entry.object;
    const key = identityIn(entry.object, namespace);
    const first = seen.get(key);
    if (first !== undefined) {
      throw new SlipwayError({
        code: "MANIFEST_DUPLICATE",
        where: entry.locate(["metadata", "name"]),
        message: `${kind} "${metadata.name}" is already at ${first.locate(["metadata", "name"])}`,
        hint: "Keep one of them; a change for one environment belongs in its `patches`.",
        exitCode: 2,
      });
    }
    seen.set(key, entry);
  }
}

/**
 * Strategic merge patches by kind and name, in order. A patch without an object is an error, never skipped:
 * a misspelt name would silently ship the unpatched object. `$patch: delete` at the top removes the object.
 */
export function applyPatches(
  loaded: readonly LoadedObject[],
  patches: readonly LoadedObject[],
): readonly LoadedObject[] {
  let result = loaded;
  for (const patch of patches) {
    const { kind, metadata } = patch.object;
    const matches = (entry: LoadedObject): boolean =>
      entry.object.kind === kind &&
      entry.object.metadata.name === metadata.name &&
      (metadata.namespace === undefined || metadata.namespace === entry.object.metadata.namespace);
    if (!result.some(matches)) throw noObjectFor(patch, result);
    result =
      patch.object["$patch"] === "delete"
        ? result.filter((entry) => !matches(entry))
        : result.map((entry) =>
            matches(entry) ? { ...entry, object: patched(entry.object, patch) } : entry,
          );
  }
  return result;
}

function patched(object: AnyObject, patch: LoadedObject): AnyObject {
  try {
    return (
      schemaOf(object.apiVersion, object.kind) === undefined
        ? applyMergePatch(object, patch.object)
        : applyStrategicPatch(object, patch.object, object.apiVersion, object.kind)
    ) as AnyObject;
  } catch (error) {
    throw new SlipwayError({
      code: "PATCH_INVALID",
      where: patch.locate(),
      message: `cannot patch ${object.kind} "${object.metadata.name}": ${(error as Error).message}`,
      hint: "A patch is a strategic merge patch: the part of the object that differs, lists keyed by name.",
      cause: error,
      exitCode: 2,
    });
  }
}

function noObjectFor(patch: LoadedObject, loaded: readonly LoadedObject[]): SlipwayError {
  const { kind, metadata } = patch.object;
  const names = loaded
    .filter((entry) => entry.object.kind === kind)
    .map((entry) => entry.object.metadata.name);
  const near = nearest(metadata.name, names);
  return new SlipwayError({
    code: "PATCH_NO_OBJECT",
    where: patch.locate(["metadata", "name"]),
    message: `no ${kind} "${metadata.name}" to patch`,
    hint:
      near !== undefined
        ? `Did you mean "${near}"?`
        : names.length > 0
          ? `Known: ${names.join(", ")}.`
          : `The manifests hold no ${kind}.`,
    exitCode: 2,
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
