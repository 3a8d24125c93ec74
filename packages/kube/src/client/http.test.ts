/**
 * What the HTTP adapter says on the wire and how it takes what comes back, against servers of a few lines. That it
 * does all a client should is shown by the cases of `cases.ts`, which run it against the whole API server.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, describe, it } from "node:test";
import { SlipwayError, until } from "@slipway/base";
import type { ConfigMap } from "../resources/cluster.ts";
import type { KubeClient } from "./client.ts";
import { createHttpClient, type HttpClientOptions } from "./http.ts";
import { isReason } from "./status-error.ts";

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
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    handler(Object.assign(request, { body: Buffer.concat(chunks).toString() }), response);
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
    const client = await serve(() => {}, {
      upgrade: (request, socket) => {
        url = decodeURIComponent(request.url ?? "");
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
