// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in Dockerfiles look like template strings
import assert from "node:assert/strict";
import { chmod, cp, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import type { ImageSourceConfig } from "../config/types.ts";
import { type BuildEvent, type BuildOptions, buildImages } from "./build.ts";
import { ImageFiles } from "./layers.ts";
import { ImageLayout } from "./layout.ts";
import { hostPlatform, type ImageConfigFile, type ImageManifest } from "./oci.ts";
import type { RegistryClient } from "./registry/client.ts";
import { readImage } from "./source.ts";

let folder: string;
let layout: ImageLayout;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-build-test-"));
  layout = await ImageLayout.open(join(folder, "layout"));
});
after(() => rm(folder, { recursive: true, force: true }));

const noRegistry = new Proxy({} as RegistryClient, {
  get: (_, name) => () => Promise.reject(new Error(`the test has no registry (${String(name)})`)),
});

/** A folder with these files; a value that begins with "-> " is a link. */
async function project(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(folder, "project-"));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    if (content.startsWith("-> ")) await symlink(content.slice(3), join(root, path));
    else await writeFile(join(root, path), content);
  }
  return root;
}

const context = (
  root: string,
  name = "web",
  args: Readonly<Record<string, string>> = {},
): ImageSourceConfig => ({
  name,
  from: { kind: "context", context: root, dockerfile: join(root, "Dockerfile"), args },
});

const options = (
  root: string,
  images: readonly ImageSourceConfig[],
  over: Partial<BuildOptions> = {},
): BuildOptions => ({
  images,
  layout,
  registry: noRegistry,
  root,
  commitTimeMs: 1_700_000_000_123,
  isLocal: true,
  allowHostBases: [],
  ...over,
});

async function build(
  files: Readonly<Record<string, string>>,
  args: Readonly<Record<string, string>> = {},
): Promise<string> {
  const root = await project(files);
  const [image] = await buildImages(options(root, [context(root, "web", args)]));
  return image?.digest ?? "";
}

async function read(
  name = "web",
): Promise<{ config: ImageConfigFile; manifest: ImageManifest; files: ImageFiles }> {
  const image = await readImage(layout, name, "latest");
  assert.ok(image !== undefined);
  return { ...image, files: await ImageFiles.open(layout, image.manifest) };
}

/** `path mode uid:gid` of everything, folders with a slash. */
const shown = (files: ImageFiles): string[] =>
  [...files.entries()].map(
    ({ path, node }) =>
      `${path}${node.kind === "directory" ? "/" : node.kind === "symlink" ? ` -> ${node.link}` : ""} ${node.mode.toString(8)} ${node.uid}:${node.gid}`,
  );

const APP = {
  Dockerfile: 'FROM scratch\nWORKDIR /app\nCOPY . .\nENV A=1\nEXPOSE 8080\nUSER 1000\nCMD ["/app/run"]\n',
  ".dockerignore": "Dockerfile\n.dockerignore\n*.log\n",
  run: "#!/app/sh\n",
  "lib/b.txt": "b",
  "lib/a.txt": "a",
  link: "-> lib/a.txt",
  "debug.log": "noise",
};

test("the same content gives the same digest in another folder, with other times and another umask", async () => {
  const root = await project(APP);
  await chmod(join(root, "run"), 0o755);
  const [first] = await buildImages(options(root, [context(root)]));
  const [again] = await buildImages(options(root, [context(root)]));
  assert.equal(again?.digest, first?.digest);

  const copy = join(folder, "another place");
  await cp(root, copy, { recursive: true, verbatimSymlinks: true });
  await chmod(join(copy, "lib"), 0o700);
  await chmod(join(copy, "lib/a.txt"), 0o600);
  await chmod(join(copy, "run"), 0o700);
  await utimes(join(copy, "lib/b.txt"), 1, 1);
  const other = await ImageLayout.open(join(folder, "other layout"));
  const [elsewhere] = await buildImages(options(copy, [context(copy)], { layout: other }));
  assert.equal(elsewhere?.digest, first?.digest);

  await writeFile(join(copy, "lib/b.txt"), "c");
  const [changed] = await buildImages(options(copy, [context(copy)], { layout: other }));
  assert.notEqual(changed?.digest, first?.digest);
});

