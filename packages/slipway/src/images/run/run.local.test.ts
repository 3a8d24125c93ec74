// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in Dockerfiles look like template strings
/** RUN for real: commands in namespaces, over bases made from this machine. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { exec, SlipwayError, systemClock, until } from "@slipway/base";
import type { BinfmtMisc } from "@slipway/cluster/binfmt-misc";
import type { ImageSourceConfig } from "../../config/types.ts";
import { type BuildEvent, type BuildOptions, buildImages } from "../build.ts";
import { ImageFiles } from "../layers.ts";
import { ImageLayout } from "../layout.ts";
import { hostPlatform, type ImageConfigFile, type ImageManifest } from "../oci.ts";
import type { RegistryClient } from "../registry/client.ts";
import { readImage } from "../source.ts";

let folder: string;
let layout: ImageLayout;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-run-test-"));
  layout = await ImageLayout.open(join(folder, "layout"));
});
after(() => rm(folder, { recursive: true, force: true }));

const noRegistry = new Proxy({} as RegistryClient, {
  get: (_, name) => () => Promise.reject(new Error(`the test has no registry (${String(name)})`)),
});

interface Built {
  readonly digest: string;
  readonly config: ImageConfigFile;
  readonly manifest: ImageManifest;
  readonly files: ImageFiles;
  readonly output: string;
}

type ContextOptions = Partial<ImageSourceConfig["from"] & { readonly kind: "context" }>;

async function build(
  files: Readonly<Record<string, string>>,
  from: ContextOptions = {},
  over: Partial<BuildOptions> = {},
): Promise<Built> {
  const root = await mkdtemp(join(folder, "project-"));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  const into = over.layout ?? layout;
  const events: BuildEvent[] = [];
  const [image] = await buildImages({
    images: [
      {
        name: "web",
        from: { kind: "context", context: root, dockerfile: join(root, "Dockerfile"), args: {}, ...from },
      },
    ],
    layout: into,
    registry: noRegistry,
    root,
    commitTimeMs: 1_700_000_000_000,
    isLocal: true,
    allowHostBases: [],
    onProgress: (event) => events.push(event),
    ...over,
  });
  const read = await readImage(into, "web", "latest");
  assert.ok(read !== undefined);
  return {
    digest: image?.digest ?? "",
    config: read.config,
    manifest: read.manifest,
    files: await ImageFiles.open(into, read.manifest),
    output: events.map((event) => (event.kind === "output" ? event.text : "")).join(""),
  };
}

async function text(files: ImageFiles, path: string): Promise<string> {
  const found = files.lookup(path);
  assert.equal(found.kind, "found", `${path}: ${found.kind === "found" ? "" : found.why}`);
  return found.kind === "found" ? files.readText(found.node) : "";
}

/** What the topmost layers that RUN made changed, as `path mode uid:gid`. */
async function changed(built: Built, layers = 1): Promise<readonly string[]> {
  const from = built.manifest.layers.length - layers;
  const top = await ImageFiles.open(layout, { layers: built.manifest.layers.slice(from) });
  return [...top.entries()].map(
    ({ path, node }) =>
      `${path}${node.kind === "directory" ? "/" : node.kind === "symlink" ? ` -> ${node.link}` : ""} ${node.mode.toString(8)} ${node.uid}:${node.gid}`,
  );
}

test("a file that says nothing of what runs it is not given to a shell, as no engine does", async () => {
  const Dockerfile = `FROM slipway/host/dash
SHELL ["/usr/bin/dash", "-c"]
COPY --chmod=755 lines /
COPY --from=slipway/host/dash /usr/bin/dash /bin/sh
RUN /lines
RUN ["/lines"]
`;
  await assert.rejects(build({ Dockerfile, lines: "echo ran\n" }), (error: SlipwayError) => {
    assert.deepEqual([error.code, error.where], ["DOCKERFILE_RUN_FAILED", "Dockerfile:6"]);
    assert.match(error.message, /exited 1:\n {2}exec \/lines: exec format error/);
    return true;
  });
});

