/**
 * The kubelet of one node in real time: a thin shell around `decide.ts` and `observe.ts` that carries actions to
 * the runtime, reports back what came of them, and writes each pod's status the moment it changes. There is no
 * polling anywhere: a step is taken when a pod, a report or a timer says so, and at no other time.
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "@slipway/base";
import { type Api, isReason, type Pod, StatusError, type Watch } from "@slipway/kube";
import { referenceTo } from "../controllers/reference.ts";
import { createRecorder, type EventRecorder } from "../drive/recorder.ts";
import {
  type ContainerExit,
  type ContainerMount,
  ContainerStartError,
  type PodRuntime,
} from "../runtimes/runtime.ts";
import { containerSpecOf, sandboxSpecOf } from "./container-spec.ts";
import { type Action, decidePod, type PodEvent } from "./decide.ts";
import type { AccountFiles, EnvContext } from "./env.ts";
import { type HandlerTarget, runHook, runProbe } from "./handlers.ts";
import { createHeartbeat, type Heartbeat } from "./heartbeat.ts";
import type { NodeFacts } from "./node-facts.ts";
import { type Observation, observe } from "./observe.ts";
import { probeOf } from "./probes.ts";
import { adopt, allContainers, containerState, type PodState } from "./state.ts";
import { podStatus } from "./status.ts";
import { dependenciesOf, mountsOf } from "./volumes.ts";

export interface KubeletOptions {
  readonly api: Api;
  readonly runtime: PodRuntime;
  readonly clock: Clock;
  readonly node: NodeFacts;
  /** What pods need to reach the API server; without it they are given nothing. */
  readonly account?: AccountFiles;
  /** Told of bugs: errors that are neither answers of the API nor of the runtime. */
  readonly onError?: (error: unknown) => void;
}

export interface Kubelet {
  /** Registers the node and takes over the pods that are bound to it. */
  start(): void;
  /** Nothing is written after this returns; containers are left to the runtime's `close`. */
  stop(): void;
  containerExited(exit: ContainerExit): void;
  runtimeEvent(event: { podUid: string; type: "Normal" | "Warning"; reason: string; message: string }): void;
  /** The runtime is gone with all its pods: the node is not ready from now on. */
  lost(reason: string): void;
}

interface Worker {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  state: PodState;
  /** The newest object, kept for the time after its deletion. */
  pod: Pod;
  isQueued: boolean;
  isFinishing: boolean;
  timer: AbortController | undefined;
  /** Exits that overtook the report of their own start. */
  readonly heldExits: Map<string, ContainerExit>;
}

export function createKubelet(options: KubeletOptions): Kubelet {
  return new RealKubelet(options);
}

class RealKubelet implements Kubelet {
  readonly #api: Api;
  readonly #runtime: PodRuntime;
  readonly #clock: Clock;
  readonly #node: NodeFacts;
  readonly #account: AccountFiles | undefined;
  readonly #onError: (error: unknown) => void;
  readonly #recorder: EventRecorder;
  readonly #heartbeat: Heartbeat;
  readonly #workers = new Map<string, Worker>();
  readonly #seenImages = new Set<string>();
  readonly #watches: Watch[] = [];
  readonly #stopping = new AbortController();

  constructor({ api, runtime, clock, node, account, onError }: KubeletOptions) {
    this.#api = api;
    this.#runtime = runtime;
    this.#clock = clock;
    this.#node = node;
    this.#account = account;
    this.#onError = onError ?? (() => {});
    this.#recorder = createRecorder({ api, now: () => clock.now(), component: "kubelet", host: node.name });
    this.#heartbeat = createHeartbeat({ api, clock, node, signal: this.#stopping.signal });
  }

  start(): void {
    this.#heartbeat.start();
    this.#watches.push(
      this.#api.store.watch({ kind: "Pod" }, ({ object }) => this.#podChanged(object as Pod)),
      this.#api.store.watch({ kind: "ConfigMap" }, ({ object }) => this.#dependencyChanged(object)),
      this.#api.store.watch({ kind: "Secret" }, ({ object }) => this.#dependencyChanged(object)),
    );
    for (const pod of this.#api.store.list("Pod")) this.#podChanged(pod);
  }

