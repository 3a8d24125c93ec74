/** The runner of the test lanes, over files that do what test files should not. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec, startTicksOf, until } from "@slipway/base";

const root = join(import.meta.dirname, "..");
let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-files-"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Without what this process was told by whoever runs it. */
const { NODE_TEST_CONTEXT: _, SLIPWAY_TEST_OUTPUT: __, ...env } = process.env;
const command = [process.execPath, "--disable-warning=ExperimentalWarning", "scripts/files.ts"] as const;

async function write(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const paths = Object.keys(files).map((name) => join(folder, `${name}.test.ts`));
  for (const [at, body] of Object.values(files).entries())
    await writeFile(paths[at] as string, `import { test } from "node:test";\n${body}\n`);
  return paths;
}

async function run(limitMs: number, files: Readonly<Record<string, string>>) {
  return exec([...command, "2", String(limitMs), ...(await write(files))], { cwd: root, env });
}

test("where nobody reads any more, what runs is ended", async () => {
  const begun = join(folder, "begun");
  const go = join(folder, "go");
  const paths = await write({
    stays: `import { writeFileSync } from "node:fs";
test("is over", () => {});
writeFileSync(${JSON.stringify(begun)}, String(process.pid));
setInterval(() => {}, 1000);`,
    ends: `import { existsSync } from "node:fs";
test("waits", async () => {
  while (!existsSync(${JSON.stringify(go)})) await new Promise((resolve) => setTimeout(resolve, 20));
});`,
  });
  const [program, ...words] = [...command, "2", "60000", ...paths];
  const runner = spawn(program as string, words, { cwd: root, env, stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(runner, "exit");
  const stays = await until("the file that stays to have begun", () =>
    readFile(begun, "utf8").then(
      (text) => (text === "" ? undefined : Number(text)),
      () => undefined,
    ),
  );
  runner.stdout.destroy();
  await writeFile(go, "");
  assert.deepEqual(await ended, [130, null]);
  await until("the file that stays to be gone", () => startTicksOf(stays) === undefined);
});

test("a file that does not end is ended with all its processes, fails by its name, and shows what it had printed", async () => {
  const pids = join(folder, "pids");
  const { exitCode, stdout } = await run(15_000, {
    spins: `import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
test("is over", () => {});
const child = spawn("sleep", ["600"], { stdio: "inherit" });
writeFileSync(${JSON.stringify(pids)}, child.pid + " " + process.pid);
console.log("waits for", "godot");
for (;;);`,
    waits: 'test("is over", () => {});\nsetInterval(() => {}, 1000);',
  });
  assert.equal(exitCode, 1, stdout);
  const late = (name: string): RegExp =>
    new RegExp(`^✗ \\S*${name}\\.test\\.ts:1 {2}did not end within 15 s; it printed(.*(?:\\n {4}.*)*)$`, "m");
  assert.equal(late("spins").exec(stdout)?.[1], ":\n    waits for godot", stdout);
  assert.equal(late("waits").exec(stdout)?.[1], " nothing", stdout);
  assert.match(stdout, /^lane: 0 passed, 2 failed, 0 skipped$/m);
  for (const pid of (await readFile(pids, "utf8")).split(" "))
    await until(`process ${pid} to be gone`, () => startTicksOf(Number(pid)) === undefined);
});

test("what fails outside of its tests fails its file, what fails in them is counted once", async () => {
  const { exitCode, stdout } = await run(60_000, {
    throws: 'throw new Error("at its top");',
    exits: 'test("leaves", () => process.exit(7));',
    leaves:
      'test("is fine", () => {});\ntest("leaves", () => process.exit(0));\ntest("is wrong", () => { throw 1; });',
    says: "",
    fails:
      'test("is wrong", () => { throw new Error("no"); });\ntest("is not done", { skip: "later" }, () => {});',
  });
  assert.equal(exitCode, 1);
  assert.match(
    stdout,
    /^✗ \S*throws\.test\.ts:1 {2}its process ended with exit code \d+; it printed:\n(?: {4}.*\n)*? {4}Error: at its top$/m,
  );
  assert.match(stdout, /^✗ \S*exits\.test\.ts:1 {2}its process ended with exit code 7; it printed nothing$/m);
  assert.match(stdout, /^✗ \S*fails\.test\.ts:2 {2}is wrong\n {4}Error: no$/m);
  assert.match(stdout, /^- skipped \S*fails\.test\.ts {2}is not done: later$/m);
  for (const name of ["leaves", "says"]) {
    const line = `^✗ \\S*${name}\\.test\\.ts:1 {2}has no tests, or its process ended before they were over; it printed nothing$`;
    assert.match(stdout, new RegExp(line, "m"));
  }
  assert.match(stdout, /^lane: 0 passed, 5 failed, 1 skipped$/m);
});

test("properties draw the same cases in every run, and others when asked", async () => {
  const drawn = join(folder, "drawn");
  const draws = `import { writeFileSync } from "node:fs";
import fc from "fast-check";
test("draws", () => writeFileSync(${JSON.stringify(drawn)}, String(fc.readConfigureGlobal().seed)));`;
  const seedOf = async (more: NodeJS.ProcessEnv): Promise<string> => {
    await exec([...command, "1", "60000", ...(await write({ draws }))], {
      cwd: root,
      env: { ...env, ...more },
    });
    return readFile(drawn, "utf8");
  };
  await symlink(join(root, "node_modules"), join(folder, "node_modules")); // where the library is found
  assert.equal(await seedOf({}), await seedOf({}));
  assert.equal(await seedOf({ SLIPWAY_PROPERTY_SEED: "7" }), "7");
});

test("a file that is not there fails by its name, and the others run", async () => {
  const [is] = await write({ is: 'test("is", () => {});' });
  const gone = join(folder, "gone.test.ts");
  const { exitCode, stdout } = await exec([...command, "2", "60000", gone, is as string], { cwd: root, env });
  assert.equal(exitCode, 1);
  assert.match(stdout, /^✗ .*gone\.test\.ts:1 {2}its process ended with exit code 1/m);
  assert.match(stdout, /^lane: 1 passed, 1 failed, 0 skipped$/m);
});
