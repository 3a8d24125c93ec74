/** Clients that are slow, odd or gone: what they may and may not do to the edge. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readlink, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { until } from "@slipway/base";
import type { Edge } from "./edge.ts";
import { backend, cleanUp, cleanups, edgeFor, manualSource } from "./testing.ts";

afterEach(cleanUp);

/** Sends these bytes and collects what comes back. */
function raw(edge: Edge, bytes: string): { readonly socket: Socket; text(): string; isClosed(): boolean } {
  const socket = connect(edge.port, "127.0.0.1");
  cleanups.push(() => socket.destroy());
  let text = "";
  let isClosed = false;
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.on("close", () => {
    isClosed = true;
  });
  socket.on("error", () => {});
  socket.write(bytes);
  return { socket, text: () => text, isClosed: () => isClosed };
}

/** A whole one, of which the body may come after the head. */
async function answerTo(edge: Edge, bytes: string): Promise<string> {
  const sent = raw(edge, bytes);
  await until("an answer", () => {
    const [head = "", body] = sent.text().split("\r\n\r\n", 2);
    return body !== undefined && body.length >= Number(/^content-length: (\d+)/im.exec(head)?.[1]);
  });
  return sent.text();
}

describe("the edge", () => {
  test("a request that no endpoint could be sent is the client's fault and ejects nobody", async () => {
    const web = await backend((_request, response) => response.end("fine"));
    const tokyo = manualSource("tokyo");
    tokyo.set([web.port]);
    const edge = await edgeFor([tokyo]);
    const answer = await answerTo(edge, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request/);
    assert.equal(edge.status().services[0]?.endpoints[0]?.state, "healthy");
  });

  test("takes the whole URL as a proxy's client sends it, and its authority instead of the Host header", async () => {
    const web = await backend((request, response) => response.end(`path ${request.url}`));
    const tokyo = manualSource("tokyo");
    tokyo.set([web.port]);
    const edge = await edgeFor([tokyo], { hosts: ["shop.example.com"] });
    const get = (host: string): Promise<string> =>
      answerTo(edge, `GET http://${host}/x?y=1 HTTP/1.1\r\nHost: shop.example.com\r\n\r\n`);
    assert.match(await get("shop.example.com"), /path \/x\?y=1$/);
    assert.match(await get("other.example.com"), /^HTTP\/1\.1 404 /);
  });

  test("an offer of HTTP/2 is declined and the request answered", async () => {
    const edge = await edgeFor([], {
      routes: [{ path: "/static/*", target: { kind: "bucket", name: "assets", from: await folderWith(10) } }],
    });
    const answer = await answerTo(
      edge,
      "GET /static/file.bin HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    );
    assert.match(answer, /^HTTP\/1\.1 200 OK/);
  });

  test("a HEAD is answered whole, whatever range it asks for", async () => {
    const edge = await edgeFor([], {
      routes: [{ path: "/*", target: { kind: "bucket", name: "assets", from: await folderWith(10) } }],
    });
    const answer = await fetch(`${edge.url}/file.bin`, { method: "HEAD", headers: { range: "bytes=0-3" } });
    assert.deepEqual([answer.status, answer.headers.get("content-length")], [200, "10"]);
  });

  test("a client that leaves in the middle of a file leaves no open file behind", async () => {
    const folder = await folderWith(30_000_000);
    const edge = await edgeFor([], {
      routes: [{ path: "/*", target: { kind: "bucket", name: "assets", from: folder } }],
    });
    const clients = Array.from({ length: 3 }, () => raw(edge, "GET /file.bin HTTP/1.1\r\nHost: a\r\n\r\n"));
    // What is left of the file does not fit between the two: the edge has to wait for a client that reads no more.
    for (const { socket } of clients) socket.once("data", () => socket.pause());
    await until("the first bytes", () => clients.every((client) => client.text().length > 0));
    assert.notEqual(await openFilesIn(folder), 0);
    for (const { socket } of clients) socket.destroy();
    await until("the files are closed", async () => (await openFilesIn(folder)) === 0);
  });

  const UPGRADE = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

  async function websocketEdge(): Promise<{ edge: Edge; leave(): void }> {
    const web = await backend((_request, response) => response.end());
    web.server.on("upgrade", (_request, socket) => {
      socket.on("error", () => {});
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n");
    });
    const tokyo = manualSource("tokyo");
    tokyo.set([web.port]);
    return { edge: await edgeFor([tokyo], { drainMs: 100 }), leave: () => tokyo.set([]) };
  }

  test("a websocket to an endpoint that left is cut when the drain time is over", async () => {
    const { edge, leave } = await websocketEdge();
    const client = raw(edge, UPGRADE);
    await until("the upgrade", () => client.text().includes("101"));
    leave();
    assert.equal(client.isClosed(), false);
    await until("the cut", () => client.isClosed());
  });

  test("an open websocket does not keep the edge from closing", async () => {
    const { edge } = await websocketEdge();
    const client = raw(edge, UPGRADE);
    await until("the upgrade", () => client.text().includes("101"));
    await edge.close();
    await until("the cut", () => client.isClosed());
  });
});

async function folderWith(bytes: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-bucket-"));
  cleanups.push(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "file.bin"), Buffer.alloc(bytes));
  return folder;
}

async function openFilesIn(folder: string): Promise<number> {
  const links = await Promise.all(
    (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")),
  );
  return links.filter((link) => link.startsWith(folder)).length;
}
