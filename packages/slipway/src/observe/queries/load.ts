/** The named queries: those that come with Slipway, and the team's own beside its configuration. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { nearest, SlipwayError, systemCode } from "@slipway/base";
import { type NamedQuery, parseQueryFile } from "./query-file.ts";

/** Folder of the team's queries, beside slipway.config.ts. */
export const QUERIES_FOLDER = "queries";

export interface QueryLibrary {
  /** By name, in the order of names. One of the team's takes the place of one of Slipway's with the same name. */
  readonly queries: readonly NamedQuery[];
  /** Files that could not be read; the others work. */
  readonly problems: readonly SlipwayError[];
}

/** `root` is the folder of slipway.config.ts; undefined: only what comes with Slipway. */
export async function loadQueries(root: string | undefined): Promise<QueryLibrary> {
  const own = await readFolder(ownFolder(), "slipway");
  const folder = root === undefined ? undefined : join(root, QUERIES_FOLDER);
  const team =
    folder === undefined || !existsSync(folder)
      ? { queries: [], problems: [] }
      : await readFolder(folder, relative(root as string, folder));
  const names = new Set(team.queries.map(({ name }) => name));
  const queries = [...team.queries, ...own.queries.filter(({ name }) => !names.has(name))];
  return {
    queries: queries.sort((a, b) => (a.name < b.name ? -1 : 1)),
    problems: [...own.problems, ...team.problems],
  };
}

/** Throws QUERY_UNKNOWN, or why the file of that name cannot be read. */
export function findQuery(library: QueryLibrary, name: string): NamedQuery {
  const found = library.queries.find((query) => query.name === name);
  if (found !== undefined) return found;
  const broken = library.problems.find((problem) => queryOfProblem(problem) === name);
  if (broken !== undefined) throw broken;
  const names = library.queries.map((query) => query.name);
  const close = nearest(name, names);
  throw new SlipwayError({
    code: "QUERY_UNKNOWN",
    where: `queries/${name}`,
    message: `there is no such query${close === undefined ? "" : `; did you mean "${close}"?`}`,
    hint: `Known: ${names.join(", ")}.`,
    exitCode: 2,
  });
}

async function readFolder(
  folder: string,
  shown: string,
): Promise<{ queries: NamedQuery[]; problems: SlipwayError[] }> {
  const queries: NamedQuery[] = [];
  const problems: SlipwayError[] = [];
  for (const file of (await readdir(folder)).filter((name) => /^[^.].*\.sql$/.test(name)).sort()) {
    try {
      const text = await readFile(join(folder, file), "utf8");
      queries.push(parseQueryFile(file.slice(0, -".sql".length), text, `${shown}/${file}`));
    } catch (error) {
      problems.push(error instanceof SlipwayError ? error : unreadable(`${shown}/${file}`, error));
    }
  }
  return { queries, problems };
}

/** A link that leads nowhere, a folder with such a name: it takes none of the others away. */
function unreadable(where: string, cause: unknown): SlipwayError {
  const message = `cannot be read (${systemCode(cause) ?? String(cause)})`;
  return new SlipwayError({ code: "QUERY_FILE", where, message, cause, exitCode: 2 });
}

/** Whose file it is that cannot be read: `slow` of `queries/slow.sql:3`. */
export function queryOfProblem({ where }: SlipwayError): string {
  return basename(where ?? "").replace(/\.sql(?::.*)?$/, "");
}

/** Beside the package's own package.json, wherever this file is after bundling. */
function ownFolder(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const queries = join(folder, QUERIES_FOLDER);
    if (existsSync(join(folder, "package.json")) && existsSync(queries)) return queries;
    if (dirname(folder) === folder) throw new Error("the folder of Slipway's queries is gone");
  }
}
