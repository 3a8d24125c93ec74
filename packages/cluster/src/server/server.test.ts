import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { type AddressInfo, createConnection, createServer, type Server } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, it, test } from "node:test";
import { connect } from "node:tls";
import { gunzipSync, gzipSync } from "node:zlib";
import { type SlipwayError, until, VirtualClock } from "@slipway/base";
import { type ConfigMap, type KubeObject, type Pod, statusError } from "@slipway/kube";
import { createAccountTokens } from "./account-tokens.ts";
import recorded from "./protobuf/testdata/recorded.json" with { type: "json" };
import { createApiServer } from "./server.ts";
import { openTestServer, type TestServer } from "./testing.ts";

interface Answer {
  readonly code: number;
  readonly headers: IncomingMessage["headers"];
  readonly raw: Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for
  readonly json: any;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly token?: string;
}

function open(on: TestServer, path: string, { method = "GET", headers = {}, body, token }: Ask = {}) {
  return new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpsRequest(
      `${on.server.url}${path}`,
      {
        method,
        ca: on.server.ca,
        agent: false,
        headers: { authorization: `Bearer ${token ?? on.token}`, ...headers },
      },
      resolve,
    );
    request.on("error", reject);
    request.end(body);
  });
}

async function ask(on: TestServer, path: string, options: Ask = {}): Promise<Answer> {
  const response = await open(on, path, options);
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const raw = Buffer.concat(chunks);
  const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
  const isPlain = response.headers["content-encoding"] === undefined;
  return {
    code: response.statusCode ?? 0,
    headers: response.headers,
    raw,
    json: isJson && isPlain && raw.length > 0 ? JSON.parse(raw.toString()) : undefined,
  };
}

/** Reads the frames of a watch one by one. */
class Frames {
  readonly #seen: { type: string; object: KubeObject & Record<string, unknown> }[] = [];
  readonly response: IncomingMessage;
  isOver = false;
  constructor(response: IncomingMessage) {
    this.response = response;
    let rest = "";
    response.on("data", (chunk) => {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      this.#seen.push(...lines.map((line) => JSON.parse(line)));
    });
    response.on("close", () => {
      this.isOver = true;
    });
  }
  async next() {
    await until("a frame of the watch", () => this.#seen.length > 0);
    return this.#seen.shift() as { type: string; object: KubeObject & Record<string, unknown> };
  }
  async names(count: number): Promise<string[]> {
    const names: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const { type, object } = await this.next();
      names.push(`${type} ${object.metadata.name}`);
    }
    return names;
  }
}

const MAPS = "/api/v1/namespaces/default/configmaps";
const JSON_BODY = { "content-type": "application/json" };
const TABLE = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };

const configMap = (name: string, labels: Record<string, string> = {}): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default", labels },
});

