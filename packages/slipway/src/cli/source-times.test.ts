/** Each COPY is as old as the last commit that touched what it takes: which layers a commit changes, with git's own history. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { exec } from "@slipway/base";
import type { Config, ImageSourceConfig } from "../config/types.ts";
import { buildImages } from "../images/build.ts";
import { ImageFiles } from "../images/layers.ts";
import { ImageLayout } from "../images/layout.ts";
import type { RegistryClient } from "../images/registry/client.ts";
import { readImage } from "../images/source.ts";
import type { CliContext } from "./command.ts";
import { gitHistory, lastCommitOf } from "./git.ts";
import { shippableSources } from "./project.ts";

let folder: string;
let layout: ImageLayout;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-times-[1]-"));
  layout = await ImageLayout.open(join(folder, "layout"));
});
after(() => rm(folder, { recursive: true, force: true }));

interface Checkout {
  readonly root: string;
  /** Writes these, and commits what git does not ignore at that second. */
  readonly commit: (second: number, files: Readonly<Record<string, string>>) => Promise<void>;
  readonly git: (args: readonly string[], second?: number) => Promise<void>;
  /** Seconds of the files (and of folders below `/work`) whose times differ from their layer's neighbours, by path: one of each layer is enough. */
  readonly build: (args?: Readonly<Record<string, string>>) => Promise<Readonly<Record<string, number>>>;
}

async function checkout(): Promise<Checkout> {
  const root = await mkdtemp(join(folder, "checkout-"));
  const app = join(root, "app");
  const git = async (args: readonly string[], second = 0): Promise<void> => {
    const date = `@${second} +0000`;
    const env = { ...process.env, GIT_COMMITTER_DATE: date, GIT_AUTHOR_DATE: date };
    const who = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    const { exitCode, stderr } = await exec(["git", "-C", root, ...who, ...args], { env });
    assert.equal(exitCode, 0, stderr);
  };
  await git(["init", "-q"]);
  return {
    root,
    git,
    commit: async (second, files) => {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(root, path)), { recursive: true });
        if (text.startsWith("-> ")) await symlink(text.slice(3), join(root, path));
        else await writeFile(join(root, path), text);
      }
      await git(["add", "-A"]);
      await git(["commit", "-qm", "m", "--allow-empty"], second);
    },
    build: async (args = {}) => {
      const dockerfile = join(app, "Dockerfile");
      const last = await lastCommitOf(root, [app], process.env);
      await buildImages({
        images: [{ name: "web", from: { kind: "context", context: app, dockerfile, args } }],
        layout,
        registry: {} as RegistryClient,
        root,
        commitTimeMs: last?.timeMs ?? 0,
        history: gitHistory(root, process.env),
        isLocal: true,
        allowHostBases: [],
      });
      const image = await readImage(layout, "web", "latest");
      assert.ok(image);
      const files = await ImageFiles.open(layout, image.manifest);
      const times = [...files.entries()]
        .filter(({ path, node }) => node.kind === "file" || path.startsWith("/work"))
        .map(({ path, node }) => [path, node.mtime] as const);
      return Object.fromEntries(times);
    },
  };
}

const START = {
  "app/Dockerfile":
    "FROM scratch\nARG place=lib\nCOPY node_modules /m\nCOPY src /src\nCOPY $place /lib\nCOPY *.json /\nCOPY <<made /\nx\nmade\n",
  ".gitignore": "node_modules\ndist\n",
  "app/node_modules/a/index.js": "1",
  "app/package-lock.json": "{}",
  "app/src/a.js": "1",
  "app/lib/l.js": "1",
};

test("a commit dates what it touched: code, a lockfile with what was installed by it, heredocs by the Dockerfile", async () => {
  const { commit, build } = await checkout();
  await commit(1000, START);
  const all = (second: number): Readonly<Record<string, number>> => ({
    "/m/a/index.js": second,
    "/src/a.js": second,
    "/lib/l.js": second,
    "/package-lock.json": second,
    "/made": second,
  });
  assert.deepEqual(await build(), all(1000));
  await commit(2000, { "app/src/a.js": "2" });
  assert.deepEqual(await build(), { ...all(1000), "/src/a.js": 2000 });
  await commit(3000, { "README.md": "elsewhere" });
  await commit(4000, { "app/lib/l.js": "2" });
  assert.deepEqual(await build(), { ...all(1000), "/src/a.js": 2000, "/lib/l.js": 4000 });
  await commit(5000, { "app/package-lock.json": '{"a":1}', "app/node_modules/a/index.js": "2" });
  const locked = { "/m/a/index.js": 5000, "/package-lock.json": 5000 };
  assert.deepEqual(await build(), { ...all(1000), "/src/a.js": 2000, "/lib/l.js": 4000, ...locked });
  await commit(6000, { "app/Dockerfile": `${START["app/Dockerfile"]}LABEL a=b\n` });
  assert.deepEqual(await build(), {
    ...all(1000),
    "/src/a.js": 2000,
    "/lib/l.js": 4000,
    ...locked,
    "/made": 6000,
  });
});

