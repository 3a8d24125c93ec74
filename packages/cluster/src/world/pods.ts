/**
 * The nodes and kubelets of a simulated world, as little of them as controllers can see: a pod is placed, starts after
 * a while, becomes ready, may crash or flap, and takes its time to end. How long each takes is data, per image.
 *
 * Modelled: placement by fewest pods (unless a scheduler runs), start and readiness times, restarts with the kubelet's
 * back-off, graceful termination, nodes that die with all their pods and come back. Not modelled: resources, probes
 * and their periods, image pulls, volumes, network.
 */
import { assert, type Random } from "@slipway/base";
import type {
  Api,
  ContainerStateTerminated,
  ContainerStatus,
  Pod,
  PodStatus,
  StoreEvent,
} from "@slipway/kube";
import type { Fault, Faults } from "./faults.ts";

/** Times in virtual ms; each pod draws its own from the range, ends included. */
export interface PodBehaviour {
  readonly startMs: readonly [number, number];
  /** From running to ready. */
  readonly readyMs: readonly [number, number];
  /** From the request to end to being gone. */
  readonly endMs: readonly [number, number];
  /** The container ends this long after each start, and is never ready. */
  readonly crashesAfterMs?: number;
  /** Runs, but its readiness probe never succeeds. */
  readonly isNeverReady?: boolean;
}

export const ORDINARY_POD: PodBehaviour = { startMs: [200, 1500], readyMs: [100, 2000], endMs: [100, 3000] };

/** What the kubelets need of their world. */
export interface PodSurroundings {
  readonly api: Api;
  readonly random: Random;
  readonly placesPods: boolean;
  now(): number;
  after(ms: number, run: () => void): void;
  faults(): Faults;
  count(fault: Fault): void;
  behaviourOf(pod: Pod): PodBehaviour;
  /** Who writes, for transcript and checkers. */
  as(actor: "kubelet" | "fault", run: () => void): void;
  log(who: string, what: string, text: string): void;
}

/** What a kubelet remembers of a pod. Actions that were planned in an earlier `life` are void. */
interface Known {
  readonly podIP: string;
  /** How the container before this one ended. */
  ended?: ContainerStateTerminated;
  life: number;
  isEnding: boolean;
  restarts: number;
}

/** A node whose kubelet is silent is noticed after this; Kubernetes' default is 40 s. */
const NOTICED_AFTER_MS = 4_000;
/** Its pods are given up this long after that; Kubernetes' default is 300 s. */
const EVICTED_AFTER_MS = 10_000;

export class Kubelets {
  readonly #world: PodSurroundings;
  readonly #pods = new Map<string, Known>();
  readonly #nodes = new Map<string, { isUp: boolean; crashes: number }>();
  #addresses = 0;

  constructor(world: PodSurroundings, nodes: readonly string[]) {
    this.#world = world;
    for (const node of nodes) this.#nodes.set(node, { isUp: true, crashes: 0 });
  }

