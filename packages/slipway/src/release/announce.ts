/**
 * Tells people about a release: turns the event stream into one message that follows it. A pure reducer makes the
 * view; the announcer sends it without ever being waited for: edits that pile up while one is on its way collapse
 * into the newest, an error becomes a warning, and the end of a release waits for the last edit only a little.
 */
import { type Clock, formatDuration } from "@slipway/base";
import type { ClusterMark, DetailMessage, ReleaseMessage } from "../notify/message.ts";
import type { MessageHandle, Notifier } from "../notify/notifier.ts";
import { causeSentence } from "./causes.ts";
import type { ReleaseEvent } from "./events.ts";
import type { ReleaseRecord } from "./model.ts";
import { outcomeText, progressText, renderCause, renderEvidence } from "./text.ts";

/** The message after this event; undefined before the release has its number. */
export function viewAfter(view: ReleaseMessage | undefined, event: ReleaseEvent): ReleaseMessage | undefined {
  if (event.type === "started") {
    const commit = `${event.version.commit.slice(0, 12)}${event.version.dirty ? " (dirty)" : ""}`;
    const what =
      event.kind === "rollback"
        ? `taking release ${event.leaves} back to ${event.restores}`
        : `shipping ${commit}`;
    return {
      state: "running",
      title: `${event.service}: release ${event.number}, ${what}`,
      cause: undefined,
      facts: [
        { label: "environment", value: event.environment },
        { label: "commit", value: commit },
        { label: "by", value: `${event.who} (${event.from})` },
        ...(event.version.author === "" ? [] : [{ label: "author", value: event.version.author }]),
      ],
      clusters: event.waves.flat().map((name) => ({ name, mark: "waiting", text: "waiting" })),
    };
  }
  if (view === undefined) return undefined;
  const set = (name: string, mark: ClusterMark, text: string): ReleaseMessage => ({
    ...view,
    clusters: view.clusters.map((cluster) => (cluster.name === name ? { name, mark, text } : cluster)),
  });
  switch (event.type) {
    case "progress": {
      const { mark } = view.clusters.find((cluster) => cluster.name === event.cluster) ?? {};
      const isFollowed = mark === "waiting" || mark === "running";
      return isFollowed ? set(event.cluster, "running", progressText(event.progress)) : view;
    }
    case "verdict": {
      const took = formatDuration(event.durationMs);
      if (event.verdict === "healthy") return set(event.cluster, "healthy", `healthy after ${took}`);
      if (event.verdict === "failed") {
        const code = event.cause === undefined ? "" : `: ${event.cause.code}`;
        const next = set(event.cluster, "failed", `failed after ${took}${code}`);
        // The first cause stays on top; what follows from it does not replace it.
        return event.cause === undefined
          ? next
          : { ...next, cause: next.cause ?? causeSentence(event.cause) };
      }
      return set(event.cluster, "unknown", `unknown: ${event.reason ?? "no answer"}`);
    }
    case "evidence": {
      // What the dead container said was not known yet when its cluster failed.
      const { cause } = event.evidence;
      const isOnTop = view.cause === causeSentence({ ...cause, said: undefined });
      return isOnTop ? { ...view, cause: causeSentence(cause) } : view;
    }
    case "rolling-back":
      return {
        ...view,
        clusters: view.clusters.map((cluster) =>
          event.clusters.includes(cluster.name)
            ? { ...cluster, text: `${cluster.text}, going back to ${event.to}` }
            : cluster,
        ),
      };
    case "rolled-back":
      return event.ok
        ? set(event.cluster, "rolled-back", `back at release ${event.to}`)
        : set(event.cluster, "failed", `NOT back at release ${event.to}: ${event.reason}`);
    case "finished":
      return finishedView(view, event.record, event.durationMs);
    default:
      return view;
  }
}

