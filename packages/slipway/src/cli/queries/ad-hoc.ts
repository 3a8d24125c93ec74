/**
 * SQL of somebody's own as a query. What it names (`$service`, on BigQuery `@service`) are its parameters; `from` and `to`
 * are times, the last hour by default: on BigQuery nothing is asked without them.
 */
import {
  type Dialect,
  type NamedQuery,
  parameterNames,
  type QueryParameter,
} from "../../observe/queries/query-file.ts";

export function adHocQuery(dialect: Dialect, sql: string): NamedQuery {
  return {
    ...{ name: "sql", title: "", about: "", file: "" },
    ...{ chart: undefined, schedule: undefined, threshold: undefined },
    parameters: Object.fromEntries(
      parameterNames(dialect, sql).map((name) => [name, TIMES[name] ?? { type: "text" }]),
    ),
    sql: { [dialect]: sql },
  };
}

const TIMES: Readonly<Record<string, QueryParameter>> = {
  from: { type: "time", default: "-1h" },
  to: { type: "time", default: "now" },
};
