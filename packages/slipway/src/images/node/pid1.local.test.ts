/** A service as process 1 of a pid namespace, as in a container: whether it ends when it is told to. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock, until } from "@slipway/base";
import { PID1_SOURCE } from "./start.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-pid1-"));
  await writeFile(join(folder, "pid1.cjs"), PID1_SOURCE);
});
after(() => rm(folder, { recursive: true, force: true }));

/** Starts a program as process 1, sends it SIGTERM, and returns its exit code; "ignored" when it goes on. */
async function terminated(flags: readonly string[], source: string): Promise<number | "ignored"> {
  const program = join(folder, "service.cjs");
  await writeFile(program, `process.on("message", () => {}); ${source}; console.log("pid", process.pid)`);
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const child = spawn(
    "unshare",
    [...user, "--pid", "--fork", "--kill-child", "--", process.execPath, ...flags, program],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let said = "";
  child.stdout.on("data", (data) => {
    said += String(data);
  });
  let code: number | null | undefined;
  child.once("exit", (status) => {
    code = status;
  });
  await until("the service to begin", () => said.includes("pid 1\n"), { clock: systemClock });
  const pid = Number((await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")).trim());
  process.kill(pid, "SIGTERM");
  // A signal that nobody handles is dropped when it is sent; one that is caught shows what it did.
  process.kill(pid, "SIGUSR2");
  await until("an end or an answer", () => code !== undefined || said.includes("still here"), {
    clock: systemClock,
  });
  if (code === undefined) {
    child.kill("SIGKILL");
    return "ignored";
  }
  return code ?? 128;
}

const ALIVE =
  'setInterval(() => {}, 1000); process.on("SIGUSR2", () => setTimeout(() => console.log("still here"), 200))';

test("a service without a handler ends at SIGTERM, as it would not by itself", async () => {
  assert.equal(await terminated(["--require", join(folder, "pid1.cjs")], ALIVE), 143);
  assert.equal(await terminated([], ALIVE), "ignored");
});

test("a service's own handler decides", async () => {
  const own = `${ALIVE}; process.on("SIGTERM", () => process.exit(7))`;
  assert.equal(await terminated(["--require", join(folder, "pid1.cjs")], own), 7);
});
