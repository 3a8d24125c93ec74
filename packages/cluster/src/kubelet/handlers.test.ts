import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { systemClock } from "@slipway/base";
import type { Probe } from "@slipway/kube";
import type { PodRuntime } from "../runtimes/runtime.ts";
import { createSimulatedRuntime } from "../runtimes/simulated/runtime.ts";
import { aContainer } from "../testing.ts";
import { type HandlerTarget, runHook, runProbe } from "./handlers.ts";

const servers: Server[] = [];
const seenAgents: (string | undefined)[] = [];
let http = 0;
let mute = 0;
let rude = 0;

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

before(async () => {
  http = await listen(
    createHttpServer((request, response) => {
      seenAgents.push(request.headers["user-agent"]);
      response.writeHead(Number(request.url?.slice(1)) || 200).end("body");
    }),
  );
  mute = await listen(createServer(() => {}));
  rude = await listen(createServer((socket) => socket.destroy()));
});

after(() => {
  for (const server of servers) server.close();
});

/** A runtime whose pods listen on this machine's loopback; everything else is simulated. */
function target(exec?: PodRuntime["exec"]): HandlerTarget {
  const runtime: PodRuntime = {
    ...createSimulatedRuntime({ clock: systemClock }),
    dial: async (_ip, port) => {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    },
    ...(exec === undefined ? {} : { exec }),
  };
  const ports = [{ name: "http", containerPort: http }];
  return { runtime, podUid: "u", podIP: "10.244.0.2", container: aContainer("web", { ports }) };
}

/** Patient, unless a test is about that: the second that is Kubernetes' default is short on a busy machine. */
const probe = (handler: Probe, exec?: PodRuntime["exec"]) =>
  runProbe(target(exec), { timeoutSeconds: 60, ...handler }, systemClock);

describe("http probes", () => {
  const rows: readonly [string, number | "named", boolean, string][] = [
    ["/200", 200, true, ""],
    ["/302", 302, true, ""],
    ["/399", 399, true, ""],
    ["/400", 400, false, "HTTP probe failed with statuscode: 400"],
    ["/503", 503, false, "HTTP probe failed with statuscode: 503"],
  ];
  for (const [path, code, isOk, message] of rows) {
    test(`code ${code} is ${isOk ? "a success" : "a failure"}`, async () => {
      assert.deepEqual(await probe({ httpGet: { port: http, path } }), { isOk, message });
    });
  }

  test("a port may be named, and the kubelet says who it is", async () => {
    assert.deepEqual(await probe({ httpGet: { port: "http" } }), { isOk: true, message: "" });
    assert.equal(seenAgents.at(-1), "kube-probe/1.33");
    assert.deepEqual(await probe({ httpGet: { port: "none" } }), {
      isOk: false,
      message: "couldn't find port: none",
    });
  });

  test("a server that never answers runs into the timeout", async () => {
    const { isOk, message } = await probe({ httpGet: { port: mute }, timeoutSeconds: 0.05 });
    assert.equal(isOk, false);
    assert.equal(
      message,
      `Get "http://10.244.0.2:${mute}/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
    );
  });

  test("a server that hangs up is told in Go's word", async () => {
    const { message } = await probe({ httpGet: { port: rude, path: "x" } });
    assert.equal(message, `Get "http://10.244.0.2:${rude}/x": EOF`);
  });

  test("a port that nobody listens on is refused", async () => {
    const port = 1; // one that was free a moment ago may be somebody else's
    const refusal = `dial tcp 10.244.0.2:${port}: connect: connection refused`;
    assert.deepEqual(await probe({ tcpSocket: { port } }), { isOk: false, message: refusal });
    assert.deepEqual(await probe({ httpGet: { port } }), {
      isOk: false,
      message: `Get "http://10.244.0.2:${port}/": ${refusal}`,
    });
  });
});

test("a tcp probe needs no more than a connection", async () => {
  assert.deepEqual(await probe({ tcpSocket: { port: mute } }), { isOk: true, message: "" });
});

describe("commands", () => {
  test("code 0 is a success, and a failure quotes the output", async () => {
    assert.equal((await probe({ exec: { command: ["true"] } }, async () => ({ exitCode: 0 }))).isOk, true);
    const failing: PodRuntime["exec"] = async (_uid, _name, _command, { stderr }) => {
      stderr?.(Buffer.from("no database"));
      return { exitCode: 2 };
    };
    assert.deepEqual(await probe({ exec: { command: ["check"] } }, failing), {
      isOk: false,
      message: "no database",
    });
    assert.deepEqual(await probe({ exec: { command: ["check"] } }, async () => ({ exitCode: 2 })), {
      isOk: false,
      message: "command exited with code 2",
    });
  });

  test("the probe's timeout is the command's", async () => {
    let asked: number | undefined;
    const exec: PodRuntime["exec"] = async (_uid, _name, _command, { timeoutMs }) => {
      asked = timeoutMs;
      return { exitCode: 0 };
    };
    await probe({ exec: { command: ["true"] }, timeoutSeconds: 7 }, exec);
    assert.equal(asked, 7000);
  });
});

test("a grpc probe says that it is not supported and what to use", async () => {
  const { isOk, message } = await probe({ grpc: { port: 9000 } });
  assert.equal(isOk, false);
  assert.match(message, /do not support grpc probes: use an exec, httpGet or tcpSocket probe/);
});

test("a hook's sleep ends with the kubelet, and a failing hook says why", async () => {
  const stopping = new AbortController();
  const sleeping = runHook(target(), { sleep: { seconds: 60 } }, 60_000, systemClock, stopping.signal);
  stopping.abort();
  assert.equal(await sleeping, undefined);
  const failing = target(async () => ({ exitCode: 1 }));
  const { signal } = new AbortController();
  assert.equal(
    await runHook(failing, { exec: { command: ["x"] } }, 1000, systemClock, signal),
    "command exited with code 1",
  );
});
