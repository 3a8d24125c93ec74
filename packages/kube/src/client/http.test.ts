/**
 * What the HTTP adapter says on the wire and how it takes what comes back, against servers of a few lines. That it
 * does all a client should is shown by the cases of `cases.ts`, which run it against the whole API server.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, describe, it } from "node:test";
import { type Clock, SlipwayError, systemClock, until } from "@slipway/base";
import type { ConfigMap } from "../resources/cluster.ts";
import type { KubeClient } from "./client.ts";
import { createHttpClient, type HttpClientOptions } from "./http.ts";
import { isReason } from "./status-error.ts";
import { Transport } from "./transport.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Handler = (request: IncomingMessage & { body: string }, response: ServerResponse) => void;

async function serve(
  handler: Handler,
  options: Partial<HttpClientOptions> & { upgrade?: (request: IncomingMessage, socket: Duplex) => void } = {},
): Promise<KubeClient> {
  const { upgrade, ...clientOptions } = options;
  const server = createServer(async (request, response) => {
    const body = await text(request).catch(() => undefined);
    if (body !== undefined) handler(Object.assign(request, { body }), response); // else who asked has left
  });
  if (upgrade !== undefined) server.on("upgrade", upgrade);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const client = createHttpClient({ name: "test", url: `http://127.0.0.1:${port}`, ...clientOptions });
  closers.push(() => {
    void client.close();
    server.close();
    server.closeAllConnections();
  });
  return client;
}

const json = (response: ServerResponse, value: unknown, code = 200): void => {
  response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(value));
};
const CONFIG_MAPS = { apiVersion: "v1", kind: "ConfigMap" };
const configMap: ConfigMap = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "a", namespace: "ns" },
};
const deploymentRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web", namespace: "ns" };

describe("requests of the HTTP client", () => {
  it("sends each call as Kubernetes expects it", async () => {
    let seen = "";
    const client = await serve(
      ({ method, url, headers, body }, response) => {
        const type = headers["content-type"] === undefined ? "" : ` ${headers["content-type"]}`;
        seen = `${method} ${decodeURIComponent(url ?? "")}${type}${body === "" ? "" : ` ${body}`} ${headers.authorization}`;
        json(response, { items: [] });
      },
      { token: "secret" },
    );
    const body = JSON.stringify(configMap);
    const calls: [() => Promise<unknown>, string][] = [
      [() => client.version(), "GET /version"],
      [() => client.get(deploymentRef), "GET /apis/apps/v1/namespaces/ns/deployments/web"],
      [() => client.get({ apiVersion: "v1", kind: "Node", name: "n" }), "GET /api/v1/nodes/n"],
      [() => client.list(CONFIG_MAPS), "GET /api/v1/configmaps"],
      [
        () => client.list(CONFIG_MAPS, { namespace: "ns", labelSelector: "a in (b,c)", limit: 5 }),
        "GET /api/v1/namespaces/ns/configmaps?labelSelector=a+in+(b,c)&limit=5",
      ],
      [
        () => client.create(configMap, { dryRun: true, fieldManager: "me", fieldValidation: "Strict" }),
        `POST /api/v1/namespaces/ns/configmaps?dryRun=All&fieldManager=me&fieldValidation=Strict application/json ${body}`,
      ],
      [
        () => client.replace(configMap, { subresource: "status" }),
        `PUT /api/v1/namespaces/ns/configmaps/a/status application/json ${body}`,
      ],
      [
        () => client.patch(deploymentRef, "strategic", { a: 1 }, { subresource: "scale" }),
        'PATCH /apis/apps/v1/namespaces/ns/deployments/web/scale application/strategic-merge-patch+json {"a":1}',
      ],
      [
        () => client.patch(deploymentRef, "json", []),
        "PATCH /apis/apps/v1/namespaces/ns/deployments/web application/json-patch+json []",
      ],
      [
        () => client.apply(configMap, { fieldManager: "me", force: true }),
        `PATCH /api/v1/namespaces/ns/configmaps/a?fieldManager=me&force=true application/apply-patch+yaml ${body}`,
      ],
      [
        () => client.delete(deploymentRef, { propagationPolicy: "Foreground", dryRun: true }),
        'DELETE /apis/apps/v1/namespaces/ns/deployments/web application/json {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Foreground","dryRun":["All"]}',
      ],
    ];
    for (const [call, expected] of calls) {
      await call();
      assert.equal(seen, `${expected} Bearer secret`);
    }
  });

  it("asks the server for the plural of a kind it does not know, once", async () => {
    const paths: string[] = [];
    const client = await serve(({ url }, response) => {
      paths.push(url ?? "");
      const resources = [
        { name: "widgets/status", kind: "Widget", namespaced: true },
        { name: "widgets", kind: "Widget", namespaced: true },
      ];
      json(response, url === "/apis/example.com/v1" ? { resources } : {});
    });
    const ref = { apiVersion: "example.com/v1", kind: "Widget", name: "w", namespace: "ns" };
    await client.get(ref);
    await client.get(ref);
    const object = "/apis/example.com/v1/namespaces/ns/widgets/w";
    assert.deepEqual(paths, ["/apis/example.com/v1", object, object]);
    await assert.rejects(client.get({ ...ref, kind: "Gadget" }), (error) => isReason(error, "NotFound"));
  });

  it("refuses a namespaced object without a namespace before it asks", async () => {
    const client = await serve((_request, response) => json(response, {}));
    const { namespace: _gone, ...ref } = deploymentRef;
    await assert.rejects(
      client.get(ref),
      /an empty namespace may not be set when a resource name is provided/,
    );
  });
});

describe("failures of the HTTP client", () => {
  it("turns what is no Status into one, with the cluster's name", async () => {
    const client = await serve((_request, response) => response.writeHead(503).end("the proxy is sad\n"));
    await assert.rejects(client.get(deploymentRef), (error) => {
      assert.ok(isReason(error, "ServiceUnavailable"));
      assert.deepEqual(
        [error.message, error.where, error.httpCode],
        ["the proxy is sad", "clusters/test", 503],
      );
      return true;
    });
  });

  const isUnreachable = (error: unknown): boolean =>
    error instanceof SlipwayError && error.code === "CLUSTER_UNREACHABLE" && error.exitCode === 3;

  it("says that a cluster cannot be reached, and where it looked", async () => {
    const client = createHttpClient({ name: "tokyo", url: "http://127.0.0.1:1" });
    await assert.rejects(client.version(), (error) => {
      assert.ok(isUnreachable(error));
      assert.match((error as Error).message, /^cannot reach http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/);
      return true;
    });
  });

  it("gives up on a server that accepts and does not answer", async () => {
    const client = await serve(() => {}, { timeoutMs: 50 });
    await assert.rejects(
      client.version(),
      (error) => isUnreachable(error) && /within 50 ms/.test(String(error)),
    );
  });

  it("stops when its signal aborts, also before the first byte", async () => {
    const client = await serve(() => {});
    const stop = new AbortController();
    const reading = (async () => {
      for await (const _event of client.watch(CONFIG_MAPS, { signal: stop.signal }))
        assert.fail("no event was sent");
    })();
    stop.abort();
    await reading;
  });

  it("repeats a GET on a connection that was closed meanwhile, but never a write", async () => {
    let requests = 0;
    const client = await serve(({ socket }, response) => {
      requests += 1;
      if (requests === 2 || requests === 5) socket.resetAndDestroy();
      else json(response, {});
    });
    await client.get(deploymentRef);
    await client.get(deploymentRef); // 2 is cut, 3 answers
    assert.equal(requests, 3);
    await client.create(configMap);
    await assert.rejects(client.create(configMap), isUnreachable);
    assert.equal(requests, 5);
  });
});

describe("retries of the HTTP client", () => {
  /** Does not wait, but keeps how long it was asked to. */
  const hurried = (): { readonly pauses: number[]; readonly clock: Clock } => {
    const pauses: number[] = [];
    return { pauses, clock: { ...systemClock, sleep: async (ms) => void pauses.push(ms) } };
  };
  const busy = (code: number, reason: string) => ({
    ...{ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure" },
    ...{ reason, code, message: reason },
  });
  const versioned: ConfigMap = { ...configMap, metadata: { ...configMap.metadata, resourceVersion: "7" } };
  const bound = { preconditions: { uid: "u-1" } };
  const calls: readonly [
    name: string,
    isRepeated: boolean,
    call: (client: KubeClient) => Promise<unknown>,
  ][] = [
    ["get", true, (client) => client.get(deploymentRef)],
    ["list", true, (client) => client.list(CONFIG_MAPS)],
    ["apply", true, (client) => client.apply(configMap, { fieldManager: "me" })],
    ["replace of a version", true, (client) => client.replace(versioned)],
    ["delete of a uid", true, (client) => client.delete(deploymentRef, bound)],
    ["create as a dry run", true, (client) => client.create(configMap, { dryRun: true })],
    ["create", false, (client) => client.create(configMap)],
    ["replace of whatever is there", false, (client) => client.replace(configMap)],
    ["delete of whatever is there", false, (client) => client.delete(deploymentRef)],
    ["patch", false, (client) => client.patch(deploymentRef, "merge", {})],
  ];
  for (const [name, isRepeated, call] of calls) {
    it(`${isRepeated ? "sends" : "does not send"} ${name} again when the answer was lost or the server was in trouble`, async () => {
      for (const fail of [
        ({ socket }: IncomingMessage) => void socket.resetAndDestroy(),
        (_request: IncomingMessage, response: ServerResponse) =>
          json(response, busy(503, "ServiceUnavailable"), 503),
      ]) {
        let requests = 0;
        const client = await serve(
          (request, response) => {
            requests += 1;
            if (requests === 1) fail(request, response);
            else json(response, {});
          },
          { clock: hurried().clock },
        );
        if (isRepeated) await call(client);
        else await assert.rejects(call(client));
        assert.equal(requests, isRepeated ? 2 : 1);
      }
    });
  }

  it("sends anything again that was refused for too many requests, after the time the server asks for", async () => {
    const { pauses, clock } = hurried();
    let requests = 0;
    const client = await serve(
      (_request, response) => {
        requests += 1;
        if (requests > 2) return json(response, configMap, 201);
        response.setHeader("retry-after", "3");
        json(response, busy(429, "TooManyRequests"), 429);
      },
      { clock },
    );
    await client.create(configMap);
    assert.deepEqual(pauses, [3_000, 3_000]);
  });

  it("does not wait longer than the request may take", async () => {
    const { pauses, clock } = hurried();
    const client = await serve(
      (_request, response) => {
        response.setHeader("retry-after", "3600");
        json(response, busy(429, "TooManyRequests"), 429);
      },
      { clock },
    );
    await assert.rejects(client.get(deploymentRef), (error) => isReason(error, "TooManyRequests"));
    assert.deepEqual(pauses, []);
  });

  it("gives up after four tries and says what the server said last", async () => {
    let requests = 0;
    const client = await serve(
      (_request, response) => {
        requests += 1;
        json(response, busy(500, "InternalError"), 500);
      },
      { clock: hurried().clock },
    );
    await assert.rejects(client.get(deploymentRef), (error) => isReason(error, "InternalError"));
    assert.equal(requests, 4);
  });

  it("takes a Conflict for its own write when the answer to it was lost and it is what is stored", async () => {
    for (const [stored, isOurs] of [
      ["mine", true],
      ["theirs", false],
    ] as const) {
      let puts = 0;
      const client = await serve(
        ({ method, socket }, response) => {
          if (method === "GET")
            return json(response, {
              ...versioned,
              metadata: { ...versioned.metadata, resourceVersion: "8", uid: "u-1" },
              data: { by: stored },
            });
          puts += 1;
          if (puts === 1) socket.resetAndDestroy();
          else json(response, busy(409, "Conflict"), 409);
        },
        { clock: hurried().clock },
      );
      const writing = client.replace<ConfigMap>({ ...versioned, data: { by: "mine" } });
      if (isOurs) assert.equal((await writing).metadata.resourceVersion, "8");
      else await assert.rejects(writing, (error) => isReason(error, "Conflict"));
    }
  });

  it("takes NotFound for its own deletion when the answer to it was lost", async () => {
    let requests = 0;
    const client = await serve(
      ({ socket }, response) => {
        requests += 1;
        if (requests === 1) socket.resetAndDestroy();
        else json(response, busy(404, "NotFound"), 404);
      },
      { clock: hurried().clock },
    );
    await client.delete(deploymentRef, bound);
    await assert.rejects(client.delete(deploymentRef, bound), (error) => isReason(error, "NotFound"));
  });

  it("gives up on a body that stops in the middle", async () => {
    const client = await serve(
      (_request, response) => {
        response.writeHead(200, { "content-type": "application/json" });
        response.write('{"items":[');
      },
      { timeoutMs: 50 },
    );
    await assert.rejects(client.list(CONFIG_MAPS), /no answer .* within 50 ms/);
  });

  it("asks the server to end every watch after a while", async () => {
    let url = "";
    const client = await serve((request, response) => {
      url = request.url ?? "";
      response.flushHeaders();
    });
    const { stop, ended } = watchUntil(client);
    await until("the watch is asked for", () => url !== "");
    assert.match(url, /timeoutSeconds=300/);
    stop();
    await ended;
  });
});

