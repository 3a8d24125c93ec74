import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { createAnswerer } from "./answerer.ts";

const heard: unknown[] = [];
const left = Promise.withResolvers<void>();
let server: Server;
before(async () => {
  const answer = createAnswerer(
    {
      query: async () => "lines",
      slow: async (_body, signal) => {
        heard.push("slow");
        signal.addEventListener("abort", () => left.resolve());
        await left.promise;
      },
    },
    "read",
  );
  const hear = createAnswerer({ alertmanager: async (body) => void heard.push(body) }, "report");
  server = createServer((request, response) => {
    if (!answer(request, response) && !hear(request, response)) response.writeHead(404).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const post = async (name: string, token: string, body: string): Promise<number> => {
  const { port } = server.address() as AddressInfo;
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${port}/${name}`, { method: "POST", headers, body });
  await response.text();
  return response.status;
};

test("Alertmanager's token reports and reads nothing; the one for reading does not report", async () => {
  assert.equal(await post("alertmanager", "report", '{"status":"firing"}'), 200);
  assert.deepEqual(heard, [{ status: "firing" }]);
  assert.equal(await post("query", "report", "{}"), 401);
  assert.equal(await post("alertmanager", "read", "{}"), 401);
  assert.equal(await post("query", "read", "{}"), 200);
  assert.equal(heard.length, 1);
});

test("a body without an end is not kept", async () => {
  assert.equal(await post("alertmanager", "report", JSON.stringify("x".repeat(2_000_000))), 422);
  assert.equal(heard.length, 1);
});

test("who has left is not answered any further", async () => {
  const { port } = server.address() as AddressInfo;
  const leaving = new AbortController();
  const asked = fetch(`http://127.0.0.1:${port}/slow`, {
    ...{ method: "POST", headers: { authorization: "Bearer read" }, signal: leaving.signal },
  });
  await until("it is asked", () => heard.includes("slow"));
  leaving.abort();
  await assert.rejects(asked);
  await left.promise;
});
