/**
 * The collectors of an environment's clusters, looked for again and again: one may be installed, or come back, while the
 * pages are open. Without one, or without the rights to reach it, the pages show clusters and releases all the same and say
 * what is missing.
 */
import type { Clock } from "@slipway/base";
import type {
  QueryAnswer,
  QueryLimits,
  QueryParameters,
  WarehouseFigures,
} from "../../observe/warehouse/warehouse.ts";
import type { ObserverFigures } from "../observer.ts";
import { atMost } from "./at-most.ts";
import { type Rows, sentenceOf } from "./rows.ts";
import { warehouseRows } from "./warehouse-rows.ts";

/** What `answers.ts` answers, from wherever it is asked. */
export interface CollectorClient {
  query(sql: string, parameters?: QueryParameters, limits?: QueryLimits): Promise<QueryAnswer>;
  figures(): Promise<unknown>;
}

/** Undefined where none is installed; rejects when it cannot be reached. */
export type ReachCollector = (cluster: string) => Promise<CollectorClient | undefined>;

export interface Collectors {
  /** Those that were found, and why the others were not. */
  rows(): { readonly sources: readonly Rows[]; readonly nothing: string };
  close(): void;
}

const LOOK_EVERY_MS = 15_000;
const LOOK_AT_MOST_MS = 5_000;
const FIGURES_FRESH_MS = 1_000;
const QUERY_MS = 30_000;
/** So that the collector can say by itself that it took too long. */
const MARGIN_MS = 2_000;
const LATE = Symbol("late");

type Figures = ObserverFigures & { readonly warehouse: WarehouseFigures };

/** Resolves when each cluster was looked at once, or took too long. */
export async function findCollectors(
  clusters: readonly string[],
  reach: ReachCollector,
  clock: Clock,
): Promise<Collectors> {
  const closing = new AbortController();
  const found = new Map<string, Rows>();
  const missing = new Map<string, string>(clusters.map((name) => [name, "its collector was not found yet"]));

  const look = async (name: string): Promise<void> => {
    try {
      const client = await reach(name);
      if (client === undefined) throw new Error("no collector is installed (slipway observe install)");
      await client.figures();
      missing.delete(name);
      if (!found.has(name)) found.set(name, collectorRows(name, reach, clock));
    } catch (error) {
      missing.set(name, sentenceOf(error));
      found.delete(name);
    }
  };
  const lookAtAll = async (): Promise<void> => {
    await Promise.all(clusters.map((name) => atMost(clock, LOOK_AT_MOST_MS, look(name), () => undefined)));
  };
  await lookAtAll();
  void (async () => {
    while (!closing.signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, closing.signal).catch(() => undefined);
      if (!closing.signal.aborted) await lookAtAll();
    }
  })();

  return {
    rows: () => ({
      sources: clusters.flatMap((name) => found.get(name) ?? []),
      nothing: [...missing].map(([cluster, reason]) => `${cluster}: ${reason}`).join("; "),
    }),
    close: () => closing.abort(),
  };
}

function collectorRows(name: string, reach: ReachCollector, clock: Clock): Rows {
  let known: Promise<CollectorClient | undefined> | undefined;
  let seen: { readonly at: number; readonly figures: Figures } | undefined;
  /** Its certificate and token are read once, and again after a failure: it may have been installed anew. */
  const asking = async <T>(question: (client: CollectorClient) => Promise<T>, ms: number): Promise<T> => {
    known ??= reach(name);
    const own = known;
    const answer = (async (): Promise<T | typeof LATE> => {
      const client = await own;
      if (client === undefined) throw new Error("its collector is gone");
      return question(client);
    })();
    try {
      const answered = await atMost<T | typeof LATE>(clock, ms, answer, () => LATE);
      if (answered !== LATE) return answered as T;
      throw new Error(`its collector did not answer within ${ms / 1000} s`);
    } catch (error) {
      known = undefined;
      throw error;
    }
  };
  const query: Rows["query"] = (sql, parameters, limits) =>
    asking((client) => client.query(sql, parameters, limits), (limits?.timeoutMs ?? QUERY_MS) + MARGIN_MS);
  return {
    name,
    query,
    async lines() {
      if (seen === undefined || clock.monotonic() - seen.at >= FIGURES_FRESH_MS) {
        seen = {
          at: clock.monotonic(),
          figures: (await asking((client) => client.figures(), LOOK_AT_MOST_MS)) as Figures,
        };
      }
      // An earlier collector does not say all of it.
      const { warehouse, unread, lines, read = lines, lagMs = 0 } = seen.figures;
      return warehouseRows(
        name,
        { query, figures: () => warehouse },
        { clock, unread: () => unread, lagMs: () => lagMs, unaccounted: () => read - lines },
      ).lines();
    },
  };
}