test("what git does not keep is as old as the image: it may have changed without a commit of its own", async () => {
  const { commit, build } = await checkout();
  await commit(1000, {
    ...START,
    "app/Dockerfile": "FROM scratch\nCOPY dist /dist\nCOPY src /src\nCOPY . /all\n",
    "app/dist/index.html": "<script src=a1.js>",
  });
  await commit(2000, { "app/lib/l.js": "2", "app/dist/index.html": "<script src=b2.js>" });
  const times = await build();
  assert.equal(times["/dist/index.html"], 2000);
  assert.equal(times["/src/a.js"], 1000);
  assert.equal(times["/all/src/a.js"], 2000);
});

test("what the .dockerignore leaves out dates nothing, and a lockfile above the context counts", async () => {
  const { commit, build } = await checkout();
  await commit(1000, {
    ".gitignore": "node_modules\ndist\n",
    "package-lock.json": "{}",
    "app/Dockerfile": "FROM scratch\nCOPY src /src\nCOPY node_modules /m\n",
    "app/.dockerignore": "src/dist\n",
    "app/src/a.js": "1",
    "app/src/dist/x": "1",
    "app/node_modules/a/index.js": "1",
  });
  await commit(2000, { "app/other": "", "app/src/dist/x": "2" });
  assert.deepEqual(await build(), { "/src/a.js": 1000, "/m/a/index.js": 1000 });
  await commit(3000, { "package-lock.json": '{"a":1}' });
  assert.deepEqual(await build(), { "/src/a.js": 1000, "/m/a/index.js": 3000 });
});

test("a lockfile that git does not keep says nothing", async () => {
  const { commit, build } = await checkout();
  await commit(1000, { ...START, ".gitignore": "node_modules\npackage-lock.json\n", "app/a.json": "1" });
  await commit(2000, { "app/lib/l.js": "2" });
  assert.equal((await build())["/m/a/index.js"], 2000);
});

test("a link is as old as what it leads to, where that is younger", async () => {
  const { commit, build } = await checkout();
  await commit(1000, {
    "app/Dockerfile": "FROM scratch\nCOPY link /to\n",
    "app/real/a": "1",
    "app/link": "-> real",
  });
  await commit(2000, { "app/real/a": "2" });
  await commit(3000, { "app/other": "" });
  assert.deepEqual(await build(), { "/to/a": 2000 });
});

test("a link to what git does not keep is as old as the image, also where the .dockerignore leaves out the other name", async () => {
  const { commit, build } = await checkout();
  const files = {
    "app/.dockerignore": "dist\n",
    "app/Dockerfile": "FROM scratch\nCOPY current /to\nCOPY to/sub /sub\n",
  };
  await commit(1000, {
    ...files,
    ".gitignore": "dist\n",
    "app/dist/a": "1",
    "app/dist/sub/b": "1",
    "app/current": "-> dist",
    "app/to": "-> dist",
  });
  await commit(2000, { "app/other": "", "app/dist/a": "2" });
  assert.deepEqual(await build(), { "/to/a": 2000, "/to/sub/b": 2000, "/sub/b": 2000 });
});

test("a submodule is as old as the image: what git ignores in it the repository around it does not list", async () => {
  const other = await checkout();
  await other.commit(500, { ".gitignore": "made\n", kept: "1" });
  const { git, commit, build } = await checkout();
  await commit(1000, {
    "app/Dockerfile": "FROM scratch\nCOPY vendor /vendor\nCOPY src /src\n",
    "app/src/a": "1",
  });
  const allowed = ["-c", "protocol.file.allow=always"];
  await git([...allowed, "submodule", "--quiet", "add", "-f", other.root, "app/vendor/sub"]);
  await commit(2000, {});
  await commit(3000, { "app/other": "", "app/vendor/sub/made": "2" });
  assert.deepEqual(await build(), {
    "/vendor/sub/.gitignore": 3000,
    "/vendor/sub/kept": 3000,
    "/vendor/sub/made": 3000,
    "/src/a": 1000,
    "/vendor/sub/.git": 3000,
  });
});

