/** Which way a request goes, against a proxy and a server that are real sockets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { Connections } from "./connections.ts";

/** Tunnels nowhere: what counts is who asked it for what. */
const tunnels: string[] = [];
let proxy: Server;
let server: Server;
let sockets = 0;

before(async () => {
  proxy = createServer().on("connect", ({ url = "" }, socket) => {
    tunnels.push(url);
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  });
  server = createServer((request, response) => {
    if (request.url === "/broken") {
      response.writeHead(200, { "content-length": "10" }).write("half", () => response.socket?.destroy());
      return;
    }
    request.resume().on("end", () => response.setHeader("set-cookie", ["a=1", "b=2"]).end("ok"));
  }).on("connection", () => {
    sockets += 1;
  });
  server.keepAliveTimeout = 0; // however late the next request is
  for (const one of [proxy, server]) await once(one.listen(0, "127.0.0.1"), "listening");
});
after(() => {
  for (const one of [proxy, server]) one.close().closeAllConnections();
});

const addressOf = (one: Server): string => `http://127.0.0.1:${(one.address() as AddressInfo).port}`;
const get = { method: "GET", headers: {}, body: undefined, signal: undefined };

for (const [name, settings, tunnelled] of [
  ["HTTPS_PROXY", () => ({ HTTPS_PROXY: addressOf(proxy) }), ["registry.invalid:443"]],
  ["NO_PROXY", () => ({ HTTPS_PROXY: addressOf(proxy), NO_PROXY: "registry.invalid" }), []],
] as const) {
  test(`a registry elsewhere, with ${name}`, async () => {
    const connections = new Connections(settings());
    tunnels.length = 0;
    await assert.rejects(connections.exchange("https://registry.invalid/v2/", get));
    assert.deepEqual(tunnels, tunnelled);
    await connections.close();
  });
}

test("loopback never goes through a proxy, and its connection is used again", async () => {
  const connections = new Connections({ HTTP_PROXY: addressOf(proxy), HTTPS_PROXY: addressOf(proxy) });
  sockets = 0;
  for (let time = 0; time < 3; time += 1) {
    const { status, headers, body } = await connections.exchange(`${addressOf(server)}/`, get);
    assert.equal(await text(body), "ok");
    assert.deepEqual([status, headers["set-cookie"]], [200, "a=1, b=2"]);
  }
  assert.equal(sockets, 1);
  await connections.close();
});

test("a body that breaks off is an error for its reader", async () => {
  const connections = new Connections({});
  const { body } = await connections.exchange(`${addressOf(server)}/broken`, get);
  await assert.rejects(async () => {
    for await (const _ of body);
  }, /aborted/);
  await connections.close();
});
