/**
 * A runtime in which nothing runs: pods have addresses, containers have lives that `behaviour.ts` describes, and
 * every port of a ready container answers HTTP 200. For tests and for machines without Linux namespaces.
 */
import { createHash } from "node:crypto";
import { type Duplex, duplexPair } from "node:stream";
import type { Clock } from "@slipway/base";
import {
  type ContainerExit,
  type ContainerSpec,
  ContainerStartError,
  type PodRuntime,
  type RuntimeLogOptions,
  type ServiceRoute,
} from "../runtime.ts";
import { type Behaviour, type Behaviours, behaviourOf, namedBehaviours } from "./behaviour.ts";

export interface SimulatedRuntime extends PodRuntime {
  /** What `setServices` was last given, for tests. */
  readonly services: readonly ServiceRoute[];
  /** Ends as if the machine had gone: nothing more is reported but `onLost`. */
  lose(reason: string): void;
}

interface SimulatedContainer {
  readonly spec: ContainerSpec;
  readonly id: string;
  readonly behaviour: Behaviour;
  readonly startedAtMs: number;
  readonly life: AbortController;
}

interface SimulatedPod {
  readonly ip: string;
  readonly containers: Map<string, SimulatedContainer>;
  /** By container and attempt. */
  readonly logs: Map<string, string[]>;
  isStopped: boolean;
}

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGTERM: 15 } as const;

export function createSimulatedRuntime(options: {
  readonly clock: Clock;
  readonly behaviours?: Behaviours;
  /** First two numbers of pod addresses, from a /16. */
  readonly podCIDR?: string;
}): SimulatedRuntime {
  const { clock } = options;
  const behaviours = [...(options.behaviours ?? []), ...namedBehaviours];
  const prefix = (options.podCIDR ?? "10.244.0.0/16").split(".").slice(0, 2).join(".");
  const pods = new Map<string, SimulatedPod>();
  const exitListeners: ((exit: ContainerExit) => void)[] = [];
  const lostListeners: ((reason: string) => void)[] = [];
  let services: readonly ServiceRoute[] = [];
  let nextAddress = 2;
  let isLost = false;

  const podOf = (uid: string): SimulatedPod => {
    const pod = pods.get(uid);
    if (pod === undefined) throw new Error(`no such pod: ${uid}`);
    return pod;
  };

  const containerOf = (uid: string, name: string): SimulatedContainer => {
    const container = pods.get(uid)?.containers.get(name);
    if (container === undefined) throw new Error(`container ${name} is not running`);
    return container;
  };

  const end = (container: SimulatedContainer, exitCode: number, signal: number | undefined): void => {
    const { spec, id, startedAtMs } = container;
    const pod = pods.get(spec.podUid);
    if (isLost || pod?.containers.get(spec.name) !== container) return;
    pod.containers.delete(spec.name);
    container.life.abort();
    const exit: ContainerExit = {
      podUid: spec.podUid,
      name: spec.name,
      id,
      exitCode,
      signal,
      reason: exitCode === 0 ? "Completed" : "Error",
      message: "",
      startedAtMs,
      finishedAtMs: clock.now(),
    };
    for (const listener of exitListeners) listener(exit);
  };

  const after = (container: SimulatedContainer, ms: number, then: () => void): void => {
    clock.sleep(ms, container.life.signal).then(then, () => {}); // Aborted: the container has ended before.
  };

  const isReady = ({ behaviour, startedAtMs }: SimulatedContainer): boolean =>
    clock.now() >= startedAtMs + (behaviour.readyAfterMs ?? 0);

  return {
    name: "simulated",
    get services() {
      return services;
    },
    async startPod({ uid }) {
      const existing = pods.get(uid);
      if (existing !== undefined) return { podIP: existing.ip };
      const ip = `${prefix}.${(nextAddress >> 8) & 255}.${nextAddress & 255}`;
      // Never 0 or 255 at the end: such addresses mean something else to some programs.
      do nextAddress = (nextAddress + 1) % 65_536;
      while (nextAddress % 256 === 0 || nextAddress % 256 === 255);
      pods.set(uid, { ip, containers: new Map(), logs: new Map(), isStopped: false });
      return { podIP: ip };
    },
    async stopPod(uid) {
      const pod = pods.get(uid);
      if (pod === undefined) return;
      pod.isStopped = true;
      for (const container of [...pod.containers.values()]) end(container, 137, SIGNAL_NUMBERS.SIGKILL);
    },
    async forgetPod(uid) {
      pods.delete(uid);
    },
    async startContainer(spec) {
      const behaviour = behaviourOf(spec.image, behaviours);
      await clock.sleep(behaviour.startMs ?? 0);
      if (behaviour.refusal !== undefined) {
        throw new ContainerStartError(behaviour.refusal.reason, behaviour.refusal.message);
      }
      const pod = podOf(spec.podUid);
      if (pod.isStopped || isLost)
        throw new ContainerStartError("CreateContainerError", "the pod has been stopped");
      const digest = createHash("sha256").update(spec.image).digest("hex");
      const id = createHash("sha256").update(`${spec.podUid}/${spec.name}/${spec.attempt}`).digest("hex");
      const container: SimulatedContainer = {
        spec,
        id: `simulated://${id}`,
        behaviour,
        startedAtMs: clock.now(),
        life: new AbortController(),
      };
      pod.containers.set(spec.name, container);
      pod.logs.set(`${spec.name}/${spec.attempt}`, [...(behaviour.log ?? [])]);
      if (behaviour.exitAfterMs !== undefined) {
        after(container, behaviour.exitAfterMs, () => end(container, behaviour.exitCode ?? 0, undefined));
      }
      return {
        id: container.id,
        startedAtMs: container.startedAtMs,
        imageId: `${spec.image.replace(/[:@].*$/, "")}@sha256:${digest}`,
      };
    },
    async writeFiles() {}, // Nothing that is simulated reads files.
    async signal(podUid, containerName, signal) {
      const container = pods.get(podUid)?.containers.get(containerName);
      if (container === undefined) return;
      const number = SIGNAL_NUMBERS[signal];
      const { stopMs = 0 } = container.behaviour;
      if (signal === "SIGKILL") end(container, 128 + number, number);
      // A program that handles its stop signal ends with 0, whatever it was called.
      else if (stopMs !== "never") after(container, stopMs, () => end(container, 0, undefined));
    },
    stopSignal: () => "SIGTERM",
    async exec(podUid, containerName, _command, { stdout }) {
      const { behaviour } = containerOf(podUid, containerName);
      stdout?.(Buffer.from("simulated\n"));
      return { exitCode: behaviour.execExitCode ?? 0 };
    },
    async dial(podIP) {
      const pod = [...pods.values()].find((candidate) => candidate.ip === podIP && !candidate.isStopped);
      if (pod === undefined || isLost) throw dialError("EHOSTUNREACH", podIP);
      const containers = [...pod.containers.values()];
      const container = containers[0];
      if (container === undefined) throw dialError("ECONNREFUSED", podIP);
      const [near, far] = duplexPair();
      answerHttp(far, () => (containers.every(isReady) ? 200 : 503), container.spec);
      return near;
    },
    logs(podUid, containerName, attempt, options) {
      return readLog(pods.get(podUid), containerName, attempt, options);
    },
    /** Nothing runs, so that nothing is used. */
    async usage() {
      return [...pods].flatMap(([podUid, { containers }]) =>
        [...containers.values()].map(({ spec, id, startedAtMs }) => ({
          podUid,
          name: spec.name,
          id,
          startedAtMs,
          cpuSeconds: 0,
          memoryBytes: 0,
        })),
      );
    },
    onExit: (listener) => {
      exitListeners.push(listener);
    },
    onLost: (listener) => {
      lostListeners.push(listener);
    },
    onEvent: () => {}, // Nothing that is simulated can be in need of a warning.
    async setServices(routes) {
      services = routes;
    },
    lose(reason) {
      isLost = true;
      for (const listener of lostListeners) listener(reason);
    },
    async close() {
      isLost = true;
      for (const pod of pods.values()) for (const { life } of pod.containers.values()) life.abort();
      pods.clear();
    },
  };
}

