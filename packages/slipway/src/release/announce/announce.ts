/**
 * Tells people about a release: turns the event stream into one message that follows it. A pure reducer makes the
 * view while it runs (`view.ts`); its end, and everything told later, is made from the record alone (`message.ts`), so
 * that a message can be made again from what the clusters remember when the machine that sent it is gone.
 */
import type { DetailMessage, ReleaseMessage, ReleaseRef } from "../../notify/message.ts";
import type { Notifier } from "../../notify/notifier.ts";
import type { ReleaseEvent } from "../events.ts";
import type { ReleaseRecord, VersionInfo } from "../model.ts";
import { evidenceDetail, evidenceKey } from "./message.ts";
import { viewAfter } from "./view.ts";

export interface Announcer {
  /** Give it to `onEvent`; returns at once. */
  readonly onEvent: (event: ReleaseEvent) => void;
  /** Resolves when everything was sent, or after a while; never rejects. */
  settle(): Promise<void>;
}

/** A release is over when it is over: what Slack has not taken by then stays in the outbox. */
const SETTLE_MS = 5_000;

export function createAnnouncer(options: {
  readonly notifier: Notifier;
  /** The releases before this one; asked for while it runs, never waited for. */
  readonly past?: Promise<readonly ReleaseRecord[]> | undefined;
}): Announcer {
  const { notifier } = options;
  let past: readonly ReleaseRecord[] = [];
  const loaded = (options.past ?? Promise.resolve([])).then(
    (records) => {
      past = records;
    },
    () => undefined,
  );
  void loaded;
  let view: ReleaseMessage | undefined;
  let release: ReleaseRef | undefined;
  let version: VersionInfo | undefined;
  /** Told before the release had its number. */
  const early: DetailMessage[] = [];
  return {
    onEvent: (event) => {
      if (event.type === "started") {
        release = { service: event.service, environment: event.environment, number: event.number };
        version = event.version;
      }
      view = viewAfter(view, event, past);
      if (event.type === "interrupted-found") early.push({ title: event.message, text: "", code: undefined });
      if (release === undefined || view === undefined) return;
      notifier.show(release, view);
      for (const [index, detail] of early.splice(0).entries())
        notifier.add(release, `found-${index}`, detail);
      if (event.type === "evidence") {
        notifier.add(release, evidenceKey(event.evidence), evidenceDetail(event.evidence, version));
      }
    },
    settle: () => notifier.settle(SETTLE_MS),
  };
}
