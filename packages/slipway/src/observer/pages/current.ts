/** What there is at this moment, for the page *now* and for a release: made once for all who ask at the same time. */
import { SlipwayError } from "@slipway/base";
import type { Seen } from "../../release/judge/judgement.ts";
import type { ReleaseContext, ReleaseRecord } from "../../release/model.ts";
import type { AlertsAnswer, NowAnswer, ReleaseAnswer } from "../../server/api.ts";
import { releaseDiff } from "./answers/diff.ts";
import { countsByService } from "./answers/figures.ts";
import { NOW_MS, nowAnswer } from "./answers/now.ts";
import { beforeOf, lookAtRelease } from "./answers/release.ts";
import { type Known, summariesOf } from "./answers/releases.ts";
import type { PodChanges } from "./clusters/changes.ts";
import { clusterNow } from "./clusters/view.ts";
import type { Sight } from "./clusters/watch.ts";
import type { Records } from "./records.ts";
import { linesOfAll, type RowsNow } from "./rows.ts";

export interface Current {
  now(): Promise<NowAnswer>;
  /** Throws RELEASE_UNKNOWN. */
  release(known: Known, number: number): ReleaseAnswer;
}

const NOW_FRESH_MS = 300;

export function createCurrent(options: {
  readonly release: ReleaseContext;
  readonly rows: () => RowsNow;
  readonly records: Pick<Records, "current">;
  readonly sights: () => readonly Sight[];
  readonly changes: Pick<PodChanges, "of">;
  readonly alerts: () => Promise<AlertsAnswer>;
  readonly signal: AbortSignal;
}): Current {
  const { release, records, sights } = options;
  const { clock } = release;
  const memory = new Map<number, ReadonlyMap<string, Seen>>();
  let diff: { readonly key: string; readonly text: string } | undefined;
  let last: { readonly at: number; readonly answer: Promise<NowAnswer> } | undefined;

  /** Of a release that is looked at each second only its state changes. */
  const diffOf = (known: Known, record: ReleaseRecord): string => {
    const before = beforeOf(known.records, record);
    const key = `${before?.number} ${record.number} ${record.content}`;
    if (diff?.key !== key) diff = { key, text: releaseDiff(before, record) };
    return diff.text;
  };
  const answerNow = async (): Promise<NowAnswer> => {
    const { sources, nothing } = options.rows();
    const at = clock.now();
    const span = { fromMs: at - NOW_MS, toMs: at + 60_000 };
    const [counted, known, alerts, lines] = await Promise.all([
      countsByService(sources, span, { signal: options.signal, timeoutMs: 5000 }),
      records.current(),
      options.alerts(),
      linesOfAll(sources, nothing),
    ]);
    return nowAnswer({
      at,
      counts: counted.counts,
      clusters: sights().map((sight) => clusterNow(sight, release.service, known)),
      release: summariesOf(known)[0],
      alerts: alerts.open,
      lines,
      // Of some clusters there may be nothing, while there are numbers of others.
      problems: [...counted.problems, ...(sources.length === 0 || nothing === "" ? [] : [nothing])],
    });
  };

  return {
    now() {
      if (last !== undefined && clock.monotonic() - last.at < NOW_FRESH_MS) return last.answer;
      const answer = answerNow();
      const own = { at: clock.monotonic(), answer };
      last = own;
      answer.catch(() => {
        if (last === own) last = undefined;
      });
      return answer;
    },
    release(known, number) {
      const index = known.records.findIndex((one) => one.number === number);
      const record = known.records[index];
      const summary = summariesOf(known)[index];
      if (record === undefined || summary === undefined) {
        throw new SlipwayError({
          code: "RELEASE_UNKNOWN",
          where: `release ${number}`,
          message: "no cluster remembers it",
          hint: "The history keeps the newest releases; see slipway history.",
        });
      }
      const { answer, memory: next } = lookAtRelease({
        record,
        summary,
        diff: diffOf(known, record),
        sights: sights(),
        changes: options.changes.of(number),
        kubectl: release.kubectl ?? ((cluster) => `kubectl --context ${cluster}`),
        memory: memory.get(number) ?? new Map(),
        now: clock.now(),
      });
      // Of the one that runs: to look at another meanwhile must not make its waiting begin anew.
      if (summary.outcome === "in-progress") {
        memory.clear();
        memory.set(number, next);
      }
      return answer;
    },
  };
}
