/**
 * How Compose files lie over each other (Compose Specification, 13-merge): mappings key by key, lists one after the other
 * without what is there already, and a few keys as a whole. Short forms become mappings first, so that both forms merge.
 */
import { invalid, type MapTree, mapTree, type Tree } from "./tree.ts";

/** Of a service: the later one counts alone. */
const REPLACED = ["command", "entrypoint", "healthcheck.test"];
/** Of a service: `KEY=value` lists that mean a mapping. */
const PAIRS: Readonly<Record<string, string>> = {
  environment: "=",
  labels: "=",
  "build.args": "=",
  "build.labels": "=",
  extra_hosts: "=:",
};
/** Of a service: lists of names that mean a mapping from each name. */
const NAMES = ["depends_on", "networks"];
/** Of a service: one text, or a list of them. */
const TEXTS = ["env_file", "tmpfs"];

/** `over` on top of `base`, both whole documents. */
export function mergeDocuments(base: MapTree, over: MapTree): MapTree {
  return mergeMaps(base, over, (key, a, b) =>
    key === "services" && a.kind === "map" && b.kind === "map"
      ? mergeMaps(a, b, (_, one, two) => mergeServices(one, two))
      : mergeAt("", a, b),
  );
}

export function mergeServices(base: Tree, over: Tree): Tree {
  if (base.kind !== "map" || over.kind !== "map") return over.kind === "map" ? over : base;
  return mergeAt("", normalized(base), normalized(over));
}

/** A service with its short forms written out as mappings and lists. */
export function normalized(service: MapTree): MapTree {
  const change = (tree: Tree, path: string): Tree => {
    const separators = PAIRS[path];
    if (separators !== undefined) return pairs(tree, separators);
    if (NAMES.includes(path) && tree.kind === "list") return names(tree.items, tree);
    if (TEXTS.includes(path) && tree.kind === "scalar" && tree.value !== null)
      return { kind: "list", items: [tree], place: tree.place };
    if (path === "build" && tree.kind === "scalar" && tree.value !== null)
      return mapTree(new Map([["context", tree]]), tree.place);
    if (path === "build" && tree.kind === "map") return within(tree, "build");
    return tree;
  };
  const within = (map: MapTree, path: string): MapTree => ({
    ...map,
    entries: new Map(
      [...map.entries].map(([key, tree]) => [key, change(tree, path === "" ? key : `${path}.${key}`)]),
    ),
  });
  return within(service, "");
}

function mergeAt(path: string, base: Tree, over: Tree): Tree {
  if (REPLACED.includes(path)) return over;
  if (base.kind === "map" && over.kind === "map")
    return mergeMaps(base, over, (key, a, b) => mergeAt(path === "" ? key : `${path}.${key}`, a, b));
  if (base.kind === "list" && over.kind === "list") return mergeLists(path, base.items, over.items, over);
  // An empty value under a key (`volumes: {data: }`) says nothing.
  return over.kind === "scalar" && over.value === null && base.kind !== "scalar" ? base : over;
}

function mergeMaps(
  base: MapTree,
  over: MapTree,
  both: (key: string, base: Tree, over: Tree) => Tree,
): MapTree {
  const entries = new Map(base.entries);
  for (const [key, tree] of over.entries) {
    const before = entries.get(key);
    entries.set(key, before === undefined ? tree : both(key, before, tree));
  }
  return { kind: "map", entries, keys: new Map([...base.keys, ...over.keys]), place: over.place };
}

/** Of the same identity the later one counts: a volume is known by its target, all else by its whole text. */
function mergeLists(path: string, base: readonly Tree[], over: readonly Tree[], at: Tree): Tree {
  const items = new Map<string, Tree>();
  for (const item of [...base, ...over]) items.set(identityOf(path, item), item);
  return { kind: "list", items: [...items.values()], place: at.place };
}

function identityOf(path: string, item: Tree): string {
  if (path !== "volumes") return JSON.stringify(plain(item));
  if (item.kind === "map") return String(plain(item.entries.get("target") ?? item));
  const parts = String(plain(item)).split(":");
  return parts[1] ?? parts[0] ?? "";
}

export function plain(tree: Tree): unknown {
  switch (tree.kind) {
    case "scalar":
      return tree.value;
    case "list":
      return tree.items.map(plain);
    case "map":
      return Object.fromEntries([...tree.entries].map(([key, child]) => [key, plain(child)]));
  }
}

/** `KEY=value`; without a separator the value is null, "taken from outside". */
function pairs(tree: Tree, separators: string): Tree {
  if (tree.kind !== "list") return tree;
  const entries = tree.items.map((item) => {
    if (item.kind !== "scalar" || typeof item.value !== "string" || item.number !== undefined)
      throw invalid(item, "should be a text like KEY=value");
    const text = item.value;
    const at = [...text].findIndex((letter) => separators.includes(letter));
    const [key, value] = at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
    return [key, { ...item, value }] as const;
  });
  return mapTree(new Map(entries), tree.place);
}

function names(items: readonly Tree[], at: Tree): Tree {
  const entries = items.map((item) => {
    if (item.kind !== "scalar" || item.value === null) throw invalid(item, "should be a name");
    return [String(item.value), { ...item, value: null }] as const;
  });
  return mapTree(new Map(entries), at.place);
}
