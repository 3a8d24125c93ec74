/**
 * What of people's SQL is run: one SELECT that names only the warehouse's views and functions that compute. The
 * statement is judged as DuckDB's own parser reads it (`json_serialize_sql`), not by its text. It runs in a read-only
 * transaction besides, and the instance may touch no file outside its folder of sealed days; what is refused here is
 * what these two would let through, like reading the sealed files themselves, settings, or SQL inside a string.
 */
import { SlipwayError } from "@slipway/base";
import { type Node, refuseGrowth } from "./growth.ts";
import { VIEWS } from "./schema.ts";

/** Functions that make a table, without reading any file or the catalog. */
const TABLE_FUNCTIONS = new Set(["range", "generate_series", "unnest", "repeat_row"]);

/** Scalar functions that tell about the process or the instance. */
const REFUSED_FUNCTIONS = [
  /^(?:pg_|duckdb_|pragma_|current_setting$|getvariable$|getenv$|current_(?:database|schema|schemas|user|role)$)/,
  /^(?:in_search_path|set_config|nextval|currval|write_log|json_execute_serialized_sql|version)$/,
  /^(?:session_user|user|current_catalog|txid_current|current_query|error|sleep_ms|parse_duckdb_log_message)$/,
  // Each step may double what the one before made: no interrupt ends it, and no limit of memory counts it.
  /^(?:list_|array_)?reduce$/,
];

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
  checkNode(read.statements[0]?.node, new Set<string>(VIEWS));
  refuseGrowth(read.statements[0]?.node);
}

/** `names`: what a table may be called here. Beyond where WITH gives a name, it may be one of the catalog or a file. */
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
  const { cte_map: ctes, ...rest } = node;
  const known = checkCtes(ctes, names);
  for (const [key, one] of Object.entries(rest)) {
    const isOfItself = node["type"] === "RECURSIVE_CTE_NODE" && key === "right";
    checkNode(one, isOfItself ? new Set([...known, String(node["cte_name"]).toLowerCase()]) : known);
  }
}

/** Each sees those before it; what follows sees all. */
function checkCtes(map: unknown, names: ReadonlySet<string>): ReadonlySet<string> {
  const known = new Set(names);
  const entries = (
    map as { readonly map?: readonly { readonly key: string; readonly value: unknown }[] } | undefined
  )?.map;
  for (const { key, value } of entries ?? []) {
    checkNode(value, known);
    known.add(key.toLowerCase());
  }
  return known;
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
