import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec, startTicksOf, until } from "@slipway/base";
import { askGit, stayShell } from "./git-shell.ts";

/** A git that says what it was asked, and which shell asked it. */
let folder: string;
let env: NodeJS.ProcessEnv;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-git-shell-"));
  await writeFile(
    join(folder, "git"),
    `#!/bin/sh
shift 2
case "$1" in
fails) exit 3 ;;
empty) exit 0 ;;
shell) printf %s "$PPID" ;;
parent) awk '/^PPid:/ { printf $2 }' /proc/$PPID/status ;;
long) head -c 300000 /dev/zero | tr '\\0' x ;;
kills) kill -9 "$(awk '/^PPid:/ { print $2 }' /proc/$PPID/status)" $PPID; printf survived ;;
stays) sleep 600 >/dev/null & printf %s $! ;;
*) printf '%s' "$*" ;;
esac
`,
    { mode: 0o755 },
  );
  env = { ...process.env, PATH: `${folder}:${process.env["PATH"]}` };
});
after(() => rm(folder, { recursive: true, force: true }));

const ask = (...args: readonly string[]): Promise<string | undefined> => askGit("/", args, env);

for (const how of ["a shell for each time", "a shell that stays"] as const) {
  test(`${how}: every question has its answer, also many at once, and what is not answered is told`, async () => {
    const shell = how === "a shell that stays" ? stayShell(env) : undefined;
    try {
      for (let round = 0; round < 3; round += 1) {
        const words = Array.from({ length: 20 }, (_, at) => `it's "${round}"\n${at} %s \\n $HOME`);
        const [long, fails, empty, ...said] = await Promise.all([
          ask("long"),
          ask("fails"),
          ask("empty"),
          ...words.map((word) => ask("say", word)),
        ]);
        assert.equal(long, "x".repeat(300_000));
        assert.equal(fails, undefined);
        assert.equal(empty, "");
        assert.deepEqual(
          said,
          words.map((word) => `say ${word}`),
        );
      }
      const stays = Number(await ask("stays")); // and does not hold the answer up
      process.kill(stays);
    } finally {
      shell?.close();
    }
  });
}

test("a shell that stays is one, is not waited for while it answers, and ends when it is closed", async () => {
  const shell = stayShell(env);
  const [first, again] = [await ask("parent"), await ask("parent")];
  assert.equal(first, again);
  const slow = ask("long");
  await Promise.resolve();
  await Promise.resolve(); // it is asked
  assert.notEqual(await ask("parent"), first);
  assert.equal((await slow)?.length, 300_000);
  shell.close();
  await until("it to end", () => startTicksOf(Number(first)) === undefined);
  assert.notEqual(await ask("parent"), first);
});

test("where it is killed, another one answers", async () => {
  const shell = stayShell(env);
  try {
    const first = await ask("parent");
    // Its first shell is gone before it has answered; the one that is asked then is killed, too.
    assert.equal(await ask("kills"), undefined);
    assert.equal(await ask("say", "well"), "say well");
    assert.notEqual(await ask("parent"), first);
    assert.equal(await ask("parent"), await ask("parent"));
  } finally {
    shell.close();
  }
});

test("it does not keep a process alive that was killed, nor outlive it", async () => {
  const program = join(folder, "asks.ts");
  const at = join(folder, "pid");
  await writeFile(
    program,
    `import { writeFileSync } from "node:fs";
import { askGit, stayShell } from ${JSON.stringify(join(import.meta.dirname, "git-shell.ts"))};
stayShell(process.env);
writeFileSync(${JSON.stringify(at)}, await askGit("/", ["parent"], process.env));
process.kill(process.pid, "SIGKILL");
`,
  );
  await exec([process.execPath, "--disable-warning=ExperimentalWarning", program], { env });
  const shell = Number(await readFile(at, "utf8"));
  assert.ok(shell > 1);
  await until("it to end", () => startTicksOf(shell) === undefined);
});
