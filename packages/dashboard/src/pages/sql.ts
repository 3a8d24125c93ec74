/** The little that an editor needs to know of SQL: tokens for colour, and what may stand at the cursor. */
export interface Token {
  readonly kind: "keyword" | "string" | "number" | "comment" | "name" | "other";
  readonly text: string;
}

export interface Completion {
  readonly text: string;
  readonly kind: "keyword" | "table" | "column" | "function";
}

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
}

const keywords =
  "select from where group by order limit having join left inner on as and or not in is null case when then else end with distinct between like ilike asc desc union all interval over partition qualify filter cast true false".split(
    " ",
  );
const functions =
  "count sum avg min max quantile_cont date_trunc time_bucket round coalesce now length lower upper substr regexp_matches regexp_extract median approx_count_distinct row_number epoch_ms strftime".split(
    " ",
  );
const pattern =
  /(?<comment>--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<string>'(?:[^']|'')*'?)|(?<number>\b\d+(?:\.\d+)?\b)|(?<word>[A-Za-z_]\w*|"[^"]*"?)|[\s\S]/g;

/** All tokens; together they are the text again. */
export function tokens(sql: string): readonly Token[] {
  const found: Token[] = [];
  for (const match of sql.matchAll(pattern)) {
    const { comment, string, number, word } = match.groups ?? {};
    const text = match[0];
    const kind =
      comment !== undefined
        ? "comment"
        : string !== undefined
          ? "string"
          : number !== undefined
            ? "number"
            : word === undefined
              ? "other"
              : keywords.includes(word.toLowerCase())
                ? "keyword"
                : "name";
    const last = found.at(-1);
    if (kind === "other" && last?.kind === "other")
      found[found.length - 1] = { kind, text: last.text + text };
    else found.push({ kind, text });
  }
  return found;
}

/** The word that is being written before the cursor, and where it begins. */
export function wordBefore(
  sql: string,
  cursor: number,
): { readonly word: string; readonly from: number; readonly qualifier: string | undefined } {
  const match = /(?:([A-Za-z_]\w*)\.)?([A-Za-z_]\w*)?$/.exec(sql.slice(0, cursor));
  const word = match?.[2] ?? "";
  return { word, from: cursor - word.length, qualifier: match?.[1] };
}

/** What may be meant: after FROM tables, behind `t.` its columns, else columns of the tables in the query, then words. */
export function completions(
  sql: string,
  cursor: number,
  tables: readonly Table[],
  most = 8,
): readonly Completion[] {
  const { word, qualifier } = wordBefore(sql, cursor);
  const inside = tokens(sql.slice(0, cursor)).at(-1)?.kind;
  if (inside === "string" || inside === "comment") return [];
  const fits = (text: string): boolean =>
    text.toLowerCase().startsWith(word.toLowerCase()) && text.toLowerCase() !== word.toLowerCase();
  const used = usedTables(sql, tables);
  if (qualifier !== undefined) {
    const table = used.get(qualifier.toLowerCase());
    return (table?.columns ?? []).filter(fits).slice(0, most).map(asKind("column"));
  }
  const before = tokens(sql.slice(0, cursor - word.length)).findLast(({ text }) => text.trim() !== "");
  if (/^(?:from|join)$/i.test(before?.text ?? "")) {
    return tables
      .map(({ name }) => name)
      .filter(fits)
      .slice(0, most)
      .map(asKind("table"));
  }
  if (word === "") return [];
  const columns = new Set((used.size > 0 ? [...used.values()] : tables).flatMap((table) => table.columns));
  return [
    ...[...columns].filter(fits).map(asKind("column")),
    ...functions.filter(fits).map(asKind("function")),
    ...keywords.filter(fits).map(asKind("keyword")),
    ...tables
      .map(({ name }) => name)
      .filter(fits)
      .map(asKind("table")),
  ].slice(0, most);
}

/** Tables by their name and by their alias. */
function usedTables(sql: string, tables: readonly Table[]): Map<string, Table> {
  const used = new Map<string, Table>();
  for (const [, name = "", alias] of sql.matchAll(
    /\b(?:from|join)\s+([A-Za-z_]\w*)(?:\s+(?:as\s+)?([A-Za-z_]\w*))?/gi,
  )) {
    const table = tables.find((candidate) => candidate.name.toLowerCase() === name.toLowerCase());
    if (table === undefined) continue;
    used.set(name.toLowerCase(), table);
    if (alias !== undefined && !keywords.includes(alias.toLowerCase())) used.set(alias.toLowerCase(), table);
  }
  return used;
}

function asKind(kind: Completion["kind"]): (text: string) => Completion {
  return (text) => ({ text, kind });
}
