import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { parseSockets, socketsOf } from "./sockets.ts";

const head =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const line = (local: string, state: string): string =>
  `${head}   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1\n`;

const cases: readonly (readonly [string, "tcp" | "udp", string, string, string | undefined])[] = [
  ["every address", "tcp", "00000000:0050", "0A", "0.0.0.0:80"],
  ["loopback", "tcp", "0100007F:1F90", "0A", "127.0.0.1:8080"],
  ["a pod's address", "tcp", "0200F40A:0016", "0A", "10.244.0.2:22"],
  ["an address of a home network", "tcp", "0500A8C0:0050", "0A", "192.168.0.5:80"],
  ["a connection", "tcp", "0100007F:1F90", "01", undefined],
  ["a connection that is closing", "tcp", "0100007F:1F90", "06", undefined],
  ["a bound UDP socket", "udp", "00000000:0035", "07", "0.0.0.0:53"],
  ["a connected UDP socket", "udp", "00000000:0035", "01", undefined],
  ["Docker's own name server", "tcp", "0B00007F:9C41", "0A", undefined],
  ["every address, IPv6", "tcp", "00000000000000000000000000000000:0050", "0A", ":::80"],
  ["loopback, IPv6", "tcp", "00000000000000000000000001000000:0050", "0A", "::1:80"],
  ["an address of IPv6", "tcp", "B80D0120000000000000000001000000:0050", "0A", "2001:db8::1:80"],
  ["IPv4 in IPv6", "tcp", "0000000000000000FFFF00000100007F:0050", "0A", "127.0.0.1:80"],
];
for (const [what, protocol, local, state, expected] of cases) {
  test(`${what} is ${expected ?? "not a listening socket"}`, () => {
    const [found] = parseSockets(line(local, state), protocol);
    assert.equal(found === undefined ? undefined : `${found.address}:${found.port}`, expected);
  });
}

test("a real socket is found while it listens, and not after", async () => {
  // Of this process alone: on 127.0.0.1 somebody else may get the port when it is free.
  const host = `127.2.${(process.pid >> 8) & 255}.${process.pid & 255}`;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as { port: number };
  const isThere = (): boolean =>
    socketsOf(process.pid).some((one) => one.address === host && one.port === port);
  assert.equal(isThere(), true);
  await new Promise((resolve) => server.close(resolve));
  assert.equal(isThere(), false);
});
