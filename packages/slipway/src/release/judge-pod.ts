/**
 * What one pod of the new ReplicaSet tells about the rollout: nothing (it is ready), something to wait for with a
 * budget, or something that dooms it now (a budget of 0). The rules and budgets are those of the table in the
 * delivery reference; each function below is one row of it.
 */
import { assertNever } from "@slipway/base";
import type { Container, ContainerStateTerminated, ContainerStatus, Event, Pod } from "@slipway/kube";
import type { CauseCode, CauseObject } from "./causes.ts";
import { MINIMUM_READINESS_WINDOW_MS, readinessWindowMs } from "./probe-window.ts";

export interface Finding {
  readonly code: CauseCode;
  /** The same cause of the same thing has the same key; its budget runs from when the key was first seen. */
  readonly key: string;
  readonly why: string;
  /** Milliseconds until waiting becomes doomed; 0 is doomed now, undefined leaves it to the progress deadline. */
  readonly budgetMs: number | undefined;
  readonly object?: Partial<CauseObject>;
  readonly pod?: Pod;
  /** When the budget ends, it is no longer waited for instead of being doomed. */
  readonly lapses?: boolean;
}

export interface PodView {
  /** About this pod only. */
  readonly events: readonly Event[];
  readonly baseline: ReadonlyMap<string, number>;
  readonly images: ReadonlyMap<string, "exists" | "missing" | "unknown">;
  /** When the container was first seen started. Calling it records that it is. */
  readonly startedSince: (container: string) => number;
  readonly now: number;
}

export function examinePod(pod: Pod, view: PodView): readonly Finding[] {
  // On its way out, or taken away by the cluster: its ReplicaSet makes another one.
  if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === "Failed") return [];
  const unscheduled = unschedulable(pod, view);
  if (unscheduled !== undefined) return [unscheduled];
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  const findings: Finding[] = [];
  for (const status of statuses) {
    const finding = examineContainer(pod, status, view);
    if (finding !== undefined) findings.push(finding);
  }
  // A container that has failed says more than its neighbours that wait for it.
  const telling = findings.filter((finding) => finding.code !== "ContainerStarting");
  if (telling.length > 0) return telling;
  if (findings.length > 0) return findings.slice(0, 1);
  if (isTrue(pod, "Ready")) return [];
  return [waitingPod(pod)];
}

function waitingPod(pod: Pod): Finding {
  const gates = pod.spec.readinessGates ?? [];
  const closed = gates.find((gate) => !isTrue(pod, gate.conditionType));
  if (closed !== undefined && isTrue(pod, "ContainersReady")) {
    return of(pod, undefined, {
      code: "ReadinessGateClosed",
      why: `its readiness gate ${closed.conditionType} is not open`,
      budgetMs: undefined,
    });
  }
  return of(pod, undefined, { code: "ContainerStarting", why: "the pod is starting", budgetMs: undefined });
}

function unschedulable(pod: Pod, view: PodView): Finding | undefined {
  const condition = pod.status?.conditions?.find((one) => one.type === "PodScheduled");
  if (condition?.status !== "False") return undefined;
  // An autoscaler that adds a node needs minutes; without one, or when it says no, half a minute is long enough
  // for pods that are just leaving to make room.
  const isScalingUp = view.events.some((event) => event.reason === "TriggeredScaleUp");
  return of(pod, undefined, {
    code: "Unschedulable",
    why: `no node takes the pod: ${condition.message ?? condition.reason ?? "no reason given"}`,
    budgetMs: isScalingUp ? 300_000 : 30_000,
  });
}

function examineContainer(pod: Pod, status: ContainerStatus, view: PodView): Finding | undefined {
  const kind = waitingClass(status.state?.waiting?.reason);
  switch (kind) {
    case "pull":
      return pullFailure(pod, status, view);
    case "config":
      return configError(pod, status);
    case "create":
      return startFailure(pod, status, status.state?.waiting?.message ?? "", 30_000);
    case "creating":
      return creating(pod, status, view);
    case "other":
      return crash(pod, status, view) ?? notReady(pod, status, view);
    default:
      return assertNever(kind);
  }
}

function waitingClass(reason: string | undefined): "pull" | "config" | "create" | "creating" | "other" {
  switch (reason) {
    case "ErrImagePull":
    case "ImagePullBackOff":
    case "ErrImageNeverPull":
    case "InvalidImageName":
    case "ImageInspectError":
    case "RegistryUnavailable":
      return "pull";
    case "CreateContainerConfigError":
      return "config";
    case "CreateContainerError":
    case "RunContainerError":
      return "create";
    case "ContainerCreating":
    case "PodInitializing":
      return "creating";
    default:
      return "other";
  }
}

