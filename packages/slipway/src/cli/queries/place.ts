/** Where a query runs: what stands beside the local world, the collectors of clusters, or BigQuery. */
import { SlipwayError } from "@slipway/base";
import { createBigQueryPlace, openBigQuery } from "../../observe/queries/bigquery/bigquery.ts";
import type { Dialect } from "../../observe/queries/query-file.ts";
import type { QueryPlace } from "../../observe/queries/run.ts";
import type { CliContext } from "../command.ts";
import { openHistory } from "../open-history.ts";
import type { Project } from "../project.ts";

export interface NamedPlace {
  /** `world`, a cluster, `bigquery shop.logs`. */
  readonly name: string;
  readonly place: QueryPlace;
  /** What a query would read there; undefined where that costs nothing. */
  readonly cost?:
    | ((sql: string, parameters: Parameters<QueryPlace["query"]>[1]) => Promise<number>)
    | undefined;
}

/** `on`: `bigquery` or `collectors`; undefined takes BigQuery where the configuration has it and the environment is not local. */
export async function queryPlaces(
  context: CliContext,
  project: Project,
  on: string | undefined,
): Promise<readonly NamedPlace[]> {
  const { config } = project;
  const bigquery = config.observe?.bigquery;
  const wanted = on ?? (bigquery !== undefined && !config.isLocal ? "bigquery" : "collectors");
  if (wanted !== "bigquery" && wanted !== "collectors")
    throw usage(`--on ${wanted}`, "should be bigquery or collectors");
  if (wanted === "bigquery") {
    if (bigquery === undefined)
      throw usage("observe/bigquery", "is not configured", "Add observe.bigquery: { project, dataset }.");
    const place = createBigQueryPlace(bigquery, await openBigQuery(bigquery), context.clock);
    return [{ name: `bigquery ${bigquery.project}.${bigquery.dataset}`, place, cost: place.cost }];
  }
  const places = (await openHistory(context, project)).map(({ name, query }): NamedPlace => {
    const dialect: Dialect = "duckdb";
    return {
      name,
      place: {
        dialect,
        committed: () => undefined,
        query: (sql, parameters, limits) => query(sql, parameters, limits),
      },
    };
  });
  if (places.length > 0) return places;
  throw new SlipwayError({
    code: "OBSERVE_NOTHING",
    where: `environments/${config.environment}`,
    message: "nobody stores requests here",
    hint: config.isLocal
      ? config.observe === undefined
        ? "observe is false in slipway.config.ts: take it out, then `slipway ship`."
        : "Start the local world with `slipway local up`; `slipway local status` tells whether its observer runs."
      : "Install the collector with `slipway observe install`, or configure observe.bigquery.",
    exitCode: 3,
  });
}

function usage(where: string, message: string, hint?: string): SlipwayError {
  return new SlipwayError({
    code: "USAGE_QUERIES",
    where,
    message,
    ...(hint === undefined ? {} : { hint }),
    exitCode: 2,
  });
}
