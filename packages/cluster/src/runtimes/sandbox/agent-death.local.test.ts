import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { startCluster } from "../../cluster.ts";
import type { ImageSource } from "../runtime.ts";

const NONE: ImageSource = {
  resolve: () => assert.fail("no pod runs here"),
  openLayer: () => assert.fail("no pod runs here"),
};

test("an agent that is gone, of which nobody has heard yet, can be ended all the same", async () => {
  const cluster = await startCluster({ name: "tokyo", runtime: "sandbox", images: NONE });
  try {
    const pid = cluster.agentPid as number;
    process.kill(pid, "SIGKILL");
    // Without going back to the event loop, which would tell of its end.
    const giveUpAt = Date.now() + 60_000;
    while (existsSync(`/proc/${pid}`)) assert.ok(Date.now() < giveUpAt);
    await cluster.lose();
  } finally {
    await cluster.stop();
  }
});