/** The kubelet's back-off message no longer carries the reason, its events do; both are read. */
function pullFailure(pod: Pod, status: ContainerStatus, view: PodView): Finding {
  const reason = status.state?.waiting?.reason;
  const image = containerOf(pod, status.name)?.image ?? status.image;
  const messages = [
    status.state?.waiting?.message ?? "",
    ...view.events.filter((event) => event.reason === "Failed").map((event) => event.message ?? ""),
  ];
  const text = messages.join("\n");
  const said =
    messages.findLast((message) => message !== "" && !/^Back-off|^Error: /.test(message)) ?? reason;
  const pull = (code: CauseCode, what: string, budgetMs: number): Finding =>
    of(pod, status.name, { code, why: `image ${image} ${what}: ${said}`, budgetMs }, "pull");
  if (reason === "InvalidImageName") return pull("ImageNameInvalid", "has an invalid name", 0);
  if (reason === "ErrImageNeverPull")
    return pull("ImageNotFound", "is not on the node and may not be pulled", 0);
  if (/429|toomanyrequests|too many requests|pull QPS exceeded/i.test(text)) {
    return pull("ImagePullRateLimited", "is held back by the registry's rate limit", 120_000);
  }
  if (/\b40[13]\b|unauthorized|access denied|denied:|forbidden|authentication required/i.test(text)) {
    return pull("ImagePullAuth", "may not be pulled by the node", 0);
  }
  if (/\b404\b|not found|manifest unknown|name unknown/i.test(text))
    return notFound(pull, view.images.get(image));
  return pull("ImagePullNetwork", "cannot be pulled", 120_000);
}

/**
 * The preflight found the image, so a node that does not is a contradiction: ask the registry once more. Gone means
 * deleted since; still there means that the node's way to it is wrong, which may pass.
 */
function notFound(
  pull: (code: CauseCode, what: string, budgetMs: number) => Finding,
  registry: "exists" | "missing" | "unknown" | undefined,
): Finding {
  if (registry === "missing") return pull("ImageNotFound", "is not in the registry", 0);
  if (registry === "exists")
    return pull("ImagePullNetwork", "is in the registry but the node cannot find it", 120_000);
  // Not asked, or not yet answered: a little patience, then believe the node.
  return pull("ImageNotFound", "is not in the registry", 10_000);
}

function configError(pod: Pod, status: ContainerStatus): Finding {
  const message = status.state?.waiting?.message ?? "no reason given";
  // The kubelet's own cache of ConfigMaps is late, which passes.
  const isLate = /failed to sync .* cache/i.test(message);
  return of(pod, status.name, {
    code: "ConfigMissing",
    why: `the container cannot be configured: ${message}`,
    budgetMs: isLate ? 60_000 : 0,
  });
}

const WRONG_COMMAND =
  /executable file not found|no such file or directory|permission denied|exec format error/i;

function startFailure(pod: Pod, status: ContainerStatus, message: string, patienceMs: number): Finding {
  return of(pod, status.name, {
    code: "ContainerStartFailed",
    why: `the container cannot be started: ${message === "" ? "no reason given" : message}`,
    budgetMs: WRONG_COMMAND.test(message) ? 0 : patienceMs,
  });
}

function creating(pod: Pod, status: ContainerStatus, view: PodView): Finding | undefined {
  // Init containers come first; the ones behind them have nothing to say yet.
  const trouble = view.events.findLast((event) =>
    ["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"].includes(event.reason ?? ""),
  );
  if (trouble === undefined) {
    return of(pod, status.name, {
      code: "ContainerStarting",
      why: "the container is being created",
      budgetMs: undefined,
    });
  }
  const message = trouble.message ?? trouble.reason ?? "";
  if (trouble.reason === "FailedCreatePodSandBox") {
    return of(pod, status.name, {
      code: "PodSandboxFailed",
      why: `the pod's sandbox cannot be created: ${message}`,
      budgetMs: 120_000,
    });
  }
  return /(?:configmap|secret) "[^"]*" not found|references non-existent/i.test(message)
    ? of(pod, status.name, { code: "ConfigMissing", why: message, budgetMs: 10_000 })
    : of(pod, status.name, { code: "VolumePending", why: message, budgetMs: 120_000 });
}

/** How often the container has ended so far. `restartCount` alone misses the end that is not restarted yet. */
export function terminationsOf(status: ContainerStatus): number {
  const isDown =
    status.state?.terminated !== undefined || status.state?.waiting?.reason === "CrashLoopBackOff";
  return status.restartCount + (isDown ? 1 : 0);
}

export function baselineOf(pods: readonly Pod[]): ReadonlyMap<string, number> {
  const baseline = new Map<string, number>();
  for (const pod of pods) {
    for (const status of [
      ...(pod.status?.initContainerStatuses ?? []),
      ...(pod.status?.containerStatuses ?? []),
    ]) {
      baseline.set(baselineKey(pod, status.name), terminationsOf(status));
    }
  }
  return baseline;
}

function baselineKey(pod: Pod, container: string): string {
  return `${pod.metadata.uid}/${container}`;
}

/**
 * Two ends of the same container doom the rollout; after one it may recover. Ends from before this release count
 * only while the container is down: a pod that restarted last month and serves is healthy.
 */
