/** What a run leaves that is killed, at any moment of its life, and that the next one removes it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startTicksOf, systemClock, until } from "@slipway/base";
import { buildCasesImage } from "../cases-image.ts";
import { createSandboxEngine } from "./engine.ts";
import { openRun, sweepRuns } from "./runs.ts";

/** A run is a dozen programs, and a machine may be busy. */
const PATIENT = { timeoutMs: 180_000 };

describe("runs that died", () => {
  let folder: string;
  let imageFile: string;
  let state: string;
  /** Where a run keeps what it compiled, and all that it starts: each of its processes has it among its variables. */
  let compiled: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "slipway-runs-"));
    state = join(folder, "runs");
    compiled = join(folder, "compiled");
    imageFile = join(folder, "image.json");
    await writeFile(imageFile, JSON.stringify(await buildCasesImage(join(folder, "image"))));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  function startRun(): ChildProcess {
    return spawn(process.execPath, [join(import.meta.dirname, "testing-run.ts"), folder, imageFile], {
      env: { ...process.env, NODE_COMPILE_CACHE: compiled },
      stdio: ["ignore", "pipe", "inherit"],
    });
  }

  /**
   * The node agent and the helper are known by their variables from their first moment, what runs in containers by the mounts
   * in the folder that it sees. Each thread is asked: of a process that ends the first may be gone, with its view of the mounts,
   * while others are not.
   */
  async function processesOfRuns(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
      const line = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ");
      const threads = await readdir(`/proc/${pid}/task`).catch((): string[] => []);
      const seen = await Promise.all(
        threads.flatMap((id) =>
          ["mountinfo", "environ"].map((name) =>
            readFile(`/proc/${pid}/task/${id}/${name}`, "utf8").catch(() => ""),
          ),
        ),
      );
      const isOurs = seen.some((text) => text.includes(compiled) || text.includes(`${state}/`));
      if (Number(pid) !== process.pid && isOurs) found.push(`${pid} ${line}`);
    }
    return found;
  }

  test("a killed run leaves a folder and no process, and the next one removes it", async () => {
    const run = startRun();
    assert.ok(run.stdout !== null);
    const [agent] = (await run.stdout.take(1).toArray()) as [Buffer];
    assert.ok(startTicksOf(Number(agent.toString())) !== undefined);
    assert.deepEqual(await sweepRuns(state, systemClock), { containers: 0, networks: 0, folders: 0 });
    const living = (await processesOfRuns()).join("\n");
    for (const part of [/testing-run/, /sandbox\/agent\.ts/, /helper-main/, /sleep 86400/])
      assert.match(living, part);
    const ended = new Promise((resolve) => run.once("exit", resolve));
    run.kill("SIGKILL");
    await ended;
    await until(
      "every process of the run to end",
      async () => (await processesOfRuns()).length === 0,
      PATIENT,
    );
    // Its threads see no mounts any more before the last of them is gone.
    await until("the agent to be gone", () => startTicksOf(Number(agent.toString())) === undefined);
    assert.deepEqual(await sweepRuns(state, systemClock), { containers: 0, networks: 0, folders: 1 });
    assert.deepEqual(await readdir(state), []);
  });

  test("killed twenty times, at twenty moments, nothing is left", async () => {
    for (let round = 0; round < 20; round += 1) {
      const run = startRun();
      const ended = new Promise((resolve) => run.once("exit", resolve));
      // From before it has made anything to when all of it runs; the moment itself does not matter, that it varies does.
      await until(
        `stage ${round}`,
        async () => (await stageOf()) >= round % 5 || run.exitCode !== null,
        PATIENT,
      );
      run.kill("SIGKILL");
      await ended;
      await until(
        "every process of the run to end",
        async () => (await processesOfRuns()).length === 0,
        PATIENT,
      );
      await createSandboxEngine({
        stateDirectory: state,
        layersDirectory: join(folder, "layers"),
        clock: { ...systemClock, now: () => systemClock.now() + 120_000 }, // a folder without an owner is given a minute
      }).sweep();
      assert.deepEqual(await readdir(state).catch(() => []), [], `round ${round}`);
    }
  });

  /** How far a run has come: 0 nothing, 1 folder, 2 owner, 3 agent, 4 container. */
  async function stageOf(): Promise<number> {
    const [run] = await readdir(state).catch((): string[] => []);
    if (run === undefined) return 0;
    const names = await readdir(join(state, run)).catch((): string[] => []);
    const inside = await readdir(join(state, run, "sandbox")).catch((): string[] => []);
    const logs = await readdir(join(state, run, "sandbox", "logs")).catch((): string[] => []);
    return (
      1 +
      [names.includes("owner.json"), inside.includes("agent.json"), logs.length > 0].filter(Boolean).length
    );
  }

  test("a run that lives, and one whose owner cannot be judged, are left alone", async () => {
    const own = await openRun(state);
    const strange = await openRun(state);
    const owner = JSON.parse(await readFile(join(strange, "owner.json"), "utf8")) as {
      process: { host: string };
    };
    await writeFile(
      join(strange, "owner.json"),
      JSON.stringify({ ...owner, process: { ...owner.process, host: "elsewhere" } }),
    );
    assert.equal((await sweepRuns(state, systemClock)).folders, 0);
    const tomorrow = { ...systemClock, now: () => systemClock.now() + 25 * 3_600_000 };
    assert.equal((await sweepRuns(state, tomorrow)).folders, 1);
    await rm(own, { recursive: true });
  });
});