function dialError(code: string, podIP: string): Error {
  return Object.assign(new Error(`connect ${code} ${podIP}`), { code });
}

/** Answers each request head on the stream with a short page that names the pod's container. */
function answerHttp(stream: Duplex, statusCode: () => number, spec: ContainerSpec): void {
  let received = "";
  stream.on("error", () => {});
  stream.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
    for (let end = received.indexOf("\r\n\r\n"); end >= 0; end = received.indexOf("\r\n\r\n")) {
      received = received.slice(end + 4);
      const status = statusCode();
      const body = `simulated ${spec.name} ${spec.image}\n`;
      const reason = status === 200 ? "OK" : "Service Unavailable";
      stream.write(
        `HTTP/1.1 ${status} ${reason}\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
    }
  });
  stream.on("end", () => stream.end());
}

async function* readLog(
  pod: SimulatedPod | undefined,
  container: string,
  attempt: number | undefined,
  options: RuntimeLogOptions,
): AsyncGenerator<Uint8Array> {
  const attempts = [...(pod?.logs.keys() ?? [])].filter((key) => key.startsWith(`${container}/`));
  const key = attempt === undefined ? attempts.at(-1) : `${container}/${attempt}`;
  const lines = key === undefined ? undefined : pod?.logs.get(key);
  if (lines === undefined) throw new Error(`no log of container ${container}`);
  const shown =
    options.tailLines === undefined ? lines : lines.slice(Math.max(0, lines.length - options.tailLines));
  for (const line of shown) yield Buffer.from(`${line}\n`);
}