test("a RUN line for a shell that is not there names the shell and what to write; the shell that is there runs", async () => {
  const Dockerfile = "FROM slipway/host/dash\nRUN echo hi\n";
  await assert.rejects(build({ Dockerfile }), (error: SlipwayError) => {
    assert.deepEqual([error.code, error.where], ["DOCKERFILE_RUN_FAILED", "Dockerfile:2"]);
    assert.match(error.message, /^RUN echo hi: there is no \/bin\/sh in the image/);
    assert.match(error.hint ?? "", /SHELL \["\/usr\/bin\/dash", "-c"\]/);
    return true;
  });
  const named = 'FROM slipway/host/dash\nSHELL ["/usr/bin/dash", "-c"]\nRUN printf one\nRUN printf two\n';
  assert.match((await build({ Dockerfile: named })).output, /^one\ntwo\n/m);
});

test("a command sees ENV, ARG, WORKDIR, SHELL and the layers below, and leaves what it changed", async () => {
  const built = await build(
    {
      "a.txt": "one\n",
      Dockerfile: `FROM slipway/node
ARG WHO=nobody
ENV GREETING=hello
WORKDIR /app
COPY a.txt .
RUN echo "$GREETING $WHO from $PWD" >said && node -e 'fs.appendFileSync("a.txt", "two\\n"); fs.chmodSync("said", 0o640)'
RUN ["node", "-e", "fs.mkdirSync('/srv/deep', {recursive: true}); fs.symlinkSync('../app', '/srv/link'); fs.linkSync('a.txt', 'b.txt'); console.log('loud')"]
SHELL ["node", "-e"]
RUN fs.writeFileSync("/shell", process.argv0)
`,
    },
    { args: { WHO: "ci" } },
  );
  assert.equal(await text(built.files, "/app/said"), "hello ci from /app\n");
  assert.equal(await text(built.files, "/app/a.txt"), "one\ntwo\n");
  assert.equal(await text(built.files, "/app/b.txt"), "one\ntwo\n");
  assert.equal(await text(built.files, "/shell"), "node");
  assert.match(built.output, /loud/);
  assert.deepEqual(await changed(built, 3), [
    "/app/ 755 0:0",
    "/app/a.txt 644 0:0",
    "/app/b.txt 644 0:0",
    "/app/said 640 0:0",
    "/shell 644 0:0",
    "/srv/ 755 0:0",
    "/srv/deep/ 755 0:0",
    "/srv/link -> ../app 777 0:0",
  ]);
  assert.equal(built.config.history?.at(-1)?.created_by, 'RUN fs.writeFileSync("/shell", process.argv0)');
  assert.equal(
    built.config.history?.filter((entry) => entry.empty_layer !== true).length,
    built.manifest.layers.length,
  );
});

test("what a command deletes is gone, also in the layer: whiteouts and opaque folders", async () => {
  const built = await build({
    "d/old": "1",
    "d/keep": "2",
    "e/gone": "3",
    Dockerfile: `FROM slipway/node
COPY d /d
COPY e /e
RUN node -e 'fs.rmSync("/d/old"); fs.rmSync("/e", {recursive: true}); fs.mkdirSync("/e"); fs.writeFileSync("/e/new", "")'
`,
  });
  assert.equal(built.files.lookup("/d/old").kind, "absent");
  assert.equal(built.files.lookup("/e/gone").kind, "absent");
  assert.equal(await text(built.files, "/d/keep"), "2");
  assert.equal(built.files.lookup("/e/new").kind, "found");
});

test("heredocs: scripts, scripts with an interpreter, input of a command, and files of COPY", async () => {
  const built = await build({
    Dockerfile: `FROM slipway/node
ARG NAME=world
RUN <<EOF
set -e
# a comment of the script
echo "hello $NAME" >/one
EOF
RUN <<"JS"
#!/usr/local/bin/node
require("fs").writeFileSync("/two", "\${not a variable}");
JS
RUN node - <<-A && echo done >/four
	require("fs").writeFileSync("/three", "$NAME")
	A
COPY <<conf.txt <<'raw.txt' /etc/app/
name = $NAME
conf.txt
raw = $NAME
raw.txt
COPY --chmod=755 <<EOF /bin/tool
#!/bin/sh
EOF
`,
  });
  assert.equal(await text(built.files, "/one"), "hello world\n");
  assert.equal(await text(built.files, "/two"), "${not a variable}");
  assert.equal(await text(built.files, "/three"), "world");
  assert.equal(await text(built.files, "/four"), "done\n");
  assert.equal(await text(built.files, "/etc/app/conf.txt"), "name = world\n");
  assert.equal(await text(built.files, "/etc/app/raw.txt"), "raw = $NAME\n");
  const tool = built.files.lookup("/bin/tool");
  assert.equal(tool.kind === "found" && tool.node.mode, 0o755);
  assert.equal(built.files.lookup("/run/slipway").kind, "absent");
});

