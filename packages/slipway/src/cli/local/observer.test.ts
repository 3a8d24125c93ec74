import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startTicksOf, systemClock, VirtualClock } from "@slipway/base";
import type { CompanionState } from "../../world/companion.ts";
import { type WorldState, worldPaths, writeWorld } from "../../world/state.ts";
import { observerBeside } from "./observer.ts";

const folder = mkdtempSync(join(tmpdir(), "slipway-beside-"));
test.after(() => rmSync(folder, { recursive: true, force: true }));
const paths = worldPaths(folder);
await mkdir(paths.root, { recursive: true });

const companion = (state: CompanionState["state"]): CompanionState => ({
  ...{ state, pid: 1, startTicks: "1", metrics: undefined, url: undefined, token: undefined, deaths: 0 },
  control: state === "running" ? { url: "http://127.0.0.1:1", token: "t" } : undefined,
  problem: undefined,
});

/** A world of this process, which runs for sure. */
const write = (observer: CompanionState | undefined): Promise<void> =>
  writeWorld(paths, {
    ...{ pid: process.pid, startTicks: startTicksOf(process.pid) ?? "", registry: "", edge: undefined },
    ...{ control: { url: "http://127.0.0.1:1", token: "t" }, clusters: [], observer },
  } satisfies WorldState);

test("who asks while it starts, or starts again, waits until it runs", async () => {
  for (const state of ["starting", "waiting"] as const) {
    await write(companion(state));
    const asked = observerBeside(paths, { clock: systemClock, signal: new AbortController().signal });
    await write(companion("running"));
    assert.equal((await asked)?.control?.token, "t");
  }
});

test("not for ever, and not for one that was given up or was never wanted", async () => {
  const clock = new VirtualClock();
  const { signal } = new AbortController();
  await write(companion("given-up"));
  assert.equal((await observerBeside(paths, { clock, signal }))?.state, "given-up");
  await write(undefined);
  assert.equal(await observerBeside(paths, { clock, signal }), undefined);
  await write(companion("starting"));
  let answer: CompanionState | undefined;
  const asked = observerBeside(paths, { clock, signal }).then((observer) => {
    answer = observer;
  });
  while (answer === undefined) {
    await clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await asked;
  assert.equal(answer?.state, "starting");
});
