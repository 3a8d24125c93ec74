/**
 * A source turns out to be of another release. Its rows hold only its id and stay; what it has added to the rollup is
 * taken out of the series where it was counted and put into the other.
 */

import { BUCKETS } from "../../counts/histogram.ts";
import { inTransaction, saveNames } from "./commit.ts";
import { CLASSES } from "./rollup.ts";
import type { Source } from "./sources.ts";
import type { State } from "./state.ts";

export interface Relabel {
  readonly source: number;
  readonly release: number;
  readonly commit: string;
}

export async function relabel(state: State, changes: readonly Relabel[]): Promise<void> {
  const moves = movesOf(state, changes);
  const stored = moves.filter(({ after }) => state.sources.isStored(after.id));
  if (stored.length > 0) {
    await inTransaction(state, async (saved) => {
      saveNames(state, saved);
      for (const { before, after } of stored) {
        await state.writer.sql.run(`INSERT INTO rollup_new ${moved(before, after)}`);
        await state.writer.sql.run(
          "UPDATE sources SET series = $1, release = $2, commit = $3 WHERE id = $4",
          [after.series, after.labels.release, after.labels.commit, after.id],
        );
      }
    });
  }
  for (const { after } of moves) state.sources.replace(after);
  // Not counted: at least one, so that it is compacted.
  state.rollupRows += stored.length;
}

function movesOf(
  state: State,
  changes: readonly Relabel[],
): { readonly before: Source; readonly after: Source }[] {
  return changes.flatMap(({ source, release, commit }) => {
    const before = state.sources.get(source);
    if (before === undefined || (before.labels.release === release && before.labels.commit === commit))
      return [];
    const labels = { ...before.labels, release, commit };
    return [{ before, after: { ...before, labels, series: state.sources.seriesFor(labels) } }];
  });
}

/** The same arithmetic as rollup.ts, in SQL, because the rows are no longer in memory. */
function moved(before: Source, after: Source): string {
  const classOf = `CASE WHEN status = 499 THEN ${CLASSES.indexOf("499")}
    WHEN status BETWEEN 100 AND 599 THEN status // 100 ELSE 0 END`;
  return `SELECT minute, series, class, probe, bucket, sign * n, sign * bytes FROM (
    SELECT date_trunc('minute', ts) AS minute, (${classOf})::UTINYINT AS class, coalesce(d.probe, false) AS probe,
      (${bucketSql("rt_ms")})::UTINYINT AS bucket, count(*) AS n, sum(bytes)::BIGINT AS bytes
    FROM all_access a LEFT JOIN dict d ON d.kind = 'ua' AND d.id = a.ua
    WHERE source = ${before.id} GROUP BY ALL),
    (VALUES (${before.series}, -1), (${after.series}, 1)) AS change (series, sign)`;
}

/** bucketOf of histogram.ts. */
export function bucketSql(ms: string): string {
  return `CASE WHEN ${ms} IS NULL THEN 255 WHEN ${ms} <= 1 THEN 0
    ELSE least(${BUCKETS - 1}, ceil(8 * log2(${ms}) - 1e-9)) END`;
}
