/** The named queries of a project, as the pages and the command line use them. */
import type { Clock } from "@slipway/base";
import { loadDashboards } from "../observe/queries/dashboards.ts";
import { findQuery, loadQueries, type QueryLibrary } from "../observe/queries/load.ts";
import { resolveParameters } from "../observe/queries/parameters.ts";
import type { NamedQuery, QueryParameter } from "../observe/queries/query-file.ts";
import { createQueryRunner, type QueryRunner, sqlFor } from "../observe/queries/run.ts";
import type { ScheduledRun } from "../observe/queries/schedule.ts";
import { writeQueryFile } from "../observe/queries/write-file.ts";
import type { Cell, NamedQueryView } from "../server/api.ts";
import type { QueriesPort } from "./pages/ports.ts";
import { askEach, type Rows } from "./pages/rows.ts";

export interface QueriesOptions {
  /** Folder of slipway.config.ts. */
  readonly root: string;
  readonly clock: Clock;
  readonly sources: () => readonly Rows[];
  /** Of the one warehouse, where there is one only: answers are kept until it changes. */
  readonly committed?: (() => number | undefined) | undefined;
  readonly lastRun?: ((name: string) => ScheduledRun | undefined) | undefined;
}

export interface Queries extends QueriesPort {
  readonly runner: QueryRunner;
  library(): Promise<QueryLibrary>;
}

export function createQueries(options: QueriesOptions): Queries {
  const { root, clock } = options;
  const library = (): Promise<QueryLibrary> => loadQueries(root);
  const runner = createQueryRunner({
    dialect: "duckdb",
    committed: options.committed ?? (() => undefined),
    query: (sql, parameters, limits) => askEach(options.sources(), sql, parameters, limits),
  });
  return {
    runner,
    library,
    async list() {
      const known = await library();
      const { dashboards, problems } = await loadDashboards(root, known);
      return {
        queries: known.queries
          .filter(({ sql }) => sql.duckdb !== undefined)
          .map((query) => viewOf(query, options.lastRun?.(query.name))),
        dashboards,
        problems: [...known.problems, ...problems].map(({ where = "", message }) => ({ where, message })),
      };
    },
    async run({ name, parameters }, limits) {
      const query = findQuery(await library(), name);
      return runner.run(query, resolveParameters(query, parameters, clock.now()), limits);
    },
    async save({ name, title, sql, chart, schedule }) {
      return {
        file: await writeQueryFile(root, {
          name,
          title: title === "" ? name : title,
          sql,
          chart:
            chart === undefined || chart.kind === "table"
              ? undefined
              : { ...chart, kind: chart.kind, y: [...chart.y] },
          schedule,
        }),
      };
    },
  };
}

function viewOf(query: NamedQuery, lastRun: ScheduledRun | undefined): NamedQueryView {
  const { chart, parameters } = query;
  return {
    name: query.name,
    title: query.title,
    sql: sqlFor(query, "duckdb"),
    parameters: Object.entries(parameters).map(([name, parameter]) => ({
      name,
      type: parameter.type,
      default: defaultOf(parameter),
    })),
    chart:
      chart === undefined || chart.kind === "table"
        ? undefined
        : { kind: chart.kind, x: chart.x, y: chart.y },
    schedule:
      query.schedule === undefined ? undefined : `${query.schedule.cron} (${query.schedule.timeZone})`,
    lastRun,
  };
}

function defaultOf(parameter: QueryParameter): Cell {
  return parameter.default ?? null;
}
