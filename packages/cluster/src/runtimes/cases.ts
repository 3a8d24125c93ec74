/**
 * What every PodRuntime must do, whatever runs behind it. A runtime's test opens one and names images with these
 * behaviours; nothing here knows more of a runtime than the port says.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { until } from "@slipway/base";
import { type ContainerExit, type ContainerSpec, ContainerStartError, type PodRuntime } from "./runtime.ts";

export interface RuntimeUnderTest {
  readonly runtime: PodRuntime;
  readonly images: {
    /** Answers HTTP 200 on `port`, writes `logLine` to standard output, ends with 0 on SIGTERM. */
    readonly server: string;
    readonly port: number;
    readonly logLine: string;
    /** Ends by itself with code 3, after a moment. */
    readonly crash: string;
    /** Takes no notice of SIGTERM. */
    readonly stubborn: string;
    /** Does not exist. */
    readonly missing: string;
  };
  close(): Promise<void>;
}

/** A command that every server image can run and that ends with 0. */
export interface RuntimeCaseOptions {
  readonly command: readonly string[];
}

export function runtimeCases(
  name: string,
  open: () => Promise<RuntimeUnderTest>,
  options: RuntimeCaseOptions,
): void {
  const opened = async (work: (runtime: Harness) => Promise<void>): Promise<void> => {
    const subject = await open();
    try {
      await work(new Harness(subject));
    } finally {
      await subject.close();
    }
  };

  describe(`runtime ${name}`, () => {
    test("a pod keeps its address when it is started again, and two pods have two", () =>
      opened(async ({ runtime }) => {
        const first = await runtime.startPod(sandboxOf("a"));
        assert.deepEqual(await runtime.startPod(sandboxOf("a")), first);
        assert.notEqual((await runtime.startPod(sandboxOf("b"))).podIP, first.podIP);
      }));

    test("a started container says what runs, answers on its port and writes its log", () =>
      opened(async (harness) => {
        const { runtime, images } = harness;
        const { podIP } = await runtime.startPod(sandboxOf("a"));
        const started = await runtime.startContainer(specOf("a", images.server));
        assert.match(started.id, /^[a-z]+:\/\/[0-9a-f]{64}$/);
        assert.match(started.imageId, /@sha256:[0-9a-f]{64}$/);
        assert.equal(await harness.answer(podIP), 200);
        await until("the log line", async () => (await harness.log("a", undefined)).includes(images.logLine));
      }));

    test("a container that ends by itself is reported with its code, once", () =>
      opened(async (harness) => {
        const { runtime, images, exits } = harness;
        await runtime.startPod(sandboxOf("a"));
        const started = await runtime.startContainer(specOf("a", images.crash));
        const exit = await harness.exitOf(started.id);
        assert.deepEqual([exit.podUid, exit.name, exit.exitCode, exit.reason], ["a", "web", 3, "Error"]);
        assert.ok(exit.finishedAtMs >= exit.startedAtMs);
        await runtime.stopPod("a");
        assert.equal(exits.filter(({ id }) => id === started.id).length, 1);
      }));

    test("the next attempt has an id and a log of its own, and the last one's stays readable", () =>
      opened(async (harness) => {
        const { runtime, images } = harness;
        await runtime.startPod(sandboxOf("a"));
        const first = await runtime.startContainer(specOf("a", images.server));
        await until("the first log", async () => (await harness.log("a", 0)).includes(images.logLine));
        await runtime.signal("a", "web", "SIGKILL");
        await harness.exitOf(first.id);
        const second = await runtime.startContainer({ ...specOf("a", images.server), attempt: 1 });
        assert.notEqual(second.id, first.id);
        await until("the second log", async () => (await harness.log("a", 1)).includes(images.logLine));
        assert.ok((await harness.log("a", 0)).includes(images.logLine));
      }));

    test("an image that cannot be pulled refuses the start in the kubelet's words", () =>
      opened(async ({ runtime, images }) => {
        await runtime.startPod(sandboxOf("a"));
        await assert.rejects(
          runtime.startContainer(specOf("a", images.missing)),
          (error) => error instanceof ContainerStartError && error.reason === "ErrImagePull",
        );
      }));

    test("the stop signal ends a server that heeds it", () =>
      opened(async (harness) => {
        const { runtime, images } = harness;
        const { podIP } = await runtime.startPod(sandboxOf("a"));
        const started = await runtime.startContainer(specOf("a", images.server));
        await until("the server", async () => (await harness.answer(podIP).catch(() => 0)) === 200);
        await runtime.signal("a", "web", runtime.stopSignal("a", "web"));
        assert.equal((await harness.exitOf(started.id)).exitCode, 0);
      }));

    test("who takes no notice of SIGTERM is ended by SIGKILL, as code 137", () =>
      opened(async (harness) => {
        const { runtime, images, exits } = harness;
        const { podIP } = await runtime.startPod(sandboxOf("a"));
        const started = await runtime.startContainer(specOf("a", images.stubborn));
        await until("the server", async () => (await harness.answer(podIP).catch(() => 0)) === 200);
        await runtime.signal("a", "web", "SIGTERM");
        assert.equal(await harness.answer(podIP), 200);
        assert.equal(exits.length, 0);
        await runtime.signal("a", "web", "SIGKILL");
        assert.equal((await harness.exitOf(started.id)).exitCode, 137);
      }));

    test("stopping a pod ends what runs in it, and may be repeated", () =>
      opened(async (harness) => {
        const { runtime, images } = harness;
        const { podIP } = await runtime.startPod(sandboxOf("a"));
        const started = await runtime.startContainer(specOf("a", images.server));
        await runtime.stopPod("a");
        assert.equal((await harness.exitOf(started.id)).exitCode, 137);
        await runtime.stopPod("a");
        await runtime.stopPod("never-started");
        await assert.rejects(runtime.dial(podIP, images.port, { timeoutMs: 1000 }));
        await runtime.forgetPod("a");
      }));

    test("nothing can be started in a pod that has been stopped", () =>
      opened(async ({ runtime, images }) => {
        await runtime.startPod(sandboxOf("a"));
        await runtime.stopPod("a");
        await assert.rejects(runtime.startContainer(specOf("a", images.server)));
      }));

    test("a command runs in a container and gives its code; without the container it is refused", () =>
      opened(async ({ runtime, images }) => {
        await runtime.startPod(sandboxOf("a"));
        await runtime.startContainer(specOf("a", images.server));
        assert.deepEqual(await runtime.exec("a", "web", options.command, {}), { exitCode: 0 });
        await assert.rejects(runtime.exec("a", "other", options.command, {}));
      }));

    test("what a running container has used is measured, never falls, and ends with it", () =>
      opened(async (harness) => {
        const { runtime, images } = harness;
        const { podIP } = await runtime.startPod(sandboxOf("a"));
        const started = await runtime.startContainer(specOf("a", images.server));
        await until("the server", async () => (await harness.answer(podIP).catch(() => 0)) === 200);
        const [first] = await runtime.usage();
        assert.deepEqual([first?.podUid, first?.name, first?.id], ["a", "web", started.id]);
        assert.equal(first?.startedAtMs, started.startedAtMs);
        await runtime.exec("a", "web", options.command, {});
        const [second] = await runtime.usage();
        assert.ok((second?.cpuSeconds ?? -1) >= (first?.cpuSeconds ?? 0));
        await runtime.stopPod("a");
        assert.deepEqual(await runtime.usage(), []);
      }));

    test("a log that was never written is refused", () =>
      opened(async (harness) => {
        await harness.runtime.startPod(sandboxOf("a"));
        await assert.rejects(harness.log("a", undefined));
      }));
  });
}