test("files, modes, owners and configuration are what the Dockerfile says", async () => {
  await build(APP);
  const { config, manifest, files } = await read();
  assert.deepEqual(shown(files), [
    "/app/ 755 0:0",
    "/app/lib/ 755 0:0",
    "/app/lib/a.txt 644 0:0",
    "/app/lib/b.txt 644 0:0",
    "/app/link -> lib/a.txt 777 0:0",
    "/app/run 644 0:0",
  ]);
  assert.equal(config.config.WorkingDir, "/app");
  assert.equal(config.config.User, "1000");
  assert.deepEqual(config.config.Cmd, ["/app/run"]);
  assert.deepEqual(config.config.Env, [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "A=1",
  ]);
  assert.deepEqual(config.config.ExposedPorts, { "8080/tcp": {} });
  assert.equal(config.created, "2023-11-14T22:13:20.000Z");
  assert.equal(config.rootfs.diff_ids.length, manifest.layers.length);
  assert.equal(config.history?.filter((entry) => entry.empty_layer !== true).length, manifest.layers.length);
});

test("variables come from ARG, from the config's args and from ENV, in Docker's order", async () => {
  const Dockerfile = [
    "ARG TAG=one",
    "FROM scratch AS base",
    "ARG TAG",
    "ARG LOCAL=here-$TAG",
    "ENV SEEN=$TAG/$LOCAL OTHER=${MISSING:-none}",
    "ENV SEEN2=$SEEN",
    'LABEL quoted="a \\"b\\" $TAG"',
    "FROM base",
    "LABEL v=$LOCAL.$SEEN",
  ].join("\n");
  await build({ Dockerfile }, { TAG: "two" });
  const { config } = await read();
  assert.deepEqual(config.config.Env?.slice(1), ["SEEN=two/here-two", "OTHER=none", "SEEN2=two/here-two"]);
  assert.equal(config.config.Labels?.["quoted"], 'a "b" two');
  assert.equal(config.config.Labels?.["v"], "here-two.two/here-two");
});

test("COPY puts things where Docker puts them", async () => {
  const files = { "src/a.js": "a", "src/deep/b.js": "b", "c.txt": "c", "d.txt": "d" };
  const table: [string, string[]][] = [
    ["COPY c.txt /x", ["/x"]],
    ["COPY c.txt /x/", ["/x/", "/x/c.txt"]],
    ["COPY c.txt d.txt /x/", ["/x/", "/x/c.txt", "/x/d.txt"]],
    ["COPY *.txt /x/", ["/x/", "/x/c.txt", "/x/d.txt"]],
    ["COPY src /x", ["/x/", "/x/a.js", "/x/deep/", "/x/deep/b.js"]],
    ["COPY src/*.js /x/", ["/x/", "/x/a.js"]],
    ["COPY src/. /x/", ["/x/", "/x/a.js", "/x/deep/", "/x/deep/b.js"]],
    ['COPY ["c.txt", "/with space/"]', ["/with space/", "/with space/c.txt"]],
    ["WORKDIR /w\nCOPY c.txt .", ["/w/", "/w/c.txt"]],
    ["WORKDIR /w\nWORKDIR v\nCOPY c.txt sub/", ["/w/", "/w/v/", "/w/v/sub/", "/w/v/sub/c.txt"]],
    ["WORKDIR /w\nCOPY c.txt /w", ["/w/", "/w/c.txt"]],
    ["COPY ../c.txt /../x", ["/x"]],
    ["COPY --chmod=600 --chown=5:6 c.txt /x", ["/x"]],
    ["ADD c.txt /x", ["/x"]],
    ["ADD src /x", ["/x/", "/x/a.js", "/x/deep/", "/x/deep/b.js"]],
    ["COPY c.txt \\\n  # a comment\n  /x", ["/x"]],
  ];
  for (const [instructions, expected] of table) {
    await build({ ...files, Dockerfile: `FROM scratch\n${instructions}\n`, ".dockerignore": "Dockerfile" });
    const { files: found } = await read();
    assert.deepEqual(
      [...found.entries()].map(({ path, node }) => (node.kind === "directory" ? `${path}/` : path)),
      expected,
      instructions,
    );
  }
});

