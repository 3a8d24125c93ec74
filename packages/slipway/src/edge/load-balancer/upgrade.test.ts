import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { Balancer } from "./balancer.ts";
import { defaultHealthPolicy } from "./health.ts";
import { forwardUpgrade } from "./upgrade.ts";

const connection = (): Duplex => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });

test("a client that is gone before its endpoint is reached leaves no connection behind", async () => {
  const balancer = new Balancer(defaultHealthPolicy);
  balancer.setCluster("tokyo", [{ id: "tokyo/a", cluster: "tokyo", ip: "a", port: 80, pod: "a" }]);
  const [client, upstream] = [connection(), connection()];
  const done: (readonly [string | undefined, number])[] = [];
  await forwardUpgrade({
    request: { method: "GET", url: "/ws", rawHeaders: [], headers: {} } as unknown as IncomingMessage,
    socket: client,
    head: Buffer.alloc(0),
    balancer,
    dial: async () => {
      client.destroy(); // as a reset does
      await once(client, "close");
      return upstream;
    },
    upstreams: { upgraded: () => () => {} } as never,
    forwarded: { remoteIp: "127.0.0.1", proto: "http", requestId: "r" },
    retries: 2,
    onDone: (backend, status) => done.push([backend?.id, status]),
  });
  assert.ok(upstream.destroyed);
  assert.deepEqual(done, [["tokyo/a", 499]]);
  assert.equal(balancer.backends()[0]?.inFlight, 0);
});
