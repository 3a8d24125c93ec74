import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import type { SandboxRuntime } from "@slipway/cluster/sandbox";
import { isUnseen } from "../engine.ts";
import { Looks } from "./looks.ts";

/** A runtime that has not heard yet of a process's end. */
const looksAt = (pid: number): Looks =>
  new Looks({
    runtime: { idMode: "root", pidOf: () => pid } as unknown as SandboxRuntime,
    ...{ podUid: "u", container: "web", prefix: "10.244." },
  });

test("that a container has ended is seen before anybody is told", async () => {
  const child = spawn("true");
  await once(child, "exit");
  const sockets = await looksAt(child.pid as number).sockets();
  assert.deepEqual(sockets, { unseen: "the container does not run", isOver: true });
  assert.ok(!isUnseen(await looksAt(process.pid).sockets()));
});
