import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Clock, startTicksOf, systemClock, until } from "@slipway/base";
import { createCompanion } from "./companion.ts";

/** Says what it was given, and ends with its channel; dies at once when it is told to. */
const PROGRAM = `
let text = "";
process.stdin.on("data", (piece) => (text += piece)).on("end", () => {
  const input = JSON.parse(text);
  if (input.dies) process.exit(3);
  process.send({ kind: "ready", url: input.name, control: { url: "", token: "" } });
});
process.on("message", () => process.send({ kind: "figures", figures: { lines: 7 } }));
process.on("disconnect", () => process.exit(0));
`;

/** A busy machine may take longer than the second that is waited for figures. */
const patient: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms === 1_000 ? 60_000 : ms, signal),
};

async function stage(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "slipway-companion-"));
  const entry = join(folder, "program.cjs");
  await writeFile(entry, PROGRAM);
  const said: string[] = [];
  const options = { cwd: folder, clock: patient, log: (line: string) => void said.push(line) };
  const make = (input: unknown) => {
    const companion = createCompanion({
      ...{ ...options, spec: { entry, input }, world: () => ({}), onChange: () => {} },
    });
    t.after(() => companion.stop());
    return companion;
  };
  t.after(() => rm(folder, { recursive: true, force: true }));
  return { entry, make, said };
}

test("it runs until it is stopped, answers, and is started again when it dies", async (t) => {
  const { make, said } = await stage(t);
  const companion = make({ name: "one" });
  companion.start();
  await until("it to run", () => companion.state().state === "running");
  assert.deepEqual(await companion.figures(), { lines: 7 });
  const { pid } = companion.state();
  process.kill(pid as number, "SIGKILL");
  await until("another one", () => companion.state().state === "running" && companion.state().pid !== pid);
  assert.equal(companion.state().deaths, 1);
  assert.match(said.join("\n"), /killed by SIGKILL/);
  const last = companion.state().pid as number;
  await companion.stop();
  assert.equal(startTicksOf(last), undefined);
});

test("another configuration starts it anew, the same one does not", async (t) => {
  const { entry, make } = await stage(t);
  const companion = make({ name: "one" });
  companion.start();
  await until("it to run", () => companion.state().state === "running");
  const { pid } = companion.state();
  await companion.update({ entry, input: { name: "one" } });
  assert.equal(companion.state().pid, pid);
  await companion.update({ entry, input: { name: "two" } });
  await until("the other one", () => companion.state().url === "two");
  assert.equal(companion.state().deaths, 0, "nobody died");
});

test("one that dies again and again waits ever longer, and its reason is told", async (t) => {
  const { make, said } = await stage(t);
  const companion = make({ dies: true });
  companion.start();
  await until("two deaths", () => companion.state().deaths >= 2);
  assert.equal(companion.state().problem, "ended with 3");
  assert.ok(said.length >= 2);
});
