/**
 * The same tree gives the same digests: in another folder, made in another order with other times and another umask,
 * by a process with another locale and time zone, into a layout of its own, on another kind of file system.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { exec, seededRandom } from "@slipway/base";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-same-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const NAMES = ["a", "B", "ä", "Z", "z", "_", "10", "9", "ı", "I", "node", "日本", "a-b", "a.b", "a/b"];

const TREE: Readonly<Record<string, string>> = {
  Dockerfile: `FROM slipway/node AS build
WORKDIR /src
COPY src .
RUN node -e 'for (const name of fs.readdirSync(".").reverse()) fs.cpSync(name, "/out/" + name, { recursive: true })'
RUN --mount=type=tmpfs,target=/scratch echo "$PATH" >/path && umask >/umask && node -e 'fs.writeFileSync("/scratch/x", "")'
FROM slipway/node
COPY --from=build /out /out
COPY --from=build /path /umask /
COPY . /all
USER node
CMD ["node", "/all/service/server.js"]
`,
  ".dockerignore": "layout\n*.mjs\n",
  "service/package.json": '{"name":"service","scripts":{"start":"node server.js"}}',
  "service/server.js": "setInterval(() => {}, 1000)",
  ...Object.fromEntries(NAMES.map((name) => [`src/${name.replace("/", "-in-")}/file`, name])),
};

interface Variant {
  readonly place: string;
  readonly umask: number;
  readonly seed: number;
  readonly time: number;
  readonly env: Readonly<Record<string, string>>;
}

/** A new copy of the tree, and the digests that a process of its own builds from it. */
async function digests({ place, umask, seed, time, env }: Variant): Promise<string> {
  const root = await mkdtemp(join(place, "tree-"));
  const random = seededRandom(seed);
  const files = Object.entries(TREE)
    .map((entry) => [random.int(1_000_000), entry] as const)
    .sort(([a], [b]) => a - b)
    .map(([, entry]) => entry);
  const before = process.umask(umask);
  try {
    for (const [path, text] of files) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
      await utimes(join(root, path), time, time);
    }
    await symlink("server.js", join(root, "service/link.js"));
    await chmod(join(root, "service/server.js"), 0o777 & ~umask);
  } finally {
    process.umask(before);
  }
  const program = join(root, "build.mjs");
  const here = JSON.stringify(import.meta.dirname);
  await writeFile(
    program,
    `process.umask(${umask});
const { buildImages } = await import(${here} + "/build.ts");
const { ImageLayout } = await import(${here} + "/layout.ts");
const root = ${JSON.stringify(root)};
const built = await buildImages({
  images: [
    { name: "web", from: { kind: "context", context: root, dockerfile: root + "/Dockerfile", args: {} } },
    { name: "service", from: { kind: "node", folder: root + "/service", env: {} } },
  ],
  layout: await ImageLayout.open(root + "/layout"),
  registry: undefined, root, commitTimeMs: 1_700_000_000_000, isLocal: true, allowHostBases: [],
});
console.log(built.map(({ digest }) => digest).join(" "));
`,
  );
  const result = await exec([process.execPath, "--disable-warning=ExperimentalWarning", program], {
    cwd: root,
    env: { PATH: process.env["PATH"], ...env },
  });
  await rm(root, { recursive: true, force: true });
  assert.equal(result.exitCode, 0, result.stderr);
  return result.stdout.trim();
}

test("the same tree gives the same digests, wherever, whenever and by whomever it is built", async () => {
  const first = {
    place: folder,
    umask: 0o022,
    seed: 1,
    time: 1_600_000_000,
    env: { LC_ALL: "C", TZ: "UTC" },
  };
  const other = {
    place: "/dev/shm", // names come in the order of their making, not of a hash
    umask: 0o077,
    seed: 2,
    time: 1_710_000_000,
    env: { LC_ALL: "tr_TR.UTF-8", LANG: "tr_TR.UTF-8", TZ: "Pacific/Apia", HOME: "/nonexistent" },
  };
  const expected = await digests(first);
  assert.match(expected, /^sha256:[0-9a-f]{64} sha256:[0-9a-f]{64}$/);
  assert.equal(await digests(other), expected);
  assert.equal(await digests({ ...other, place: folder, seed: 3, umask: 0o002 }), expected);
});