test("heredocs are as old as the image where build arguments are given: these come from elsewhere", async () => {
  const { commit, build } = await checkout();
  const Dockerfile = "FROM scratch\nARG a=1\nCOPY <<made /\n$a\nmade\n";
  await commit(1000, { "app/Dockerfile": Dockerfile });
  await commit(2000, { "app/other": "" });
  assert.deepEqual(await build(), { "/made": 1000 });
  assert.deepEqual(await build({ a: "2" }), { "/made": 2000 });
});

test("however many COPY there are, and however many files one names", async () => {
  const { commit, build } = await checkout();
  const folders = Array.from({ length: 20 }, (_, at) => `f${at}`);
  const names = Array.from({ length: 1200 }, (_, at) => `app/many/${"it's-".repeat(20)}${at}`);
  const lines = ["FROM scratch", ...folders.map((name) => `COPY ${name} /${name}`), "COPY many/* /many/", ""];
  await commit(1000, {
    "app/Dockerfile": lines.join("\n"),
    ...Object.fromEntries([...folders.map((name) => `app/${name}/x`), ...names].map((path) => [path, "1"])),
  });
  await commit(2000, { [names[700] as string]: "2" });
  await commit(3000, { "app/f7/x": "2" });
  const times = Object.entries(await build());
  const of = (second: number): readonly string[] =>
    times.flatMap(([path, time]) => (time === second ? [path] : []));
  assert.deepEqual(of(3000), ["/f7/x"]);
  assert.equal(of(1000).length, 19);
  assert.equal(of(2000).length, 1200);
});

test("what a stage hands over is as old as its newest source", async () => {
  const { commit, build } = await checkout();
  await commit(1000, {
    "app/Dockerfile":
      "FROM scratch AS one\nCOPY src /src\nFROM one AS two\nCOPY lib /lib\nFROM scratch\nCOPY --from=two /src /src\nCOPY other /\n",
    "app/src/a": "1",
    "app/lib/b": "1",
    "app/other": "1",
  });
  await commit(2000, { "app/lib/b": "2" });
  await commit(3000, { "app/other": "2" });
  assert.deepEqual(await build(), { "/src/a": 2000, "/other": 3000 });
});

test("a folder that WORKDIR makes is as old as the Dockerfile, where the base has no time of its own", async () => {
  const { commit, build } = await checkout();
  await commit(1000, { "app/Dockerfile": "FROM scratch\nWORKDIR /work\nCOPY src /src\n", "app/src/a": "1" });
  await commit(2000, { "app/src/a": "2" });
  assert.deepEqual(await build(), { "/work": 1000, "/src/a": 2000 });
});

test("a shallow clone tells that it does not know, also when it knows of the image", async () => {
  const { root, commit, git } = await checkout();
  await commit(1000, { "app/src/a": "1" });
  for (const second of [2000, 3000]) await commit(second, { "app/other": String(second) });
  const clone = join(root, "clone");
  await git(["clone", "-q", "--depth", "2", `file://${root}`, clone]);
  const asked = async (folder: string): Promise<readonly [number | undefined, boolean]> => {
    const history = gitHistory(folder, process.env);
    // What is looked ahead at may not be wanted in the end.
    history.lookAhead([join(folder, "app/src")]);
    await history.lastChange([join(folder, "app/other")]);
    assert.equal(history.isCutOff, false);
    return [await history.lastChange([join(folder, "app/src")]), history.isCutOff];
  };
  assert.deepEqual(await asked(root), [1000_000, false]);
  assert.equal((await lastCommitOf(clone, [join(clone, "app")], process.env))?.isCutOff, false);
  assert.deepEqual(await asked(clone), [2000_000, true]);
});

test("what a command of the build makes is not kept by git, and so as young as the image", async () => {
  const { root, commit } = await checkout();
  await commit(1000, START);
  const app = join(root, "app");
  const images: readonly ImageSourceConfig[] = [
    { name: "made", from: { kind: "command", command: ["make"] } },
    { name: "web", from: { kind: "context", context: app, dockerfile: join(app, "Dockerfile"), args: {} } },
  ];
  const context = { env: process.env } as CliContext;
  const config = { root, images, isLocal: true } as unknown as Config;
  const { history } = await shippableSources(context, { options: {}, arguments: [] }, config);
  await mkdir(join(app, "src/dist"));
  await writeFile(join(app, "src/dist/a.js"), "made");
  assert.ok((await history.ignored(app))?.includes(join(app, "src/dist")));
});

test("without git all are as old as the image", async () => {
  const { root, commit, build } = await checkout();
  await commit(1000, START);
  await rm(join(root, ".git"), { recursive: true });
  assert.deepEqual(new Set(Object.values(await build())), new Set([0]));
});
