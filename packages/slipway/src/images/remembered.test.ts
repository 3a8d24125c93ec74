/**
 * What builds remember is never more than time: whatever a cache holds, the same tree gives the digest that it gives
 * without one. Records are taken away, cut short, changed, exchanged for one another and left from builds that were killed.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { systemClock } from "@slipway/base";
import fc from "fast-check";
import { type BuildOptions, buildImages } from "./build.ts";
import { ImageLayout } from "./layout.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-remembered-"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Sees every file at rest, so that all that can be remembered is. */
const late = { ...systemClock, now: () => systemClock.now() + 60_000 };

const text = (seed: number): string =>
  Array.from(
    { length: 400 },
    (_, line) => `exports.a${line} = ${(line * 7919 * (seed + 1)) % 100_003};\n`,
  ).join("");

/** Some 60 files in several blocks, and a Dockerfile that puts them into two layers. */
async function makeTree(): Promise<string> {
  const root = await mkdtemp(join(folder, "tree-"));
  const files = new Map([
    ["Dockerfile", "FROM scratch\nWORKDIR /app\nCOPY lib ./lib\nCOPY src ./src\n"],
    ...Array.from(
      { length: 60 },
      (_, at) => [`${at % 3 === 0 ? "src" : "lib"}/d${at % 7}/f${at}.js`, text(at)] as const,
    ),
  ]);
  for (const [path, content] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

async function digestOf(root: string, directory: string): Promise<string> {
  const layout = await ImageLayout.open(directory, { clock: late });
  const from = { kind: "context", context: root, dockerfile: join(root, "Dockerfile"), args: {} } as const;
  const options = { layout, root, commitTimeMs: 1_700_000_000_000, isLocal: true, allowHostBases: [] };
  const [built] = await buildImages({
    ...options,
    images: [{ name: "web", from }],
  } as unknown as BuildOptions);
  // The layers too must be what the digest says.
  const manifest = await layout.readJson<{ layers: { digest: string }[] }>(built?.digest ?? "");
  for (const { digest } of manifest.layers) await layout.read(digest);
  return built?.digest ?? "";
}

const fresh = async (root: string): Promise<string> => digestOf(root, await mkdtemp(join(folder, "fresh-")));

const damage = fc.record({
  /** Of all files, by their names in order. */
  file: fc.nat(),
  how: fc.constantFrom("gone", "empty", "cut", "changed", "another's", "no JSON", "number"),
  at: fc.nat(),
});

async function harm(path: string, how: string, at: number, other: string): Promise<void> {
  const bytes = await readFile(path);
  if (how === "gone") await rm(path);
  if (how === "empty") await truncate(path, 0);
  if (how === "cut") await truncate(path, at % (bytes.length + 1));
  if (how === "another's" && other !== path && existsSync(other)) await cp(other, path);
  if (how === "no JSON") await writeFile(path, "{");
  if (how === "number") await writeFile(path, "7");
  if (how !== "changed" || bytes.length === 0) return;
  bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ (1 + (at % 255));
  await writeFile(path, bytes);
}

test("whatever a cache holds, the same tree has the same digest", async () => {
  const root = await makeTree();
  const expected = await fresh(root);
  const filled = join(folder, "filled");
  await digestOf(root, filled);
  const edited = join(root, "src/d0/f0.js");
  await writeFile(edited, "exports.other = 1;\n");
  await digestOf(root, filled); // records of another tree lie there too
  await writeFile(edited, text(0));
  assert.equal(await digestOf(root, filled), expected);
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 12 }), async (damages) => {
      const directory = await mkdtemp(join(folder, "harmed-"));
      await cp(filled, directory, { recursive: true });
      const records = globSync("slipway/**/*.json", { cwd: directory });
      const paths = records.sort().map((path) => join(directory, path));
      for (const { file, how, at } of damages) {
        const path = paths[file % paths.length] as string;
        if (existsSync(path))
          await harm(path, how, at, paths.find((one) => dirname(one) === dirname(path)) as string);
      }
      assert.equal(await digestOf(root, directory), expected);
      assert.equal(await digestOf(root, directory), expected);
      await rm(directory, { recursive: true });
    }),
    { numRuns: 15 },
  );
});

test("layers that are gone or cut short are made again", async () => {
  const root = await makeTree();
  const expected = await fresh(root);
  const directory = join(folder, "cut");
  await digestOf(root, directory);
  for (const how of ["gone", "empty", "cut"]) {
    for (const blob of globSync("blobs/sha256/*", { cwd: directory }))
      await harm(join(directory, blob), how, 40, "");
    assert.equal(await digestOf(root, directory), expected, how);
  }
});

test("a member that was damaged in the layer where it lies is packed again", async () => {
  const root = await makeTree();
  const directory = join(folder, "members");
  const layout = await ImageLayout.open(directory);
  const before = await layout.readJson<{ layers: { digest: string }[] }>(await digestOf(root, directory));
  // Of the two that are made again below: one that stays is found to be damaged by whoever reads it.
  for (const { digest } of before.layers.slice(-2)) await harm(layout.blobPath(digest), "changed", 3_000, "");
  for (const part of ["src", "lib"]) await writeFile(join(root, part, "d0", "new.js"), "new\n");
  assert.equal(await digestOf(root, directory), await fresh(root));
});

test("a file that changes within the tick of a build, its size and time put back, is read again", async () => {
  const root = await makeTree();
  const directory = join(folder, "racy");
  const path = join(root, "src/d0/f0.js");
  for (let round = 0; round < 5; round += 1) {
    await writeFile(path, `round ${round}`);
    await utimes(path, 1000, 1000);
    assert.equal(await digestOf(root, directory), await fresh(root), `${round}`);
  }
});

test("builds of one layout at once give what each gives alone", async () => {
  const trees = await Promise.all([makeTree(), makeTree()]);
  await writeFile(join(trees[1] as string, "src/d0/f0.js"), "another\n");
  const expected = await Promise.all(trees.map(fresh));
  assert.notEqual(expected[0], expected[1]);
  const directory = join(folder, "shared");
  for (let round = 0; round < 3; round += 1) {
    const six = await Promise.all(
      [0, 1, 0, 1, 0, 1].map((tree) => digestOf(trees[tree] as string, directory)),
    );
    assert.deepEqual(
      six,
      [0, 1, 0, 1, 0, 1].map((tree) => expected[tree]),
    );
  }
});

test("a build that was killed leaves nothing that the next takes for whole", async () => {
  const root = await makeTree();
  const expected = await fresh(root);
  const directory = join(folder, "killed");
  const program = join(folder, "killed.mjs");
  await writeFile(
    program,
    `const { buildImages } = await import(${JSON.stringify(join(import.meta.dirname, "build.ts"))});
const { ImageLayout } = await import(${JSON.stringify(join(import.meta.dirname, "layout.ts"))});
const [root, directory] = process.argv.slice(2);
for (let round = 0; ; round += 1)
  await buildImages({
    images: [{ name: "web", from: { kind: "context", context: root, dockerfile: root + "/Dockerfile", args: {} } }],
    layout: await ImageLayout.open(directory), root, commitTimeMs: 1_700_000_000_000 + round * 1000,
    isLocal: true, allowHostBases: [], onProgress: ({ kind }) => process.stdout.write(kind),
  });
`,
  );
  for (const seen of [1, 2, 3, 4, 5]) {
    const child = spawn(process.execPath, [
      "--disable-warning=ExperimentalWarning",
      program,
      root,
      directory,
    ]);
    for (let count = 0; count < seen; count += 1) await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.equal(await digestOf(root, directory), expected, `killed after ${seen}`);
  }
});
