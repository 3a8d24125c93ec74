/** The corpus where its images run: in the sandbox. Needs a static busybox on this machine. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "@slipway/base";
import { ImageLayout } from "../../images/layout.ts";
import type { Engine } from "../engines/engine.ts";
import { createSandboxEngine } from "../engines/sandbox/engine.ts";
import { type Decided, falseFailures, falsePasses, runCorpus, show, undecided } from "./score.ts";

let folder: string;
let engine: Engine;
let decided: readonly Decided[];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-mutations-"));
  engine = createSandboxEngine({
    stateDirectory: join(folder, "runs"),
    layersDirectory: join(folder, "layers"),
    clock: systemClock,
  });
  const layout = await ImageLayout.open(join(folder, "images"));
  decided = await runCorpus({ layout, clock: systemClock, engine, busybox: "/bin/busybox", isShort: true });
});
after(async () => {
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

test("on the undamaged images everything passes, nothing is unknown", () => {
  const undamaged = decided.filter(({ mutation }) => mutation === undefined);
  assert.deepEqual(undamaged.filter(({ verdict }) => verdict !== "pass").map(show), []);
});

test("no check passes that does not hold, and none fails that does", () => {
  assert.deepEqual(falsePasses(decided).map(show), []);
  assert.deepEqual(falseFailures(decided).map(show), []);
});

test("at least 95 % of the corpus is decided, and unknown is only what cannot be proved", () => {
  const open = undecided(decided);
  assert.ok(open.length <= decided.length * 0.05, `${open.length} of ${decided.length} undecided`);
  assert.deepEqual(open.filter(({ isProvable }) => isProvable).map(show), []);
});