test("stages: only what the last one needs runs, and COPY --from takes what a command made", async () => {
  const built = await build({
    "src.txt": "source",
    Dockerfile: `ARG BASE=slipway/node
FROM \${BASE} AS build
COPY src.txt /src.txt
RUN node -e 'fs.writeFileSync("/out.txt", fs.readFileSync("/src.txt", "utf8").toUpperCase())'
FROM slipway/node AS unused
RUN exit 1
FROM slipway/node
COPY --from=build --chown=1000:1000 --chmod=600 /out.* /app/
HEALTHCHECK --interval=5s CMD ["node", "-e", "0"]
`,
  });
  assert.equal(await text(built.files, "/app/out.txt"), "SOURCE");
  const out = built.files.lookup("/app/out.txt");
  assert.deepEqual(out.kind === "found" && [out.node.mode, out.node.uid], [0o600, 1000]);
});

test("USER: the command runs as it, with its home", async () => {
  const built = await build({
    Dockerfile: `FROM slipway/node
RUN node -e 'fs.mkdirSync("/data"); fs.chownSync("/data", 1000, 1000)'
USER node
RUN node -e 'fs.writeFileSync("/data/who", [process.getuid(), process.getgid(), process.env.HOME].join(" "))'
`,
  });
  assert.equal(await text(built.files, "/data/who"), "1000 1000 /home/node");
  assert.deepEqual(await changed(built), ["/data/ 755 1000:1000", "/data/who 644 1000:1000"]);
});

test("what USER may look into does not depend on the umask of who builds", async () => {
  const other = await ImageLayout.open(join(folder, "umask-layout"));
  const umask = process.umask(0o077);
  try {
    const { files } = await build(
      {
        Dockerfile: `FROM slipway/node
USER node
WORKDIR /home/node
RUN --mount=type=cache,target=/srv/deep/cache,uid=1000 node -e 'fs.writeFileSync("/srv/deep/cache/x", ""); fs.copyFileSync("/etc/hosts", "hosts"); fs.readFileSync("/etc/resolv.conf")'
`,
      },
      {},
      { layout: other },
    );
    assert.match(await text(files, "/home/node/hosts"), /localhost/);
  } finally {
    process.umask(umask);
  }
});

test("an unchanged rebuild runs nothing; a changed command, argument or file does", async () => {
  const files = {
    "in.txt": "1",
    Dockerfile:
      "FROM slipway/node\nARG X=1\nCOPY in.txt /in.txt\nRUN node -e 'console.log(`ran` + 1); fs.writeFileSync(`/r`, String(Math.random()))'\n",
  };
  const first = await build(files);
  assert.match(first.output, /ran1/);
  const again = await build(files);
  assert.equal(again.output, "");
  assert.equal(again.digest, first.digest);
  // Another commit that leaves the files as they are: other times in COPY's layer, the same layer of RUN.
  const later = await build(files, {}, { commitTimeMs: 1_800_000_000_000 });
  assert.equal(later.output, "");
  assert.equal(later.manifest.layers.at(-1)?.digest, first.manifest.layers.at(-1)?.digest);
  assert.match((await build(files, { args: { X: "2" } })).output, /ran1/);
  assert.match((await build({ ...files, "in.txt": "2" })).output, /ran1/);
});

test("a command that always does the same gives the same digest in another layout", async () => {
  const files = {
    Dockerfile:
      "FROM slipway/node\nRUN node -e 'for (const n of [`b`, `a`, `c`]) fs.writeFileSync(`/` + n, n)'\n",
  };
  const first = await build(files);
  const other = await ImageLayout.open(join(folder, "other-layout"));
  const umask = process.umask(0o077);
  try {
    const second = await build(files, {}, { layout: other });
    assert.equal(second.digest, first.digest);
  } finally {
    process.umask(umask);
  }
});