test("folders of the base keep owner and mode, links of the base are followed, owners are looked up", async () => {
  const Dockerfile = [
    "FROM slipway/node",
    "COPY a /tmp/a",
    "COPY a /lib/a",
    "COPY --chown=node:node a /home/node/new/a",
    "COPY --chown=node a /home/node/b",
  ].join("\n");
  await build({ Dockerfile, a: "a" });
  const { files } = await read();
  const at = (path: string): string | undefined => shown(files).find((line) => line.startsWith(`${path} `));
  assert.equal(at("/tmp/"), "/tmp/ 1777 0:0");
  assert.equal(at("/home/node/"), "/home/node/ 755 1000:1000");
  assert.equal(at("/home/node/new/"), "/home/node/new/ 755 1000:1000");
  assert.equal(at("/home/node/b"), "/home/node/b 644 1000:1000");
  const found = files.lookup("/lib/a");
  assert.equal(found.kind, "found");
  const libc = files.lookup(
    process.arch === "arm64" ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2",
  );
  assert.equal(libc.kind, "found", "the base's /lib was not covered");
});

test("COPY --from takes files of another stage with their modes", async () => {
  const Dockerfile =
    "FROM scratch AS tools\nCOPY --chmod=700 --chown=7 a /t/a\nFROM scratch AS unused\nRUN make\nFROM scratch\nCOPY --from=tools /t /u\nCOPY --from=0 /t/a /v\n";
  await build({ Dockerfile, a: "text" });
  const { files } = await read();
  assert.deepEqual(shown(files), ["/u/ 755 0:0", "/u/a 700 0:0", "/v 700 0:0"]);
  const found = files.lookup("/u/a");
  assert.equal(found.kind === "found" ? await files.readText(found.node) : "", "text");
});

test("an image may build on another of the config, in any order, but not in a circle", async () => {
  const root = await project({
    "base/Dockerfile": "FROM scratch\nENV B=1",
    "app/Dockerfile": "FROM base\nENV C=2",
  });
  const images = [context(join(root, "app"), "app"), context(join(root, "base"), "base")];
  await buildImages(options(root, images));
  assert.deepEqual((await read("app")).config.config.Env?.slice(1), ["B=1", "C=2"]);

  const circle = await project({ "a/Dockerfile": "FROM b", "b/Dockerfile": "FROM a" });
  await assert.rejects(
    buildImages(options(circle, [context(join(circle, "a"), "a"), context(join(circle, "b"), "b")])),
    {
      code: "IMAGES_CIRCULAR",
      message: /a → b → a/,
    },
  );
});

test("ENTRYPOINT drops the base's CMD, a shell form is wrapped, HEALTHCHECK is kept", async () => {
  const Dockerfile = [
    'FROM scratch AS base\nCMD ["old"]',
    "FROM base",
    "ENTRYPOINT run $HOME",
    "HEALTHCHECK --interval=1m30s --retries=2 CMD curl -f x",
    "STOPSIGNAL SIGQUIT",
    'VOLUME ["/data", "/more"]',
    "EXPOSE 80 53/udp 9000-9001",
  ].join("\n");
  await build({ Dockerfile });
  const { config } = (await read()).config;
  assert.deepEqual(config.Entrypoint, ["/bin/sh", "-c", "run $HOME"]);
  assert.equal(config.Cmd, undefined);
  assert.deepEqual(config.Healthcheck, { Test: ["CMD-SHELL", "curl -f x"], Interval: 90e9, Retries: 2 });
  assert.equal(config.StopSignal, "SIGQUIT");
  assert.deepEqual(Object.keys(config.Volumes ?? {}), ["/data", "/more"]);
  assert.deepEqual(Object.keys(config.ExposedPorts ?? {}), ["80/tcp", "53/udp", "9000/tcp", "9001/tcp"]);
});