function finishedView(view: ReleaseMessage, record: ReleaseRecord, durationMs: number): ReleaseMessage {
  const state = record.outcome === "in-progress" ? "running" : record.outcome;
  const title =
    record.outcome === "healthy" && record.kind === "rollback"
      ? `${record.service}: release ${record.leaves} was taken back to ${record.restores} (release ${record.number})`
      : `${record.service}: release ${record.number} ${outcomeText(record)}`;
  return {
    ...view,
    state,
    title,
    facts: [...view.facts, { label: "took", value: formatDuration(durationMs) }],
    clusters: view.clusters.map((cluster) =>
      cluster.mark === "waiting" ? { ...cluster, text: "not started" } : cluster,
    ),
  };
}

/** Details that belong in the thread; undefined for events that have none. */
function detailOf(event: ReleaseEvent): DetailMessage | undefined {
  if (event.type === "evidence") {
    const { cause } = event.evidence;
    return {
      title: `Why ${event.cluster} failed: ${cause.code}`,
      text: cause.todo,
      code: `${renderCause(cause)}\n${renderEvidence(event.evidence)}`,
    };
  }
  if (event.type === "interrupted-found") return { title: event.message, text: "", code: undefined };
  return undefined;
}

export interface Announcer {
  /** Give it to `onEvent`; returns at once. */
  readonly onEvent: (event: ReleaseEvent) => void;
  /** Resolves when everything was sent, or after a while; never rejects. */
  settle(): Promise<void>;
}

const EDIT_EVERY_MS = 1_000;
const SETTLE_MS = 5_000;

export function createAnnouncer(options: {
  readonly notifier: Notifier;
  readonly clock: Clock;
  /** Told once per problem; a release goes on regardless. */
  readonly onWarning: (message: string) => void;
}): Announcer {
  const { notifier, clock } = options;
  let view: ReleaseMessage | undefined;
  let sent: ReleaseMessage | undefined;
  let details: DetailMessage[] = [];
  let handle: MessageHandle | undefined;
  let sending: Promise<void> | undefined;
  let lastEditAt = Number.NEGATIVE_INFINITY;
  const stop = new AbortController();

  const attempt = async (send: () => Promise<void>): Promise<void> => {
    await send().catch((error: unknown) =>
      options.onWarning(`${notifier.name}: ${error instanceof Error ? error.message : String(error)}`),
    );
  };
  const pump = async (): Promise<void> => {
    while (view !== undefined && (view !== sent || details.length > 0)) {
      // Progress comes many times a second; Slack allows about one edit of a message in that time.
      const pause = view.state === "running" ? lastEditAt + EDIT_EVERY_MS - clock.monotonic() : 0;
      if (pause > 0 && handle !== undefined) await clock.sleep(pause, stop.signal).catch(() => undefined);
      const message = view;
      const known = handle;
      lastEditAt = clock.monotonic();
      if (message !== sent) {
        sent = message;
        await attempt(async () => {
          if (known === undefined) handle = await notifier.post(message);
          else await notifier.update(known, message);
        });
      }
      const waiting = details;
      details = [];
      for (const detail of waiting) {
        const target = handle;
        if (target !== undefined) await attempt(() => notifier.reply(target, detail));
      }
    }
  };
  const kick = (): void => {
    sending ??= pump().finally(() => {
      sending = undefined;
    });
  };
  return {
    onEvent: (event) => {
      view = viewAfter(view, event);
      const detail = detailOf(event);
      if (detail !== undefined) details.push(detail);
      if (event.type === "finished") stop.abort();
      if (view !== undefined) kick();
    },
    settle: async () => {
      const timer = new AbortController();
      const limit = clock.sleep(SETTLE_MS, timer.signal).then(
        () => options.onWarning(`${notifier.name}: the last message was not sent in time`),
        () => undefined,
      );
      await Promise.race([
        (async () => {
          while (sending !== undefined) await sending;
        })(),
        limit,
      ]);
      timer.abort();
    },
  };
}
