/** What `slipway build --watch` watches, and it as a person runs it, with a real git repository. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, realpath, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { exec, until } from "@slipway/base";
import { standsAlone, watchedSources } from "./build-watch.ts";
import { HELLO_CONFIG, type HelloProject, makeHelloProject } from "./testing.ts";

const bin = join(import.meta.dirname, "../../bin/slipway");
const PATIENT_MS = 60_000;
let folder: string;

let hello: HelloProject;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-build-watch-"));
  hello = await makeHelloProject(folder);
  await write("web/.dockerignore", "*.log\n");
  await commit();
});
after(() => rm(folder, { recursive: true, force: true }));

const write: HelloProject["write"] = (path, text) => hello.write(path, text);
const git: HelloProject["git"] = (...words) => hello.git(...words);
const commit: HelloProject["commit"] = () => hello.commit();

interface Watching {
  readonly child: ChildProcess;
  /** Waits for a build of another image than that, and returns its digest: what one change writes may be built in two steps. */
  built(what: string, other?: string): Promise<string>;
  /** Waits for that mistake, a line of JSON as the rest. */
  error(wanted: RegExp): Promise<void>;
  /** On standard error. */
  says(wanted: RegExp): Promise<void>;
}

function watching(): Watching {
  const child = spawn(bin, ["build", "--watch", "--json", "--builder", "slipway"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const patience = { timeoutMs: PATIENT_MS, describe: () => out + err };
  /** Lines up to the next time that it waits; each is given once. */
  const round = async (what: string): Promise<readonly Record<string, unknown>[]> => {
    await until(what, () => out.includes('{"kind":"waiting"}\n'), patience);
    const end = out.indexOf('{"kind":"waiting"}\n');
    const lines = out.slice(0, end).split("\n").filter(Boolean);
    out = out.slice(end + '{"kind":"waiting"}\n'.length);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return {
    child,
    async built(what, other) {
      for (;;) {
        const found = (await round(what)).find(({ kind }) => kind === "built");
        if (found !== undefined && found["digest"] !== other) return found["digest"] as string;
      }
    },
    async error(wanted) {
      for (;;) {
        const found = (await round(String(wanted))).find(({ error }) => wanted.test(JSON.stringify(error)));
        if (found !== undefined) return;
      }
    },
    async says(wanted) {
      await until(String(wanted), () => wanted.test(err), patience);
    },
  };
}

test("a change of the sources is built, a mistake waits for the next change, a commit dates it, and Ctrl-C ends it", async () => {
  const running = watching();
  try {
    const first = await running.built("the first build");
    await write("web/debug.log", "no part of the image\n");
    await write("web/src/a.txt", "b\n");
    const second = await running.built("a changed file", first);
    await write("web/Dockerfile", "FROM scratch\nCOPY sauce /src/\n");
    await running.error(/Dockerfile:2.*sauce/);
    await mkdir(join(folder, "web/sauce"));
    await write("web/sauce/a.txt", "c\n");
    const third = await running.built("what was missing", second);
    await commit();
    const fourth = await running.built("a commit, as old as which its layers are", third);
    await write("web/Dockerfile", "FROM scratch\nCOPY . /src/\n");
    await write("web/.dockerignore", "*\n!debug.log\n");
    const fifth = await running.built("what is ignored is another", fourth);
    await write("web/debug.log", "a part of the image\n");
    await running.built("a change of what was ignored", fifth);
    await write("slipway.config.ts", HELLO_CONFIG.replace("hello", "hallo"));
    await running.error(/slipway.config.ts.*has changed/);
    await write("slipway.config.ts", HELLO_CONFIG);
    await running.built("the configuration as it was");
    const ended = once(running.child, "exit");
    running.child.kill("SIGINT");
    await running.says(/^stopping /m);
    assert.deepEqual(await ended, [130, null]);
  } finally {
    running.child.kill("SIGKILL");
  }
});

test("git's index is left alone, which a git command of a person's would find locked", async () => {
  await utimes(join(folder, "web/src/a.txt"), 1, 1); // git status would note that it is the same all the same
  const index = async (): Promise<number> => (await stat(join(folder, ".git/index"))).ino;
  const before = await index();
  const running = watching();
  try {
    await running.built("the first build");
    assert.equal(await index(), before);
  } finally {
    running.child.kill("SIGKILL");
  }
});

test("what is built while git commits is built again when its index says so", async () => {
  const built = async (): Promise<string> =>
    (JSON.parse(await readFile(join(folder, ".slipway/build/images.json"), "utf8")) as { tag: string }).tag;
  const hook = join(folder, ".git/hooks/reference-transaction");
  const goes = join(folder, ".git/goes");
  const running = watching();
  try {
    await running.built("the first build");
    await mkdir(dirname(hook), { recursive: true });
    const waits = `until [ -e '${goes}' ]; do sleep 0.05; done`;
    await writeFile(hook, `#!/bin/sh\n[ "$1" = committed ] || exit 0\n${waits}\n`, { mode: 0o755 });
    await write("web/src/a.txt", "committed slowly\n");
    const before = (await git("rev-parse", "HEAD")).stdout;
    const committed = git("commit", "-q", "-a", "-m", "slow");
    await until("HEAD has moved", async () => (await git("rev-parse", "HEAD")).stdout !== before);
    const tag = (await git("rev-parse", "HEAD")).stdout.slice(0, 12);
    await until("it is built in between", async () => (await built()) === `${tag}-dirty`);
    await writeFile(goes, "");
    await committed;
    await until("it is built as what it is", async () => (await built()) === tag);
  } finally {
    await writeFile(goes, "");
    await rm(hook, { force: true });
    running.child.kill("SIGKILL");
  }
});

test("what .dockerignore leaves out does not count, and the file itself does", async () => {
  await mkdir(join(folder, "kept"));
  await writeFile(join(folder, "kept/.dockerignore"), "*\n!src\n");
  const context = join(folder, "kept");
  const from = { kind: "context", context, dockerfile: join(folder, "Dockerfile"), args: {} } as const;
  const sources = watchedSources([{ name: "web", from }], undefined);
  assert.ok(sources.some(({ path }) => path === join(context, ".dockerignore")));
  const isOut = sources.find(({ path }) => path === context)?.isOut;
  for (const [path, isFolder, expected] of [
    ["debug.log", false, true],
    ["src/a", false, false],
    ["lib", true, false], // an exception could bring back something in it
  ] as const)
    assert.equal(isOut?.(path, isFolder), expected, path);
});

test("a Dockerfile that is a link counts with the file that it leads to", async () => {
  const dockerfile = join(folder, "linked", "Dockerfile");
  await mkdir(join(folder, "linked"));
  await write("common.dockerfile", "FROM scratch\n");
  await symlink("../common.dockerfile", dockerfile);
  const from = { kind: "context", context: join(folder, "web"), dockerfile, args: {} } as const;
  const paths = watchedSources([{ name: "web", from }], undefined).map(({ path }) => path);
  assert.ok(paths.includes(dockerfile), String(paths));
  assert.ok(paths.includes(await realpath(join(folder, "common.dockerfile"))), String(paths));
});

test("an image that a command makes cannot be watched", async () => {
  await write(
    "slipway.config.ts",
    HELLO_CONFIG.replace('{ context: "web" }', '{ command: ["make", "image"] }'),
  );
  const { exitCode, stderr } = await exec([bin, "build", "--watch"], { cwd: folder });
  assert.equal(exitCode, 2);
  assert.match(stderr, /images\/web: is made by a command, and what that reads is not known/);
});

test("a configuration is all there is of it if it loads Slipway's parts only", () => {
  const alone = [
    HELLO_CONFIG,
    "import { defineConfig } from \"slipway\";\nimport { image } from 'slipway/verify';\n",
    'import {\n  defineConfig,\n  local,\n} from "slipway";\nexport default defineConfig({ name: process.env["NAME"] });\n',
    'import type { Config } from "slipway";\nexport { a as default }; // where it comes from\n',
  ];
  const others = [
    'import { name } from "./names.ts";\n',
    'import { name } from "slipway-names";\n',
    'import "./names.ts";\nimport { defineConfig } from "slipway";\n',
    'import { readFileSync } from "node:fs";\n',
    'export { default } from "./other.ts";\n',
    'export * from "./other.ts";\n',
    'const { name } = await import("./names.ts");\n',
    'const { name } = await import(`./names.ts`)\nexport default { name, images: { "slipway": {} } };\n',
    'const { name } = require("./names.cjs");\n',
    'const fs = process.getBuiltinModule("fs");\n',
    'process.loadEnvFile(".env");\n',
  ];
  for (const text of alone) assert.equal(standsAlone(text), true, text);
  for (const text of others) assert.equal(standsAlone(text), false, text);
});