test("everything that needs an engine is listed with its line before anything is built", async () => {
  const Dockerfile = [
    "FROM scratch",
    "RUN --mount=type=ssh npm ci",
    "COPY <<EOF /x",
    "hello",
    "EOF",
    "ADD https://example.com/x.tar /x",
    "COPY --parents a /x",
    "ONBUILD COPY . .",
    "COPY --chmod=u+x a /x",
  ].join("\n");
  await assert.rejects(
    build({ Dockerfile, a: "a" }),
    (error: { code: string; message: string; hint: string; where: string; exitCode: number }) => {
      assert.equal(error.code, "DOCKERFILE_UNSUPPORTED");
      assert.equal(error.exitCode, 2);
      assert.equal(error.where, "Dockerfile:2");
      assert.match(error.message, /^5 instructions need a build engine/);
      for (const line of [2, 6, 7, 8, 9]) assert.match(error.message, new RegExp(`Dockerfile:${line}: `));
      assert.match(error.hint, /command: "docker build/);
      assert.match(error.hint, /archive/);
      assert.match(error.hint, /ref/);
      return true;
    },
  );
});

test("one ARG may name several, before the first FROM too", async () => {
  await build({
    Dockerfile: 'ARG BASE=scratch TEXT="a b"\nFROM $BASE\nARG TEXT OTHER=c\nLABEL t=$TEXT o=$OTHER',
  });
  const { Labels } = (await read()).config.config;
  assert.deepEqual([Labels?.["t"], Labels?.["o"]], ["a b", "c"]);
});

test("a mistake in a Dockerfile is one error with file and line", async () => {
  const table: [string, string, RegExp][] = [
    ["COPY a b", "Dockerfile:1", /before the first FROM/],
    ["FROM scratch\nCOPPY a /x", "Dockerfile:2", /unknown instruction COPPY/],
    ["FROM scratch\nFOO bar", "Dockerfile:2", /unknown instruction FOO/],
    ["", "Dockerfile:1", /no FROM/],
    ["FROM scratch\nCOPY missing /x", "Dockerfile:2", /"missing" is not in the build context/],
    ["FROM scratch\nCOPY secret.txt /x", "Dockerfile:2", /\.dockerignore leaves it out/],
    ["FROM scratch\nCOPY a b /x", "Dockerfile:2", /must end with a slash/],
    ["FROM scratch\n\nEXPOSE http", "Dockerfile:3", /"http" is not a port/],
    ["FROM scratch\nCOPY --chown=nobody a /x", "Dockerfile:2", /no user "nobody"/],
    ["FROM scratch\nENV A", "Dockerfile:2", /NAME=value/],
    ["FROM scratch\nENV A='x", "Dockerfile:2", /not closed/],
    ["FROM scratch\nWORKDIR", "Dockerfile:2", /needs an argument/],
    ["ARG T\nFROM $T", "Dockerfile:2", /is empty/],
    ["FROM scratch\nADD a.tar.gz /x/", "Dockerfile:2", /would unpack a\.tar\.gz/],
    ["FROM scratch\nCOPY outside /x", "Dockerfile:2", /leads out of the context/],
    ["FROM --platfrom=linux/amd64 scratch", "Dockerfile:1", /^FROM has no flag --platfrom$/],
    [
      "FROM scratch\nHEALTHCHECK --intervall=5s CMD x",
      "Dockerfile:2",
      /^HEALTHCHECK has no flag --intervall$/,
    ],
    ["FROM scratch\nHEALTHCHECK --retries=two CMD x", "Dockerfile:2", /--retries must be a whole number/],
  ];
  for (const [Dockerfile, where, message] of table) {
    const files = {
      a: "a",
      b: "b",
      "a.tar.gz": "BZh91AY",
      "secret.txt": "s",
      ".dockerignore": "secret.txt",
      outside: "-> /etc/hostname",
    };
    await assert.rejects(
      build({ ...files, Dockerfile }),
      { code: "DOCKERFILE_INVALID", where, message, exitCode: 2 },
      Dockerfile,
    );
  }
});

test("bases made from this machine are refused outside local environments unless allowed by name", async () => {
  const root = await project({ Dockerfile: "FROM slipway/node\n" });
  const away = (allowHostBases: readonly string[]): BuildOptions =>
    options(root, [context(root)], { isLocal: false, allowHostBases });
  await assert.rejects(buildImages(away([])), {
    code: "IMAGES_HOST_BASE_REFUSED",
    where: "Dockerfile:1",
    exitCode: 2,
  });
  await assert.rejects(buildImages(away(["slipway/host/nginx"])), { code: "IMAGES_HOST_BASE_REFUSED" });
  assert.equal((await buildImages(away(["slipway/node"]))).length, 1);
});

test("a program that is not installed is named with its install line", async () => {
  await assert.rejects(build({ Dockerfile: "FROM slipway/host/no-such-program\n" }), {
    code: "IMAGES_HOST_PROGRAM_MISSING",
    hint: /apt-get install no-such-program/,
    exitCode: 3,
  });
  await assert.rejects(build({ Dockerfile: "FROM slipway/python\n" }), { code: "IMAGES_HOST_BASE_UNKNOWN" });
});

test("another base may stand in for the one that FROM names", async () => {
  const root = await project({ Dockerfile: "FROM node:22-slim\nENV A=1\n" });
  const bases = { "node:22-slim": "slipway/node" };
  await buildImages(options(root, [context(root)], { bases }));
  const { config } = (await read()).config;
  assert.equal(config.Labels?.["org.opencontainers.image.base.name"], "slipway/node");
  await assert.rejects(buildImages(options(root, [context(root)])), /the test has no registry/);
});

test("a build argument that no ARG takes is a warning", async () => {
  const root = await project({ Dockerfile: "FROM scratch\nARG USED\n" });
  const events: BuildEvent[] = [];
  await buildImages(
    options(root, [context(root, "web", { USED: "1", LOST: "2" })], {
      onProgress: (event) => events.push(event),
    }),
  );
  assert.deepEqual(
    events.filter((event) => event.kind === "warning").map((event) => event.message),
    ["Dockerfile: no ARG takes the build argument LOST"],
  );
});

test("a command's archive is taken in; a failing command is shown with its line, exit code and last output", async () => {
  const root = await project({ Dockerfile: "FROM scratch\nCOPY a /a\n", a: "a" });
  const other = await ImageLayout.open(join(root, "exported"));
  const [inner] = await buildImages(options(root, [context(root, "inner")], { layout: other }));
  const tar = (text: string): ImageSourceConfig => ({
    name: "made",
    from: { kind: "command", command: ["sh", "-c", text] },
  });
  await rm(join(root, "exported", "slipway"), { recursive: true });
  const [made] = await buildImages(
    options(root, [tar('test "$SLIPWAY_IMAGE" = made:slipway && tar -cf "$SLIPWAY_ARCHIVE" -C exported .')]),
  );
  assert.equal(made?.digest, inner?.digest);
  await assert.rejects(buildImages(options(root, [tar("echo working; echo broken >&2; exit 7")])), {
    code: "IMAGES_COMMAND_FAILED",
    message: /exited 7:\n {2}working\n {2}broken/,
  });
  await assert.rejects(buildImages(options(root, [tar("true")])), {
    code: "IMAGES_COMMAND_FAILED",
    message: /left no archive/,
  });
  assert.equal(hostPlatform().os, "linux");
});
