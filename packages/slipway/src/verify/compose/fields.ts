/** Reading values out of a tree: each says where it stands when it is not what it should be. */
import { nearest, parseDuration } from "@slipway/base";
import { invalid, type MapTree, type Place, type Tree, unsupported } from "./tree.ts";

/**
 * The mapping at `what`, with no key but those that are known. `refused` are keys of the Compose Specification that this
 * subset does not have; `x-…` is anybody's.
 */
export function knownKeys(
  tree: Tree,
  what: string,
  known: readonly string[],
  refused: readonly string[] = [],
): MapTree {
  const map = mapOf(tree, what);
  for (const key of map.entries.keys()) {
    if (known.includes(key) || key.startsWith("x-")) continue;
    const place: { readonly place: Place } = { place: map.keys.get(key) ?? map.place };
    if (refused.includes(key)) throw unsupported(place, `${what}: "${key}" is not supported`);
    const near = nearest(key, [...known, ...refused]);
    const hint = near === undefined ? `Known: ${known.join(", ")}.` : `Did you mean "${near}"?`;
    throw invalid(place, `${what}: unknown key "${key}"`, hint);
  }
  return map;
}

export function mapOf(tree: Tree, what: string): MapTree {
  if (tree.kind === "map") return tree;
  throw invalid(tree, `${what}: should be a mapping`);
}

/** Undefined when absent or null. */
export function field(map: MapTree, key: string): Tree | undefined {
  const tree = map.entries.get(key);
  return tree?.kind === "scalar" && tree.value === null ? undefined : tree;
}

/** A mapping, or nothing: `networks: {back: }` has a null. */
export function optionalMap(tree: Tree, what: string): MapTree {
  if (tree.kind === "scalar" && tree.value === null)
    return { kind: "map", entries: new Map(), keys: new Map(), place: tree.place };
  return mapOf(tree, what);
}

/** Compose takes nothing but texts in most places: what YAML makes of 0x10 or 1.0 is not what was written. */
export function text(tree: Tree, what: string): string {
  if (tree.kind !== "scalar" || tree.value === null) throw invalid(tree, `${what}: should be a text`);
  if (typeof tree.value === "string" && tree.number === undefined) return tree.value;
  const shown = tree.number?.shown ?? String(tree.value);
  throw invalid(tree, `${what}: ${shown} should be a text`, "Write it in quotes.");
}

/** A text, a number or a truth value, as Compose prints it where all of them may stand. */
export function printed(tree: Tree, what: string): string {
  if (tree.kind !== "scalar" || tree.value === null) throw invalid(tree, `${what}: should be a text`);
  if (tree.number?.kind === "unclear")
    throw invalid(
      tree,
      `${what}: ${tree.number.shown} means something else to each version of Compose`,
      "Write it in quotes.",
    );
  return tree.number?.shown ?? String(tree.value);
}

const TRUE = ["true", "y", "yes", "on"];
const FALSE = ["false", "n", "no", "off"];

/** The words of old YAML are texts first, and Compose then takes them for what they say. */
export function boolean(tree: Tree, what: string): boolean {
  if (tree.kind === "scalar" && tree.number === undefined) {
    const word = String(tree.value).toLowerCase();
    if (TRUE.includes(word)) return true;
    if (FALSE.includes(word)) return false;
  }
  throw invalid(tree, `${what}: should be true or false`);
}

/** A whole number, 0 or more. */
export function count(tree: Tree, what: string): number {
  const isNumber = tree.kind === "scalar" && /^\d+$/.test(tree.number?.shown ?? String(tree.value));
  const number = isNumber ? Number(tree.value) : Number.NaN;
  if (Number.isInteger(number) && number >= 0) return number;
  throw invalid(tree, `${what}: should be a whole number`);
}

/** Milliseconds of `1m30s`, `500ms`, `10us`. */
export function duration(tree: Tree, what: string): number {
  const written = text(tree, what);
  const micro = /^(\d+)us$/.exec(written)?.[1];
  if (micro !== undefined) return Math.ceil(Number(micro) / 1000);
  try {
    return parseDuration(written, what);
  } catch {
    throw invalid(tree, `${what}: "${written}" is no duration`, "Write it like 1m30s, 10s or 500ms.");
  }
}

export function list(tree: Tree, what: string): readonly Tree[] {
  if (tree.kind === "list") return tree.items;
  throw invalid(tree, `${what}: should be a list`);
}

/** A list of texts, or one text for itself. */
export function texts(tree: Tree, what: string): readonly string[] {
  return tree.kind === "scalar" ? [text(tree, what)] : list(tree, what).map((item) => text(item, what));
}

/** An argument vector: a list as it is, a text split as a shell would, without expanding anything. */
export function words(tree: Tree, what: string): readonly string[] {
  if (tree.kind === "list") return texts(tree, what);
  const found = splitWords(text(tree, what));
  if (found === undefined) throw invalid(tree, `${what}: the quotes are not closed`);
  return found;
}

/** Undefined when a quote is not closed. */
export function splitWords(source: string): readonly string[] | undefined {
  const found: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < source.length; at += 1) {
    const letter = source[at] as string;
    if (quote === "'") {
      if (letter === "'") quote = "";
      else word += letter;
    } else if (letter === "\\" && at + 1 < source.length) {
      at += 1;
      const next = source[at] as string;
      const isKept = quote === '"' && !'"\\$`'.includes(next);
      word = (word ?? "") + (isKept ? `\\${next}` : next);
    } else if (letter === quote) quote = "";
    else if (quote === "" && (letter === '"' || letter === "'")) {
      quote = letter;
      word ??= "";
    } else if (quote === "" && /\s/.test(letter)) {
      if (word !== undefined) found.push(word);
      word = undefined;
    } else word = (word ?? "") + letter;
  }
  if (quote !== "") return undefined;
  return word === undefined ? found : [...found, word];
}

/** A mapping of texts; null is left out, or becomes `empty`. */
export function textMap(tree: Tree, what: string, empty?: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [key, child] of mapOf(tree, what).entries) {
    const isNull = child.kind === "scalar" && child.value === null;
    const value = isNull ? empty : printed(child, `${what}/${key}`);
    if (value !== undefined) found[key] = value;
  }
  return found;
}
