import assert from "node:assert/strict";
import { basename } from "node:path";
import { test } from "node:test";
import { exec } from "@slipway/base";
import { parseTables, SCRIPT } from "./batch.ts";

const HEAD = "\x01S tcp   sl  local_address rem_address   st tx_queue\n";

test("what the script wrote becomes processes and sockets; what did not come to its end says nothing", () => {
  const output =
    `${HEAD}\x01S tcp    0: 0100007F:1F90 00000000:0000 0A 0:0\n\x01S tcp    1: 0100007F:1F91 0100007F:0050 01 0:0\n` +
    "\x01S udp6    0: 00000000000000000000000000000000:0035 00000000000000000000000000000000:0000 07 0:0\n\x01C\n" +
    "\x01P 1 0 33 my program\n\x01X 1 /bin/busybox\n\n\x01A 1 sh\0-c\0echo a\nE\n\0\n\x01E\n";
  const tables = parseTables(output);
  assert.deepEqual(tables?.sockets, [
    { protocol: "tcp", address: "127.0.0.1", port: 8080 },
    { protocol: "udp", address: "::", port: 53 },
  ]);
  assert.deepEqual(tables?.processes, [
    { pid: 1, parent: 0, uid: 33, comm: "my program", argv: ["sh", "-c", "echo a\nE\n"], program: "busybox" },
  ]);
  const unread = parseTables(output.replace("/bin/busybox\n", ""))?.processes;
  assert.deepEqual(
    unread?.map(({ program }) => program),
    [undefined],
    "no readlink, or no right to read it",
  );
  assert.equal(parseTables(output.replace("\x01E\n", "")), undefined);
  assert.equal(parseTables(output.replace("\x01C\n", ""))?.processes, undefined);
  assert.equal(parseTables("\x01C\n\x01E\n"), undefined, "no table was read");
});

test("the script runs in this machine's shell and sees this process", async () => {
  const { stdout } = await exec(["/bin/sh"], { input: SCRIPT });
  const own = parseTables(stdout)?.processes?.find(({ pid }) => pid === process.pid);
  assert.deepEqual(
    [own?.argv[0], own?.uid],
    [process.argv0.includes("/") ? process.argv0 : own?.argv[0], process.getuid?.()],
  );
  assert.ok(own !== undefined && own.argv.length > 0);
  assert.equal(own.program, basename(process.execPath));
});
