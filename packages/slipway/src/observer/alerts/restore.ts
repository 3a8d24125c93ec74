/**
 * What was counted before this process started, from the warehouse's own rollup. That is written in the transaction of
 * the rows, so what is restored and what is counted from then on never overlap and leave nothing out.
 */
import type { CountedMinute } from "../../observe/counts/counts.ts";
import { BUCKETS } from "../../observe/counts/histogram.ts";
import { KEPT_MINUTES, TIMED_MINUTES } from "../../observe/counts/series.ts";
import type { Warehouse } from "../../observe/warehouse/warehouse.ts";

const MINUTE_MS = 60_000;
const MOST_ROWS = 100_000;

/** Of the last three days, oldest first. */
export async function countedMinutes(
  warehouse: Pick<Warehouse, "query">,
  now: number,
): Promise<readonly CountedMinute[]> {
  const all: CountedMinute[] = [];
  // Some hours at a time: each answer has a limit.
  for (let from = now - KEPT_MINUTES * MINUTE_MS; from < now + MINUTE_MS; from += TIMED_MINUTES * MINUTE_MS) {
    const to = from + TIMED_MINUTES * MINUTE_MS;
    const { rows } = await warehouse.query(
      `SELECT CAST(epoch_ms(minute) AS DOUBLE), cluster, service, release, origin, class, bucket,
         CAST(sum(n) AS DOUBLE)
       FROM rollup
       WHERE NOT probe AND origin <> 'import' AND minute >= make_timestamp_ms(CAST($from AS BIGINT))
         AND minute < make_timestamp_ms(CAST($to AS BIGINT))
       GROUP BY ALL`,
      { from: Math.floor(from), to: Math.floor(to) },
      { maxRows: MOST_ROWS, timeoutMs: 60_000 },
    );
    for (const [minute, cluster, service, release, origin, kind, bucket, count] of rows) {
      all.push({
        minuteMs: Number(minute),
        cluster: String(cluster),
        service: String(service),
        release: Number(release),
        origin: origin === "edge" ? "edge" : "pod",
        class: String(kind),
        bucket: Number(bucket) < BUCKETS ? Number(bucket) : undefined,
        count: Number(count),
      });
    }
  }
  return all;
}
