/** What the warehouse keeps in memory of its small tables, read once at the start. */
import type { Clock } from "@slipway/base";
import { Dictionary } from "../../access/dictionary.ts";
import type { SourceLabels } from "../../access/source.ts";
import { type Connection, rowsOf } from "./connection.ts";
import type { Instance } from "./instance.ts";
import { SEALED_KINDS } from "./schema.ts";
import type { SealedDays } from "./sealed.ts";
import { type Series, type Source, Sources } from "./sources.ts";
import { type Counts, MAX_VALUES, Probes, type State } from "./state.ts";

export async function loadState(instance: Instance, sealed: SealedDays, clock: Clock): Promise<State> {
  const { writer } = instance;
  const [rollup] = await rowsOf(writer, "SELECT count(*) AS n FROM rollup_new");
  return {
    ...instance,
    sealed,
    clock,
    dictionaries: await loadDictionaries(writer),
    sources: await loadSources(writer),
    probes: new Probes(),
    offsets: await loadOffsets(writer),
    edgeSince: await loadEdgeSince(writer),
    counts: await loadCounts(writer),
    rollupRows: rollup?.["n"] as number,
    exchange: () => Promise.reject(new Error("not open")),
  };
}

async function loadSources(connection: Connection): Promise<Sources> {
  const series = (await rowsOf(connection, "FROM series")) as unknown as Series[];
  const rows = await rowsOf(connection, "FROM sources");
  const sources = rows.map(({ id, series: of, ...labels }): Source => {
    return { id: id as number, series: of as number, labels: labels as unknown as SourceLabels };
  });
  return new Sources({ sources, series });
}

async function loadDictionaries(
  connection: Connection,
): Promise<Record<"referer" | "userAgent" | "route", Dictionary>> {
  const rows = await rowsOf(connection, "SELECT kind, id, v FROM dict ORDER BY id");
  const make = (kind: string): Dictionary =>
    new Dictionary(
      kind,
      MAX_VALUES,
      rows.filter((row) => row["kind"] === kind).map((row) => [row["id"] as number, row["v"] as string]),
    );
  return { referer: make("referer"), userAgent: make("ua"), route: make("route") };
}

async function loadOffsets(connection: Connection): Promise<Map<string, number>> {
  const rows = await rowsOf(connection, "FROM off");
  return new Map(rows.map((row) => [row["stream"] as string, row["position"] as number]));
}

async function loadEdgeSince(connection: Connection): Promise<Map<string, number>> {
  const rows = await rowsOf(connection, "FROM edge_since");
  return new Map(rows.map((row) => [row["service"] as string, row["ts"] as number]));
}

export async function loadCounts(connection: Connection): Promise<Counts> {
  const [row] = await rowsOf(
    connection,
    `SELECT ${SEALED_KINDS.map(
      (kind) =>
        `(SELECT count(*) FROM hot_${kind})
         + (SELECT coalesce(sum(rows), 0)::BIGINT FROM sealed WHERE kind = '${kind}') AS ${kind}`,
    ).join(", ")},
      (SELECT count(*) FROM hot_gaps) AS gaps,
      (SELECT value FROM meta WHERE key = 'committed') AS committed`,
  );
  const [span] = await rowsOf(
    connection,
    `SELECT min(oldest) AS oldest, max(newest) AS newest FROM (
      ${SEALED_KINDS.map((kind) => `SELECT min(ts) AS oldest, max(ts) AS newest FROM hot_${kind}`).join(" UNION ALL ")}
      UNION ALL SELECT min(oldest), max(newest) FROM sealed)`,
  );
  const of = (name: string): number => row?.[name] as number;
  return {
    access: of("access"),
    logs: of("logs"),
    quarantine: of("quarantine"),
    gaps: of("gaps"),
    committed: of("committed"),
    oldestMs: (span?.["oldest"] as number | null) ?? undefined,
    newestMs: (span?.["newest"] as number | null) ?? undefined,
  };
}
