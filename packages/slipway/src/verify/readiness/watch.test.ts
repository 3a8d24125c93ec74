import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { systemClock, until } from "@slipway/base";
import type { Container, InsideRequest, ServiceSpec } from "../engines/engine.ts";
import { aService, aState } from "../engines/testing.ts";
import { testingEngine } from "../observe/testing-engine.ts";
import { ready } from "../spec/ready.ts";
import type { Leaf, Readiness } from "./forms.ts";
import { leavesOf } from "./readiness.ts";
import { ReadinessWatch } from "./watch.ts";

async function watching(
  readiness: Readiness,
  over: Partial<ServiceSpec>,
  look: (watch: ReadinessWatch, container: Container) => Promise<void>,
  blind: readonly ("sockets" | "processes")[] = [],
): Promise<void> {
  const engine = testingEngine(systemClock, { blind });
  const project = await engine.createProject({ name: "watch", services: [aService("one", over)] });
  const container = project.container("one");
  const isOver = new AbortController();
  try {
    await container.start();
    const watch = new ReadinessWatch({ container, readiness, clock: systemClock, over: isOver.signal });
    await look(watch, container);
  } finally {
    isOver.abort();
    await project.remove();
  }
}

const sh = (script: string): Partial<ServiceSpec> => ({ command: ["/bin/sh", "-c", script] });
const seenOf = (watch: ReadinessWatch, leaf: Leaf): string => watch.sight.leaves.get(leaf)?.is ?? "unlooked";

test("a request that takes long keeps nobody from seeing the log, and what held stays so", async () => {
  const connections: Socket[] = [];
  const silent = createServer((socket) => connections.push(socket)).listen(0, "127.0.0.1");
  try {
    await until("the server to listen", () => silent.listening);
    const { port } = silent.address() as { port: number };
    const [log, web] = [ready.log("up", 2), ready.http("/", { port, timeout: "30s" })];
    await watching(ready.all([log, web]), sh("echo up; sleep 0.2; echo up; exec sleep 60"), async (watch) => {
      await until("the log to have it", () => seenOf(watch, log) === "held");
      assert.equal(seenOf(watch, web), "unlooked");
    });
  } finally {
    silent.close();
    for (const socket of connections) socket.destroy();
  }
});

test("after its end the whole log is read once more", () => {
  const [end, log] = [ready.exit(3), ready.log("never")];
  return watching(ready.all([end, log]), sh("echo first; echo last; exit 3"), async (watch) => {
    await until("the last look", () => watch.sight.isLast);
    assert.deepEqual(
      leavesOf(ready.all([end, log])).map((leaf) => watch.sight.leaves.get(leaf)),
      [{ is: "held" }, { is: "pending", soFar: "not in its 2 lines" }],
    );
  });
});

test("a log that was being read when the service ended is not its last look", async () => {
  const isOver = new AbortController();
  const reading = Promise.withResolvers<void>();
  let [states, logs] = [0, 0];
  const container = {
    service: aService("one"),
    state: async () => {
      states += 1;
      return states === 1 ? RUNNING : { ...RUNNING, status: "exited", exitCode: 0, finishedAtMs: 1 };
    },
    logs: async () => {
      logs += 1;
      if (logs > 1) return { stdout: "begun\ndone\n", stderr: "" };
      await reading.promise;
      return { stdout: "begun\n", stderr: "" };
    },
  } as unknown as Container;
  const log = ready.log("done");
  const watch = new ReadinessWatch({ container, readiness: log, clock: systemClock, over: isOver.signal });
  try {
    await until("a look at its end to be over", () => states >= 3);
    assert.equal(watch.sight.isLast, false);
    reading.resolve();
    await until("the last look", () => watch.sight.isLast);
    assert.equal(seenOf(watch, log), "held");
  } finally {
    isOver.abort();
  }
});

test("where the engine shows no sockets, a shell in the container reads them", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  try {
    await until("the server to listen", () => server.listening);
    const { port } = server.address() as { port: number };
    const ports = ready.ports(port);
    await watching(
      ports,
      sh("exec sleep 60"),
      async (watch) => void (await until("the port to be seen", () => seenOf(watch, ports) === "held")),
      ["sockets"],
    );
  } finally {
    server.close();
  }
});

test("a command that cannot be run is told as what was seen last", () => {
  const cmd = ready.cmd("true", { user: "nobody-here" });
  return watching(cmd, sh("exec sleep 60"), async (watch) => {
    const sight = await until("it to be tried", () => watch.sight.leaves.get(cmd));
    assert.match(sight.is === "pending" ? (sight.soFar ?? "") : sight.is, /unable to find user nobody-here/);
  });
});

test("a request is made with all that was said of it", async () => {
  const asked: InsideRequest[] = [];
  const isOver = new AbortController();
  const container = {
    service: aService("one"),
    state: async () => RUNNING,
    http: async (request: InsideRequest) => {
      asked.push(request);
      return { status: 204, headers: {}, body: "", certificate: undefined, tookMs: 1 };
    },
  } as unknown as Container;
  const web = ready.http("/healthz?full", {
    port: 8443,
    tls: true,
    insecure: true,
    method: "head",
    headers: { accept: "text/plain" },
    auth: { user: "app", password: "open sesame" },
    timeout: "2s",
  });
  const watch = new ReadinessWatch({
    container,
    readiness: web,
    clock: systemClock,
    over: isOver.signal,
  });
  await until("it to be answered", () => seenOf(watch, web) === "held");
  isOver.abort();
  assert.deepEqual(asked, [
    {
      url: "https://127.0.0.1:8443/healthz?full",
      method: "HEAD",
      headers: { accept: "text/plain", authorization: "Basic YXBwOm9wZW4gc2VzYW1l" },
      body: undefined,
      timeoutMs: 2_000,
      isInsecure: true,
    },
  ]);
});

const RUNNING = aState();
