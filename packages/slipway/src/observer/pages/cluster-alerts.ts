/** The alerts of the clusters' collectors as the pages show them: asked every few seconds, whoever looks. */
import type { Clock } from "@slipway/base";
import type { AlertsAnswer, Incident } from "../../server/api.ts";
import { type AskedCluster, listAlerts, muteAlerts } from "../alerts/clusters.ts";
import { atMost } from "./at-most.ts";
import type { AlertsPort } from "./ports.ts";

const ASK_EVERY_MS = 5_000;
const ANSWERS_WITHIN_MS = 5_000;
const NONE: AlertsAnswer = { open: [], muted: [], history: [], rules: [] };

export interface ClusterAlerts extends AlertsPort {
  close(): void;
}

export function clusterAlerts(clusters: readonly AskedCluster[], clock: Clock): ClusterAlerts {
  const closing = new AbortController();
  const listeners: ((incident: Incident) => void)[] = [];
  const asked = clusters.map((cluster) => withLimit(cluster, clock));
  let last: AlertsAnswer = NONE;
  let seen: ReadonlyMap<string, string> | undefined;
  const look = async (): Promise<void> => {
    const { answer, unasked } = await listAlerts(asked);
    last = {
      ...answer,
      // Where rules stand, so that nobody takes silence for peace.
      rules: [
        ...answer.rules,
        ...unasked.map(({ cluster, reason }) => ({
          name: cluster,
          text: reason,
          state: "not watched from here",
        })),
      ],
    };
    const all = [...answer.open, ...answer.muted, ...answer.history];
    const now = new Map(all.map((one) => [one.id, `${one.state} ${one.changedAt} ${one.mutedUntil}`]));
    const before = seen;
    seen = now;
    if (before === undefined) return;
    for (const one of all) {
      if (before.get(one.id) !== now.get(one.id)) for (const listener of listeners) listener(one);
    }
  };
  let first: Promise<void> | undefined = look();
  void (async () => {
    while (!closing.signal.aborted) {
      await clock.sleep(ASK_EVERY_MS, closing.signal).catch(() => undefined);
      if (!closing.signal.aborted) await look();
    }
  })();
  return {
    async list() {
      await first;
      first = undefined;
      return last;
    },
    async mute(wish, who) {
      const { id, forMs, reason } = wish;
      await muteAlerts(asked, { id, forMs, reason, who });
      await look();
    },
    onChange: (listener) => void listeners.push(listener),
    close: () => closing.abort(),
  };
}

/** One that hangs keeps nobody waiting. */
function withLimit({ name, ask }: AskedCluster, clock: Clock): AskedCluster {
  const late = Symbol("late");
  return {
    name,
    async ask<T>(question: Parameters<AskedCluster["ask"]>[0], body?: unknown) {
      const answer = await atMost<T | typeof late>(
        clock,
        ANSWERS_WITHIN_MS,
        ask<T>(question, body),
        () => late,
      );
      if (answer !== late) return answer as T;
      throw new Error(`its collector did not answer within ${ANSWERS_WITHIN_MS / 1000} s`);
    },
  };
}
