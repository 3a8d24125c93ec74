import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import type { Cluster } from "@slipway/cluster";
import { fetchService } from "./service-fetch.ts";

test("a request reaches the Service's first endpoint with its method, headers and body", async () => {
  const server = createServer(async (request, response) => {
    const { method, url, headers } = request;
    response.setHeader("x-seen", `${method} ${url} ${headers.host} ${headers["x-a"]}`);
    response.end(`got ${await text(request)}`);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    const wanted = { namespace: "shop", service: "web", path: "/orders", timeoutMs: 5_000 };
    const request = { ...wanted, method: "POST", headers: { "x-a": "1" }, body: "name=wéb" };
    const answer = await fetchService(clusterWith(port), request);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["x-seen"], "POST /orders web 1");
    assert.equal(Buffer.from(answer.bodyBase64, "base64").toString("utf8"), "got name=wéb");
    const missing = { ...request, service: "none" };
    await assert.rejects(fetchService(clusterWith(port), missing), { code: "SERVICE_MISSING" });
    await assert.rejects(fetchService(clusterWith(port), { ...request, port: 81 }), {
      code: "SERVICE_NO_PORT",
    });
  } finally {
    server.close();
  }
});

/** Of a cluster what is used of it: one Service with one endpoint, on a port of this machine. */
function clusterWith(port: number): Cluster {
  const service = { spec: { ports: [{ name: "http", port: 80 }] } };
  const slice = {
    metadata: { name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
    ports: [{ name: "http", port }],
    endpoints: [{ addresses: ["127.0.0.1"], conditions: { ready: true } }],
  };
  return {
    name: "tokyo",
    store: {
      get: (_kind: string, _namespace: string, name: string) => (name === "web" ? service : undefined),
      list: () => [slice],
    },
    dial: async (ip: string, at: number) => connect(at, ip),
  } as unknown as Cluster;
}
