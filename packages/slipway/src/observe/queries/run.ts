/**
 * Runs a named query. Answers are kept by query, parameters and committed offset: as long as nothing new is stored, the
 * same question costs nothing, and two who ask at once ask once.
 */
import { SlipwayError } from "@slipway/base";
import type { QueryAnswer, QueryLimits, QueryParameters } from "../warehouse/warehouse.ts";
import { type Dialect, type NamedQuery, parameterNames } from "./query-file.ts";

/** What answers: a warehouse here, one behind HTTP, BigQuery. */
export interface QueryPlace {
  readonly dialect: Dialect;
  query(sql: string, parameters: QueryParameters, limits: QueryLimits): Promise<QueryAnswer>;
  /** Changes whenever there is new data; undefined: answers are not kept. */
  committed(): number | undefined;
}

export interface QueryRunner {
  run(query: NamedQuery, parameters: QueryParameters, limits?: QueryLimits): Promise<QueryAnswer>;
}

const KEPT = 200;

export function createQueryRunner(place: QueryPlace): QueryRunner {
  const kept = new Map<string, Promise<QueryAnswer>>();
  let keptFor: number | undefined;
  return {
    async run(query, parameters, limits = {}) {
      const sql = sqlFor(query, place.dialect);
      const bound = boundParameters(place.dialect, sql, parameters);
      const committed = place.committed();
      if (committed === undefined) return place.query(sql, bound, limits);
      if (committed !== keptFor) kept.clear();
      keptFor = committed;
      const key = JSON.stringify([sql, bound, limits.maxRows]);
      const known = kept.get(key);
      if (known !== undefined) return known;
      const asked = place.query(sql, bound, limits);
      if (kept.size >= KEPT) kept.delete(kept.keys().next().value as string);
      kept.set(key, asked);
      // A failure is not an answer: the next one asks again.
      asked.catch(() => kept.get(key) === asked && kept.delete(key));
      return asked;
    },
  };
}

/** Those that the text uses: a place refuses to be given others. */
export function boundParameters(dialect: Dialect, sql: string, parameters: QueryParameters): QueryParameters {
  const used = parameterNames(dialect, sql);
  return Object.fromEntries(Object.entries(parameters).filter(([name]) => used.includes(name)));
}

/** Throws QUERY_DIALECT when the file has no body for this place. */
export function sqlFor(query: NamedQuery, dialect: Dialect): string {
  const sql = query.sql[dialect];
  if (sql !== undefined) return sql;
  throw new SlipwayError({
    code: "QUERY_DIALECT",
    where: query.file,
    message: `has no body for ${dialect}`,
    hint: `Add one below a line "-- dialect: ${dialect}".`,
    exitCode: 2,
  });
}
