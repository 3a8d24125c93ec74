import assert from "node:assert/strict";
import { test } from "node:test";
import { until, VirtualClock } from "@slipway/base";
import type { KubeClient } from "@slipway/kube";
import { apiClient } from "../../../release/testing.ts";
import { watchCluster } from "./watch.ts";

test("a cluster that did not answer at first says so until it does, and not longer", async () => {
  const clock = new VirtualClock();
  let isThere = false;
  const api = apiClient("tokyo", clock);
  const client: KubeClient = {
    ...api,
    serves: async (type) => {
      if (!isThere) throw new Error("connection refused");
      return api.serves(type);
    },
  };
  const watch = watchCluster({ name: "tokyo", client }, ["default"], clock);
  try {
    assert.equal(watch.sight().away, "has not answered yet");
    await until("it to be away", () => watch.sight().away === "connection refused");
    isThere = true;
    await until("it to be there", async () => {
      await clock.advance(1000);
      return watch.sight().away === undefined;
    });
  } finally {
    watch.close();
  }
});
