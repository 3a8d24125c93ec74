/**
 * The workloads of a namespace as a project of containers: service `front` is the Deployment, StatefulSet or DaemonSet of
 * that name, in the first of its ready pods of the newest revision.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import { isReason, type KubeClient, type Pod } from "@slipway/kube";
import type { Container, Project, ServiceSpec } from "../engines/engine.ts";
import type { ReadyWhen } from "../readiness/forms.ts";
import { judgeReadiness } from "../readiness/judge.ts";
import { completedFor } from "../readiness/readiness.ts";
import { ReadinessWatch } from "../readiness/watch.ts";
import { PodContainer, type PodContainerOptions } from "./pod-container.ts";
import {
  availability,
  currentPods,
  newestPods,
  viewWorkload,
  WORKLOAD_KINDS,
  type WorkloadKind,
  type WorkloadView,
  waitingFor,
} from "./pods.ts";

export interface ClusterProjectOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly namespace: string;
  /** Names of the workloads whose containers will be asked for. */
  readonly services: readonly string[];
  /** How long their newest revision may take to have a ready pod. */
  readonly readyMs: number;
  /** What must be so of that pod besides. */
  readonly readyWhen?: ReadyWhen | undefined;
  readonly looks?: (pod: Pod, container: string) => PodContainerOptions["looks"];
}

export interface WorkloadQuery {
  /** Undefined: whichever has the name. */
  readonly kind: WorkloadKind | undefined;
  readonly name: string;
}

const EVERY_MS = 250;

/**
 * Waits until each has a ready pod. Rejects with VERIFY_WORKLOAD_MISSING (exit 2) or VERIFY_WORKLOAD_NOT_READY (exit 1), and
 * says what was missing last.
 */
export async function openClusterProject(options: ClusterProjectOptions): Promise<Project> {
  const { clock, namespace, services, readyMs } = options;
  const until = clock.monotonic() + readyMs;
  const containers = new Map<string, Container>();
  await Promise.all(
    services.map(async (name) => {
      containers.set(name, await readyContainer(options, name, until));
    }),
  );
  return {
    spec: { name: namespace, services: [...containers.values()].map(({ service }) => service) },
    container: (service) => {
      const container = containers.get(service);
      if (container === undefined) throw missing(namespace, service);
      return container;
    },
    remove: () => Promise.resolve(),
  };
}

/** Of the first ready pod; while something is still waited for in it, another may take its place. */
async function readyContainer(
  options: ClusterProjectOptions,
  name: string,
  until: number,
): Promise<Container> {
  const { client, clock, namespace } = options;
  let watched: WatchedPod | undefined;
  try {
    for (;;) {
      const view = await findWorkload(client, namespace, name);
      const [pod] = currentPods(view);
      if (pod !== undefined && watched?.pod !== pod.metadata.name) {
        watched?.over.abort();
        watched = watchPod(options, pod, name);
      }
      const lacks = pod === undefined ? undefined : await watched?.missing();
      if (watched !== undefined && pod !== undefined && lacks === undefined) return watched.container;
      if (lacks?.isFinal === true || clock.monotonic() >= until)
        throw lacks === undefined ? notReady(view, namespace, name) : notAsSaid(lacks, namespace, name);
      await clock.sleep(EVERY_MS);
    }
  } finally {
    watched?.over.abort();
  }
}

interface WatchedPod {
  readonly pod: string;
  readonly container: Container;
  readonly over: AbortController;
  /** What its readiness still lacks; undefined: nothing. */
  missing(): Promise<Missing | undefined>;
}

interface Missing {
  readonly message: string;
  /** Time does not mend it. */
  readonly isFinal: boolean;
  /** Nothing here can show it: that is no fault of the workload. */
  readonly isUnseen: boolean;
}

