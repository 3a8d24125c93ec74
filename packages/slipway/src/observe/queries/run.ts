/**
 * Runs a named query. Answers are kept by query, parameters and committed offset: as long as nothing new is stored, the
 * same question costs nothing, and two who ask at once ask once: who leaves takes the answer from nobody else.
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

interface Asked {
  readonly answer: Promise<QueryAnswer>;
  readonly stop: AbortController;
  /** How many wait for it. */
  waiting: number;
}

export function createQueryRunner(place: QueryPlace): QueryRunner {
  const kept = new Map<string, Asked>();
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
      if (known !== undefined && !known.stop.signal.aborted) return answerFor(known, limits.signal);
      const stop = new AbortController();
      const asked = { answer: place.query(sql, bound, { ...limits, signal: stop.signal }), stop, waiting: 0 };
      if (kept.size >= KEPT) kept.delete(kept.keys().next().value as string);
      kept.set(key, asked);
      // A failure is not an answer: the next one asks again.
      asked.answer.catch(() => kept.get(key) === asked && kept.delete(key));
      return answerFor(asked, limits.signal);
    },
  };
}

/** It is given up when nobody waits for it any more. */
async function answerFor(asked: Asked, signal: AbortSignal | undefined): Promise<QueryAnswer> {
  const leave = (): void => {
    asked.waiting -= 1;
    if (asked.waiting === 0) asked.stop.abort();
  };
  asked.waiting += 1;
  if (signal?.aborted === true) leave();
  else signal?.addEventListener("abort", leave, { once: true });
  try {
    return await asked.answer;
  } finally {
    signal?.removeEventListener("abort", leave);
  }
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
