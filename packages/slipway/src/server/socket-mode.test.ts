import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { type Clock, systemClock, until } from "@slipway/base";
import { WebSocketServer } from "ws";
import { startFakeSlack } from "../notify/slack/testing.ts";
import { followSocketMode } from "./socket-mode.ts";

/** Does not wait before it connects again. */
const hurried: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms === 2_000 ? 0 : ms, signal),
};

test("a connection that ends before Slack has said hello is told of, and made again", async (t) => {
  const slack = await startFakeSlack();
  t.after(() => slack.close());
  const rude = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  t.after(() => rude.close());
  rude.on("connection", (socket) => socket.close());
  await once(rude, "listening");
  const url = `ws://127.0.0.1:${(rude.address() as AddressInfo).port}`;
  slack.fail("apps.connections.open", { status: 200, body: JSON.stringify({ ok: true, url }) });
  const states: string[] = [];
  const stop = new AbortController();
  const following = followSocketMode({
    appToken: "xapp-1",
    apiUrl: slack.url,
    clock: hurried,
    signal: stop.signal,
    onPayload: async () => {},
    onState: ({ isConnected, reason }) => states.push(isConnected ? "connected" : `${reason}`),
  });
  await Promise.race([following, until("the next connection", () => states.includes("connected"))]);
  assert.deepEqual(states, ["Slack closed the connection before it had begun", "connected"]);
  stop.abort();
  await following;
});
