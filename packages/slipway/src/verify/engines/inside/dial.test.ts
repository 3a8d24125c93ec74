import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { httpInside, type Resolve, reachInside } from "./dial.ts";

const reach = (port: number, resolve: Resolve) => reachInside("db", port, 20_000, resolve, () => 0);

test("a port is open when one of the addresses accepts", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  assert.deepEqual(await reach(port, () => Promise.resolve(["127.0.0.1"])), { isOpen: true, tookMs: 0 });
  server.close();
});

test("a name that nobody could resolve is told from a port that refuses", async () => {
  const refused = await reach(1, () => Promise.resolve(["127.0.0.1"]));
  assert.deepEqual(refused, { isOpen: false, error: "ECONNREFUSED", tookMs: 0 });
  const unresolved = (error: string) => ({ isOpen: false, isUnresolved: true, error, tookMs: 0 });
  assert.deepEqual(await reach(1, () => Promise.resolve([])), unresolved("ENOTFOUND"));
  // A name server's port can be closed, too, and a name server can be silent.
  for (const code of ["ECONNREFUSED", "ETIMEOUT", "EREFUSED"]) {
    const failing = () => Promise.reject(Object.assign(new Error("queryA db"), { code }));
    assert.deepEqual(await reach(1, failing), unresolved(code));
  }
});

test("a request whose name nobody could resolve is told from one that is refused", async () => {
  const ask = async (resolve: Resolve, timeoutMs: number) => {
    const request = { method: "GET", headers: {}, body: undefined, timeoutMs, isInsecure: false };
    const response = await httpInside({ ...request, url: "http://web:1/" }, resolve, () => 0);
    return "error" in response ? [response.error, response.isUnresolved] : [];
  };
  assert.deepEqual(await ask(() => Promise.resolve(["127.0.0.1"]), 20_000), ["ECONNREFUSED", undefined]);
  assert.deepEqual(await ask(() => Promise.resolve([]), 20_000), ["ENOTFOUND", undefined]);
  for (const code of ["ETIMEOUT", "ECONNREFUSED"]) {
    const failing = () => Promise.reject(Object.assign(new Error("queryA web"), { code }));
    assert.deepEqual(await ask(failing, 20_000), [code, true]);
  }
  // The whole time can go by before the name server has been given up.
  const silent = new Promise<readonly string[]>(() => {});
  assert.deepEqual(await ask(() => silent, 20), ["ETIMEDOUT", true]);
});