class Harness {
  readonly runtime: PodRuntime;
  readonly images: RuntimeUnderTest["images"];
  readonly exits: ContainerExit[] = [];

  constructor({ runtime, images }: RuntimeUnderTest) {
    this.runtime = runtime;
    this.images = images;
    runtime.onExit((exit) => this.exits.push(exit));
  }

  exitOf(id: string): Promise<ContainerExit> {
    return until(`the exit of ${id}`, () => this.exits.find((exit) => exit.id === id));
  }

  /** The status code of GET / on the server's port, which may take a moment to listen. */
  async answer(podIP: string): Promise<number> {
    const stream = await until("a connection", () =>
      this.runtime.dial(podIP, this.images.port, { timeoutMs: 1000 }).catch(() => undefined),
    );
    try {
      return await get(stream);
    } finally {
      stream.destroy();
    }
  }

  async log(podUid: string, attempt: number | undefined): Promise<string> {
    const options = {
      follow: false,
      tailLines: undefined,
      sinceMs: undefined,
      timestamps: false,
      limitBytes: undefined,
      signal: new AbortController().signal,
    };
    let text = "";
    for await (const chunk of this.runtime.logs(podUid, "web", attempt, options)) {
      text += Buffer.from(chunk).toString("utf8");
    }
    return text;
  }
}

function get(stream: Duplex): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { path: "/", headers: { host: "pod" }, createConnection: () => stream },
      (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      },
    );
    sent.on("error", reject);
    sent.end();
  });
}

function sandboxOf(uid: string) {
  return { uid, namespace: "default", name: uid, hostname: uid, hostAliases: [] };
}

function specOf(podUid: string, image: string): ContainerSpec {
  return {
    podUid,
    name: "web",
    attempt: 0,
    image,
    imagePullPolicy: "IfNotPresent",
    command: undefined,
    args: undefined,
    workingDir: undefined,
    env: [],
    user: undefined,
    group: undefined,
    runAsNonRoot: false,
    readOnlyRootFilesystem: false,
    mounts: [],
    terminationMessagePath: "/dev/termination-log",
  };
}
