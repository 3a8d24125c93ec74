import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { systemClock, until } from "@slipway/base";
import type { Edge } from "./edge.ts";
import { backend, cleanUp, cleanups, DEAD_PORT, edgeFor, manualSource } from "./testing.ts";

afterEach(cleanUp);

describe("the load balancer", () => {
  test("spreads requests evenly over clusters, whatever their number of endpoints", async () => {
    const names = await Promise.all(
      ["a", "b", "c"].map((name) => backend((_request, response) => response.end(name))),
    );
    const [a, b, c] = names.map(({ port }) => port) as [number, number, number];
    const tokyo = manualSource("tokyo");
    const osaka = manualSource("osaka");
    tokyo.set([a, b]);
    osaka.set([c]);
    const edge = await edgeFor([tokyo, osaka]);
    const counts: Record<string, number> = {};
    for (let index = 0; index < 40; index += 1) {
      const name = await (await fetch(edge.url)).text();
      counts[name] = (counts[name] ?? 0) + 1;
    }
    assert.deepEqual(counts, { a: 10, b: 10, c: 20 });
  });

  test("tries another endpoint after a refused connection, for a POST too, and sends the same body", async () => {
    const live = await backend((request, response) => request.pipe(response));
    const tokyo = manualSource("tokyo");
    tokyo.set([DEAD_PORT, live.port]);
    const edge = await edgeFor([tokyo]);
    for (let index = 0; index < 6; index += 1) {
      const answer = await fetch(edge.url, { method: "POST", body: `order ${index}` });
      assert.equal(answer.status, 200);
      assert.equal(await answer.text(), `order ${index}`);
    }
    const ejected = edge.status().services[0]?.endpoints.find(({ state }) => state !== "healthy");
    assert.equal(ejected?.state, "ejected");
  });

  test("a streamed body survives a refused connection, because nothing of it was read", async () => {
    const live = await backend((request, response) => request.pipe(response));
    const tokyo = manualSource("tokyo");
    tokyo.set([DEAD_PORT]);
    const osaka = manualSource("osaka");
    osaka.set([live.port]);
    const edge = await edgeFor([tokyo, osaka]);
    const body = "x".repeat(200_000);
    for (let index = 0; index < 2; index += 1) {
      const answer = await fetch(edge.url, { method: "POST", body });
      assert.equal((await answer.text()).length, body.length);
    }
  });

  test("repeats a GET whose connection broke before the answer, and never a POST", async () => {
    const seen: string[] = [];
    const breaking = await backend((request) => {
      seen.push(`${request.method}`);
      request.socket.destroy();
    });
    const live = await backend((_request, response) => response.end("live"));
    const tokyo = manualSource("tokyo");
    const osaka = manualSource("osaka");
    tokyo.set([breaking.port]);
    osaka.set([live.port]);
    const edge = await edgeFor([tokyo, osaka]);
    const statuses = [];
    for (const method of ["GET", "GET", "POST", "POST"]) {
      statuses.push(
        `${method} ${(await fetch(edge.url, { method, ...(method === "POST" ? { body: "b" } : {}) })).status}`,
      );
    }
    assert.deepEqual(statuses.slice(0, 2), ["GET 200", "GET 200"]);
    assert.deepEqual(statuses.slice(2).sort(), ["POST 200", "POST 502"]);
    assert.equal(seen.filter((method) => method === "POST").length, 1);
  });

  test("without retries a refused connection is a 502", async () => {
    const tokyo = manualSource("tokyo");
    tokyo.set([DEAD_PORT]);
    const edge = await edgeFor([tokyo], { retries: 0 });
    assert.equal((await fetch(edge.url)).status, 502);
  });

  test("answers 503 and says which service has no endpoint", async () => {
    const edge = await edgeFor([manualSource("tokyo")]);
    const answer = await fetch(edge.url);
    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /service web has no endpoint in any cluster/);
  });

  test("a request in flight finishes after its endpoint has left", async () => {
    let release: () => void = () => {};
    const arrived = Promise.withResolvers<void>();
    const slow = await backend((_request, response) => {
      release = () => response.end("finished");
      arrived.resolve();
    });
    const tokyo = manualSource("tokyo");
    tokyo.set([slow.port]);
    const edge = await edgeFor([tokyo]);
    const answer = fetch(edge.url);
    await arrived.promise;
    tokyo.set([]);
    assert.equal((await fetch(edge.url)).status, 503, "no new request reaches it");
    release();
    assert.equal(await (await answer).text(), "finished");
  });

  test("with a drain time of zero the request in flight is cut", async () => {
    const arrived = Promise.withResolvers<void>();
    const slow = await backend(() => arrived.resolve());
    const tokyo = manualSource("tokyo");
    tokyo.set([slow.port]);
    const edge = await edgeFor([tokyo], { drainMs: 0 });
    const answer = fetch(edge.url, { method: "POST", body: "x" });
    await arrived.promise;
    tokyo.set([]);
    assert.equal((await answer).status, 502);
  });

  test("takes an endpoint out after two failed checks and back in after two good ones", async () => {
    let ok = true;
    const checks: boolean[] = [];
    const web = await backend((request, response) => {
      if (request.url === "/healthz") {
        checks.push(ok);
        response.writeHead(ok ? 200 : 503);
      }
      response.end();
    });
    const tokyo = manualSource("tokyo");
    tokyo.set([web.port]);
    const edge = await edgeFor(
      [tokyo],
      {
        routes: [
          {
            path: "/*",
            target: { kind: "service", name: "web", namespace: "default", port: 80, health: "/healthz" },
          },
        ],
      },
      { clock: systemClock },
    );
    const state = (): string | undefined => edge.status().services[0]?.endpoints[0]?.state;
    await until("a good check", () => checks.length > 0);
    assert.equal(state(), "healthy");
    ok = false;
    await until("unhealthy", () => state() === "unhealthy");
    assert.ok(checks.filter((check) => !check).length >= 2);
    ok = true;
    await until("healthy again", () => state() === "healthy");
  });

  test("strips hop-by-hop headers, adds forwarding ones, and keeps the rest as it came", async () => {
    const web = await backend((request, response) => {
      response.setHeader("set-cookie", ["a=1", "b=2"]);
      response.end(JSON.stringify(request.headers));
    });
    const tokyo = manualSource("tokyo");
    tokyo.set([web.port]);
    const edge = await edgeFor([tokyo]);
    const received = await new Promise<{ headers: Record<string, string>; cookies: string[] | undefined }>(
      (resolve, reject) => {
        const request = httpRequest(`${edge.url}/x`, {
          headers: {
            host: "localhost",
            connection: "close, x-secret",
            "x-secret": "1",
            "x-forwarded-for": "203.0.113.9",
            "X-Kept": "yes",
          },
        });
        request.on("response", async (response) => {
          let text = "";
          for await (const chunk of response) text += chunk;
          resolve({
            headers: JSON.parse(text) as Record<string, string>,
            cookies: response.headers["set-cookie"],
          });
        });
        request.on("error", reject).end();
      },
    );
    assert.equal(received.headers["x-secret"], undefined);
    assert.equal(received.headers["x-kept"], "yes");
    assert.equal(received.headers["host"], "localhost");
    assert.equal(received.headers["x-forwarded-for"], "203.0.113.9, 127.0.0.1");
    assert.equal(received.headers["x-forwarded-proto"], "http");
    assert.match(received.headers["x-request-id"] ?? "", /^\w{16}$/);
    assert.deepEqual(received.cookies, ["a=1", "b=2"]);
  });

  test("passes a websocket through in both directions", async () => {
    const web = await backend((_request, response) => response.end());
    web.server.on("upgrade", (_request, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: Upgrade\r\n\r\nhello ");
      socket.pipe(socket);
    });
    const tokyo = manualSource("tokyo");
    tokyo.set([DEAD_PORT, web.port]);
    const edge = await edgeFor([tokyo]);
    const socket = connect(edge.port, "127.0.0.1");
    cleanups.push(() => socket.destroy());
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.write("GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: echo\r\nconnection: Upgrade\r\n\r\n");
    await until("the greeting", () => text.includes("hello "));
    socket.write("ping");
    await until("the echo", () => text.endsWith("ping"));
  });

  test("writes one access log line for each request, with every attempt", async () => {
    const live = await backend((_request, response) => response.end("fine"));
    const tokyo = manualSource("tokyo");
    const osaka = manualSource("osaka");
    tokyo.set([DEAD_PORT]);
    osaka.set([live.port]);
    let log = "";
    const edge = await edgeFor(
      [tokyo, osaka],
      {},
      { accessLog: (lines) => (log += lines), releaseOf: () => "7" },
    );
    await (
      await fetch(`${edge.url}/a?b="c"`, { headers: { "user-agent": 'quote " \\ ü'.slice(0, 9) } })
    ).text();
    await until("the line", () => log.endsWith("\n"));
    const line = JSON.parse(log) as {
      httpRequest: Record<string, unknown>;
      upstream_status: string;
      upstream_addr: string;
      cluster: string;
      release: string;
    };
    assert.equal(line.httpRequest["status"], 200);
    assert.match(String(line.httpRequest["latency"]), /^\d+\.\d{3}s$/);
    assert.equal(line.upstream_status, "-, 200");
    assert.equal(line.upstream_addr, `127.0.0.1:${DEAD_PORT}, 127.0.0.1:${live.port}`);
    assert.equal(line.cluster, "osaka");
    assert.equal(line.release, "7");
  });

  test("new routes take effect at once and leave a request in flight alone", async () => {
    const arrived = Promise.withResolvers<void>();
    let release: () => void = () => {};
    const slow = await backend((_request, response) => {
      release = () => response.end("old");
      arrived.resolve();
    });
    const tokyo = manualSource("tokyo");
    tokyo.set([slow.port]);
    const edge = await edgeFor([tokyo]);
    const answer = fetch(`${edge.url}/x`);
    await arrived.promise;
    edge.update({ hosts: [], routes: [], port: edge.port, retries: 2, drainMs: 60_000 });
    assert.equal((await fetch(`${edge.url}/x`)).status, 404);
    release();
    assert.equal(await (await answer).text(), "old");
  });

  test("a taken port is one clear error", async () => {
    const web = await backend((_request, response) => response.end());
    await assert.rejects(edgeFor([manualSource("tokyo")], { port: web.port }), { code: "EDGE_PORT_TAKEN" });
  });
});

