/** The rows of the warehouse that this process has open. */
import type { Clock } from "@slipway/base";
import type { Warehouse } from "../../observe/warehouse/warehouse.ts";
import { numberOf, type Rows } from "./rows.ts";

const FRESH_MS = 5000;

export function warehouseRows(
  name: string,
  warehouse: Pick<Warehouse, "query" | "figures">,
  options: {
    readonly clock: Clock;
    /** Bytes of logs that are written and not stored. */
    readonly unread: () => number;
    /** How late the newest lines were stored. */
    readonly lagMs: () => number;
    /** Lines that were read and are not stored as anything; there should be none. */
    readonly unaccounted: () => number;
  },
): Rows {
  const { clock } = options;
  let counted: { readonly at: number; readonly probes: number; readonly lost: number } | undefined;

  /** What the warehouse does not count itself. */
  const counts = async (): Promise<{ readonly probes: number; readonly lost: number }> => {
    if (counted !== undefined && clock.monotonic() - counted.at < FRESH_MS) return counted;
    const { rows } = await warehouse.query(
      `SELECT (SELECT CAST(coalesce(sum(n), 0) AS DOUBLE) FROM rollup WHERE probe),
         (SELECT CAST(coalesce(sum("to" - "from"), 0) AS DOUBLE) FROM gaps)`,
      {},
      { timeoutMs: 5000 },
    );
    counted = { at: clock.monotonic(), probes: numberOf(rows[0]?.[0]), lost: numberOf(rows[0]?.[1]) };
    return counted;
  };

  return {
    name,
    query: (sql, parameters, limits) => warehouse.query(sql, parameters, limits),
    async lines() {
      const { access, logs, quarantine, newestMs, problem } = warehouse.figures();
      const { probes, lost } = await counts();
      const waitsMs = options.unread() === 0 || newestMs === undefined ? 0 : clock.now() - newestMs;
      return {
        read: access + logs + quarantine + options.unaccounted(),
        requests: access,
        logs,
        quarantine,
        gaps: lost,
        lagMs: Math.round(Math.max(options.lagMs(), waitsMs)),
        probes,
        problem,
      };
    },
  };
}
