/** Which build is checked after the work tree has changed, with a real git repository and the real command. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { exec } from "@slipway/base";
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
