/**
 * What of people's SQL is run: one SELECT that names only the warehouse's views and functions that compute. The
 * statement is judged as DuckDB's own parser reads it (`json_serialize_sql`), not by its text. It runs in a read-only
 * transaction besides, and the instance may touch no file outside its folder of sealed days; what is refused here is
 * what these two would let through, like reading the sealed files themselves, settings, or SQL inside a string.
 */
import { SlipwayError } from "@slipway/base";
import { VIEWS } from "./schema.ts";

/** Functions that make a table, without reading any file or the catalog. */
const TABLE_FUNCTIONS = new Set(["range", "generate_series", "unnest", "repeat_row"]);

/** Scalar functions that tell about the process or the instance. */
const REFUSED_FUNCTIONS = [
  /^(?:pg_|duckdb_|pragma_|current_setting$|getvariable$|getenv$|current_(?:database|schema|schemas|user|role)$)/,
  /^(?:in_search_path|set_config|nextval|currval|write_log|json_execute_serialized_sql|version)$/,
  /^(?:session_user|user|current_catalog|txid_current|current_query|error|sleep_ms|parse_duckdb_log_message)$/,
];

/**
 * Scalar functions that make a value of any size from a short one, in one step that no interrupt ends and no limit of
 * memory counts: `repeat('x', 2000000000)`. With small numbers written out they do no harm.
 */
const GROWING_FUNCTIONS: Readonly<Record<string, number>> = {
  repeat: 1_000,
  lpad: 1_000,
  rpad: 1_000,
  range: 100_000,
  generate_series: 100_000,
  list_resize: 1_000,
  array_resize: 1_000,
  bar: 1_000,
  format: 999,
  printf: 999,
};

interface Serialized {
  readonly error: boolean;
  readonly error_type?: string;
  readonly error_message?: string;
  readonly statements?: readonly { readonly node: unknown }[];
}

/** Throws QUERY_SYNTAX or QUERY_NOT_SELECT. `json` is what json_serialize_sql says of the statement. */
export function checkStatement(json: string): void {
  const read = JSON.parse(json) as Serialized;
  if (read.error || read.statements === undefined) {
    if (read.error_type === "parser") throw syntaxError(read.error_message ?? "cannot be read");
    throw notSelect("only a single SELECT is run here");
  }
  if (read.statements.length !== 1) throw notSelect("one statement at a time");
  const names = new Set<string>(VIEWS);
  collectNames(read.statements[0]?.node, names);
  checkNode(read.statements[0]?.node, names);
}

type Node = Readonly<Record<string, unknown>>;

/** Names that WITH gives to parts of the statement. A name that hides one of another part does no harm: it is ours. */
function collectNames(value: unknown, names: Set<string>): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const one of value) collectNames(one, names);
    return;
  }
  const node = value as Node;
  const map = (node["cte_map"] as { readonly map?: readonly { readonly key: string }[] } | undefined)?.map;
  for (const { key } of map ?? []) names.add(key.toLowerCase());
  for (const one of Object.values(node)) collectNames(one, names);
}

function checkNode(value: unknown, names: ReadonlySet<string>): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const one of value) checkNode(one, names);
    return;
  }
  const node = value as Node;
  if (node["type"] === "BASE_TABLE") checkTable(node, names);
  else if (node["type"] === "TABLE_FUNCTION") return checkTableFunction(node, names);
  else if (node["class"] === "FUNCTION") checkFunction(node);
  else if (node["type"] === "SHOW_REF") throw notSelect("SHOW and DESCRIBE are not run here");
  for (const one of Object.values(node)) checkNode(one, names);
}

function checkTable(node: Node, names: ReadonlySet<string>): void {
  const name = String(node["table_name"]).toLowerCase();
  const isQualified = node["schema_name"] !== "" || node["catalog_name"] !== "";
  if (!isQualified && names.has(name)) return;
  throw new SlipwayError({
    code: "QUERY_NOT_SELECT",
    where: isQualified ? `${String(node["schema_name"])}.${name}` : name,
    message: "is not a table that can be read here",
    hint: `There are: ${VIEWS.join(", ")}.`,
  });
}

function checkTableFunction(node: Node, names: ReadonlySet<string>): void {
  const call = node["function"] as Node | undefined;
  const name = String(call?.["function_name"]).toLowerCase();
  if (!TABLE_FUNCTIONS.has(name)) throw notSelect(`${name}() reads what is not in the warehouse`);
  checkNode(call?.["children"], names);
}

function checkFunction(node: Node): void {
  const name = String(node["function_name"]).toLowerCase();
  if (REFUSED_FUNCTIONS.some((pattern) => pattern.test(name))) throw notSelect(`${name}() is not run here`);
  const limit = Object.hasOwn(GROWING_FUNCTIONS, name) ? GROWING_FUNCTIONS[name] : undefined;
  if (limit !== undefined && !isSmall(name, node["children"] as readonly Node[], limit)) {
    throw new SlipwayError({
      code: "QUERY_NOT_SELECT",
      where: "query",
      message: `${name}() may make a value of any size`,
      hint: `Write its numbers out, up to ${limit}${name === "range" || name === "generate_series" ? ", or call it in FROM" : ""}.`,
    });
  }
}

/** What decides the size is written out and small: the numbers of all but the first, of a series of all. */
function isSmall(name: string, children: readonly Node[], limit: number): boolean {
  const isSeries = name === "range" || name === "generate_series";
  if (name === "format" || name === "printf") {
    const text = constantOf(children[0]);
    return (
      typeof text === "string" && (text.match(/\d+|\*/g) ?? []).every((digits) => Number(digits) <= limit)
    );
  }
  if (isSeries) return children.every((child) => isSmallNumber(constantOf(child), limit));
  return isSmallNumber(constantOf(children[name === "bar" ? 3 : 1]), limit);
}

function isSmallNumber(value: unknown, limit: number): boolean {
  return typeof value === "number" && Math.abs(value) <= limit;
}

/** Undefined when it is not written out. */
function constantOf(node: Node | undefined): unknown {
  if (node?.["class"] !== "CONSTANT") return undefined;
  const value = node["value"] as { readonly is_null: boolean; readonly value?: unknown } | undefined;
  return value?.is_null === false ? value.value : undefined;
}

export function syntaxError(message: string): SlipwayError {
  return new SlipwayError({ code: "QUERY_SYNTAX", where: "query", message });
}

function notSelect(message: string): SlipwayError {
  return new SlipwayError({
    code: "QUERY_NOT_SELECT",
    where: "query",
    message,
    hint: `One SELECT on ${VIEWS.join(", ")}; nothing is written, and no file is read.`,
  });
}
