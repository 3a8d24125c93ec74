import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { candidatesOf, parseHosts, parseResolvConf, resolveName } from "./names.ts";

test("a hosts file has several names a line, comments, and names twice", () => {
  const hosts = parseHosts(
    "127.0.0.1 localhost Local # own\n::1 localhost\nbroken\n\n10.0.0.2\tdb db.internal\n",
  );
  assert.deepEqual(
    [...hosts],
    [
      ["localhost", ["127.0.0.1", "::1"]],
      ["local", ["127.0.0.1"]],
      ["db", ["10.0.0.2"]],
      ["db.internal", ["10.0.0.2"]],
    ],
  );
});

test("of a resolv.conf three servers, the last search list and ndots count", () => {
  const text = "search a b\nsearch shop.svc svc ; ours\nnameserver 10.0.0.1\noptions timeout:1 ndots:5\n";
  const servers = "nameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n";
  assert.deepEqual(parseResolvConf(text + servers), {
    servers: ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
    search: ["shop.svc", "svc"],
    ndots: 5,
  });
});

describe("the names that are asked for", () => {
  const facts = { search: ["x", "y"], ndots: 2 };
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["db", ["db.x", "db.y", "db"]],
    ["db.a", ["db.a.x", "db.a.y", "db.a"]],
    ["db.a.b", ["db.a.b", "db.a.b.x", "db.a.b.y"]],
    ["db.", ["db"]],
  ];
  for (const [name, expected] of cases) {
    test(name, () => assert.deepEqual(candidatesOf(name, facts), expected));
  }
});

test("the hosts file is enough for its names, and an address is its own", async () => {
  const files = { hosts: "10.0.0.2 db\n", resolvConf: "" };
  assert.deepEqual(await resolveName("DB", files, 100), ["10.0.0.2"]);
  assert.deepEqual(await resolveName("10.1.1.1", files, 100), ["10.1.1.1"]);
  assert.deepEqual(await resolveName("cache", files, 100), []);
});