test("a failure names the line, the exit code and the last lines", async () => {
  await assert.rejects(
    build({ Dockerfile: "FROM slipway/node\n\nRUN echo before; echo the reason >&2; exit 7\n" }),
    (error: unknown) => {
      assert.ok(error instanceof SlipwayError);
      assert.equal(error.code, "DOCKERFILE_RUN_FAILED");
      assert.equal(error.where, "Dockerfile:3");
      assert.equal(
        error.message,
        "RUN echo before; echo the reason >&2; exit 7 exited 7:\n  before\n  the reason",
      );
      return true;
    },
  );
  assert.deepEqual(readdirSync(layout.cachePath("run")), []);
});

test("a package manager that slipway/node has not is said to be none of it, with what to write instead", async () => {
  const hintOf = async (Dockerfile: string): Promise<string> => {
    const failure = await build({ Dockerfile }).then(
      () => assert.fail("it was built"),
      (error: SlipwayError) => error,
    );
    assert.match(failure.message, /exited 127/);
    return failure.hint ?? "";
  };
  for (const command of ["npm ci", "mkdir -p /x && yarn install", '["npx", "tsc"]']) {
    const hint = await hintOf(`FROM slipway/node AS build\nFROM build\nRUN ${command}\n`);
    assert.match(
      hint,
      /^slipway\/node is Node alone, without (npm|yarn|npx)\. .*\{ node: "FOLDER" \}/,
      command,
    );
  }
  assert.match(await hintOf("FROM slipway/node\nRUN make all\n"), /^Correct the command/);
});

