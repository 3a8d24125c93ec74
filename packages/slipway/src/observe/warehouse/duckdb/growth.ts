/**
 * How large a value one step of a statement may make of a short one. DuckDB neither interrupts a step (2048 rows of one
 * expression) nor counts text and lists against its limit while it computes them: `repeat('x', 2000000000)`, or three
 * `repeat(…, 1000)` around each other, take the whole machine. So what makes values grow is written out, and small when
 * multiplied, wherever in the statement it stands: what one part makes, another part makes larger.
 */
import { SlipwayError } from "@slipway/base";

/** A part of a statement, as `json_serialize_sql` tells it. */
export type Node = Readonly<Record<string, unknown>>;

/** 2048 values of 100 kB are 200 MB. */
const MOST = 100_000;
/** A recursion makes larger what it made before. */
const MOST_IN_RECURSION = 10;

/** The result is so long, whatever came in: which child says how long, and the most that one may ask for. */
const SIZED: Readonly<Record<string, { readonly child: number; readonly most: number }>> = {
  lpad: { child: 1, most: 1000 },
  rpad: { child: 1, most: 1000 },
  list_resize: { child: 1, most: 1000 },
  array_resize: { child: 1, most: 1000 },
  bar: { child: 3, most: 1000 },
};
/** The result is so many times as long as what came in. */
const TIMES: Readonly<Record<string, number>> = {
  hex: 2,
  to_hex: 2,
  base64: 2,
  to_base64: 2,
  url_encode: 3,
  bin: 8,
  to_binary: 8,
};
const CONCATENATIONS = /^(?:\|\||concat|concat_ws|(?:list|array)_(?:concat|cat))$/;
/** What a replacement that is not written out is taken for. */
const UNKNOWN_REPLACEMENT = 100;

interface Growth {
  times: number;
  sized: number;
}

/** Throws QUERY_NOT_SELECT. */
export function refuseGrowth(statement: unknown): void {
  const growth: Growth = { times: 1, sized: 1 };
  add(statement, growth, false);
  if (growth.times * growth.sized > MOST) {
    throw refusal(
      "this makes values of any size",
      `What multiplies must be at most ${MOST} in all: shorten it.`,
    );
  }
}

function add(value: unknown, growth: Growth, inLambda: boolean): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const one of value) add(one, growth, inLambda);
    return;
  }
  const node = value as Node;
  if (node["type"] === "RECURSIVE_CTE_NODE") addRecursion(node, growth);
  // In FROM it makes rows, not values.
  if (node["type"] === "TABLE_FUNCTION") return add((node["function"] as Node)["children"], growth, inLambda);
  if (node["class"] === "FUNCTION") addFunction(node, growth, inLambda);
  const isLambda = inLambda || node["class"] === "LAMBDA";
  for (const one of Object.values(node)) add(one, growth, isLambda);
}

function addRecursion(node: Node, growth: Growth): void {
  const own: Growth = { times: 1, sized: 1 };
  add(node["right"], own, false);
  if (own.times > MOST_IN_RECURSION) {
    throw refusal("a recursion that makes its values longer each time", "Let it count, not grow.");
  }
  growth.times *= own.times;
}

function addFunction(node: Node, growth: Growth, inLambda: boolean): void {
  const name = String(node["function_name"]).toLowerCase();
  const children = node["children"] as readonly Node[];
  const size = sizeOf(name, children);
  // Of each element one.
  if (inLambda) growth.times *= size;
  else growth.sized = Math.max(growth.sized, size);
  growth.times *= timesOf(name, children, inLambda);
}

/** 1 for functions that do not choose how long their result is. */
function sizeOf(name: string, children: readonly Node[]): number {
  if (name === "range" || name === "generate_series") {
    // Of numbers; of dates with an interval it is not known.
    const numbers = children.map((child) => smallNumber(name, child, MOST, ", or call it in FROM"));
    const [from = 0, to = 0] = numbers.length === 1 ? [0, numbers[0]] : numbers;
    return Math.max(1, Math.abs(to - from));
  }
  if (name === "format" || name === "printf") {
    const text = constantOf(children[0]);
    const widths = typeof text === "string" ? (text.match(/\d+|\*/g) ?? []).map(Number) : [Number.NaN];
    if (!widths.every((width) => width < 1000)) throw unbounded(name, 999);
    return Math.max(1, ...widths);
  }
  const sized = Object.hasOwn(SIZED, name) ? SIZED[name] : undefined;
  return sized === undefined ? 1 : Math.max(1, smallNumber(name, children[sized.child], sized.most));
}

function timesOf(name: string, children: readonly Node[], inLambda: boolean): number {
  if (name === "repeat") return Math.max(1, smallNumber(name, children[1], 1000));
  if (name === "replace" || name === "regexp_replace") {
    const text = constantOf(children[2]);
    return typeof text === "string" ? Math.max(1, text.length) : UNKNOWN_REPLACEMENT;
  }
  // Elsewhere the text of the statement grows with them, in a lambda `x || x` is done again to what it made.
  if (inLambda && CONCATENATIONS.test(name)) return children.length;
  return Object.hasOwn(TIMES, name) ? (TIMES[name] as number) : 1;
}

function smallNumber(name: string, child: Node | undefined, most: number, orElse = ""): number {
  const value = constantOf(child);
  if (typeof value !== "number" || Math.abs(value) > most) throw unbounded(name, most, orElse);
  return value;
}

/** Undefined when it is not written out. */
function constantOf(node: Node | undefined): unknown {
  if (node?.["class"] !== "CONSTANT") return undefined;
  const value = node["value"] as { readonly is_null: boolean; readonly value?: unknown } | undefined;
  return value?.is_null === false ? value.value : undefined;
}

function unbounded(name: string, most: number, orElse = ""): SlipwayError {
  return refusal(`${name}() may make a value of any size`, `Write its numbers out, up to ${most}${orElse}.`);
}

function refusal(message: string, hint: string): SlipwayError {
  return new SlipwayError({ code: "QUERY_NOT_SELECT", where: "query", message, hint });
}