describe("the bucket", () => {
  async function bucketEdge(): Promise<Edge> {
    const folder = await mkdtemp(join(tmpdir(), "slipway-bucket-"));
    cleanups.push(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, "public"));
    await writeFile(join(folder, "secret.txt"), "secret");
    await writeFile(join(folder, "public/index.html"), "<h1>shop</h1>");
    await writeFile(join(folder, "public/app.3f2a91bc.js"), "let x = 1;\n".repeat(200));
    await writeFile(join(folder, "public/ten.bin"), "0123456789");
    return edgeFor([], {
      routes: [
        { path: "/static/*", target: { kind: "bucket", name: "assets", from: join(folder, "public") } },
      ],
    });
  }

  test("answers with tags, types and cache headers by kind of name", async () => {
    const edge = await bucketEdge();
    const page = await fetch(`${edge.url}/static/`);
    assert.equal(await page.text(), "<h1>shop</h1>");
    assert.equal(page.headers.get("cache-control"), "public, max-age=60");
    const script = await fetch(`${edge.url}/static/app.3f2a91bc.js`, {
      headers: { "accept-encoding": "br" },
    });
    assert.match(script.headers.get("content-type") ?? "", /^(?:text|application)\/javascript/);
    assert.equal(script.headers.get("cache-control"), "public, max-age=31536000, immutable");
    assert.equal(script.headers.get("content-encoding"), "br");
    assert.equal((await script.text()).length, 2200);
    const again = await fetch(`${edge.url}/static/app.3f2a91bc.js`, {
      headers: { "accept-encoding": "br", "if-none-match": script.headers.get("etag") as string },
    });
    assert.equal(again.status, 304);
  });

  test("answers ranges, and refuses those that cannot be", async () => {
    const edge = await bucketEdge();
    const get = async (range: string): Promise<[number, string | null, string]> => {
      const answer = await fetch(`${edge.url}/static/ten.bin`, { headers: { range } });
      return [answer.status, answer.headers.get("content-range"), await answer.text()];
    };
    assert.deepEqual(await get("bytes=2-4"), [206, "bytes 2-4/10", "234"]);
    assert.deepEqual(await get("bytes=-3"), [206, "bytes 7-9/10", "789"]);
    assert.deepEqual(await get("bytes=8-"), [206, "bytes 8-9/10", "89"]);
    assert.deepEqual(await get("bytes=10-"), [416, "bytes */10", ""]);
    assert.deepEqual(await get("bytes=0-1,3-4"), [200, null, "0123456789"]);
  });

  test("never leaves its folder, and allows only reading", async () => {
    const edge = await bucketEdge();
    for (const path of [
      "/static/..%2fsecret.txt",
      "/static/%2e%2e/secret.txt",
      "/static/nothing",
      "/static/%zz",
    ]) {
      assert.equal((await fetch(edge.url + path)).status, 404, path);
    }
    assert.equal((await fetch(`${edge.url}/static/ten.bin`, { method: "POST", body: "x" })).status, 405);
  });
});
