import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Pod, PodSpec, PodStatus } from "@slipway/kube";
import { aContainer, aPod } from "../testing.ts";
import { type Action, decidePod, type PodEvent } from "./decide.ts";
import { type Observation, observe } from "./observe.ts";
import { adopt, type PodState } from "./state.ts";
import { podStatus } from "./status.ts";

const START = Date.UTC(2026, 0, 1);

/** One pod in virtual time: actions are collected, reports are fed by hand. */
class Life {
  pod: Pod | undefined;
  state: PodState;
  now = START;
  readonly events: PodEvent[] = [];
  wakeAtMs = Number.POSITIVE_INFINITY;
  #last: Pod;

  constructor(spec: Partial<PodSpec> = {}, status?: PodStatus) {
    this.#last = aPod("web-x", {
      metadata: { uid: "u1" },
      spec,
      ...(status === undefined ? {} : { status }),
    });
    this.pod = this.#last;
    this.state = adopt(this.pod, this.now);
  }

  /** Takes a step and returns its actions as short words. */
  step(): readonly string[] {
    const step = decidePod(this.pod, this.state, this.now);
    this.state = step.state;
    this.events.push(...step.events);
    this.wakeAtMs = step.wakeAtMs;
    if (this.pod !== undefined) {
      this.pod = { ...this.pod, status: podStatus(this.pod, this.state, "172.30.0.2", this.now) } as Pod;
      this.#last = this.pod;
    }
    return step.actions.map(short);
  }

  saw(observation: Observation): readonly string[] {
    const { state, events } = observe(this.#last, this.state, observation, this.now);
    this.state = state;
    this.events.push(...events);
    return this.step();
  }

  /** Moves to the next wake-up and steps; says how far that was. */
  wake(): { afterMs: number; actions: readonly string[] } {
    const afterMs = this.wakeAtMs - this.now;
    this.now = this.wakeAtMs;
    return { afterMs, actions: this.step() };
  }

  after(ms: number): readonly string[] {
    this.now += ms;
    return this.step();
  }

  started(container = "web", id = `${container}-${this.now}`): readonly string[] {
    return this.saw({
      saw: "container-started",
      container,
      id,
      imageId: "web@sha256:0",
      startedAtMs: this.now,
    });
  }

  exited(exitCode: number, container = "web"): readonly string[] {
    const phase = this.state.containers[container]?.phase;
    const running = phase?.kind === "running" ? phase : { id: "", startedAtMs: this.now };
    const exit = {
      id: running.id,
      exitCode,
      signal: undefined,
      reason: exitCode === 0 ? "Completed" : "Error",
      message: "",
      startedAtMs: running.startedAtMs,
      finishedAtMs: this.now,
    };
    return this.saw({ saw: "container-exited", container, exit });
  }

  answered(probe: "startup" | "readiness" | "liveness", isOk: boolean, container = "web"): readonly string[] {
    const phase = this.state.containers[container]?.phase;
    const id = phase?.kind === "running" ? phase.id : "";
    return this.saw({ saw: "probe-answered", container, id, probe, isOk, message: "no" });
  }

  delete(graceSeconds: number): readonly string[] {
    const deletionTimestamp = new Date(this.now + graceSeconds * 1000).toISOString();
    this.pod = {
      ...(this.pod as Pod),
      metadata: { ...this.#last.metadata, deletionTimestamp, deletionGracePeriodSeconds: graceSeconds },
    };
    return this.step();
  }

  get status(): PodStatus {
    return this.#last.status as PodStatus;
  }

  container(name = "web") {
    const { containerStatuses = [], initContainerStatuses = [] } = this.status;
    const found = [...containerStatuses, ...initContainerStatuses].find((status) => status.name === name);
    assert.ok(found !== undefined);
    return found;
  }

  condition(type: string) {
    const found = this.status.conditions?.find((condition) => condition.type === type);
    return `${found?.status}${found?.reason === undefined ? "" : ` ${found.reason}`}`;
  }
}

function short(action: Action): string {
  switch (action.do) {
    case "start-pod":
    case "stop-pod":
    case "finish":
      return action.do;
    case "start-container":
      return `start ${action.container}#${action.attempt}`;
    case "probe":
      return `probe ${action.probe}`;
    case "signal":
      return `${action.signal} ${action.container}`;
    case "pre-stop":
    case "post-start":
      return `${action.do} ${action.container}`;
  }
}

function running(spec: Partial<PodSpec> = {}): Life {
  const life = new Life(spec);
  life.step();
  life.saw({ saw: "pod-started", podIP: "10.244.0.2" });
  life.started();
  return life;
}

describe("from bound to ready", () => {
  test("the sandbox first, then the container, and a pod without probes is ready as soon as it runs", () => {
    const life = new Life();
    assert.deepEqual(life.step(), ["start-pod"]);
    assert.deepEqual(life.step(), []);
    assert.deepEqual(life.container().state, { waiting: { reason: "ContainerCreating" } });
    assert.deepEqual(life.saw({ saw: "pod-started", podIP: "10.244.0.2" }), ["start web#0"]);
    assert.equal(life.status.phase, "Pending");
    assert.deepEqual(life.started("web", "c1"), []);
    assert.equal(life.status.phase, "Running");
    assert.equal(life.status.podIP, "10.244.0.2");
    assert.equal(life.condition("Ready"), "True");
    assert.deepEqual(
      life.events.map(({ reason, message }) => `${reason}: ${message}`),
      ["Created: Created container: web", "Started: Started container web"],
    );
    assert.deepEqual(life.container(), {
      name: "web",
      state: { running: { startedAt: "2026-01-01T00:00:00Z" } },
      lastState: {},
      ready: true,
      restartCount: 0,
      image: "web:1",
      imageID: "web@sha256:0",
      containerID: "c1",
      started: true,
    });
  });

  test("a sandbox that fails is tried again after 1 s, then 2 s", () => {
    const life = new Life();
    life.step();
    assert.deepEqual(life.saw({ saw: "pod-start-failed", message: "no" }), []);
    assert.deepEqual(life.wake(), { afterMs: 1000, actions: ["start-pod"] });
    life.saw({ saw: "pod-start-failed", message: "no" });
    assert.deepEqual(life.wake(), { afterMs: 2000, actions: ["start-pod"] });
  });

  test("init steps run one after the other, and the containers wait for the last", () => {
    const life = new Life({ initContainers: [aContainer("one"), aContainer("two")] });
    life.step();
    assert.deepEqual(life.saw({ saw: "pod-started", podIP: "10.244.0.2" }), ["start one#0"]);
    assert.deepEqual(life.container().state, { waiting: { reason: "PodInitializing" } });
    assert.deepEqual(life.status.initContainerStatuses?.[0]?.state, {
      waiting: { reason: "PodInitializing" },
    });
    assert.equal(life.condition("Initialized"), "False ContainersNotInitialized");
    life.started("one");
    assert.deepEqual(life.exited(0, "one"), ["start two#0"]);
    life.started("two");
    // A failed step is tried again, at first at once.
    assert.deepEqual(life.exited(1, "two"), ["start two#1"]);
    life.started("two");
    assert.deepEqual(life.exited(0, "two"), ["start web#0"]);
    assert.equal(life.condition("Initialized"), "True");
    life.started();
    assert.equal(life.condition("Ready"), "True");
  });

  test("a failed init step fails a pod that never restarts", () => {
    const life = new Life({ restartPolicy: "Never", initContainers: [aContainer("one")] });
    life.step();
    life.saw({ saw: "pod-started", podIP: "10.244.0.2" });
    life.started("one");
    assert.deepEqual(life.exited(2, "one"), ["stop-pod"]);
    assert.equal(life.status.phase, "Failed");
  });

  test("a sidecar lets the next step begin once it has started, and runs on beside the containers", () => {
    const life = new Life({ initContainers: [aContainer("side", { restartPolicy: "Always" })] });
    life.step();
    assert.deepEqual(life.saw({ saw: "pod-started", podIP: "10.244.0.2" }), ["start side#0"]);
    assert.deepEqual(life.started("side"), ["start web#0"]);
    life.started();
    assert.equal(life.condition("Ready"), "True");
    // It comes back even after a clean end.
    assert.deepEqual(life.exited(0, "side"), ["start side#1"]);
    assert.equal(life.condition("Ready"), "False ContainersNotReady");
    assert.equal(life.condition("Initialized"), "True");
    assert.equal(life.status.phase, "Running");
    // And the containers are looked after meanwhile.
    assert.deepEqual(life.exited(1), ["start web#1"]);
  });
});

describe("crashes", () => {
  test("the first restart is immediate, then 10 s, 20 s, 40 s … 300 s", () => {
    const life = running();
    assert.deepEqual(life.exited(1), ["start web#1"]);
    const waits: number[] = [];
    for (let round = 0; round < 7; round += 1) {
      life.started();
      life.now += 100;
      assert.deepEqual(life.exited(1), []);
      waits.push(life.wake().afterMs / 1000);
    }
    assert.deepEqual(waits, [10, 20, 40, 80, 160, 300, 300]);
  });

  test("while it waits, the status says CrashLoopBackOff with the last exit beside it", () => {
    const life = running();
    life.exited(1);
    life.started("web", "c2");
    life.exited(3);
    const { state, lastState, restartCount } = life.container();
    assert.deepEqual(state, {
      waiting: {
        reason: "CrashLoopBackOff",
        message: "back-off 10s restarting failed container=web pod=web-x_default(u1)",
      },
    });
    assert.equal(lastState?.terminated?.exitCode, 3);
    assert.equal(lastState?.terminated?.containerID, "c2");
    assert.equal(restartCount, 1);
    assert.equal(life.status.phase, "Running");
  });

  test("an event tells of the wait as soon as it begins, once", () => {
    const life = running();
    const told = () => life.events.filter(({ reason }) => reason === "BackOff");
    life.exited(1);
    life.started("web", "c2");
    assert.deepEqual(told(), [], "the first restart does not wait");
    life.exited(1);
    const event = {
      type: "Warning",
      reason: "BackOff",
      message: "Back-off restarting failed container web in pod web-x_default(u1)",
      container: "web",
    };
    assert.deepEqual(told(), [event]);
    life.step();
    life.wake();
    assert.deepEqual(told(), [event]);
    life.started("web", "c3");
    life.exited(1);
    assert.deepEqual(told(), [event, event], "each wait is told");
  });

  test("ten quiet minutes clear the account", () => {
    const life = running();
    life.exited(1);
    life.started();
    life.now += 601_000;
    assert.deepEqual(life.exited(1), ["start web#2"]);
  });

  const policies: readonly [NonNullable<PodSpec["restartPolicy"]>, number, string[], PodStatus["phase"]][] = [
    ["Always", 0, ["start web#1"], "Running"],
    ["OnFailure", 0, ["stop-pod"], "Succeeded"],
    ["OnFailure", 1, ["start web#1"], "Running"],
    ["Never", 0, ["stop-pod"], "Succeeded"],
    ["Never", 1, ["stop-pod"], "Failed"],
  ];
  for (const [restartPolicy, code, actions, phase] of policies) {
    test(`restartPolicy ${restartPolicy} after code ${code}: ${actions.join()}, ${phase}`, () => {
      const life = running({ restartPolicy });
      assert.deepEqual(life.exited(code), actions);
      // A restart goes through creation again, for which the phase stays what it was in the kubelet's eyes.
      if (actions[0] !== "start web#1") assert.equal(life.status.phase, phase);
    });
  }

  test("a process that cannot be run counts as an attempt with code 128", () => {
    const life = new Life();
    life.step();
    life.saw({ saw: "pod-started", podIP: "10.244.0.2" });
    const refused = { saw: "container-refused" as const, container: "web", reason: "RunContainerError" };
    assert.deepEqual(life.saw({ ...refused, message: 'exec: "x": not found' }), ["start web#1"]);
    assert.deepEqual(life.saw({ ...refused, message: 'exec: "x": not found' }), []);
    assert.equal(life.container().lastState?.terminated?.exitCode, 128);
    assert.equal(life.container().lastState?.terminated?.reason, "StartError");
    assert.equal(life.container().state?.waiting?.reason, "CrashLoopBackOff");
  });
});

describe("images and configuration", () => {
  test("a failed pull shows its error, then backs off for 10 s, 20 s", () => {
    const life = new Life();
    life.step();
    life.saw({ saw: "pod-started", podIP: "10.244.0.2" });
    const refusal = {
      saw: "container-refused",
      container: "web",
      reason: "ErrImagePull",
      message: "gone",
    } as const;
    life.saw(refusal);
    assert.deepEqual(life.container().state, { waiting: { reason: "ErrImagePull", message: "gone" } });
    assert.deepEqual(
      life.events.map(({ message }) => message),
      ['Failed to pull image "web:1": gone', "Error: ErrImagePull"],
    );
    assert.deepEqual(life.wake(), { afterMs: 1000, actions: [] });
    assert.equal(life.container().state?.waiting?.reason, "ImagePullBackOff");
    assert.match(life.container().state?.waiting?.message ?? "", /^Back-off pulling image "web:1"/);
    assert.deepEqual(life.wake(), { afterMs: 9000, actions: ["start web#0"] });
    life.saw(refusal);
    life.wake();
    assert.equal(life.wake().afterMs, 19_000);
    assert.equal(life.container().restartCount, 0);
  });

  test("a missing ConfigMap blocks the start until it comes, without waiting for the next try", () => {
    const life = new Life();
    life.step();
    life.saw({ saw: "pod-started", podIP: "10.244.0.2" });
    const reason = "CreateContainerConfigError";
    life.saw({ saw: "container-refused", container: "web", reason, message: 'configmap "c" not found' });
    assert.deepEqual(life.container().state, { waiting: { reason, message: 'configmap "c" not found' } });
    assert.deepEqual(life.saw({ saw: "dependencies-changed" }), ["start web#0"]);
  });
});

describe("probes", () => {
  const http = { httpGet: { port: 80 } };
  const probing = (
    probes: Partial<NonNullable<PodSpec["containers"][number]>>,
    spec: Partial<PodSpec> = {},
  ) => {
    const life = new Life({ ...spec, containers: [aContainer("web", probes)] });
    life.step();
    life.saw({ saw: "pod-started", podIP: "10.244.0.2" });
    return life;
  };

  test("readiness is asked at once and then every period, whatever the answer took", () => {
    const life = probing({ readinessProbe: { ...http, periodSeconds: 1 } });
    assert.deepEqual(life.started(), ["probe readiness"]);
    assert.equal(life.condition("Ready"), "False ContainersNotReady");
    life.now += 300;
    assert.deepEqual(life.answered("readiness", false), []);
    assert.deepEqual(life.wake(), { afterMs: 700, actions: ["probe readiness"] });
    life.answered("readiness", true);
    assert.equal(life.condition("Ready"), "True");
  });

  test("a ready container turns unready at the third failure and ready at the first success", () => {
    const life = probing({ readinessProbe: { ...http, periodSeconds: 1 } });
    life.started();
    life.answered("readiness", true);
    const seen = [false, false, false, true].map((isOk) => {
      life.wake();
      life.answered("readiness", isOk);
      return life.condition("Ready").split(" ")[0];
    });
    assert.deepEqual(seen, ["True", "True", "False", "True"]);
    assert.equal(life.events.at(-1)?.message, "Readiness probe failed: no");
  });

  test("initialDelaySeconds is counted from the container's start", () => {
    const life = probing({ readinessProbe: { ...http, initialDelaySeconds: 5 } });
    assert.deepEqual(life.started(), []);
    assert.deepEqual(life.wake(), { afterMs: 5000, actions: ["probe readiness"] });
  });

  test("liveness and readiness wait for the startup probe and then begin at once", () => {
    const life = probing({
      startupProbe: { ...http, periodSeconds: 2 },
      livenessProbe: http,
      readinessProbe: http,
    });
    assert.deepEqual(life.started(), ["probe startup"]);
    assert.equal(life.container().started, false);
    assert.deepEqual(life.answered("startup", false), []);
    assert.deepEqual(life.wake(), { afterMs: 2000, actions: ["probe startup"] });
    assert.deepEqual(life.answered("startup", true), ["probe readiness", "probe liveness"]);
    assert.equal(life.container().started, true);
  });

  test("liveness that fails three times ends the container gracefully and starts it anew", () => {
    const life = probing({ livenessProbe: { ...http, periodSeconds: 1 } });
    life.started();
    life.answered("liveness", false);
    life.wake();
    life.answered("liveness", false);
    life.wake();
    assert.deepEqual(life.answered("liveness", false), ["stop web"]);
    assert.equal(life.events.at(-1)?.message, "Container web failed liveness probe, will be restarted");
    assert.deepEqual(life.exited(137), ["start web#1"]);
    assert.deepEqual(life.started(), ["probe liveness"]);
  });

  test("an image that is changed in place ends the container and starts it anew", () => {
    const life = running();
    const changed = life.pod as Pod;
    life.pod = { ...changed, spec: { ...changed.spec, containers: [aContainer("web", { image: "web:2" })] } };
    assert.deepEqual(life.step(), ["stop web"]);
    assert.deepEqual(life.step(), []);
    assert.equal(life.events.at(-1)?.message, "Container web definition changed, will be restarted");
    assert.deepEqual(life.exited(0), ["start web#1"]);
  });

  test("an answer to a probe of an earlier attempt changes nothing", () => {
    const life = probing({ readinessProbe: http });
    life.started("web", "c1");
    life.exited(1);
    life.started("web", "c2");
    life.saw({
      saw: "probe-answered",
      container: "web",
      id: "c1",
      probe: "readiness",
      isOk: true,
      message: "",
    });
    assert.equal(life.condition("Ready"), "False ContainersNotReady");
  });

  test("a readiness gate keeps the pod unready until its condition is true", () => {
    const life = running({ readinessGates: [{ conditionType: "slipway.dev/gate" }] });
    assert.equal(life.condition("ContainersReady"), "True");
    assert.equal(life.condition("Ready"), "False ReadinessGatesNotReady");
  });
});

describe("the end of a pod", () => {
  const preStop = (spec: Partial<PodSpec> = {}) =>
    running({
      ...spec,
      containers: [aContainer("web", { lifecycle: { preStop: { exec: { command: ["sleep"] } } } })],
    });

  test("stop signal at once, the sandbox after the exit, the object last", () => {
    const life = running();
    assert.deepEqual(life.delete(30), ["stop web"]);
    assert.deepEqual(life.step(), []);
    assert.deepEqual(life.exited(0), ["stop-pod"]);
    assert.equal(life.container().state?.terminated?.exitCode, 0);
    assert.equal(life.condition("Ready").split(" ")[0], "False");
    assert.deepEqual(life.saw({ saw: "pod-stopped" }), ["finish"]);
    assert.deepEqual(
      life.events.filter(({ reason }) => reason === "Killing").map(({ message }) => message),
      ["Stopping container web"],
    );
  });

  test("SIGKILL comes when the grace period is over", () => {
    const life = running();
    life.delete(5);
    assert.deepEqual(life.wake(), { afterMs: 5000, actions: ["SIGKILL web"] });
    assert.deepEqual(life.exited(137), ["stop-pod"]);
  });

  test("the stop signal waits for preStop, which runs on the same grace period", () => {
    const life = preStop();
    assert.deepEqual(life.delete(10), ["pre-stop web"]);
    const id = "web-1767225600000";
    life.now += 3000;
    const ended = { saw: "pre-stop-ended", container: "web", id, error: undefined } as const;
    assert.deepEqual(life.saw(ended), ["stop web"]);
    assert.deepEqual(life.wake(), { afterMs: 7000, actions: ["SIGKILL web"] });
  });

  test("a preStop that takes the whole grace period leaves 2 s for the stop signal", () => {
    const life = preStop();
    life.delete(4);
    assert.deepEqual(life.wake(), { afterMs: 4000, actions: ["stop web"] });
    assert.deepEqual(life.wake(), { afterMs: 2000, actions: ["SIGKILL web"] });
  });

  test("a container is still ready while its preStop runs", () => {
    const life = preStop();
    life.delete(10);
    assert.equal(life.condition("Ready"), "True");
  });

  test("a second deletion may shorten the grace period", () => {
    const life = running();
    life.delete(30);
    life.now += 1000;
    assert.deepEqual(life.delete(2), []);
    assert.deepEqual(life.wake(), { afterMs: 1000, actions: ["SIGKILL web"] });
  });

  test("with grace 0 it is killed at once", () => {
    const life = running();
    assert.deepEqual(life.delete(0), ["SIGKILL web"]);
  });

  test("an object that has vanished takes the sandbox with it", () => {
    const life = running();
    life.pod = undefined;
    assert.deepEqual(life.step(), ["stop-pod"]);
    assert.deepEqual(life.saw({ saw: "pod-stopped" }), ["finish"]);
  });

  test("a pod that was deleted before anything started just finishes", () => {
    const life = new Life();
    assert.deepEqual(life.delete(30), ["finish"]);
  });

  test("a start that hangs is cut off 5 s after the grace period", () => {
    const life = new Life();
    life.step();
    life.saw({ saw: "pod-started", podIP: "10.244.0.2" });
    assert.deepEqual(life.delete(10), []);
    assert.deepEqual(life.wake(), { afterMs: 15_000, actions: ["stop-pod"] });
  });

  test("readiness goes on being asked while a pod ends, liveness does not", () => {
    const probes = {
      readinessProbe: { tcpSocket: { port: 80 } },
      livenessProbe: { tcpSocket: { port: 80 } },
    };
    const life = new Life({ containers: [aContainer("web", probes)] });
    life.step();
    life.saw({ saw: "pod-started", podIP: "10.244.0.2" });
    life.started();
    life.answered("readiness", true);
    life.answered("liveness", true);
    life.delete(30);
    assert.deepEqual(life.wake(), { afterMs: 10_000, actions: ["probe readiness"] });
  });

  test("sidecars are stopped after the containers they serve", () => {
    const life = new Life({ initContainers: [aContainer("side", { restartPolicy: "Always" })] });
    life.step();
    life.saw({ saw: "pod-started", podIP: "10.244.0.2" });
    life.started("side");
    life.started();
    assert.deepEqual(life.delete(30), ["stop web"]);
    assert.deepEqual(life.exited(0), ["stop side"]);
    assert.deepEqual(life.exited(0, "side"), ["stop-pod"]);
  });

  test("activeDeadlineSeconds fails the pod and ends its containers", () => {
    const life = running({ activeDeadlineSeconds: 60 });
    assert.deepEqual(life.wake(), { afterMs: 60_000, actions: ["stop web"] });
    assert.equal(life.status.phase, "Failed");
    assert.equal(life.status.reason, "DeadlineExceeded");
    assert.deepEqual(life.exited(143), ["stop-pod"]);
  });
});

describe("after a restart of the kubelet", () => {
  const before: PodStatus = {
    phase: "Running",
    podIP: "10.244.0.9",
    startTime: "2025-12-31T00:00:00Z",
    conditions: [{ type: "Ready", status: "True", lastTransitionTime: "2025-12-31T00:00:01Z" }],
    containerStatuses: [
      {
        name: "web",
        ready: true,
        restartCount: 2,
        image: "web:1",
        imageID: "web@sha256:0",
        containerID: "old",
        state: { running: { startedAt: "2025-12-31T00:00:01Z" } },
      },
    ],
  };

  test("containers that ran are gone: they count as lost and start anew with the next restartCount", () => {
    const life = new Life({}, before);
    assert.deepEqual(life.step(), ["start-pod"]);
    assert.equal(life.condition("Ready"), "False ContainersNotReady");
    assert.equal(life.status.podIP, undefined);
    assert.equal(life.status.startTime, "2025-12-31T00:00:00Z");
    assert.deepEqual(life.saw({ saw: "pod-started", podIP: "10.244.0.3" }), ["start web#3"]);
    life.started();
    assert.equal(life.container().restartCount, 3);
    assert.deepEqual(life.container().lastState?.terminated?.exitCode, 255);
    assert.equal(life.status.podIP, "10.244.0.3");
  });

  test("init steps that succeeded run again, since what they made is gone", () => {
    const initContainerStatuses = [
      {
        name: "init",
        ready: true,
        restartCount: 0,
        image: "web:1",
        imageID: "",
        containerID: "old-init",
        state: { terminated: { exitCode: 0, reason: "Completed" } },
      },
    ];
    const life = new Life({ initContainers: [aContainer("init")] }, { ...before, initContainerStatuses });
    life.step();
    assert.deepEqual(life.saw({ saw: "pod-started", podIP: "10.244.0.3" }), ["start init#1"]);
    life.started("init");
    assert.deepEqual(life.exited(0, "init"), ["start web#3"]);
  });

  test("a pod that had ended stays ended", () => {
    const life = new Life({ restartPolicy: "Never" }, { ...before, phase: "Succeeded" });
    assert.deepEqual(life.step(), []);
    assert.equal(life.status.phase, "Succeeded");
    assert.deepEqual(life.delete(30), ["finish"]);
  });
});