test("the host's network, unless --network=none says otherwise", async () => {
  const server = createServer((socket) => socket.end("hi"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const dial = `node -e 'net.connect(${port}, "127.0.0.1").on("data", (d) => fs.writeFileSync("/got", d)).on("error", (e) => fs.writeFileSync("/got", e.code))'`;
  try {
    const open = await build({ Dockerfile: `FROM slipway/node\nRUN ${dial}\n` });
    assert.equal(await text(open.files, "/got"), "hi");
    const closed = await build({ Dockerfile: `FROM slipway/node\nRUN --network=none ${dial}\n` });
    assert.notEqual(await text(closed.files, "/got"), "hi");
    const all = await build({ Dockerfile: `FROM slipway/node\nRUN : ; ${dial}\n` }, { network: "none" });
    assert.notEqual(await text(all.files, "/got"), "hi");
  } finally {
    server.close();
  }
});

test("mounts: a cache lives on, a secret is seen and not kept, files are bound, nothing of it is in the layer", async () => {
  process.env["SLIPWAY_TEST_SECRET"] = "s3cret\n";
  const dockerfile = (round: number): string => `FROM slipway/node AS tools
RUN echo tool >/tool
FROM slipway/node
RUN --mount=type=cache,target=/var/cache/app,id=app,sharing=locked \\
    --mount=type=secret,id=token,required=true \\
    --mount=type=bind,source=in,target=/in \\
    --mount=type=bind,from=tools,source=/tool,target=/opt/tool \\
    --mount=type=tmpfs,target=/scratch \\
    node -e 'fs.appendFileSync("/var/cache/app/log", "${round}"); fs.writeFileSync("/scratch/x", "x"); fs.writeFileSync("/result", [fs.readFileSync("/var/cache/app/log"), fs.readFileSync("/run/secrets/token", "utf8").length, fs.readFileSync("/in/f"), fs.readFileSync("/opt/tool", "utf8").trim()].join(" "))'
`;
  const from = { secrets: { token: { env: "SLIPWAY_TEST_SECRET" } } };
  await build({ Dockerfile: dockerfile(1), "in/f": "file" }, from);
  const built = await build({ Dockerfile: dockerfile(2), "in/f": "file" }, from);
  assert.equal(await text(built.files, "/result"), "12 7 file tool");
  assert.deepEqual(await changed(built), ["/result 644 0:0"]);
  await assert.rejects(build({ Dockerfile: dockerfile(3), "in/f": "file" }), /the secret token is not given/);
  const whole = JSON.stringify([built.config, built.manifest]);
  assert.equal(whole.includes("s3cret"), false);
});

test("what is made of a mounted context, or with build arguments, is as old as the image where a later stage copies it", async () => {
  const history = { lastChange: async () => 1000_000, lookAhead: () => {}, ignored: async () => [] };
  const timeOf = async (mount: string, line: string, args = {}): Promise<number | undefined> => {
    const Dockerfile = `FROM slipway/node AS made\nARG a\nRUN ${mount} ${line}\nFROM scratch\nCOPY --from=made /out /\n`;
    const { files } = await build({ Dockerfile, in: "file\n" }, { args }, { history });
    return [...files.entries()].find(({ path }) => path === "/out")?.node.mtime;
  };
  assert.equal(await timeOf("--mount=type=cache,target=/c", "echo 1 >/out"), 1000);
  assert.equal(await timeOf("--mount=target=/in", "read -r x </in/in; echo $x >/out"), 1_700_000_000);
  assert.equal(
    await timeOf("--mount=type=bind,target=/in", "read -r x </in/in; echo $x >/out"),
    1_700_000_000,
  );
  assert.equal(await timeOf("", "echo $a >/out", { a: "1" }), 1_700_000_000);
});

test("everything that needs an engine is listed before anything runs", async () => {
  await assert.rejects(
    build({
      Dockerfile:
        "FROM slipway/node\nRUN echo no\nRUN --mount=type=ssh true\nRUN --security=insecure true\nADD https://example.com/x /x\n",
    }),
    (error: unknown) => {
      assert.ok(error instanceof SlipwayError);
      assert.equal(error.code, "DOCKERFILE_UNSUPPORTED");
      for (const part of [
        "Dockerfile:3",
        "mount of type ssh",
        "Dockerfile:4",
        "--security",
        "Dockerfile:5",
        "network",
      ])
        assert.ok(error.message.includes(part), part);
      return true;
    },
  );
});

test("kill -9 in the middle leaves nothing mounted, and the next build removes its folder", async () => {
  const root = await mkdtemp(join(folder, "killed-"));
  await writeFile(
    join(root, "Dockerfile"),
    "FROM slipway/node\nRUN echo begun; read never </dev/zero; sleep=1; node -e 'setInterval(() => {}, 1000)'\n",
  );
  const program = await programOf(root, join(folder, "layout"));
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (data) => {
    said += String(data);
  });
  await until("the command to begin", () => said.includes("begun"), { timeoutMs: 180_000 });
  const runs = readdirSync(layout.cachePath("run"));
  assert.equal(runs.length, 1);
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended; // its folder is its own until then
  const folderOfRun = layout.cachePath("run", runs[0] as string);
  await until(
    "the command's processes to end",
    () =>
      readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .every((pid) => !commandLine(pid).includes(folderOfRun)),
    { clock: systemClock },
  );
  assert.equal(readFileSync("/proc/self/mountinfo", "utf8").includes(folderOfRun), false);
  assert.ok(existsSync(folderOfRun));
  await build({ Dockerfile: "FROM slipway/node\nRUN true\n" });
  assert.equal(existsSync(folderOfRun), false);
});

/** A build of `root` as a program of its own; prints what commands print. */
async function programOf(root: string, into: string): Promise<string> {
  const program = join(root, "build.ts");
  const here = JSON.stringify(join(import.meta.dirname, ".."));
  await writeFile(
    program,
    `const { buildImages } = await import(${here} + "/build.ts");
const { ImageLayout } = await import(${here} + "/layout.ts");
const root = ${JSON.stringify(root)};
const [image] = await buildImages({
  images: [{ name: "web", from: { kind: "context", context: root, dockerfile: root + "/Dockerfile", args: {} } }],
  layout: await ImageLayout.open(${JSON.stringify(into)}),
  registry: undefined, root, commitTimeMs: 0, isLocal: true, allowHostBases: [],
  onProgress: (event) => event.kind === "output" && console.log(event.text),
});
console.log(image.digest);
`,
  );
  return program;
}

test("an ordinary user builds, too, with one uid", {
  skip: process.getuid?.() !== 0 && "needs root to become one",
}, async () => {
  const root = await mkdtemp(join(folder, "ordinary-"));
  await writeFile(
    join(root, "Dockerfile"),
    `FROM slipway/node
COPY Dockerfile /gone
RUN node -e 'fs.rmSync("/gone"); fs.rmSync("/home", {recursive: true}); fs.mkdirSync("/home"); fs.writeFileSync("/kept", String(process.getuid()))'
`,
  );
  const into = join(root, "layout");
  const program = await programOf(root, into);
  await chmod(folder, 0o755);
  for (const path of [root, program, join(root, "Dockerfile")]) await chown(path, 4321, 4321);
  const said = await exec(
    [
      "setpriv",
      "--reuid=4321",
      "--regid=4321",
      "--clear-groups",
      "--",
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      program,
    ],
    { env: { PATH: process.env["PATH"], HOME: root } },
  );
  assert.equal(said.exitCode, 0, said.stderr);
  const theirs = await ImageLayout.open(into);
  const image = await readImage(theirs, "web", "latest");
  assert.ok(image !== undefined);
  const files = await ImageFiles.open(theirs, image.manifest);
  assert.equal(await text(files, "/kept"), "0");
  assert.equal(files.lookup("/gone").kind, "absent");
  assert.equal(files.lookup("/home/node").kind, "absent");
  assert.equal(files.lookup("/home").kind, "found");
});

test("where namespaces are not allowed, the error names the line and what would work", async () => {
  const root = await mkdtemp(join(folder, "refused-"));
  await writeFile(join(root, "Dockerfile"), "FROM scratch\n\nRUN true\n");
  const program = await programOf(root, join(root, "layout"));
  const limited = 'echo 0 >/proc/sys/user/max_mnt_namespaces && exec "$@"';
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", program];
  const said = await exec(["unshare", "--user", "--map-root-user", "sh", "-c", limited, "-", ...node]);
  assert.notEqual(said.exitCode, 0);
  assert.match(said.stderr, /DOCKERFILE_RUN_REFUSED/);
  assert.match(said.stderr, /Dockerfile:3/);
  assert.match(said.stderr, /--builder docker, buildx or podman/);
});

test("a command for another processor is refused with its line, before anything runs, with what would let it run", async () => {
  const riscv64 = debianEntry("riscv64", "7f454c460201010000000000000000000200f300");
  const table: readonly (readonly [misc: BinfmtMisc, says: RegExp, hint: RegExp])[] = [
    [undefined, /not mounted/, /^To run it here, mount it \(mount -t binfmt_misc/],
    [{ status: "enabled\n" }, /no interpreter for riscv64/, /apt-get install qemu-user-static/],
    [
      { status: "enabled\n", q: riscv64.replace("POF", "PO") },
      /^(?=.*\bq\b).*without the flag F/,
      /one with F/,
    ],
  ];
  for (const [misc, says, hint] of table) {
    const output: BuildEvent[] = [];
    await assert.rejects(
      build(
        {
          Dockerfile:
            "FROM slipway/node AS own\nRUN node -p 1\nFROM --platform=linux/riscv64 scratch\nCOPY --from=own /etc/passwd /\nRUN true\n",
        },
        {},
        { binfmtMisc: () => Promise.resolve(misc), onProgress: (event) => output.push(event) },
      ),
      (error: SlipwayError) => {
        assert.deepEqual(
          [error.code, error.where, error.exitCode],
          ["DOCKERFILE_UNSUPPORTED", "Dockerfile:5", 3],
        );
        assert.match(error.message, /^RUN for linux\/riscv64 cannot run on \w+: /);
        assert.match(error.message.slice(error.message.indexOf(": ") + 2), says);
        assert.match(error.hint ?? "", hint);
        assert.match(error.hint ?? "", /--builder buildx/);
        return true;
      },
    );
    assert.deepEqual(
      output.filter(({ kind }) => kind === "output"),
      [],
    );
  }
});

test("a stage for the machine that builds runs here, whatever the image is for", async () => {
  const { config, files } = await build(
    {
      Dockerfile: `FROM --platform=$BUILDPLATFORM slipway/node AS tools
ARG TARGETARCH TARGETPLATFORM BUILDPLATFORM BUILDOS BUILDARCH
RUN node -e 'fs.writeFileSync("/made", [process.env.TARGETARCH, process.env.TARGETPLATFORM, process.env.BUILDPLATFORM, process.env.BUILDOS, process.env.BUILDARCH].join(" "))'
FROM scratch
COPY --from=tools /made /
`,
    },
    {},
    { platforms: [{ os: "linux", architecture: "riscv64" }], binfmtMisc: () => Promise.resolve(undefined) },
  );
  const own = hostPlatform().architecture;
  assert.equal(await text(files, "/made"), `riscv64 linux/riscv64 linux/${own} linux ${own}`);
  assert.equal(config.architecture, "riscv64");
});

const debianEntry = (name: string, magic: string): string =>
  `enabled\ninterpreter /usr/libexec/qemu-binfmt/${name}-binfmt-P\nflags: POF\noffset 0\nmagic ${magic}\nmask ffffffffffffff00fffffffffffffffffeffffff\n`;

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return ""; // gone
  }
}
