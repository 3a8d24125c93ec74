/** Which build is checked after the work tree has changed, with a real git repository and the real command. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { exec, until, writeAtomic } from "@slipway/base";
import { FolderWatch } from "./folder-watch.ts";
import { watchedWithout } from "./verify.ts";
import { emptyHintOf } from "./verify-output.ts";

const repository = join(import.meta.dirname, "../../../..");
const bin = join(import.meta.dirname, "../../bin/slipway");
let folder: string;

const CONFIG = `import { defineConfig, local } from "slipway";
export default defineConfig({
  name: "hello",
  verify: ["spec/"],
  images: { web: { context: "web" } },
  manifests: ["k8s/"],
  environments: { local: { clusters: { tokyo: local() } } },
});
`;
const SPEC =
  'import { describeImage } from "slipway/verify";\ndescribeImage("web", (t) => t.file("/a.txt").exists());\n';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-verify-build-"));
  for (const name of ["web", "spec", "k8s"]) await mkdir(join(folder, name));
  await symlink(join(repository, "node_modules"), join(folder, "node_modules"));
  await write("slipway.config.ts", CONFIG);
  await write("spec/web.ts", SPEC);
  await write("web/Dockerfile", "FROM scratch\nCOPY a.txt /\n");
  await write("web/a.txt", "a\n");
  await write(".gitignore", "node_modules\n.slipway\n");
  await git("init", "-q");
  await commit();
  const built = await slipway("build", "--builder", "slipway");
  assert.equal(built.exitCode, 0, built.stdout + built.stderr);
});
after(() => rm(folder, { recursive: true, force: true }));

const write = (path: string, text: string) => writeFile(join(folder, path), text);
const git = (...words: readonly string[]) =>
  exec(["git", "-c", "user.name=you", "-c", "user.email=you@localhost", ...words], { cwd: folder });
const commit = async (): Promise<void> => {
  await git("add", "-A");
  const { exitCode, stderr } = await git("commit", "-q", "-m", "next");
  assert.equal(exitCode, 0, stderr);
};
const slipway = (...words: readonly string[]) => exec([bin, ...words], { cwd: folder, env: process.env });
const verify = (...words: readonly string[]) => slipway("verify", "--only", "image", ...words);

test("what was asked for and is not there is told with what there is", async () => {
  const table: readonly (readonly [words: readonly string[], said: RegExp])[] = [
    [["--image", "wep"], /--image wep: there is no such image; there are web\n.*Did you mean web/s],
    [["-t", "nothing"], /no checks were collected\n.*no check for --only image -t "nothing"/],
  ];
  for (const [words, said] of table) {
    const result = await verify(...words);
    assert.equal(result.exitCode, 2, result.stdout + result.stderr);
    assert.match(result.stdout + result.stderr, said);
  }
  assert.match(emptyHintOf([], []), /names no spec files: add verify: \["spec\/"\].*describeCompose/);
  assert.match(emptyHintOf(["spec"], []), /^No file under verify calls describeImage/);
});

test("a spec file that nobody names is told of; with one that is named, or none, nothing is", async () => {
  const told =
    /^warning: spec\/web\.ts: is not run, slipway\.config\.ts names no spec files\n {2}Add verify: \["spec\/"\]/m;
  assert.doesNotMatch((await verify()).stderr, told);
  await write("slipway.config.ts", CONFIG.replace('  verify: ["spec/"],\n', ""));
  assert.match((await verify()).stderr, told);
  await write("spec/web.ts", SPEC.replace("slipway/verify", "jasmine"));
  assert.doesNotMatch((await verify()).stderr, told);
  await git("checkout", "-q", ".");
});

test("what a run leaves in the tree outdates no build; what an image is built from does", async () => {
  const report = await verify("--junit", "left.xml");
  assert.equal(report.exitCode, 0, report.stdout + report.stderr);
  const NO_WORLD = 3;
  assert.equal((await slipway("push")).exitCode, NO_WORLD, "it would push");
  await write("web/new.txt", "new\n");
  const stale = await slipway("push");
  assert.equal(stale.exitCode, 2);
  assert.match(
    stale.stderr,
    /the images were built from .* is at [0-9a-f]{12}-dirty; changed: left\.xml, web\/new\.txt/,
  );
  await rm(join(folder, "web/new.txt"));
  await write("web/a.txt", "b\n");
  assert.equal((await slipway("push")).exitCode, 2);
  await git("checkout", "-q", "web");
  await rm(join(folder, "left.xml"));
});

test("what a command of the build leaves is told, and outdates nothing either", async () => {
  const made = join(folder, ".slipway/made.tar");
  const layout = join(folder, ".slipway/build/layout");
  const tar = await exec(["tar", "-cf", made, "-C", layout, "."]);
  assert.equal(tar.exitCode, 0, tar.stderr);
  const command = "date > built.log && cp .slipway/made.tar $SLIPWAY_ARCHIVE";
  await write("slipway.config.ts", CONFIG.replace('{ context: "web" }', JSON.stringify({ command })));
  await commit();
  const built = await slipway("build", "--builder", "slipway");
  assert.equal(built.exitCode, 0, built.stdout + built.stderr);
  assert.match(
    built.stdout,
    /^ {2}note: the build left built\.log in the work tree; name that in \.gitignore$/m,
  );
  assert.equal((await slipway("push")).exitCode, 3);
  await write("other.log", "");
  const stale = await slipway("push");
  assert.equal(stale.exitCode, 2);
  assert.match(stale.stderr, /changed: built\.log, other\.log/);
  await rm(join(folder, "other.log"));
  await rm(join(folder, "built.log"));
  await write("slipway.config.ts", CONFIG);
  await commit();
  assert.equal((await slipway("build", "--builder", "slipway")).exitCode, 0);
});

test("a report among the spec files is no change of them, nor is what is on its way to it", async () => {
  await mkdir(join(folder, "reports"));
  const [report, spec] = [join(folder, "reports/left.xml"), join(folder, "reports/web.ts")];
  const heard: string[] = [];
  const watch = new FolderWatch([watchedWithout([report], dirname(report))], (path) => heard.push(path));
  try {
    await writeAtomic(report, "x");
    await writeFile(spec, "x");
    // The system tells in the order in which it happened.
    await until("the spec file", () => heard.includes(spec));
    assert.deepEqual([...new Set(heard)], [spec]);
  } finally {
    watch.close();
    await rm(dirname(report), { recursive: true });
  }
});

test("an edited spec file and a report in the tree do not stop it, committed or not; a changed source does", async () => {
  await write("spec/web.ts", `${SPEC}// more\n`);
  const elsewhere = join(await mkdtemp(join(tmpdir(), "slipway-report-")), "report.xml");
  after(() => rm(dirname(elsewhere), { recursive: true, force: true }));
  for (const words of [["--junit", "report.xml"], ["--junit", elsewhere], [], ["-t", "exists"]]) {
    const result = await verify(...words);
    assert.equal(result.exitCode, 0, result.stdout + result.stderr);
    assert.match(result.stderr, /warning: the images were built from [0-9a-f]{12}, .* at [0-9a-f]{12}-dirty/);
  }
  await commit();
  assert.equal((await verify()).exitCode, 0);
  const push = await slipway("push");
  assert.equal(push.exitCode, 2);
  assert.match(push.stderr, /the images were built from/);
  await write("web/b.txt", "b\n");
  const stale = await verify();
  assert.equal(stale.exitCode, 2, stale.stdout + stale.stderr);
  assert.match(stale.stderr, /the images were built from .*; changed: web\/b\.txt/);
  await commit();
  assert.equal((await verify()).exitCode, 2);
});
