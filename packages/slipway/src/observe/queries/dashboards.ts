/**
 * Dashboards as code: `dashboards/*.ts` beside slipway.config.ts, each with a default export made by `defineDashboard`.
 * A panel is a named query with some parameters set.
 */
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { SlipwayError } from "@slipway/base";
import * as z from "zod";
import { bindSlipwayImports } from "../../config/load.ts";
import type { QueryLibrary } from "./load.ts";
import { resolveParameters } from "./parameters.ts";

const DASHBOARDS_FOLDER = "dashboards";

const dashboardSchema = z.strictObject({
  title: z.string().min(1).max(120),
  panels: z
    .array(
      z.strictObject({
        query: z.string(),
        title: z.string().max(120).optional(),
        parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).default({}),
      }),
    )
    .min(1)
    .max(30),
});

export type DashboardInput = z.input<typeof dashboardSchema>;

export interface Dashboard {
  /** Of the file, without `.ts`. */
  readonly name: string;
  readonly title: string;
  readonly panels: readonly {
    readonly query: string;
    readonly title: string;
    readonly parameters: Readonly<Record<string, string | number | boolean>>;
  }[];
}

/** Problems are kept beside what works: one broken file does not take the others away. */
export async function loadDashboards(
  root: string,
  library: QueryLibrary,
): Promise<{ readonly dashboards: readonly Dashboard[]; readonly problems: readonly SlipwayError[] }> {
  const folder = join(root, DASHBOARDS_FOLDER);
  if (!existsSync(folder)) return { dashboards: [], problems: [] };
  bindSlipwayImports();
  const dashboards: Dashboard[] = [];
  const problems: SlipwayError[] = [];
  for (const file of (await readdir(folder)).filter((name) => /^[^.].*(?<!\.test)\.ts$/.test(name)).sort()) {
    const where = `${DASHBOARDS_FOLDER}/${file}`;
    try {
      const path = join(folder, file);
      // A module is loaded once for each address: one that was changed has another.
      const address = `${pathToFileURL(path).href}?${(await stat(path)).mtimeMs}`;
      const module = (await import(address)) as { default?: unknown };
      dashboards.push(parseDashboard(file.slice(0, -".ts".length), module.default, where, library));
    } catch (error) {
      problems.push(
        error instanceof SlipwayError
          ? error
          : invalid(where, error instanceof Error ? error.message : String(error)),
      );
    }
  }
  return { dashboards, problems };
}

/** Throws DASHBOARD_FILE: a panel must name a query that is there, and give it parameters that it has. */
function parseDashboard(name: string, value: unknown, where: string, library: QueryLibrary): Dashboard {
  const parsed = dashboardSchema.safeParse(value);
  if (!parsed.success) throw invalid(where, z.prettifyError(parsed.error));
  const panels = parsed.data.panels.map(({ query, title, parameters }, index) => {
    const known = library.queries.find((one) => one.name === query);
    if (known === undefined) throw invalid(where, `panels[${index}]: there is no query "${query}"`);
    try {
      resolveParameters(known, parameters, 0);
    } catch (error) {
      throw invalid(where, `panels[${index}]: ${error instanceof Error ? error.message : String(error)}`);
    }
    return { query, title: title ?? known.title, parameters };
  });
  return { name, title: parsed.data.title, panels };
}

function invalid(where: string, message: string): SlipwayError {
  return new SlipwayError({
    code: "DASHBOARD_FILE",
    where,
    message,
    hint: "Export one as default: `export default defineDashboard({ title, panels: [{ query }] })`.",
    exitCode: 2,
  });
}
