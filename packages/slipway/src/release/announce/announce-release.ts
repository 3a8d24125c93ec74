/** Announces a release, sends what earlier commands have left, and corrects what older messages say. */
import type { Clock } from "@slipway/base";
import type { Telling } from "../../notify/notify.ts";
import type { ReleaseEvent } from "../events.ts";
import type { ReleaseContext, ReleaseRecord } from "../model.ts";
import { history } from "../status/status.ts";
import { createAnnouncer } from "./announce.ts";
import { catchUp } from "./catch-up.ts";

export interface Announced {
  readonly onEvent: (event: ReleaseEvent) => void;
  settle(): Promise<void>;
}

export function announceWith(telling: Telling, clock: Clock, release: ReleaseContext | undefined): Announced {
  // Read beside the plan. Whoever cannot read it has been told so by then; here the message only says less.
  const past: Promise<readonly ReleaseRecord[]> =
    release === undefined || telling.kind === "printed"
      ? Promise.resolve([])
      : history(release).catch(() => []);
  const announcer = createAnnouncer({ notifier: telling.notifier, past });
  const cutOff = new Set<number>();
  let beside: Promise<unknown> = Promise.resolve();
  const correct = (newest: number, record?: ReleaseRecord): void => {
    beside = beside.then(async () => {
      const known = (await past)
        .filter(({ number }) => number !== record?.number)
        .map((one) => (cutOff.has(one.number) ? { ...one, outcome: "interrupted" as const } : one));
      const records = record === undefined ? known : [record, ...known];
      await catchUp(telling, records, { now: clock.now(), newest });
    });
  };
  if (telling.kind !== "printed") beside = telling.notifier.drain().catch(() => undefined);
  return {
    onEvent: (event) => {
      announcer.onEvent(event);
      if (event.type === "interrupted-found") cutOff.add(event.number);
      if (event.type === "started") correct(event.number);
      if (event.type === "finished") correct(event.record.number, event.record);
    },
    async settle() {
      const timer = new AbortController();
      const limit = clock.sleep(BESIDE_MS, timer.signal).catch(() => undefined);
      await Promise.race([beside.catch(() => undefined), limit]);
      timer.abort();
      await announcer.settle();
    },
  };
}

/** What is beside the release itself may keep the command this long after its end. */
const BESIDE_MS = 2_000;
