/**
 * A Compose document whose every value knows where it was written, through merging, `extends` and `include`: an error can
 * then name file and line, and a relative path the folder that it is relative to.
 */
import { SlipwayError } from "@slipway/base";
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar as YamlScalar,
} from "yaml";
import { type Meaning, meaningOf } from "./scalars.ts";

export interface Place {
  /** As shown in messages. */
  readonly file: string;
  readonly line: number | undefined;
  /** Absolute: what relative paths written here are relative to. */
  readonly directory: string;
}

export type Scalar = string | number | boolean | null;
export type Tree = ScalarTree | ListTree | MapTree;
export interface ScalarTree {
  readonly kind: "scalar";
  readonly value: Scalar;
  readonly place: Place;
  /** What a number was written as means: it may not be what `String` makes of it. */
  readonly number?: Extract<Meaning, { readonly kind: "whole" | "fraction" | "unclear" }> | undefined;
}
export interface ListTree {
  readonly kind: "list";
  readonly items: readonly Tree[];
  readonly place: Place;
}
export interface MapTree {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, Tree>;
  /** Where each key was written. */
  readonly keys: ReadonlyMap<string, Place>;
  readonly place: Place;
}

export function composeError(
  code: string,
  place: Place,
  message: string,
  hint?: string | undefined,
): SlipwayError {
  const where = place.line === undefined ? place.file : `${place.file}:${place.line}`;
  return new SlipwayError({ code, where, message, hint, exitCode: 2 });
}

export const invalid = (tree: { readonly place: Place }, message: string, hint?: string): SlipwayError =>
  composeError("COMPOSE_INVALID", tree.place, message, hint);

export const unsupported = (tree: { readonly place: Place }, message: string): SlipwayError =>
  composeError(
    "COMPOSE_UNSUPPORTED",
    tree.place,
    message,
    "docs/guide/compose.md lists what is understood without Docker; leave it out, or use docker compose.",
  );

/** From YAML 1.2 with merge keys, as Compose reads it. `file` for messages, `directory` for relative paths. */
export function parseTree(text: string, file: string, directory: string): Tree {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true, uniqueKeys: true });
  const placeAt = (offset: number | undefined): Place => ({
    file,
    line: offset === undefined ? undefined : lines.linePos(offset).line,
    directory,
  });
  const [error] = document.errors;
  if (error !== undefined) {
    const message = error.message.split("\n")[0]?.replace(/ at line \d+, column \d+:?$/, "") ?? "";
    throw composeError("COMPOSE_INVALID", placeAt(error.pos[0]), `not YAML: ${message}`);
  }
  const convert = (node: unknown, fallback: Place, depth: number): Tree => {
    const place = isPlaced(node) ? placeAt(node.range?.[0]) : fallback;
    if (depth > 100) throw composeError("COMPOSE_INVALID", place, "aliases lead in a circle");
    if (isAlias(node)) return convert(node.resolve(document), place, depth + 1);
    if (isPlaced(node) && node.tag?.startsWith("!") === true && !node.tag.startsWith("!!"))
      throw unsupported({ place }, `the tag ${node.tag} is not supported`);
    if (isSeq(node))
      return { kind: "list", items: node.items.map((item) => convert(item, place, depth + 1)), place };
    if (!isMap(node)) return isScalar(node) ? scalarOfNode(node, place) : scalarTree(null, place);
    const own = new Map<string, Tree>();
    const merged = new Map<string, Tree>();
    const keys = new Map<string, Place>();
    for (const { key, value } of node.items) {
      const at = isPlaced(key) ? placeAt(key.range?.[0]) : place;
      const name = String(isScalar(key) ? key.value : key);
      const child = convert(value, at, depth + 1);
      if (name !== "<<" && isScalar(key) && typeof key.value !== "symbol") {
        const { value: written } = scalarOfNode(key, at);
        if (typeof written !== "string")
          throw invalid(
            { place: at },
            `the key ${key.source ?? name} should be a text`,
            `Write it in quotes: "${key.source ?? name}".`,
          );
        own.set(name, child);
        keys.set(name, at);
        continue;
      }
      for (const source of child.kind === "list" ? child.items : [child]) {
        if (source.kind !== "map") throw composeError("COMPOSE_INVALID", at, "<< needs a mapping");
        for (const [inherited, tree] of source.entries) {
          if (merged.has(inherited)) continue;
          merged.set(inherited, tree);
          if (!keys.has(inherited)) keys.set(inherited, source.keys.get(inherited) ?? at);
        }
      }
    }
    return { kind: "map", entries: new Map([...merged, ...own]), keys, place };
  };
  return convert(document.contents, placeAt(0), 0);
}

/** From parsed JSON, as `docker compose config --format json` prints it. */
export function treeOf(value: unknown, place: Place): Tree {
  if (Array.isArray(value)) return { kind: "list", items: value.map((item) => treeOf(item, place)), place };
  if (typeof value !== "object" || value === null) return { kind: "scalar", value: scalarOf(value), place };
  const entries = Object.entries(value).map(([key, item]) => [key, treeOf(item, place)] as const);
  return mapTree(new Map(entries), place);
}

export function mapTree(entries: ReadonlyMap<string, Tree>, place: Place, from?: MapTree): MapTree {
  const keys = new Map([...entries].map(([key, tree]) => [key, from?.keys.get(key) ?? tree.place]));
  return { kind: "map", entries, keys, place };
}

export const scalarTree = (value: Scalar, place: Place): ScalarTree => ({ kind: "scalar", value, place });

/** The same with every text changed; keys stay as they are. */
export function mapTexts(tree: Tree, change: (text: string, place: Place) => string): Tree {
  switch (tree.kind) {
    case "scalar":
      return typeof tree.value === "string" ? { ...tree, value: change(tree.value, tree.place) } : tree;
    case "list":
      return { ...tree, items: tree.items.map((item) => mapTexts(item, change)) };
    case "map":
      return {
        ...tree,
        entries: new Map([...tree.entries].map(([key, child]) => [key, mapTexts(child, change)])),
      };
  }
}

function isPlaced(node: unknown): node is Node {
  return typeof node === "object" && node !== null && "range" in node;
}

const TAGS: Readonly<Record<string, readonly Meaning["kind"][]>> = {
  str: ["text"],
  bool: ["truth"],
  int: ["whole"],
  float: ["fraction", "whole"],
  null: ["null"],
};

function scalarOfNode({ type, tag, value, source }: YamlScalar, place: Place): ScalarTree {
  const name = tag?.replace("tag:yaml.org,2002:", "");
  // Quotes, and the block forms, make a text of everything.
  if (name === undefined && type !== "PLAIN") return scalarTree(scalarOf(value), place);
  const written = source ?? String(value ?? "");
  if (name === "str") return scalarTree(written, place);
  const meaning = meaningOf(written);
  const allowed = name === undefined ? undefined : TAGS[name];
  if (name !== undefined && allowed === undefined)
    throw unsupported({ place }, `the tag !!${name} is not supported`);
  if (allowed?.includes(meaning.kind) === false) throw invalid({ place }, `"${written}" is no !!${name}`);
  return meaning.kind === "whole" || meaning.kind === "fraction" || meaning.kind === "unclear"
    ? { kind: "scalar", value: meaning.value, place, number: meaning }
    : scalarTree(meaning.value, place);
}

function scalarOf(value: unknown): Scalar {
  if (typeof value === "bigint") return Number(value);
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
}
