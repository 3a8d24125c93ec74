import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { startTicksOf, systemClock, until } from "@slipway/base";
import { type CompanionSpec, createCompanion } from "./companion.ts";
import { createObserving } from "./observing.ts";

/** Lives as long as its channel. */
const PROGRAM = `
process.stdin.resume().on("end", () => process.send({ kind: "ready", control: { url: "", token: "" } }));
process.on("disconnect", () => process.exit(0));
`;

async function stage(t: TestContext, isWanted: boolean) {
  const folder = await mkdtemp(join(tmpdir(), "slipway-observing-"));
  const entry = join(folder, "program.cjs");
  await writeFile(entry, PROGRAM);
  const spec = (name: string): CompanionSpec => ({ entry, input: { name } });
  const changes: boolean[] = [];
  const observing = createObserving({
    spec: isWanted ? spec("one") : undefined,
    make: (made) =>
      createCompanion({
        ...{ spec: made, cwd: folder, clock: systemClock, world: () => ({}) },
        ...{ log: () => undefined, onChange: () => undefined },
      }),
    onChange: async (isThere) => void changes.push(isThere),
  });
  t.after(async () => {
    await observing.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const running = () => until("it to run", () => observing.state()?.state === "running");
  return { observing, spec, changes, running };
}

test("one that is wanted later is started, one that is not any more is ended, and it may come back", async (t) => {
  const { observing, spec, changes, running } = await stage(t, false);
  await observing.start();
  assert.equal(observing.state(), undefined);
  for (const round of ["one", "two"]) {
    await observing.want(spec(round));
    await running();
    const pid = observing.state()?.pid as number;
    await observing.want(undefined);
    assert.equal(observing.state(), undefined);
    assert.equal(await observing.figures(), undefined);
    assert.equal(startTicksOf(pid), undefined);
  }
  assert.deepEqual(changes, [true, false, true, false]);
});

test("wishes that come faster than they are carried out end with the last one", async (t) => {
  const { observing, spec, running } = await stage(t, true);
  await observing.start();
  const wishes = [undefined, spec("two"), undefined, spec("three")].map((wish) => observing.want(wish));
  await Promise.all(wishes);
  await running();
});

test("nothing is started before the world is up, nor after it has stopped", async (t) => {
  const { observing, spec, changes } = await stage(t, true);
  await observing.want(undefined);
  await observing.want(spec("two"));
  assert.equal(observing.state(), undefined);
  await observing.start();
  const pid = observing.state()?.pid as number;
  await observing.stop();
  await observing.want(spec("three"));
  assert.equal(startTicksOf(pid), undefined);
  assert.deepEqual(changes, [true]);
});
