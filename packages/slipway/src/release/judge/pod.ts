/**
 * What one pod of the new revision tells about the rollout: nothing (it is ready), something to wait for with a
 * budget, or something that dooms it now (a budget of 0). The rules and budgets stand in the files beside this one,
 * each about one idea.
 */
import { assertNever } from "@slipway/base";
import type { ContainerStatus, Pod } from "@slipway/kube";
import { crash } from "./crash.ts";
import { creating } from "./creating.ts";
import { type Finding, isTrue, type PodView, starting, statusesOf } from "./finding.ts";
import { closedGate } from "./gates.ts";
import { nodeLost } from "./nodes.ts";
import { notReady } from "./probes.ts";
import { pullFailure } from "./pull.ts";
import { unschedulable } from "./scheduling.ts";
import { configError, startFailure } from "./start.ts";

export function examinePod(pod: Pod, view: PodView): readonly Finding[] {
  // On its way out, or taken away by the cluster: its ReplicaSet makes another one.
  if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === "Failed") return [];
  const unscheduled = unschedulable(pod, view);
  if (unscheduled !== undefined) return [unscheduled];
  const lost = nodeLost(pod, view);
  if (lost !== undefined) return [lost];
  const findings: Finding[] = [];
  for (const status of statusesOf(pod)) {
    const finding = examineContainer(pod, status, view);
    if (finding !== undefined) findings.push(finding);
  }
  // A container that has failed says more than its neighbours that wait for it.
  const telling = findings.filter((finding) => finding.code !== "ContainerStarting");
  if (telling.length > 0) return telling;
  if (findings.length > 0) return findings.slice(0, 1);
  if (isTrue(pod, "Ready")) return [];
  return [closedGate(pod) ?? starting(pod, undefined, "the pod is starting")];
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
      return crashedOrNotReady(pod, status, view);
    default:
      return assertNever(kind);
  }
}

/** After a single end the program has its chance: as long as its probe gives to one that has just started. */
function crashedOrNotReady(pod: Pod, status: ContainerStatus, view: PodView): Finding | undefined {
  const ended = crash(pod, status, view);
  if (ended?.budgetMs !== undefined || (ended !== undefined && status.state?.running === undefined))
    return ended;
  const unready = notReady(pod, status, view);
  return unready?.budgetMs === 0 ? unready : (ended ?? unready);
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
