/** The message while the release runs: a pure reducer over its events. */
import { formatDuration } from "@slipway/base";
import type { CheckLine, ClusterMark, ReleaseMessage } from "../../notify/message.ts";
import { showCommit } from "../commit.ts";
import type { ReleaseEvent } from "../events.ts";
import { causeSentence } from "../judge/causes.ts";
import type { ReleaseRecord } from "../model.ts";
import { progressText } from "../text.ts";
import { gateLine, gateName, hookLine, hookName, restoredLine, verdictLine } from "./lines.ts";
import { authorOf, factsOf, messageOf } from "./message.ts";

/** The message after this event; undefined before the release has its number. `past`: the releases before it. */
export function viewAfter(
  view: ReleaseMessage | undefined,
  event: ReleaseEvent,
  past: readonly ReleaseRecord[] = [],
): ReleaseMessage | undefined {
  if (event.type === "started") {
    const what =
      event.kind === "rollback"
        ? `taking release ${event.leaves} back to ${event.restores}`
        : `shipping ${showCommit(event.version)}`;
    return {
      state: "running",
      title: `${event.service}: release ${event.number}, ${what}`,
      cause: undefined,
      facts: factsOf(event),
      clusters: event.waves.flatMap((names, wave) =>
        names.map((name) => ({ name, wave, mark: "waiting" as const, text: "waiting" })),
      ),
      ...authorOf(event.version),
    };
  }
  if (view === undefined) return undefined;
  const set = (name: string, mark: ClusterMark, text: string): ReleaseMessage => ({
    ...view,
    clusters: view.clusters.map((cluster) => (cluster.name === name ? { ...cluster, mark, text } : cluster)),
  });
  switch (event.type) {
    case "progress": {
      const { mark } = view.clusters.find((cluster) => cluster.name === event.cluster) ?? {};
      if (mark === "waiting" || mark === "running")
        return set(event.cluster, "running", progressText(event.progress));
      const isWell = event.progress.ready >= event.progress.total && event.progress.waitingFor.length === 0;
      return mark === "baking" && !isWell ? set(event.cluster, "baking", progressText(event.progress)) : view;
    }
    case "baking": {
      const text = `must stay healthy for ${formatDuration(event.bakeMs)}`;
      return {
        ...view,
        clusters: view.clusters.map((cluster) =>
          cluster.wave === event.wave && (cluster.mark === "running" || cluster.mark === "waiting")
            ? { ...cluster, mark: "baking", text }
            : cluster,
        ),
      };
    }
    case "verdict": {
      const { verdict, durationMs, cause, reason } = event;
      const { mark, text } = verdictLine(verdict, durationMs, cause, reason);
      const next = set(event.cluster, mark, text);
      // The first cause stays on top; what follows from it does not replace it.
      return verdict !== "failed" || cause === undefined
        ? next
        : { ...next, cause: next.cause ?? causeSentence(cause) };
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
      return set(event.cluster, ...restoredLine(event.to, event.ok, event.reason));
    case "requeued":
      return set(
        event.cluster,
        "unknown",
        `does not answer (${event.reason}), tried again after the other waves`,
      );
    case "gate-started":
      return withCheck(view, gateName(event.gate, event.wave), "running", "is asked");
    case "gate-waiting":
      return withCheck(view, gateName(event.gate, event.wave), "running", event.said);
    case "gate-finished":
      return withCheck(
        view,
        gateName(event.gate, event.wave),
        ...gateLine(event.outcome, event.said, event.by),
      );
    case "hook-started":
      return withCheck(view, hookName(event.hook, event.cluster), "running", "runs");
    case "hook-finished":
      return withCheck(
        view,
        hookName(event.hook, event.cluster),
        ...hookLine(event.outcome, event.cause, event.durationMs),
      );
    case "finished":
      return messageOf(event.record, past, { durationMs: event.durationMs, cause: view.cause });
    default:
      return view;
  }
}

function withCheck(view: ReleaseMessage, name: string, mark: ClusterMark, text: string): ReleaseMessage {
  const checks = view.checks ?? [];
  const line: CheckLine = { name, mark, text };
  const isKnown = checks.some((check) => check.name === name);
  return {
    ...view,
    checks: isKnown ? checks.map((check) => (check.name === name ? line : check)) : [...checks, line],
  };
}