  onPod(event: StoreEvent): void {
    const pod = event.object as Pod;
    const uid = pod.metadata.uid ?? "";
    if (event.type === "DELETED") {
      this.#pods.delete(uid);
      return;
    }
    const known = this.#pods.get(uid);
    const node = pod.spec.nodeName;
    if (node === undefined) {
      if (event.type === "ADDED" && this.#world.placesPods) this.#place(pod);
    } else if (known === undefined) {
      this.#pods.set(uid, { podIP: this.#nextAddress(), life: 0, isEnding: false, restarts: 0 });
      this.#start(pod, this.#startMs(pod));
    }
    if (pod.metadata.deletionTimestamp !== undefined && known !== undefined && !known.isEnding) {
      known.isEnding = true;
      known.life += 1;
      this.#end(pod);
    }
  }

  // --- What befalls pods and nodes ---

  crashSomePod(): void {
    const pod = this.#somePod((status) => status?.phase === "Running");
    if (pod === undefined) return;
    this.#world.count("pod crash");
    this.#world.log("fault", pod.metadata.name, "pod crash");
    this.#world.as("fault", () => this.#crash(pod));
  }

  flapSomePod(): void {
    const pod = this.#somePod((status) => readyOf(status));
    if (pod === undefined) return;
    this.#world.count("readiness flap");
    this.#world.log("fault", pod.metadata.name, "readiness flap");
    this.#world.as("fault", () => this.#write(pod, { isReady: false }));
    this.#later(pod, 1000 + this.#world.random.int(4000), () => this.#write(pod, { isReady: true }));
  }

  crashSomeNode(): void {
    const up = [...this.#nodes].filter(([, { isUp }]) => isUp);
    // Someone must survive, or nothing could be told from a world that ended.
    if (up.length < 2) return;
    const [name, node] = this.#world.random.pick(up);
    node.isUp = false;
    node.crashes += 1;
    const crash = node.crashes;
    this.#world.count("node crash");
    this.#world.log("fault", name, "node crash");
    for (const pod of this.#podsOn(name)) this.#forgetPlans(pod);
    this.#world.after(NOTICED_AFTER_MS, () => {
      if (node.isUp || node.crashes !== crash) return;
      this.#world.log("kubelet", name, "node not ready");
      for (const pod of this.#podsOn(name)) {
        if (readyOf(pod.status)) this.#world.as("fault", () => this.#write(pod, { isReady: false }));
      }
    });
    this.#world.after(NOTICED_AFTER_MS + EVICTED_AFTER_MS, () => {
      if (!node.isUp && node.crashes === crash) this.#evict(name);
    });
    this.#world.after(5000 + this.#world.random.int(35_000), () => this.returnNode(name));
  }

  returnNode(name: string): void {
    const node = this.#nodes.get(name);
    assert(node !== undefined, "a node that returns was there");
    if (node.isUp) return;
    node.isUp = true;
    this.#world.count("node return");
    this.#world.log("fault", name, "node return");
    for (const pod of this.#podsOn(name)) {
      this.#world.as("fault", () => this.#restart(pod));
    }
  }

  /** Ends all faults that last: every node is back. */
  heal(): void {
    for (const name of this.#nodes.keys()) this.returnNode(name);
  }

  // --- The life of a pod ---

  #place(pod: Pod): void {
    this.#world.after(1 + this.#world.random.int(20), () => {
      const stored = this.#stored(pod);
      if (stored === undefined || stored.spec.nodeName !== undefined) return;
      const nodes = [...this.#nodes].filter(([, { isUp }]) => isUp).map(([name]) => name);
      const load = new Map(nodes.map((name) => [name, 0]));
      for (const { spec } of this.#world.api.store.list("Pod")) {
        const count = load.get(spec.nodeName ?? "");
        if (count !== undefined) load.set(spec.nodeName ?? "", count + 1);
      }
      const least = Math.min(...load.values());
      const node = this.#world.random.pick(nodes.filter((name) => load.get(name) === least));
      const { namespace, name } = pod.metadata;
      const target = { apiVersion: "v1", kind: "Node", name: node };
      const binding = { apiVersion: "v1", kind: "Binding", metadata: { namespace, name }, target };
      this.#world.as("kubelet", () => this.#world.api.create(binding as never, { subresource: "binding" }));
    });
  }

  #startMs(pod: Pod): number {
    const usual = this.#draw(this.#world.behaviourOf(pod).startMs);
    if (!this.#world.random.ratio(this.#world.faults().slowStartPerMille, 1000)) return usual;
    this.#world.count("slow start");
    return usual * 10;
  }

  #start(pod: Pod, afterMs: number): void {
    const behaviour = this.#world.behaviourOf(pod);
    this.#later(pod, afterMs, () => {
      this.#write(pod, { isReady: false });
      if (behaviour.crashesAfterMs !== undefined) {
        this.#later(pod, behaviour.crashesAfterMs, () => this.#crash(pod));
      } else if (behaviour.isNeverReady !== true) {
        this.#later(pod, this.#draw(behaviour.readyMs), () => this.#write(pod, { isReady: true }));
      }
    });
  }

  /** The first restart is immediate, then after 10 s, 20 s, … up to 300 s. */
  #crash(pod: Pod): void {
    const known = this.#pods.get(pod.metadata.uid ?? "");
    if (known === undefined || known.isEnding) return;
    const backOffMs = known.restarts === 0 ? 0 : Math.min(300_000, 10_000 * 2 ** (known.restarts - 1));
    known.restarts += 1;
    const finishedAt = timeOf(this.#world.now());
    known.ended = { exitCode: 1, reason: "Error", startedAt: finishedAt, finishedAt };
    this.#forgetPlans(pod);
    this.#world.log("kubelet", pod.metadata.name, `container ended, starts again in ${backOffMs / 1000} s`);
    this.#write(pod, { isReady: false, isWaiting: backOffMs > 0 });
    this.#start(pod, backOffMs + this.#draw(this.#world.behaviourOf(pod).startMs));
  }

  #restart(pod: Pod): void {
    const known = this.#pods.get(pod.metadata.uid ?? "");
    if (known === undefined) return;
    if (known.isEnding) {
      this.#end(pod);
      return;
    }
    this.#forgetPlans(pod);
    if (pod.status?.phase === "Running") {
      known.restarts += 1;
      this.#write(pod, { isReady: false });
    }
    this.#start(pod, this.#startMs(pod));
  }

  #end(pod: Pod): void {
    const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? 30) * 1000;
    const takesMs = Math.min(graceMs, this.#draw(this.#world.behaviourOf(pod).endMs));
    this.#later(pod, takesMs, () => {
      this.#world.log("kubelet", pod.metadata.name, "gone");
      const { namespace, name, uid = "" } = pod.metadata;
      this.#world.api.delete(
        { apiVersion: "v1", kind: "Pod", name, ...(namespace === undefined ? {} : { namespace }) },
        { gracePeriodSeconds: 0, preconditions: { uid } },
      );
    });
  }

  #evict(node: string): void {
    for (const pod of this.#podsOn(node)) {
      if (pod.metadata.deletionTimestamp !== undefined) continue;
      const { namespace, name } = pod.metadata;
      this.#world.as("fault", () =>
        this.#world.api.delete({
          apiVersion: "v1",
          kind: "Pod",
          name,
          ...(namespace === undefined ? {} : { namespace }),
        }),
      );
    }
  }

  // --- Small parts ---

  /** Does something to the pod later, unless its life took another turn or its node is down by then. */
  #later(pod: Pod, ms: number, run: () => void): void {
    const uid = pod.metadata.uid ?? "";
    const life = this.#pods.get(uid)?.life;
    const crashes = this.#nodes.get(pod.spec.nodeName ?? "")?.crashes;
    this.#world.after(ms, () => {
      const node = this.#nodes.get(pod.spec.nodeName ?? "");
      if (this.#pods.get(uid)?.life !== life || node?.isUp !== true || node.crashes !== crashes) return;
      this.#world.as("kubelet", run);
    });
  }

  /** Addresses are not used again: a world is short. */
  #nextAddress(): string {
    this.#addresses += 1;
    return `10.244.${this.#addresses >> 8}.${this.#addresses & 255}`;
  }

  #forgetPlans(pod: Pod): void {
    const known = this.#pods.get(pod.metadata.uid ?? "");
    if (known !== undefined) known.life += 1;
  }

  #write(pod: Pod, change: { readonly isReady: boolean; readonly isWaiting?: boolean }): void {
    const stored = this.#stored(pod);
    if (stored === undefined) return;
    const known = this.#pods.get(pod.metadata.uid ?? "");
    if (known === undefined) return;
    const status = podStatus(stored, change, known, this.#world.now());
    if (change.isReady) this.#world.log("kubelet", pod.metadata.name, "ready");
    this.#world.api.replace({ ...stored, status } as Pod, { subresource: "status" });
  }

  #stored(pod: Pod): Pod | undefined {
    const { namespace = "", name, uid } = pod.metadata;
    const stored = this.#world.api.store.get("Pod", namespace, name);
    return stored?.metadata.uid === uid ? stored : undefined;
  }

  #podsOn(node: string): readonly Pod[] {
    return this.#world.api.store.list("Pod").filter(({ spec }) => spec.nodeName === node);
  }

  #somePod(fits: (status: PodStatus | undefined) => boolean): Pod | undefined {
    const candidates = this.#world.api.store
      .list("Pod")
      .filter(
        ({ metadata, spec, status }) =>
          metadata.deletionTimestamp === undefined &&
          this.#nodes.get(spec.nodeName ?? "")?.isUp === true &&
          fits(status),
      );
    return candidates.length === 0 ? undefined : this.#world.random.pick(candidates);
  }

  #draw([least, most]: readonly [number, number]): number {
    return least + this.#world.random.int(most - least + 1);
  }
}

function readyOf(status: PodStatus | undefined): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

function podStatus(
  pod: Pod,
  { isReady, isWaiting = false }: { readonly isReady: boolean; readonly isWaiting?: boolean },
  { podIP, restarts, ended }: Known,
  now: number,
): PodStatus {
  const time = timeOf(now);
  const before = pod.status?.conditions?.find(({ type }) => type === "Ready");
  const status = isReady ? "True" : "False";
  const since = before?.status === status ? (before.lastTransitionTime ?? time) : time;
  const containers = pod.spec.containers.map(
    ({ name, image = "" }): ContainerStatus => ({
      name,
      ready: isReady,
      restartCount: restarts,
      image,
      imageID: image,
      started: !isWaiting,
      state: isWaiting ? { waiting: { reason: "CrashLoopBackOff" } } : { running: { startedAt: time } },
      ...(ended === undefined ? {} : { lastState: { terminated: ended } }),
    }),
  );
  const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== "Ready");
  return {
    ...pod.status,
    phase: "Running",
    startTime: pod.status?.startTime ?? time,
    podIP,
    podIPs: [{ ip: podIP }],
    conditions: [...others, { type: "Ready", status, lastTransitionTime: since }],
    containerStatuses: containers,
  };
}
