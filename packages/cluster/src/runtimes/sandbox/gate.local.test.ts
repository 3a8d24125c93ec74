import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { openGate } from "./agent-process.ts";
import { findTool } from "./system.ts";

const [uid, gid] = [String(process.getuid?.()), String(process.getgid?.())];

test("a child that is slow to enter its namespace has its ids mapped once it is there", {
  skip: findTool("newuidmap") === undefined ? "newuidmap is not installed" : false,
}, async (t) => {
  // As slow as a busy machine makes it. Of its own ids anybody may map one, also without a range in /etc/subuid.
  const late = 'sleep 0.3; exec unshare --user -- sh -c "read -r go && id -u && id -g"';
  const child = spawn("sh", ["-c", late], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.kill());
  const [said] = await Promise.all([
    text(child.stdout),
    openGate(child, { uidMap: ["7", uid, "1"], gidMap: ["7", gid, "1"] }),
    once(child, "close"),
  ]);
  assert.equal(said, "7\n7\n");
});
