/** `slipway compose up` and `down` as a person runs them. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { exec, until } from "@slipway/base";

const slipway = join(import.meta.dirname, "../../../bin/slipway");

describe("slipway compose", () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "slipway-compose-"));
    await mkdir(join(folder, "web"));
    await writeFile(join(folder, "web", "page"), "the page\n");
    await writeFile(
      join(folder, "web", "Dockerfile"),
      'FROM slipway/host/busybox\nCOPY page /www/index.html\nEXPOSE 8080\nENTRYPOINT ["busybox"]\nCMD ["httpd", "-f", "-vv", "-p", "8080", "-h", "/www"]\n',
    );
    await writeFile(
      join(folder, "compose.yaml"),
      'services:\n  web:\n    build: web\n    ports: ["0:8080"]\n    depends_on: { job: { condition: service_completed_successfully } }\n  job:\n    build: web\n    command: [echo, prepared]\n',
    );
    await writeFile(
      join(folder, "broken.yaml"),
      "services:\n  web:\n    build: web\n    command: [sh, -c, 'echo no disk >&2; exit 3']\n",
    );
  });
  after(async () => {
    await exec([slipway, "compose", "down"], { cwd: folder }); // of a test that failed half-way
    await rm(folder, { recursive: true, force: true });
  });

  function up(...options: readonly string[]) {
    const child = spawn(slipway, ["compose", "up", ...options], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const seen = { out: "", err: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      seen.out += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      seen.err += text;
    });
    const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
    const ready = () =>
      until("services to be ready", () => /ready/.test(seen.out), {
        timeoutMs: 60_000,
        describe: () => seen.out + seen.err,
      });
    return { child, seen, ended, ready };
  }

  test("builds, runs, publishes, shows logs, and stops in order at Ctrl-C", async () => {
    const { child, seen, ended, ready } = up("--grace", "200ms");
    await ready();
    assert.match(seen.out, /^job \| prepared$/m);
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(seen.out)?.[0] ?? "";
    assert.equal(await (await fetch(url)).text(), "the page\n");
    await until("the request to be logged", () => /^web \| .*response:200/m.test(seen.out));
    child.kill("SIGINT");
    assert.equal(await ended, 130, seen.err);
    assert.match(seen.err, /^stopping \(press Ctrl-C again/m);
    assert.match(seen.out, /^stopped web/m);
    await assert.rejects(fetch(url));
    assert.deepEqual(await readdir(runs()), []);
  });

  const runs = (): string =>
    join(folder, ".slipway/compose/runs", folder.split("/").at(-1)?.toLowerCase() ?? "");

  test("down ends it from another terminal, and says when there is nothing", async () => {
    const { ended, ready, seen } = up("--json", "--grace", "200ms");
    await ready();
    const events = seen.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string });
    assert.ok(events.some(({ event }) => event === "ready"));
    const down = await exec([slipway, "compose", "down"], { cwd: folder });
    assert.equal(down.exitCode, 0, down.stderr);
    assert.match(down.stdout, /^stopped /);
    assert.equal(await ended, 130);
    const again = await exec([slipway, "compose", "down"], { cwd: folder });
    assert.match(again.stdout, /nothing of .* is running/);
  });

  test("the bases of the project's environment count, in the background too, and what is wrong with them is told", async () => {
    const config = join(folder, "slipway.config.ts");
    const environments = (bases: string): string =>
      `{ local: { clusters: { a: local() } }, desk: { clusters: { a: local() }, bases: ${bases} } }`;
    const write = (bases: string): Promise<void> =>
      writeFile(
        config,
        `import { defineConfig, local } from "slipway";\nexport default defineConfig({ name: "web", images: {}, manifests: ["k8s.yaml"], environments: ${environments(bases)} });\n`,
      );
    await writeFile(join(folder, "k8s.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: none }\n");
    await writeFile(
      join(folder, "job.Dockerfile"),
      'FROM registry.invalid/busybox:1\nENTRYPOINT ["busybox"]\n',
    );
    await writeFile(
      join(folder, "job.yaml"),
      "services:\n  job:\n    build: { context: ., dockerfile: job.Dockerfile }\n    command: [echo, built]\n",
    );
    const words = ["compose", "up", "-f", "job.yaml"];
    const run = (...more: readonly string[]) => exec([slipway, ...words, ...more], { cwd: folder });
    try {
      await write('{ "registry.invalid/busybox:1": "slipway/host/busybox" }');
      const [foreground, background, other] = [
        await run("--env", "desk"),
        await run("-d", "--env", "desk"),
        await run(),
      ];
      // A service of which nothing stays is not up; it was built, and ran.
      for (const { stdout, stderr } of [foreground, background])
        assert.match(stdout + stderr, /^ *job \| built$/m);
      assert.equal(other.exitCode, 3, other.stdout);
      assert.match(other.stderr, /registry\.invalid/);
      assert.doesNotMatch(other.stderr, /warning/);
      await write("7");
      const [named, unnamed] = [
        await run("--env", "desk"),
        await exec([slipway, ...words, "-f", "broken.yaml"], { cwd: folder }),
      ];
      assert.equal(named.exitCode, 2);
      assert.match(named.stderr, /^slipway: slipway\.config\.ts.*bases/m);
      assert.match(unnamed.stderr, /^warning: slipway\.config\.ts.*; built without its bases$/m);
    } finally {
      await rm(config, { force: true });
    }
  });

  test("a service that exits fails it at once, with its last lines", async () => {
    const { ended, seen } = up("-f", "broken.yaml");
    assert.equal(await ended, 1);
    assert.match(seen.err, /slipway: services\/web: exited with 3\n {2}web \| no disk/);
    assert.deepEqual(await readdir(runs()), []);
  });

  test("in the background it returns when it is ready, is refused a second time, and down ends it", async () => {
    const detached = await exec([slipway, "compose", "up", "-d", "--grace", "200ms"], { cwd: folder });
    assert.equal(detached.exitCode, 0, detached.stdout + detached.stderr);
    assert.match(
      detached.stdout,
      /^job \| prepared$[\s\S]*^ready in [\s\S]*in \.slipway\/compose\/\S+\.log/m,
    );
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(detached.stdout)?.[0] ?? "";
    assert.equal(await (await fetch(url)).text(), "the page\n");
    const log = join(folder, /\.slipway\/compose\/\S+\.log/.exec(detached.stdout)?.[0] ?? "none");
    await until("the request to be logged", async () => /response:200/.test(await readFile(log, "utf8")));
    const again = await exec([slipway, "compose", "up", "-d"], { cwd: folder });
    assert.equal(again.exitCode, 2);
    assert.match(again.stderr, /--detach: the project is running already/);
    const fixed = `services:\n  web:\n    build: web\n    ports: ["${new URL(url).port}:8080"]\n`;
    await writeFile(join(folder, "fixed.yaml"), fixed);
    const taken = await exec([slipway, "compose", "up", "-f", "fixed.yaml"], { cwd: folder });
    assert.equal(taken.exitCode, 3);
    assert.match(
      taken.stderr,
      /port \d+ of 127\.0\.0\.1 is taken\b.*\n {2}This project is running already \(process \d+\): slipway compose down stops it\.\n/,
    );
    const down = await exec([slipway, "compose", "down"], { cwd: folder });
    assert.match(down.stdout, /^stopped /);
    await assert.rejects(fetch(url));
    assert.match(await readFile(log, "utf8"), /^stopped web/m);
    assert.deepEqual(await readdir(runs()), []);
  });

  test("what fails on its way into the background fails as in the foreground, and leaves nothing", async () => {
    const failed = await exec([slipway, "compose", "up", "-d", "-f", "broken.yaml"], { cwd: folder });
    assert.equal(failed.exitCode, 1);
    assert.match(failed.stderr, /slipway: services\/web: exited with 3\n {2}web \| no disk/);
    assert.deepEqual(await readdir(runs()), []);
  });

  test("a person who loses patience before it is ready stops it", async () => {
    await writeFile(
      join(folder, "slow.yaml"),
      "services:\n  web:\n    build: web\n    command: [sleep, '600']\n    expose: ['1']\n",
    );
    const { child, ended, seen } = up("-d", "-f", "slow.yaml", "--grace", "200ms");
    await until("it to be built and begun", async () =>
      (await readdir(runs()).catch(() => [])).some((name) => name.startsWith("run-")),
    );
    child.kill("SIGINT");
    assert.equal(await ended, 130, seen.out + seen.err);
    assert.deepEqual(await readdir(runs()), []);
  });

  test("an unknown key is a usage error with its place", async () => {
    await writeFile(join(folder, "odd.yaml"), "services:\n  web:\n    imge: x\n");
    const odd = await exec([slipway, "compose", "up", "-f", "odd.yaml"], { cwd: folder });
    assert.deepEqual(
      [odd.exitCode, odd.stderr],
      [2, 'slipway: odd.yaml:3: services/web: unknown key "imge"\n  Did you mean "image"?\n'],
    );
  });
});