function watchPod(options: ClusterProjectOptions, pod: Pod, name: string): WatchedPod {
  const { client, clock, namespace, readyWhen = {} } = options;
  const inPod = containerFor(pod, name);
  const container = new PodContainer({
    client,
    clock,
    namespace,
    service: serviceOf(pod, name, inPod),
    pod: pod.metadata.name,
    container: inPod,
    looks: options.looks?.(pod, inPod),
  });
  const over = new AbortController();
  const own = { pod: pod.metadata.name, container, over };
  const readiness = completedFor(readyWhen, [container.service])[name];
  if (readiness === undefined) return { ...own, missing: () => Promise.resolve(undefined) };
  const watch = new ReadinessWatch({ container, readiness, clock, over: over.signal });
  return {
    ...own,
    missing: async () => {
      const state = await container.state().catch((error: unknown) => {
        if (isReason(error, "NotFound")) return undefined;
        throw error;
      });
      if (state === undefined) return { message: `${own.pod} is gone`, isFinal: false, isUnseen: false };
      const lived = { state, restart: container.service.restart, isToEnd: false };
      const judgement = judgeReadiness(readiness, watch.sight, lived);
      if (judgement.kind === "ready") return undefined;
      if (judgement.kind === "waiting")
        return { message: `${own.pod} waiting for ${judgement.for}`, isFinal: false, isUnseen: false };
      const { failure, message } = judgement;
      return { message: `${own.pod} ${message}`, isFinal: true, isUnseen: failure === "unseen" };
    },
  };
}

export async function findWorkload(
  client: KubeClient,
  namespace: string,
  name: string,
): Promise<WorkloadView> {
  for (const kind of WORKLOAD_KINDS) {
    try {
      return await viewWorkload(client, kind, namespace, name);
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
  }
  throw missing(namespace, name);
}

/** The container of the service's name, or the first. */
function containerFor(pod: Pod, service: string): string {
  const names = pod.spec.containers.map(({ name }) => name);
  return names.includes(service) ? service : (names[0] ?? service);
}

function serviceOf(pod: Pod, name: string, container: string): ServiceSpec {
  const spec = pod.spec.containers.find((one) => one.name === container);
  const imageID = pod.status?.containerStatuses?.find((one) => one.name === container)?.imageID ?? "";
  return {
    name,
    image: {
      name: spec?.image ?? name,
      digest: /sha256:[0-9a-f]{64}/.exec(imageID)?.[0] ?? "",
      reference: spec?.image,
      layout: "",
    },
    entrypoint: spec?.command,
    command: spec?.args,
    environment: {},
    user: undefined,
    workingDir: undefined,
    hostname: pod.metadata.name,
    networks: [{ name: "cluster", aliases: [] }],
    extraHosts: [],
    mounts: [],
    exposed: (spec?.ports ?? []).flatMap(({ containerPort, protocol }) =>
      protocol === "SCTP" ? [] : [{ port: containerPort, protocol: protocol === "UDP" ? "udp" : "tcp" }],
    ),
    published: [],
    healthcheck: undefined,
    dependsOn: [],
    stopSignal: undefined,
    stopGraceMs: (pod.spec.terminationGracePeriodSeconds ?? 30) * 1000,
    isReadOnly: spec?.securityContext?.readOnlyRootFilesystem === true,
    restart: "always",
    hasInit: false,
  };
}

function missing(namespace: string, name: string): SlipwayError {
  return new SlipwayError({
    code: "VERIFY_WORKLOAD_MISSING",
    where: `${namespace}/${name}`,
    message: `there is no Deployment, StatefulSet or DaemonSet "${name}"`,
    hint: "Name a workload of the manifests in t.in(…) and readyWhen.",
    exitCode: 2,
  });
}

function notAsSaid({ message, isUnseen }: Missing, namespace: string, name: string): SlipwayError {
  return new SlipwayError({
    code: isUnseen ? "VERIFY_READINESS_UNSEEN" : "VERIFY_WORKLOAD_NOT_READY",
    where: `${namespace}/${name}`,
    message: `its pod is ready by its probes, but not as readyWhen says it: ${message}`,
    exitCode: isUnseen ? 3 : 1,
  });
}

function notReady(view: WorkloadView, namespace: string, name: string): SlipwayError {
  const { missing: what } = availability(view);
  const pods = newestPods(view).map((pod) => `${pod.metadata.name} ${waitingFor(pod)}`);
  const seen = pods.length === 0 ? "its newest revision has no pods" : pods.join("; ");
  return new SlipwayError({
    code: "VERIFY_WORKLOAD_NOT_READY",
    where: `${namespace}/${name}`,
    message: `no pod of its newest revision is ready${what === undefined ? "" : ` (${what})`}: ${seen}`,
    exitCode: 1,
  });
}
