/** What is on disk when an outbox ends before it has sent everything. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { type Clock, systemClock, until } from "@slipway/base";
import type { ReleaseMessage } from "../message.ts";
import { createOutbox } from "./outbox.ts";
import { createFileStore } from "./store.ts";
import type { Transport } from "./transport.ts";

const release = (number: number) => ({ service: "shop", environment: "production", number });
const saying = (title: string): ReleaseMessage => ({
  ...{ state: "running", title, cause: undefined, facts: [], clusters: [] },
});

test("the newest of every thread is kept, however slowly the disk writes it, when the time to send is over", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-outbox-"));
  t.after(() => rm(folder, { recursive: true }));
  const storeOf = (pid: number) =>
    createFileStore({
      ...{ folder, self: { host: "laptop", pid, startTicks: "1" }, isAlive: () => true, now: Date.now },
    });
  const store = storeOf(1);
  let disk: Promise<void> = Promise.resolve();
  const slow = {
    ...store,
    write: (...args: Parameters<typeof store.write>) => disk.then(() => store.write(...args)),
  };
  const sent: string[] = [];
  const never = new Promise<never>(() => undefined);
  const transport: Transport = {
    ...{ name: "slack", to: "slack", can: { edits: true, finds: true } },
    post: ({ id }) => {
      sent.push(id);
      return never;
    },
    edit: () => never,
    find: () => never,
  };
  const clock: Clock = { ...systemClock, sleep: async () => undefined };
  const outbox = createOutbox({ transport, store: slow, clock, onWarning: () => undefined });
  for (const number of [1, 2]) outbox.show(release(number), saying("began"));
  await until("both to be sent", () => sent.length === 2);
  const written = Promise.withResolvers<void>();
  disk = written.promise;
  outbox.show(release(2), saying("goes on"));
  await turn();
  outbox.show(release(2), saying("is nearly there"));
  const settled = outbox.settle(0);
  await turn();
  written.resolve();
  await settled;
  const kept = await storeOf(2).read("shop/production/2");
  assert.equal(kept?.message.content.title, "is nearly there");
});
