/** What the rules of this folder return: one thing that keeps a rollout from being done, and how long it may. */
import type { Container, ContainerStatus, Event, Pod } from "@slipway/kube";
import type { CauseCode, CauseObject } from "./causes.ts";

export interface Finding {
  readonly code: CauseCode;
  /** The same cause of the same thing has the same key; its budget runs from when the key was first seen. */
  readonly key: string;
  readonly why: string;
  /** Milliseconds until waiting becomes doomed; 0 is doomed now, undefined leaves it to the progress deadline. */
  readonly budgetMs: number | undefined;
  readonly object?: Partial<CauseObject>;
  readonly pod?: Pod;
}

/** What is known around one pod. */
export interface PodView {
  /** About this pod only, oldest first. */
  readonly events: readonly Event[];
  /** Terminations by pod uid and container that had happened before this release; see `terminationsOf`. */
  readonly baseline: ReadonlyMap<string, number>;
  /** What the registry said about an image after a node could not find it. */
  readonly images: ReadonlyMap<string, "exists" | "missing" | "unknown">;
  /** Logs of dead containers by pod uid and container, as far as they were read. */
  readonly logs: ReadonlyMap<string, string>;
  /** The longest grace period of pods that are leaving in this namespace, in ms; 0 when none is. They make room. */
  readonly leavingMs: number;
  /** When the container was first seen started. Calling it records that it is. */
  readonly startedSince: (container: string) => number;
  readonly now: number;
}

export function of(
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

export function starting(pod: Pod, container: string | undefined, why: string, key?: string): Finding {
  return of(pod, container, { code: "ContainerStarting", why, budgetMs: undefined }, key);
}

export function statusesOf(pod: Pod): readonly ContainerStatus[] {
  return [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
}

export function isInit(pod: Pod, status: ContainerStatus): boolean {
  return pod.status?.initContainerStatuses?.includes(status) ?? false;
}

export function containerOf(pod: Pod, name: string): Container | undefined {
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((one) => one.name === name);
}

export function isTrue(pod: Pod, condition: string): boolean {
  return pod.status?.conditions?.some((one) => one.type === condition && one.status === "True") ?? false;
}

/** An event names its container by a path, `spec.containers{web}`; one without a path is about any of them. */
export function isAbout(event: Event, container: string): boolean {
  const path = event.involvedObject.fieldPath;
  return path === undefined || path === "" || path.endsWith(`{${container}}`);
}

/** The kubelet and the runtime wrap what they say in what they were doing; the last part is the fact. */
export function oneLine(message: string): string {
  return message.replaceAll(/\s+/g, " ").trim();
}
