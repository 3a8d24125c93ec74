/** The container runs, and a probe says no. Slow starts are not failures: see the window. */
import type { ContainerStatus, Pod } from "@slipway/kube";
import {
  containerOf,
  type Finding,
  isAbout,
  isInit,
  of,
  oneLine,
  type PodView,
  starting,
} from "./finding.ts";
import { MINIMUM_READINESS_WINDOW_MS, readinessWindowMs, SILENT_PROGRAM_WINDOW_MS } from "./probe-window.ts";

export function notReady(pod: Pod, status: ContainerStatus, view: PodView): Finding | undefined {
  if (status.ready) return undefined;
  if (isInit(pod, status)) {
    return status.state?.terminated?.exitCode === 0
      ? undefined
      : starting(pod, status.name, "its init container runs and has not ended", "init-runs");
  }
  if (status.state?.running === undefined) {
    return starting(pod, status.name, "the container is being created");
  }
  if (status.started === false) {
    const failure = lastProbe(view, status.name, "Startup");
    return starting(pod, status.name, `its startup probe has not succeeded yet${failure}`);
  }
  const container = containerOf(pod, status.name);
  if (container?.readinessProbe === undefined) {
    return starting(pod, status.name, "the container has just started");
  }
  // Each start of the container has a window of its own.
  const started = view.startedSince(`${status.name}/${status.restartCount}`);
  const failure = lastProbe(view, status.name, "Readiness");
  const least = /connection refused/i.test(failure) ? SILENT_PROGRAM_WINDOW_MS : MINIMUM_READINESS_WINDOW_MS;
  const windowMs = Math.max(readinessWindowMs(container), least);
  // The window runs from the start of the container; without a failure seen, events may just be late.
  const endsAt = started + windowMs + (failure === "" ? 10_000 : 0);
  const why =
    failure === "" ? "its readiness probe has not succeeded yet" : `its readiness probe fails${failure}`;
  const isOver = view.now >= endsAt;
  const liveness = lastProbe(view, status.name, "Liveness");
  if (isOver && liveness !== "") {
    // The kubelet is about to kill it for the same reason.
    const said = `is not ready and its liveness probe fails${liveness}`;
    return of(pod, status.name, { code: "LivenessFailed", why: said, budgetMs: 0 }, "liveness/over");
  }
  const finding = { code: "ReadinessFailed" as const, why, budgetMs: isOver ? 0 : undefined };
  return of(pod, status.name, finding, isOver ? "readiness/over" : "readiness");
}

/** `: HTTP probe failed with statuscode: 503` from the newest event of this probe, else empty. */
export function lastProbe(
  view: PodView,
  container: string,
  kind: "Liveness" | "Readiness" | "Startup",
): string {
  const event = view.events.findLast(
    (one) =>
      one.reason === "Unhealthy" &&
      isAbout(one, container) &&
      (one.message ?? "").startsWith(`${kind} probe`),
  );
  if (event === undefined) return "";
  const message = (event.message ?? "").replace(
    /^\w+ probe (?:failed|errored)(?: and resulted in unknown state)?: ?/,
    "",
  );
  return `: ${oneLine(message)}`;
}