describe("limits of a stream", () => {
  for (const [what, limits, isFed] of [
    [
      "lasts longer than it may, as a watch whose connection died without a word",
      { lastsAtMostMs: 50 },
      true,
    ],
    ["is silent longer than it may, as a log whose server stopped", { silentAtMostMs: 50 }, false],
  ] as const) {
    it(`ends one that ${what}`, async () => {
      const server = createServer((_request, response) => {
        response.write("first\n");
        const feed = isFed ? setInterval(() => response.write("more\n"), 10) : undefined;
        response.on("close", () => clearInterval(feed));
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const transport = new Transport({ name: "test", url });
      closers.push(() => {
        transport.close();
        server.closeAllConnections();
        server.close();
      });
      const reading = (async () => {
        for await (const _chunk of transport.stream(
          { method: "GET", path: "/", repeatable: "once" },
          limits,
        ));
      })();
      await assert.rejects(reading, /no answer from .* within 50 ms/);
    });
  }
});

function watchUntil(client: KubeClient): { readonly stop: () => void; readonly ended: Promise<void> } {
  const stop = new AbortController();
  const ended = (async () => {
    for await (const _event of client.watch(CONFIG_MAPS, { signal: stop.signal })) assert.fail("no event");
  })();
  return { stop: () => stop.abort(), ended };
}

describe("credentials of the HTTP client", () => {
  const tokens = (list: readonly string[]) => {
    let index = 0;
    let refusals = 0;
    return {
      refusals: () => refusals,
      source: {
        current: async () => ({ headers: { authorization: `Bearer ${list[index]}` } }),
        refused: async () => {
          refusals += 1;
          if (index + 1 >= list.length) return false;
          index += 1;
          return true;
        },
      },
    };
  };
  const demanding = (good: string) => {
    const seen: string[] = [];
    const handler: Handler = ({ headers, method }, response) => {
      seen.push(`${method} ${headers.authorization}`);
      if (headers.authorization === `Bearer ${good}`) json(response, configMap, 201);
      else
        json(response, { kind: "Status", reason: "Unauthorized", code: 401, message: "Unauthorized" }, 401);
    };
    return { seen, handler };
  };

  it("asks once more with new ones after a 401, for writes too", async () => {
    const { seen, handler } = demanding("new");
    const { source } = tokens(["old", "new"]);
    const client = await serve(handler, { credentials: source });
    await client.create(configMap);
    assert.deepEqual(seen, ["POST Bearer old", "POST Bearer new"]);
  });

  it("does not go on asking", async () => {
    for (const list of [["old"], ["old", "older", "oldest"]]) {
      const { seen, handler } = demanding("new");
      const { source, refusals } = tokens(list);
      const client = await serve(handler, { credentials: source });
      await assert.rejects(client.get(deploymentRef), (error) => isReason(error, "Unauthorized"));
      assert.deepEqual([seen.length, refusals()], [Math.min(list.length, 2), 1]);
    }
  });
});

describe("streams of the HTTP client", () => {
  it("puts events together that come in pieces, in the middle of a character too", async () => {
    const frame = (text: string): string =>
      `${JSON.stringify({ type: "ADDED", object: { ...configMap, data: { text } } })}\n`;
    const bytes = Buffer.from(frame("größe") + frame("東京") + frame("plain"));
    const client = await serve((_request, response) => {
      response.flushHeaders();
      let sent = 0;
      const step = (): void => {
        if (sent >= bytes.length) return void response.end();
        response.write(bytes.subarray(sent, sent + 7), () => setImmediate(step));
        sent += 7;
      };
      step();
    });
    const texts: (string | undefined)[] = [];
    for await (const { object } of client.watch<ConfigMap>(CONFIG_MAPS)) texts.push(object.data?.["text"]);
    assert.deepEqual(texts, ["größe", "東京", "plain"]);
  });

  it("throws the Status of an ERROR event", async () => {
    const status = {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      reason: "Expired",
      code: 410,
    };
    const client = await serve((_request, response) => {
      response.end(`${JSON.stringify({ type: "ERROR", object: { ...status, message: "too old" } })}\n`);
    });
    const watching = client.watch(CONFIG_MAPS, { resourceVersion: "1" })[Symbol.asyncIterator]();
    await assert.rejects(watching.next(), (error) => isReason(error, "Expired") && error.httpCode === 410);
  });

  it("closes the connection of a watch whose reader has had enough", async () => {
    let isClosed = false;
    const client = await serve((_request, response) => {
      response.on("close", () => {
        isClosed = true;
      });
      response.write(`${JSON.stringify({ type: "ADDED", object: configMap })}\n`);
    });
    for await (const _event of client.watch(CONFIG_MAPS)) break;
    await until("the server sees the connection close", () => isClosed);
  });

  it("passes log bytes on as they come, with its options as parameters", async () => {
    let url = "";
    const client = await serve((request, response) => {
      url = request.url ?? "";
      response.end("one\ntwo\n");
    });
    const chunks: Uint8Array[] = [];
    const pod = { namespace: "ns", name: "web-1" };
    for await (const chunk of client.logs(pod, { container: "c", tailLines: 2, previous: true }))
      chunks.push(chunk);
    assert.equal(Buffer.concat(chunks).toString(), "one\ntwo\n");
    assert.equal(url, "/api/v1/namespaces/ns/pods/web-1/log?container=c&tailLines=2&previous=true");
  });
});

describe("exec over WebSocket", () => {
  const pod = { namespace: "ns", name: "web-1" };
  const failure = (code: string) => ({
    status: "Failure",
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: code }] },
  });

  it("runs a command, with its outputs apart and its exit code", async () => {
    let url = "";
    let accepted: string | undefined;
    const client = await serve(() => {}, {
      upgrade: (request, socket) => {
        url = decodeURIComponent(request.url ?? "");
        accepted = request.headers.accept;
        accept(request, socket, "v5.channel.k8s.io");
        socket.write(frame(0x2, Buffer.from("\x01hel"), false)); // a message in two frames, with a ping between
        socket.write(frame(0x9, Buffer.from("are you there")));
        socket.write(frame(0x0, Buffer.from("lo")));
        socket.write(frame(0x2, Buffer.from(`\x02${"e".repeat(70_000)}`)));
        socket.write(frame(0x2, Buffer.from(`\x03${JSON.stringify(failure("7"))}`)));
      },
    });
    const outcome = await client.exec(pod, { container: "c", command: ["sh", "-c", "exit 7"] });
    assert.deepEqual([outcome.exitCode, outcome.stdout, outcome.stderr.length], [7, "hello", 70_000]);
    assert.equal(accepted, "*/*", "a kubelet's routes produce nothing that has a name");
    assert.equal(
      url,
      "/api/v1/namespaces/ns/pods/web-1/exec?command=sh&command=-c&command=exit+7&container=c&stdout=true&stderr=true",
    );
  });

  it("sends stdin and says that it has ended", async () => {
    const received: Buffer[] = [];
    const client = await serve(() => {}, {
      upgrade: (request, socket) => {
        accept(request, socket, "v5.channel.k8s.io");
        let data = Buffer.alloc(0);
        socket.on("data", (chunk: Buffer) => {
          data = Buffer.concat([data, chunk]);
          for (let next = unmask(data); next !== undefined; next = unmask(data)) {
            received.push(next.payload);
            data = data.subarray(next.bytes);
          }
          if (received.length === 2) socket.write(frame(0x2, Buffer.from('\x03{"status":"Success"}')));
        });
      },
    });
    const outcome = await client.exec(pod, { command: ["cat"], stdin: "input" });
    assert.equal(outcome.exitCode, 0);
    assert.deepEqual(received.slice(0, 2), [Buffer.from("\x00input"), Buffer.from([255, 0])]);
  });

  it("refuses stdin to a server that cannot be told its end, and reports a refused upgrade", async () => {
    const old = await serve(() => {}, {
      upgrade: (request, socket) => accept(request, socket, "v4.channel.k8s.io"),
    });
    await assert.rejects(
      old.exec(pod, { command: ["cat"], stdin: "x" }),
      /cannot be told that stdin has ended/,
    );
    const status = {
      kind: "Status",
      status: "Failure",
      reason: "NotFound",
      code: 404,
      message: 'pods "web-1" not found',
    };
    const refusing = await serve((_request, response) => json(response, status, 404));
    await assert.rejects(refusing.exec(pod, { command: ["ls"] }), (error) => isReason(error, "NotFound"));
  });
});

function accept(request: IncomingMessage, socket: Duplex, protocol: string): void {
  const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const answer = createHash("sha1").update(key).digest("base64");
  const head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
  const rest = [`Sec-WebSocket-Accept: ${answer}`, `Sec-WebSocket-Protocol: ${protocol}`];
  socket.write(`${[...head, ...rest].join("\r\n")}\r\n\r\n`);
  socket.on("error", () => {});
}

/** A frame as a server sends it: not masked. */
function frame(opcode: number, payload: Buffer, isLast = true): Buffer {
  const first = (isLast ? 0x80 : 0) | opcode;
  if (payload.length < 126) return Buffer.concat([Buffer.of(first, payload.length), payload]);
  const head = Buffer.alloc(10);
  head[0] = first;
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

/** The first short frame of a client, unmasked. */
function unmask(data: Buffer): { payload: Buffer; bytes: number } | undefined {
  if (data.length < 6) return undefined;
  const length = (data[1] as number) & 0x7f;
  if (data.length < 6 + length) return undefined;
  const payload = Buffer.from(
    data.subarray(6, 6 + length).map((byte, index) => byte ^ (data[2 + (index & 3)] as number)),
  );
  return { payload, bytes: 6 + length };
}