describe("the API server", () => {
  let on: TestServer;
  before(async () => {
    on = await openTestServer();
  });
  after(() => on.close());

  it("answers nobody without the token, except about its health", async () => {
    const refused = await ask(on, "/api/v1/pods", { token: "wrong" });
    assert.deepEqual([refused.code, refused.json.kind, refused.json.reason], [401, "Status", "Unauthorized"]);
    assert.equal((await ask(on, "/version", { token: "wrong" })).code, 401);
    for (const path of ["/healthz", "/readyz", "/livez"]) {
      assert.equal((await ask(on, path, { token: "wrong" })).raw.toString(), "ok");
    }
  });

  it("knows pods by the token of their account, for as long as that is there", async () => {
    const { tokenOf } = createAccountTokens(on.token);
    const account = {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "web", namespace: "default" },
    };
    const code = async () =>
      (await ask(on, "/api/v1/namespaces/default/pods", { token: tokenOf("default", "web") })).code;
    assert.equal(await code(), 401);
    on.api.create(account, { fieldManager: "test" });
    assert.equal(await code(), 200);
    assert.equal((await ask(on, "/api/v1/pods", { token: `${tokenOf("default", "web")}x` })).code, 401);
    on.api.delete({ apiVersion: "v1", kind: "ServiceAccount", namespace: "default", name: "web" });
    assert.equal(await code(), 401);
  });

  it("answers what it does not serve with a Status", async () => {
    for (const path of [
      "/nope",
      "/apis/batch/v1/cronjobs",
      "/openapi/v3/apis/extensions/v1beta1",
      "/api/v1/podz",
      "//x/api/v1/pods",
    ]) {
      const { code, json } = await ask(on, path);
      assert.deepEqual([path, code, json.kind, json.reason], [path, 404, "Status", "NotFound"]);
    }
    assert.equal((await ask(on, MAPS, { method: "PUT", body: "{}" })).code, 405);
    assert.equal((await ask(on, "/api/v1/namespaces/%zz/pods")).code, 400);
    assert.equal((await ask(on, "/api/v1/pods", { method: "DELETE" })).code, 405);
    assert.equal((await ask(on, MAPS, { headers: { accept: "text/csv" } })).code, 406);
  });

  it("serves the frame of OpenAPI v2 as the protobuf that client-go asks for, and in no other form", async () => {
    const accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    const { code, headers, raw } = await ask(on, "/openapi/v2", { headers: { accept } });
    assert.deepEqual(
      [code, headers["content-type"], raw.subarray(2, 5).toString()],
      [200, accept.replace("@", "."), "2.0"],
    );
    assert.equal((await ask(on, "/openapi/v2", { headers: { accept: "application/json" } })).code, 406);
  });

  it("serves OpenAPI documents that may be kept by their hash", async () => {
    const index = await ask(on, "/openapi/v3");
    const url: string = index.json.paths["apis/apps/v1"].serverRelativeURL;
    const first = await ask(on, url);
    assert.equal(first.json.openapi, "3.0.0");
    assert.equal(first.headers["cache-control"], "public, immutable");
    const etag = first.headers.etag as string;
    const again = await ask(on, url, { headers: { "if-none-match": etag } });
    assert.deepEqual([again.code, again.raw.length], [304, 0]);
  });

  it("answers discovery in the version that was asked for", async () => {
    const accept = (version: string) => ({
      accept: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList,application/json`,
    });
    for (const version of ["v2", "v2beta1"]) {
      const { json, headers } = await ask(on, "/apis", { headers: accept(version) });
      assert.equal(json.apiVersion, `apidiscovery.k8s.io/${version}`);
      assert.match(headers["content-type"] ?? "", new RegExp(`v=${version};as=APIGroupDiscoveryList`));
    }
    assert.equal((await ask(on, "/apis")).json.kind, "APIGroupList");
    assert.equal((await ask(on, "/api/v1")).json.kind, "APIResourceList");
    assert.equal((await ask(on, "/version")).json.minor, "33");
  });

  it("takes bodies as JSON, YAML, protobuf and packed, and nothing else", async () => {
    const post = (body: string | Buffer, headers: Record<string, string>) =>
      ask(on, MAPS, { method: "POST", body, headers });
    const json = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "as-json" } });
    assert.equal((await post(json, JSON_BODY)).code, 201);
    const packed = gzipSync(json.replace("as-json", "as-gzip"));
    assert.equal((await post(packed, { ...JSON_BODY, "content-encoding": "gzip" })).code, 201);
    const yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: as-yaml }\ndata: { a: b }\n";
    assert.deepEqual((await post(yaml, { "content-type": "application/yaml" })).json.data, { a: "b" });
    const wrong = await post("x", { "content-type": "text/plain" });
    assert.deepEqual([wrong.code, wrong.json.reason], [415, "UnsupportedMediaType"]);
    assert.equal((await post("{", JSON_BODY)).code, 400);
    assert.equal((await post("[]", JSON_BODY)).code, 400);
    const broken = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x\n";
    assert.equal((await post(broken, { "content-type": "application/yaml" })).code, 400);
    assert.equal((await post(Buffer.alloc(4 * 1024 * 1024, 0x20), JSON_BODY)).code, 413);

    const secret = recorded.find(({ json: { kind } }) => kind === "Secret");
    const refused = await ask(on, "/api/v1/namespaces/default/secrets", {
      method: "POST",
      body: Buffer.from(secret?.protobuf ?? "", "base64"),
      headers: { "content-type": "application/vnd.kubernetes.protobuf" },
    });
    // Understood: what it objects to is the resourceVersion that a recorded object carries.
    assert.match(refused.json.message, /resourceVersion should not be set on objects to be created/);
  });

  it("refuses a body that is about something else than its URL", async () => {
    const post = async (body: unknown) =>
      (await ask(on, MAPS, { method: "POST", body: JSON.stringify(body), headers: JSON_BODY })).json;
    const other = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x", namespace: "other" } };
    assert.match((await post(other)).message, /namespace of the provided object does not match/);
    const kind = { apiVersion: "v1", kind: "Secret", metadata: { name: "x" } };
    assert.match((await post(kind)).message, /Secret in version "v1" cannot be handled as a ConfigMap/);
  });

  it("answers tables and bare metadata to those who ask for them", async () => {
    on.api.create(configMap("shown"));
    const { json } = await ask(on, `${MAPS}?fieldSelector=metadata.name%3Dshown`, { headers: TABLE });
    assert.equal(json.kind, "Table");
    assert.deepEqual(
      json.columnDefinitions.map((column: { name: string }) => column.name),
      ["Name", "Data", "Age"],
    );
    assert.deepEqual(json.rows[0].cells.slice(0, 2), ["shown", 0]);
    assert.equal(json.rows[0].object.kind, "PartialObjectMetadata");
    const accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    const metadata = await ask(on, MAPS, { headers: { accept } });
    assert.equal(metadata.json.kind, "PartialObjectMetadataList");
    assert.equal(metadata.json.items[0].data, undefined);
  });

  it("packs large answers for those who can unpack them", async () => {
    on.api.create({ ...configMap("large"), data: { text: "x".repeat(200_000) } } as ConfigMap);
    const plain = await ask(on, `${MAPS}/large`);
    assert.equal(plain.headers["content-encoding"], undefined);
    const packed = await ask(on, `${MAPS}/large`, { headers: { "accept-encoding": "gzip" } });
    assert.equal(packed.headers["content-encoding"], "gzip");
    assert.ok(packed.raw.length < plain.raw.length / 10);
    assert.deepEqual(JSON.parse(gunzipSync(packed.raw).toString()), plain.json);
  });

  it("deletes a collection by its selector", async () => {
    on.api.create(configMap("gone-1", { fate: "gone" }));
    on.api.create(configMap("gone-2", { fate: "gone" }));
    const { code, json } = await ask(on, `${MAPS}?labelSelector=fate%3Dgone`, { method: "DELETE" });
    assert.deepEqual([code, json.items.length], [200, 2]);
    assert.equal((await ask(on, `${MAPS}/gone-1`)).code, 404);
    assert.equal((await ask(on, `${MAPS}/shown`)).code, 200);
  });

  it("creates by apply with 201, and changes with 200", async () => {
    const apply = (query: string) =>
      ask(on, `${MAPS}/applied${query}`, {
        method: "PATCH",
        body: "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: applied }\ndata: { a: b }\n",
        headers: { "content-type": "application/apply-patch+yaml" },
      });
    assert.equal((await apply("?fieldManager=me")).code, 201);
    assert.equal((await apply("?fieldManager=me")).code, 200);
    const nobody = await apply("");
    assert.deepEqual([nobody.code, nobody.json.details.causes[0].field], [422, "fieldManager"]);
  });

  it("tells of a field that was given twice, as an error or a warning", async () => {
    const twice = (name: string) => `{"metadata":{"name":"${name}"},"data":{"a":"1"},"data":{"a":"2"}}`;
    const post = (query: string, body: string, type = "application/json") =>
      ask(on, `${MAPS}?${query}`, { method: "POST", body, headers: { "content-type": type } });
    const strict = await post("fieldValidation=Strict", twice("twice-strict"));
    assert.deepEqual(
      [strict.code, strict.json.message],
      [
        400,
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data"',
      ],
    );
    const warned = await post("", twice("twice-warned"));
    assert.deepEqual([warned.code, warned.json.data], [201, { a: "2" }]);
    assert.equal(warned.headers["warning"], '299 - "duplicate field \\"data\\""');
    const ignored = await post("fieldValidation=Ignore", twice("twice-ignored"));
    assert.deepEqual([ignored.code, ignored.headers["warning"]], [201, undefined]);

    const yaml = "metadata: { name: twice-yaml }\ndata:\n  a: b\n  a: c\n";
    const refused = await post("fieldValidation=Strict", yaml, "application/yaml");
    assert.equal(refused.code, 400);
    assert.match(refused.json.message, /strict decoding error: line 4: key "a" already set in map$/);
    assert.deepEqual((await post("", yaml, "application/yaml")).json.data, { a: "c" });

    const change = (type: string, body: string) =>
      ask(on, `${MAPS}/twice-warned?fieldManager=me&force=true&fieldValidation=Strict`, {
        method: "PATCH",
        body,
        headers: { "content-type": `application/${type}` },
      });
    const merged = await change("merge-patch+json", '{"data":{"a":"3","a":"4"}}');
    assert.deepEqual(
      [merged.code, merged.json.message],
      [400, 'strict decoding error: duplicate field "data.a"'],
    );
    const applied = await change("apply-patch+yaml", twice("twice-warned"));
    assert.equal(applied.code, 400);
    assert.match(applied.json.message, /duplicate field "data"/);
  });

  it("gives a warning to the request that caused it, also when that one fails", async () => {
    const body = JSON.stringify({ metadata: { name: "Not A Name" }, speck: 1 });
    assert.equal((await ask(on, MAPS, { method: "POST", body, headers: JSON_BODY })).code, 422);
    on.api.create({
      ...configMap("held"),
      metadata: { name: "held", namespace: "default", finalizers: ["a/b"] },
    });
    const failed = { ...configMap("Not A Name"), speck: 1 } as KubeObject;
    assert.throws(() => on.api.create(failed));
    const { code, headers } = await ask(on, `${MAPS}/held`, { method: "DELETE" });
    assert.deepEqual([code, headers["warning"]], [200, undefined]);
  });

  it("says that whoever holds the token may do everything", async () => {
    const review = { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview", spec: {} };
    const { code, json } = await ask(on, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
      method: "POST",
      body: JSON.stringify(review),
      headers: JSON_BODY,
    });
    assert.deepEqual([code, json.status.allowed], [201, true]);
  });

  it("refuses attach and proxy with a clear Status", async () => {
    const { code, json } = await ask(on, "/api/v1/namespaces/default/pods/x/attach", { method: "POST" });
    assert.deepEqual([code, json.kind], [501, "Status"]);
    assert.match(json.message, /attach: this server does not implement it/);
  });
});

describe("watches", () => {
  let on: TestServer;
  const clock = new VirtualClock();
  before(async () => {
    on = await openTestServer({ clock, replay: 50 });
  });
  after(() => on.close());
  const version = () => on.api.store.resourceVersion;
  const watch = async (query: string, headers: Record<string, string> = {}) =>
    new Frames(await open(on, `${MAPS}?watch=true&${query}`, { headers }));

  it("open at once, also when there is nothing to tell", async () => {
    const response = await open(on, `${MAPS}?watch=true&resourceVersion=${version()}`);
    assert.equal(response.statusCode, 200);
    response.destroy();
  });

  it("tell what changes, and what begins and ceases to match", async () => {
    const frames = await watch(`resourceVersion=${version()}&labelSelector=app%3Dweb`);
    on.api.create(configMap("a", { app: "web" }));
    on.api.create(configMap("b"));
    const relabel = (name: string, app: string | null) =>
      on.api.patch({ apiVersion: "v1", kind: "ConfigMap", name, namespace: "default" }, "merge", {
        metadata: { labels: { app } },
      });
    relabel("b", "web");
    relabel("a", null);
    on.api.delete({ apiVersion: "v1", kind: "ConfigMap", name: "b", namespace: "default" });
    assert.deepEqual(await frames.names(4), ["ADDED a", "ADDED b", "DELETED a", "DELETED b"]);
    frames.response.destroy();
  });

  it("begin with the present state when no version is named", async () => {
    on.api.create(configMap("there"));
    const frames = await watch("fieldSelector=metadata.name%3Dthere");
    assert.deepEqual(await frames.names(1), ["ADDED there"]);
    frames.response.destroy();
  });

  it("mark the end of the initial events for those who stream lists", async () => {
    const frames = await watch(
      "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dthere",
    );
    assert.deepEqual(await frames.names(1), ["ADDED there"]);
    const { type, object } = await frames.next();
    assert.equal(type, "BOOKMARK");
    assert.equal(object.metadata.annotations?.["k8s.io/initial-events-end"], "true");
    assert.equal(object.metadata.resourceVersion, String(version()));
    frames.response.destroy();
    const refused = await ask(on, `${MAPS}?watch=true&sendInitialEvents=true`);
    assert.deepEqual([refused.code, refused.json.reason], [422, "Invalid"]);
  });

  it("come as tables, the columns in the first frame only", async () => {
    const frames = await watch(
      `resourceVersion=${version()}&allowWatchBookmarks=true&timeoutSeconds=5`,
      TABLE,
    );
    on.api.create(configMap("row-1"));
    on.api.create(configMap("row-2"));
    const [first, second] = [await frames.next(), await frames.next()];
    assert.equal((first.object["columnDefinitions"] as unknown[]).length, 3);
    assert.equal(second.object["columnDefinitions"], null);
    const [row] = second.object["rows"] as { cells: unknown[] }[];
    assert.equal(row?.cells[0], "row-2");
    await clock.advance(5_000);
    assert.equal((await frames.next()).type, "BOOKMARK");
    await until("the end of the watch", () => frames.isOver);
  });

  it("send a bookmark every minute to those who asked, and end in time", async () => {
    const frames = await watch(`resourceVersion=${version()}&allowWatchBookmarks=true&timeoutSeconds=90`);
    await clock.advance(60_000);
    const { type, object } = await frames.next();
    assert.deepEqual(
      [type, object.kind, object.metadata.resourceVersion],
      ["BOOKMARK", "ConfigMap", String(version())],
    );
    await clock.advance(30_000);
    await until("the end of the watch", () => frames.isOver);
  });

  it("refuse a version that is too old, or not given out yet", async () => {
    for (let index = 0; index < 60; index += 1) on.api.create(configMap(`many-${index}`));
    const old = await ask(on, `${MAPS}?watch=true&resourceVersion=1`);
    assert.deepEqual([old.code, old.json.reason], [410, "Expired"]);
    const future = await ask(on, `${MAPS}?watch=true&resourceVersion=${version() + 100}`);
    assert.deepEqual([future.code, future.json.reason], [504, "Timeout"]);
  });
});

describe("logs and exec", () => {
  let on: TestServer;
  const asked: unknown[] = [];
  before(async () => {
    on = await openTestServer({
      pods: {
        async *logs(pod, { signal: _signal, ...options }) {
          asked.push({ pod, options });
          if (options.previous === true) throw statusError(404, "NotFound", "no log is left");
          yield Buffer.from("one\n");
          yield Buffer.from("two\n");
        },
        async exec(_pod, { command, stdin, stdout, stderr }) {
          if (command[0] === "missing") throw new Error('exec: "missing": not found');
          let input = "";
          for await (const chunk of stdin ?? []) input += String(chunk);
          stdout?.(Buffer.from(`out ${command.join(" ")} ${input}`));
          stderr?.(Buffer.from("err"));
          return { exitCode: command[0] === "fail" ? 3 : 0 };
        },
      },
    });
    await on.client.create<Pod>({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "web", namespace: "default" },
      spec: {
        nodeName: "n1",
        containers: [
          { name: "web", image: "x" },
          { name: "side", image: "x" },
        ],
      },
    });
    const container = { ready: true, restartCount: 1, image: "x", imageID: "x" };
    await on.client.patch(
      { apiVersion: "v1", kind: "Pod", name: "web", namespace: "default" },
      "merge",
      {
        status: {
          phase: "Running",
          containerStatuses: [
            {
              name: "web",
              ...container,
              state: { running: {} },
              lastState: { terminated: { exitCode: 1 } },
            },
            { name: "side", ...container, state: { waiting: { reason: "ErrImagePull" } } },
          ],
        },
      },
      { subresource: "status" },
    );
  });
  after(() => on.close());
  const LOG = "/api/v1/namespaces/default/pods/web/log";

  it("stream the log of the container that was meant, with its options", async () => {
    const { raw, headers } = await ask(on, `${LOG}?container=web&tailLines=5&timestamps=true&follow=true`);
    assert.equal(raw.toString(), "one\ntwo\n");
    assert.equal(headers["content-type"], "text/plain");
    assert.deepEqual(asked.at(-1), {
      pod: { namespace: "default", name: "web" },
      options: { follow: true, previous: false, timestamps: true, tailLines: 5, container: "web" },
    });
  });

  it("say in Kubernetes' words why there is no log", async () => {
    const message = async (query: string) => (await ask(on, `${LOG}${query}`)).json.message;
    assert.equal(
      await message(""),
      "a container name must be specified for pod web, choose one of: [web side]",
    );
    assert.equal(await message("?container=nope"), "container nope is not valid for pod web");
    assert.equal(
      await message("?container=side"),
      'container "side" in pod "web" is waiting to start: trying and failing to pull image',
    );
    assert.equal(
      await message("?container=side&previous=true"),
      'previous terminated container "side" in pod "web" not found',
    );
    assert.equal(await message("?container=web&previous=true"), "no log is left");
    assert.equal((await ask(on, `${LOG}?container=web&tailLines=-1`)).code, 400);
    assert.equal((await ask(on, "/api/v1/namespaces/default/pods/none/log")).code, 404);
  });

  it("run a command over WebSocket: input, both outputs and the exit code", async () => {
    const pod = { namespace: "default", name: "web" };
    assert.deepEqual(
      await on.client.exec(pod, { container: "web", command: ["echo", "a b"], stdin: "typed" }),
      { exitCode: 0, stdout: "out echo a b typed", stderr: "err" },
    );
    const failed = await on.client.exec(pod, { container: "web", command: ["fail"] });
    assert.equal(failed.exitCode, 3);
    await assert.rejects(
      () => on.client.exec(pod, { container: "web", command: ["missing"] }),
      /"missing": not found/,
    );
    await assert.rejects(() => on.client.exec(pod, { container: "side", command: ["x"] }), /not running/);
  });
});

describe("ports of a pod, over WebSocket", () => {
  let on: TestServer;
  let echo: Server;
  const pod = { namespace: "default", name: "web" };
  before(async () => {
    echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
    await once(echo, "listening");
    on = await openTestServer({
      pods: {
        dial: async (podIP, port) => {
          assert.equal(podIP, "10.1.0.2");
          if (port !== 7) throw new Error("connect ECONNREFUSED 10.1.0.2:8");
          const socket = createConnection((echo.address() as AddressInfo).port, "127.0.0.1");
          await once(socket, "connect");
          return socket;
        },
      },
    });
    const containers = [{ name: "web", image: "x" }];
    const metadata = { name: "web", namespace: "default" };
    await on.client.create<Pod>({ apiVersion: "v1", kind: "Pod", metadata, spec: { containers } });
    const status = { phase: "Running", podIP: "10.1.0.2" };
    await on.client.patch(
      { apiVersion: "v1", kind: "Pod", ...pod },
      "merge",
      { status },
      { subresource: "status" },
    );
  });
  after(async () => {
    echo.close();
    await on.close();
  });

  it("carry bytes both ways, however many", async () => {
    const connection = await on.client.portForward(pod, 7);
    const sent = Buffer.alloc(300_000, "0123456789");
    connection.write(sent);
    const received: Buffer[] = [];
    let size = 0;
    for await (const chunk of connection) {
      received.push(chunk as Buffer);
      size += (chunk as Buffer).length;
      if (size >= sent.length) break;
    }
    assert.ok(Buffer.concat(received).equals(sent));
  });

  it("say what went wrong where nothing listens", async () => {
    const connection = await on.client.portForward(pod, 8);
    await assert.rejects(
      () => text(connection),
      (error: SlipwayError) =>
        error.code === "CLUSTER_PORT_FORWARD_FAILED" &&
        /port 8 to pod: connect ECONNREFUSED/.test(error.message),
    );
  });

  it("belong to a pod that runs", async () => {
    await assert.rejects(() => on.client.portForward({ ...pod, name: "none" }, 7), /"none" not found/);
    await assert.rejects(() => on.client.portForward(pod, 70_000), /not a port/);
  });
});

test("closing ends watches and frees the port", async () => {
  const on = await openTestServer();
  const response = await open(on, `${MAPS}?watch=true`);
  const frames = new Frames(response);
  response.on("error", () => {});
  await on.close();
  await until("the end of the watch", () => frames.isOver);
  await assert.rejects(() => open(on, "/healthz"));
});

test("a port that is taken is named", async () => {
  const on = await openTestServer();
  const { api } = on;
  const clock = new VirtualClock();
  const refuse = () => Promise.reject(new Error("unused"));
  const pods = { logs: () => (async function* () {})(), exec: refuse, dial: refuse };
  await assert.rejects(
    () => createApiServer({ api, name: "two", port: on.server.port, token: "t", clock, pods }),
    (error: { code?: string; exitCode?: number }) =>
      error.code === "CLUSTER_PORT_TAKEN" && error.exitCode === 3,
  );
  await on.close();
});

test("what is not HTTP over TLS does no harm", async () => {
  const on = await openTestServer();
  const socket = connect({ port: on.server.port, host: "127.0.0.1", ca: on.server.ca });
  socket.on("error", () => {}); // whether it is ended or reset is up to the server
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  socket.resume();
  socket.write("nonsense\r\n\r\n");
  await new Promise((resolve) => socket.once("close", resolve));
  assert.equal((await ask(on, "/healthz")).code, 200);
  await on.close();
});