function crash(pod: Pod, status: ContainerStatus, view: PodView): Finding | undefined {
  const isInit = pod.status?.initContainerStatuses?.includes(status) ?? false;
  const end = status.state?.terminated ?? status.lastState?.terminated;
  if (end === undefined || (isInit && end.exitCode === 0)) return undefined;
  if (status.ready && status.state?.running !== undefined) return undefined;
  const message = end.message ?? status.state?.waiting?.message ?? "";
  if (
    (end.reason === "StartError" || end.reason === "ContainerCannotRun") &&
    status.state?.running === undefined &&
    WRONG_COMMAND.test(message)
  ) {
    return startFailure(pod, status, message, 0);
  }
  const total = terminationsOf(status);
  const before = view.baseline.get(baselineKey(pod, status.name)) ?? 0;
  const isDown = status.state?.running === undefined;
  const counts = isDown ? total : total - before;
  if (counts < 1) return undefined;
  const told = describeEnd(pod, status, end, view, isDown ? Math.max(total, 1) : counts);
  return of(
    pod,
    status.name,
    // After a single crash the restart is immediate; it is named, but only the next one decides.
    { ...told, budgetMs: counts >= 2 ? 0 : undefined },
    `crash/${Math.min(counts, 2)}`,
  );
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
    const limit = containerOf(pod, status.name)?.resources?.limits?.["memory"];
    const told = limit === undefined ? "its memory limit" : `its memory limit of ${limit}`;
    return { code: "ContainerOOMKilled", why: `was killed ${often} for using more than ${told}` };
  }
  const killing = view.events.find((event) => event.reason === "Killing");
  if (/failed liveness probe/i.test(killing?.message ?? "")) {
    return {
      code: "LivenessFailed",
      why: `was restarted ${often} because its liveness probe failed${lastProbe(view, "Liveness")}`,
    };
  }
  if (/failed startup probe/i.test(killing?.message ?? "")) {
    return {
      code: "StartupFailed",
      why: `was restarted ${often} because its startup probe failed${lastProbe(view, "Startup")}`,
    };
  }
  if (end.exitCode === 0) return { code: "ContainerCompleted", why: `ended ${often} with exit code 0` };
  return { code: "ContainerCrash", why: `crashed ${often}: ${describeExit(end)}` };
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

/** Runs, but its readiness probe says no. Slow starts are not failures: see the window. */
function notReady(pod: Pod, status: ContainerStatus, view: PodView): Finding | undefined {
  if (status.ready) return undefined;
  const container = containerOf(pod, status.name);
  if (pod.status?.initContainerStatuses?.includes(status)) {
    return status.state?.terminated?.exitCode === 0
      ? undefined
      : starting(pod, status, "an init container runs");
  }
  if (status.state?.running === undefined) return starting(pod, status, "the container is being created");
  if (status.started === false) return starting(pod, status, "its startup probe has not succeeded yet");
  if (container?.readinessProbe === undefined) return starting(pod, status, "the container has just started");
  const started = view.startedSince(status.name);
  const windowMs = Math.max(readinessWindowMs(container), MINIMUM_READINESS_WINDOW_MS);
  const failure = lastProbe(view, "Readiness");
  // The window runs from the start of the container; without a failure seen, events may just be late.
  const endsAt = started + windowMs + (failure === "" ? 10_000 : 0);
  const why =
    failure === "" ? "its readiness probe has not succeeded yet" : `its readiness probe fails${failure}`;
  return of(
    pod,
    status.name,
    { code: "ReadinessFailed", why, budgetMs: view.now >= endsAt ? 0 : undefined },
    view.now >= endsAt ? "readiness/over" : "readiness",
  );
}

function starting(pod: Pod, status: ContainerStatus, why: string): Finding {
  return of(pod, status.name, { code: "ContainerStarting", why, budgetMs: undefined });
}

/** `: HTTP probe failed with statuscode: 503` from the newest event of this probe, else empty. */
function lastProbe(view: PodView, kind: "Liveness" | "Readiness" | "Startup"): string {
  const event = view.events.findLast(
    (one) => one.reason === "Unhealthy" && (one.message ?? "").startsWith(`${kind} probe`),
  );
  if (event === undefined) return "";
  const message = (event.message ?? "").replace(
    /^\w+ probe (?:failed|errored)(?: and resulted in unknown state)?: ?/,
    "",
  );
  return `: ${message.trim()}`;
}

function containerOf(pod: Pod, name: string): Container | undefined {
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((one) => one.name === name);
}

function isTrue(pod: Pod, condition: string): boolean {
  return pod.status?.conditions?.some((one) => one.type === condition && one.status === "True") ?? false;
}

function of(
  pod: Pod,
  container: string | undefined,
  finding: Pick<Finding, "code" | "why" | "budgetMs">,
  key: string = finding.code,
): Finding {
  return {
    ...finding,
    key: `${pod.metadata.uid}/${container ?? ""}/${key}`,
    object: { pod: pod.metadata.name, ...(container === undefined ? {} : { container }) },
    pod,
  };
}
