/** What a pressed button does: the command line's own functions, with the person who pressed it as who did it. */
import type { Clock } from "@slipway/base";
import type { Telling } from "../notify/notify.ts";
import { announceWith } from "../release/announce/announce-release.ts";
import { hold } from "../release/history/hold.ts";
import type { ReleaseContext, ReleaseRecord } from "../release/model.ts";
import { history, rollback, status } from "../release/release.ts";
import { outcomeText, renderEvent } from "../release/text.ts";
import type { Press } from "./press.ts";

/** Each of the two that change something returns what came of it, in a sentence, or throws before anything is changed. */
export interface Deeds {
  /** All releases, newest first; one that was cut off is marked as interrupted. */
  records(): Promise<readonly ReleaseRecord[]>;
  rollBack(press: Pick<Press, "on" | "to">, who: string, signal: AbortSignal): Promise<string>;
  hold(press: Pick<Press, "on">, who: string): Promise<string>;
}

export interface DeedsOptions {
  /** Runs `work` with clients made anew: a kubeconfig, or the local world, changes while a server runs. */
  readonly withRelease: <T>(work: (release: ReleaseContext) => Promise<T>) => Promise<T>;
  /** A notifier of its own for each release, since settling ends it. */
  readonly telling: () => Telling;
  /** Where the buttons are: `slack`, `dashboard`. */
  readonly from: string;
  readonly clock: Clock;
  readonly log: (entry: { readonly event: "release"; readonly message: string }) => void;
}

export function createDeeds({ withRelease, telling, from, clock, log }: DeedsOptions): Deeds {
  return {
    records: () =>
      withRelease(async (release) => {
        const records = await history(release);
        if (records[0]?.outcome !== "in-progress") return records;
        // Nobody is at it any more: its message must not say "running" for ever.
        const { interrupted } = await status(release);
        return records.map((record, index) =>
          index === 0 && interrupted !== undefined ? { ...record, outcome: "interrupted" as const } : record,
        );
      }),
    rollBack: (press, who, signal) =>
      withRelease(async (context) => {
        const release: ReleaseContext = { ...context, who, from };
        const announced = announceWith(telling(), clock, release);
        try {
          const { record } = await rollback(release, {
            promised: { leaves: press.on.number, to: press.to as number },
            signal,
            onEvent: (event) => {
              const text = event.type === "progress" ? undefined : renderEvent(event);
              if (text !== undefined) log({ event: "release", message: text });
              announced.onEvent(event);
            },
          });
          return `release ${record.number} ${outcomeText(record)}`;
        } finally {
          await announced.settle();
        }
      }),
    hold: (press, who) =>
      withRelease(async (context) => {
        const release: ReleaseContext = { ...context, who, from };
        const { number } = press.on;
        const { changed, missing } = await hold(release, number);
        if (changed.length === 0) return `release ${number} was held already`;
        const away = missing.length === 0 ? "" : ` (not stored in ${missing.join(", ")})`;
        return `release ${number} is held: it is not deployed again until slipway release unhold ${number}${away}`;
      }),
  };
}