  stop(): void {
    this.#stopping.abort();
    for (const watch of this.#watches.splice(0)) watch.close();
    for (const worker of this.#workers.values()) worker.timer?.abort();
    this.#workers.clear();
  }

  lost(reason: string): void {
    if (this.#stopping.signal.aborted) return;
    this.stop();
    this.#heartbeat.lost(reason);
  }

  containerExited(exit: ContainerExit): void {
    const worker = this.#workers.get(exit.podUid);
    if (worker === undefined) return;
    if (containerState(worker.state, exit.name).phase.kind === "starting") {
      worker.heldExits.set(exit.name, exit);
      return;
    }
    this.#reportExit(worker, exit);
  }

  runtimeEvent({ podUid, ...event }: Parameters<Kubelet["runtimeEvent"]>[0]): void {
    const worker = this.#workers.get(podUid);
    if (worker !== undefined) this.#record(worker.pod, event);
  }

  #podChanged(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    let worker = this.#workers.get(uid);
    if (worker === undefined) {
      if (pod.spec.nodeName !== this.#node.name || this.#current(pod) === undefined) return;
      worker = {
        uid,
        namespace: pod.metadata.namespace ?? "",
        name: pod.metadata.name,
        state: adopt(pod, this.#clock.now()),
        pod,
        isQueued: false,
        isFinishing: false,
        timer: undefined,
        heldExits: new Map(),
      };
      this.#workers.set(uid, worker);
    }
    this.#queue(worker);
  }

  #dependencyChanged(object: { readonly kind: string; readonly metadata: Pod["metadata"] }): void {
    for (const worker of this.#workers.values()) {
      if (worker.namespace !== object.metadata.namespace) continue;
      if (!dependenciesOf(worker.pod).has(`${object.kind}/${object.metadata.name}`)) continue;
      const phases = Object.values(worker.state.containers).map(({ phase }) => phase.kind);
      if (phases.includes("blocked")) this.#observe(worker, { saw: "dependencies-changed" });
      for (const container of allContainers(worker.pod)) {
        if (containerState(worker.state, container.name).phase.kind === "running") {
          this.#follow(this.#refreshFiles(worker, container.name));
        }
      }
    }
  }

  /**
   * Files of ConfigMaps and Secrets follow their objects while a container runs; environment variables do not. What
   * was deleted stays as it was last, as upstream leaves it.
   */
  async #refreshFiles(worker: Worker, name: string): Promise<void> {
    let mounts: readonly ContainerMount[];
    try {
      mounts = mountsOf(this.#contextOf(worker, name));
    } catch (error) {
      if (error instanceof ContainerStartError) return;
      throw error;
    }
    if (mounts.some(({ kind }) => kind === "files")) await this.#runtime.writeFiles(worker.uid, mounts);
  }

  #contextOf(worker: Worker, name: string): EnvContext {
    const { sandbox } = worker.state;
    return {
      pod: worker.pod,
      container: this.#container(worker, name),
      snapshot: this.#api.store,
      podIP: sandbox.kind === "ready" ? sandbox.podIP : "",
      hostIP: this.#node.address,
      node: this.#api.store.get("Node", "", this.#node.name),
      account: this.#account,
    };
  }

  /** The stored object, if it still is the same pod on this node. */
  #current(pod: Pod): Pod | undefined {
    const stored = this.#api.store.get("Pod", pod.metadata.namespace ?? "", pod.metadata.name);
    return stored?.metadata.uid === pod.metadata.uid ? stored : undefined;
  }

  /** One step per turn, however many reports come in: changes of the store arrive in the middle of writes. */
  #queue(worker: Worker): void {
    if (worker.isQueued) return;
    worker.isQueued = true;
    queueMicrotask(() => {
      worker.isQueued = false;
      if (!this.#stopping.signal.aborted) this.#step(worker);
    });
  }

  #observe(worker: Worker, observation: Observation): void {
    if (this.#stopping.signal.aborted) return;
    const { state, events } = observe(worker.pod, worker.state, observation, this.#clock.now());
    worker.state = state;
    for (const event of events) this.#record(worker.pod, event);
    this.#queue(worker);
  }

  #step(worker: Worker): void {
    if (worker.isFinishing) return;
    const pod = this.#current(worker.pod);
    if (pod !== undefined) worker.pod = pod;
    const now = this.#clock.now();
    const step = decidePod(pod, worker.state, now);
    worker.state = step.state;
    for (const event of step.events) this.#record(worker.pod, event);
    if (pod !== undefined) this.#writeStatus(pod, worker.state, now);
    for (const action of step.actions) this.#perform(worker, action);
    this.#wakeAt(worker, step.wakeAtMs, now);
  }

  #wakeAt(worker: Worker, wakeAtMs: number, now: number): void {
    worker.timer?.abort();
    worker.timer = undefined;
    if (!Number.isFinite(wakeAtMs) || worker.isFinishing) return;
    const timer = new AbortController();
    worker.timer = timer;
    this.#clock.sleep(Math.max(1, wakeAtMs - now), timer.signal).then(
      () => this.#queue(worker),
      () => {}, // Aborted: a newer step has set its own timer, or the kubelet stops.
    );
  }

  #writeStatus(pod: Pod, state: PodState, now: number): void {
    const status = podStatus(pod, state, this.#node.address, now);
    if (isDeepStrictEqual(status, pod.status)) return;
    try {
      this.#api.replace({ ...pod, status } as Pod, { subresource: "status", fieldManager: "kubelet" });
    } catch (error) {
      // Gone or changed in this very moment: the event of that change brings us back.
      if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) this.#onError(error);
    }
  }

  #perform(worker: Worker, action: Action): void {
    switch (action.do) {
      case "start-pod":
        this.#follow(this.#startPod(worker));
        return;
      case "start-container":
        this.#follow(this.#startContainer(worker, action.container, action.attempt));
        return;
      case "post-start":
      case "pre-stop":
        this.#follow(this.#runHook(worker, action));
        return;
      case "signal":
        this.#follow(this.#signal(worker, action));
        return;
      case "probe":
        this.#follow(this.#probe(worker, action));
        return;
      case "stop-pod":
        this.#follow(
          this.#runtime.stopPod(worker.uid).then(() => this.#observe(worker, { saw: "pod-stopped" })),
        );
        return;
      case "finish":
        this.#finish(worker);
        return;
    }
  }

  #follow(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.#onError(error);
    });
  }

  async #startPod(worker: Worker): Promise<void> {
    try {
      const { podIP } = await this.#runtime.startPod(sandboxSpecOf(worker.pod));
      this.#observe(worker, { saw: "pod-started", podIP });
    } catch (error) {
      this.#observe(worker, { saw: "pod-start-failed", message: (error as Error).message });
    }
  }

  async #startContainer(worker: Worker, name: string, attempt: number): Promise<void> {
    const container = this.#container(worker, name);
    const image = container.image ?? "";
    const about = { type: "Normal" as const, container: name };
    try {
      const spec = containerSpecOf(this.#contextOf(worker, name), attempt);
      const pulls = spec.imagePullPolicy === "Always" || !this.#seenImages.has(image);
      if (pulls)
        this.#record(worker.pod, { ...about, reason: "Pulling", message: `Pulling image "${image}"` });
      const started = await this.#runtime.startContainer(spec);
      if (this.#stopping.signal.aborted) return;
      this.#seenImages.add(image);
      const message = pulls
        ? `Successfully pulled image "${image}"`
        : `Container image "${image}" already present on machine`;
      this.#record(worker.pod, { ...about, reason: "Pulled", message });
      this.#observe(worker, { saw: "container-started", container: name, ...started });
      // A pull can take long: what changed meanwhile is caught up with.
      if (spec.mounts.some(({ kind }) => kind === "files")) this.#follow(this.#refreshFiles(worker, name));
      this.#releaseExit(worker, name);
    } catch (error) {
      worker.heldExits.delete(name);
      const { reason, message } = refusalOf(error);
      this.#observe(worker, { saw: "container-refused", container: name, reason, message });
    }
  }

  #releaseExit(worker: Worker, name: string): void {
    const exit = worker.heldExits.get(name);
    if (exit === undefined) return;
    worker.heldExits.delete(name);
    this.#reportExit(worker, exit);
  }

  /** A failed container that left no message may ask for the end of its log in its place. */
  #reportExit(worker: Worker, exit: ContainerExit): void {
    const { terminationMessagePolicy: policy } = this.#container(worker, exit.name);
    const isWanted = policy === "FallbackToLogsOnError" && exit.exitCode !== 0 && exit.message === "";
    const report = (message: string): void =>
      this.#observe(worker, { saw: "container-exited", container: exit.name, exit: { ...exit, message } });
    if (!isWanted) return report(exit.message);
    const { attempt } = containerState(worker.state, exit.name);
    this.#follow(logTail(this.#runtime, worker.uid, exit.name, attempt).then(report, () => report("")));
  }

  async #runHook(worker: Worker, action: Extract<Action, { do: "post-start" | "pre-stop" }>): Promise<void> {
    const container = this.#container(worker, action.container);
    const { id } = action;
    if (action.do === "post-start") {
      const hook = container.lifecycle?.postStart;
      if (hook === undefined) return;
      const error = await this.#hook(worker, container.name, hook, HOOK_TIMEOUT_MS);
      this.#observe(worker, { saw: "post-start-ended", container: container.name, id, error });
      return;
    }
    const hook = container.lifecycle?.preStop;
    if (hook === undefined) return;
    const error = await this.#hook(worker, container.name, hook, action.timeoutMs);
    this.#observe(worker, { saw: "pre-stop-ended", container: container.name, id, error });
  }

  #hook(worker: Worker, name: string, hook: Parameters<typeof runHook>[1], timeoutMs: number) {
    return runHook(this.#target(worker, name), hook, timeoutMs, this.#clock, this.#stopping.signal);
  }

  async #signal(worker: Worker, action: Extract<Action, { do: "signal" }>): Promise<void> {
    const signal =
      action.signal === "stop" ? this.#runtime.stopSignal(worker.uid, action.container) : action.signal;
    await this.#runtime.signal(worker.uid, action.container, signal);
  }

  async #probe(worker: Worker, action: Extract<Action, { do: "probe" }>): Promise<void> {
    const { container: name, id, probe: kind } = action;
    const probe = probeOf(this.#container(worker, name), kind);
    if (probe === undefined) return;
    const { isOk, message } = await runProbe(this.#target(worker, name), probe, this.#clock);
    this.#observe(worker, { saw: "probe-answered", container: name, id, probe: kind, isOk, message });
  }

  /** The object goes with grace 0, as every kubelet ends a pod; then the runtime may forget its logs. */
  #finish(worker: Worker): void {
    worker.isFinishing = true;
    const pod = this.#current(worker.pod);
    if (pod !== undefined) {
      try {
        this.#api.delete(
          { apiVersion: "v1", kind: "Pod", namespace: worker.namespace, name: worker.name },
          { gracePeriodSeconds: 0, preconditions: { uid: worker.uid } },
        );
      } catch (error) {
        if (!isReason(error, "NotFound") && !isReason(error, "Conflict")) this.#onError(error);
      }
    }
    this.#workers.delete(worker.uid);
    this.#follow(this.#runtime.forgetPod(worker.uid));
  }

  #target(worker: Worker, name: string): HandlerTarget {
    const { sandbox } = worker.state;
    return {
      runtime: this.#runtime,
      podUid: worker.uid,
      podIP: sandbox.kind === "ready" ? sandbox.podIP : "",
      container: this.#container(worker, name),
    };
  }

  #container(worker: Worker, name: string) {
    const container = allContainers(worker.pod).find((other) => other.name === name);
    if (container === undefined) throw new Error(`pod ${worker.name} has no container ${name}`);
    return container;
  }

  #record(pod: Pod, { container, ...event }: PodEvent): void {
    const list = pod.spec.initContainers?.some(({ name }) => name === container)
      ? "initContainers"
      : "containers";
    const fieldPath = container === undefined ? {} : { fieldPath: `spec.${list}{${container}}` };
    this.#recorder.record({ about: { ...referenceTo(pod), ...fieldPath }, ...event });
  }
}

/** Nothing bounds a postStart hook in Kubernetes; this bounds a hung one here. */
const HOOK_TIMEOUT_MS = 600_000;

function refusalOf(error: unknown): { reason: string; message: string } {
  if (error instanceof ContainerStartError) return { reason: error.reason, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  return { reason: error instanceof StatusError ? error.reason : "CreateContainerError", message };
}

/** As the kubelet cuts it: the last 80 lines, at most 2 KiB. */
async function logTail(
  runtime: PodRuntime,
  podUid: string,
  container: string,
  attempt: number,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  const lines = runtime.logs(podUid, container, attempt, {
    follow: false,
    tailLines: 80,
    sinceMs: undefined,
    timestamps: false,
    limitBytes: undefined,
    signal: new AbortController().signal,
  });
  for await (const chunk of lines) chunks.push(chunk);
  return Buffer.concat(chunks).subarray(-2048).toString("utf8");
}
