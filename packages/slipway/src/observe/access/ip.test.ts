import assert from "node:assert/strict";
import { test } from "node:test";
import { clientAddress, truncateAddress } from "./ip.ts";

const truncated: readonly (readonly [string, string])[] = [
  ["203.0.113.9", "203.0.113.0"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1::"],
  ["2001:db8::6", "2001:db8::"],
  ["::1", "::"],
  ["fe80::1%eth0", "fe80::"],
  ["::ffff:203.0.113.9", "::ffff:203.0.113.0"],
  ["unix:", "unix:"],
  ["-", "-"],
];

for (const [address, short] of truncated) {
  test(`${address} is truncated to ${short}`, () => assert.equal(truncateAddress(address), short));
}

test("of an X-Forwarded-For list the first counts, and no novel", () => {
  assert.equal(clientAddress("203.0.113.9, 10.0.0.1"), "203.0.113.9");
  assert.equal(clientAddress("2001:db8::1"), "2001:db8::1");
  assert.equal(clientAddress("x".repeat(65)), "-");
});
