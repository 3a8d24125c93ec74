/** Scheduled queries on their way into a cluster: what `slipway observe install` hands over, and what a collector makes of it. */
import { SlipwayError } from "@slipway/base";
import type { QueryLibrary } from "../../observe/queries/load.ts";
import { type NamedQuery, parseQueryFile } from "../../observe/queries/query-file.ts";
import { createQueryRunner } from "../../observe/queries/run.ts";
import type { Warehouse } from "../../observe/warehouse/warehouse.ts";
import type { Queries } from "../queries.ts";
import type { CollectorInput } from "./input.ts";

type Handed = CollectorInput["queries"];

/** A ConfigMap holds 1 MiB in all. */
const MOST_BYTES = 256 * 1024;

/**
 * Those with a schedule; the others are sent as text when somebody runs them. A file that cannot be read is thrown, and so
 * is OBSERVE_QUERIES when they are too large together.
 */
export function queriesToHand(
  { queries, problems }: QueryLibrary,
  textOf: (query: NamedQuery) => string,
): Handed {
  const [problem] = problems;
  if (problem !== undefined) throw problem;
  const handed = queries
    .filter(({ schedule }) => schedule !== undefined)
    .map((query) => ({ name: query.name, text: textOf(query) }));
  const size = ({ text }: Handed[number]): number => Buffer.byteLength(text);
  const bytes = handed.reduce((sum, one) => sum + size(one), 0);
  if (bytes > MOST_BYTES) {
    const largest = handed.reduce((a, b) => (size(a) >= size(b) ? a : b));
    throw new SlipwayError({
      code: "OBSERVE_QUERIES",
      where: `queries/${largest.name}.sql`,
      message: `scheduled queries have ${bytes} bytes together, ${size(largest)} of them here; at most ${MOST_BYTES} fit`,
      hint: "Shorten it, or take its schedule away.",
      exitCode: 2,
    });
  }
  return handed;
}

export function handedQueries(
  handed: Handed,
  warehouse: Pick<Warehouse, "query" | "figures">,
): Pick<Queries, "library" | "runner"> {
  const queries = handed.map(({ name, text }) => parseQueryFile(name, text, `queries/${name}.sql`));
  return {
    library: async () => ({ queries, problems: [] }),
    runner: createQueryRunner({
      dialect: "duckdb",
      committed: () => warehouse.figures().committed,
      query: (sql, parameters, limits) => warehouse.query(sql, parameters, limits),
    }),
  };
}
