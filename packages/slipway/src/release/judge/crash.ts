/**
 * Containers that end. Two ends of the same container doom the rollout; after one it may recover. Ends from before
 * this release count only while the container is down: a pod that restarted last month and serves is healthy. Ends
 * that the node caused, by rebooting or by making the pod's sandbox anew, do not count.
 */
import type { ContainerStateTerminated, ContainerStatus, Pod } from "@slipway/kube";
import type { CauseCode } from "./causes.ts";
import {
  containerOf,
  type Finding,
  isAbout,
  isInit,
  of,
  oneLine,
  type PodView,
  statusesOf,
} from "./finding.ts";
import { lastProbe } from "./probes.ts";
import { isWrongCommand, startFailure, WRONG_ARCHITECTURE } from "./start.ts";

/** How often the container has ended so far. `restartCount` alone misses the end that is not restarted yet. */
export function terminationsOf(status: ContainerStatus): number {
  const isDown =
    status.state?.terminated !== undefined || status.state?.waiting?.reason === "CrashLoopBackOff";
  return status.restartCount + (isDown ? 1 : 0);
}

export function baselineOf(pods: readonly Pod[]): ReadonlyMap<string, number> {
  const baseline = new Map<string, number>();
  for (const pod of pods) {
    for (const status of statusesOf(pod))
      baseline.set(containerKey(pod, status.name), terminationsOf(status));
  }
  return baseline;
}

export function containerKey(pod: Pod, container: string): string {
  return `${pod.metadata.uid}/${container}`;
}

export function crash(pod: Pod, status: ContainerStatus, view: PodView): Finding | undefined {
  const end = lastEnd(status);
  if (end === undefined || (isInit(pod, status) && end.exitCode === 0)) return undefined;
  if (status.ready && status.state?.running !== undefined) return undefined;
  const isDown = status.state?.running === undefined;
  const message = end.message ?? status.state?.waiting?.message ?? "";
  if (isStartError(end) && isDown && isWrongCommand(message)) return startFailure(pod, status, message, 0);
  const total = terminationsOf(status);
  const before = view.baseline.get(containerKey(pod, status.name)) ?? 0;
  const counts = (isDown ? total : total - before) - endsByNode(pod, view);
  if (counts < 1) return undefined;
  const told = describeEnd(pod, status, end, view, counts);
  // Statuses overtake events on a busy node: whether a probe killed it may be known a moment later.
  const mayBeProbe = isEndByProbe(pod, status, end) && !isProbe(told.code);
  const second = mayBeProbe ? PROBE_EVENT_BUDGET_MS : 0;
  return of(
    pod,
    status.name,
    // After a single crash the restart is immediate; it is named, but only the next one decides.
    { ...told, budgetMs: counts >= 2 ? second : undefined },
    `crash/${Math.min(counts, 2)}`,
  );
}

const PROBE_EVENT_BUDGET_MS = 5_000;

function isProbe(code: CauseCode): boolean {
  return code === "LivenessFailed" || code === "StartupFailed" || code === "ContainerOOMKilled";
}

/** As a program ends that is told to: by itself, by SIGKILL or by SIGTERM, and there is a probe that could tell it. */
function isEndByProbe(pod: Pod, status: ContainerStatus, end: ContainerStateTerminated): boolean {
  const container = containerOf(pod, status.name);
  const hasProbe = container?.livenessProbe !== undefined || container?.startupProbe !== undefined;
  return hasProbe && [0, 137, 143].includes(end.exitCode);
}

export function lastEnd(status: ContainerStatus): ContainerStateTerminated | undefined {
  return status.state?.terminated ?? status.lastState?.terminated;
}

/** containerd says `StartError` with exit code 128, Docker `ContainerCannotRun`. */
function isStartError(end: ContainerStateTerminated): boolean {
  return end.reason === "StartError" || end.reason === "ContainerCannotRun";
}

/** Each new sandbox of a pod that had one ends its containers once: a reboot of the node, its network, its runtime. */
export function endsByNode(pod: Pod, view: Pick<PodView, "events">): number {
  if (pod.spec.containers.length === 0) return 0;
  return view.events
    .filter((event) => event.reason === "SandboxChanged")
    .reduce((sum, event) => sum + (event.series?.count ?? event.count ?? 1), 0);
}

function describeEnd(
  pod: Pod,
  status: ContainerStatus,
  end: ContainerStateTerminated,
  view: PodView,
  times: number,
): { readonly code: CauseCode; readonly why: string } {
  const often = times === 1 ? "once" : times === 2 ? "twice" : `${times} times`;
  if (end.reason === "OOMKilled") {
    const limit = memoryLimit(pod, status.name);
    return { code: "ContainerOOMKilled", why: `was killed ${often} for using more than ${limit}` };
  }
  const killed =
    killedByProbe(status.name, view) ??
    (isEndByProbe(pod, status, end) ? failingProbe(status.name, view) : undefined);
  if (killed !== undefined) {
    const failure = lastProbe(view, status.name, killed);
    return {
      code: killed === "Liveness" ? "LivenessFailed" : "StartupFailed",
      why: `was restarted ${often} because its ${killed.toLowerCase()} probe failed${failure}`,
    };
  }
  const log = view.logs.get(containerKey(pod, status.name)) ?? "";
  if (WRONG_ARCHITECTURE.test(`${end.message ?? ""}\n${log}`)) {
    return {
      code: "ImageArchitecture",
      why: `ended ${often} because the program was not built for the node's architecture: exec format error`,
    };
  }
  if (isStartError(end)) {
    const message = oneLine(end.message ?? "no reason given");
    return { code: "ContainerStartFailed", why: `could not be started, ${often}: ${message}` };
  }
  if (end.exitCode === 0) return { code: "ContainerCompleted", why: `ended ${often} with exit code 0` };
  return { code: "ContainerCrash", why: `crashed ${often}: ${describeExit(end)}` };
}

/** `its memory limit of 64Mi` */
export function memoryLimit(pod: Pod, container: string): string {
  const limit = containerOf(pod, container)?.resources?.limits?.["memory"];
  return limit === undefined ? "its memory limit" : `its memory limit of ${limit}`;
}

/** The kubelet says why it kills: `Container web failed liveness probe, will be restarted`. */
function killedByProbe(container: string, view: PodView): "Liveness" | "Startup" | undefined {
  const killing = view.events.findLast(
    (event) => event.reason === "Killing" && isAbout(event, container) && / probe/.test(event.message ?? ""),
  );
  const message = killing?.message ?? "";
  if (/failed startup probe/i.test(message)) return "Startup";
  return /failed liveness probe/i.test(message) ? "Liveness" : undefined;
}

/** The probe's own event comes before the one of the kill. */
function failingProbe(container: string, view: PodView): "Liveness" | "Startup" | undefined {
  if (lastProbe(view, container, "Startup") !== "") return "Startup";
  return lastProbe(view, container, "Liveness") !== "" ? "Liveness" : undefined;
}

/** `exit code 1`, `killed by SIGSEGV (exit code 139)`. */
export function describeExit(end: {
  readonly exitCode: number;
  readonly signal?: number | undefined;
}): string {
  const signal = end.signal ?? (end.exitCode > 128 && end.exitCode < 160 ? end.exitCode - 128 : undefined);
  if (signal === undefined || signal === 0) return `exit code ${end.exitCode}`;
  return `killed by ${SIGNALS[signal] ?? `signal ${signal}`} (exit code ${end.exitCode})`;
}

const SIGNALS: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  4: "SIGILL",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  15: "SIGTERM",
};
