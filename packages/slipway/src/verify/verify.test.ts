import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { type Clock, VirtualClock } from "@slipway/base";
import { buildImages } from "../images/build.ts";
import type { BuiltImage } from "../images/image.ts";
import { ImageLayout } from "../images/layout.ts";
import type { RegistryClient } from "../images/registry/client.ts";
import { renderResults } from "./report/text.ts";
import { runVerify, type ServiceAccess, type VerifyOptions, type VerifyReport } from "./run.ts";

let folder: string;
let images: readonly BuiltImage[];
const API = pathToFileURL(join(import.meta.dirname, "verify.ts")).href;
const clock: Clock = new VirtualClock();

const DOCKERFILE = `FROM scratch
WORKDIR /app
COPY --chown=1000:1000 server.js /app/server.js
COPY --chmod=755 run /usr/bin/run
COPY passwd group /etc/
COPY passwd /etc/link-target
COPY links/ /
ENV PORT=8080 EMPTY=
LABEL team=web
EXPOSE 8080 53/udp
VOLUME /state
USER node
ENTRYPOINT ["run"]
CMD ["server.js"]
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-verify-"));
  const files: Record<string, string> = {
    Dockerfile: DOCKERFILE,
    "server.js": "listen(8080);\nproxy_pass http://backend1;\n",
    run: "#!/usr/bin/run\n",
    passwd: "root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\ntoor:x:0:0::/:/bin/sh\n",
    group: "root:x:0:\nnode:x:1000:\n",
    "Dockerfile.bad":
      'FROM scratch\nENV DB_PASSWORD=hunter2 API_KEY_FILE=/run/key\nUSER toor\nCOPY run /app/.git/config\nCMD ["missing"]\n',
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  await mkdir(join(folder, "links"));
  for (const [name, to] of [
    ["bin", "usr/bin"],
    ["far", "/self/bin"],
    ["self", "."],
    ["loop", "loop"],
    ["odd[1]", "app"],
  ] as const)
    await symlink(to, join(folder, "links", name));
  const layout = await ImageLayout.open(join(folder, "layout"));
  const from = (dockerfile: string) => ({
    kind: "context" as const,
    context: folder,
    dockerfile: join(folder, dockerfile),
    args: {},
  });
  images = await buildImages({
    images: [
      { name: "web", from: from("Dockerfile") },
      { name: "bad", from: from("Dockerfile.bad") },
    ],
    layout,
    registry: {} as RegistryClient,
    root: folder,
    commitTimeMs: 0,
    isLocal: true,
    allowHostBases: [],
  });
});
after(() => rm(folder, { recursive: true, force: true }));

async function spec(body: string): Promise<string> {
  const path = join(await mkdtemp(join(folder, "spec-")), "web.ts");
  await writeFile(
    path,
    `import { describeCluster, describeCompose, describeImage, describeService, ready, stack } from ${JSON.stringify(API)};\n${body}\n`,
  );
  return path;
}

async function verify(body: string, over: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
  return runVerify({ files: [await spec(body)], images, root: folder, clock, ...over });
}

/** Expectations of image web, and the verdict of each. */
const TABLE: readonly [string, "pass" | "fail" | "unknown"][] = [
  ['t.image.user("node")', "pass"],
  ['t.image.user("root")', "fail"],
  ["t.image.runsAsNonRoot()", "pass"],
  ["t.image.exposes(8080)", "pass"],
  ['t.image.exposes("53/udp")', "pass"],
  ["t.image.exposes(53)", "fail"],
  ['t.image.cmd(["server.js"])', "pass"],
  ['t.image.cmd(["server.js", "x"])', "fail"],
  ['t.image.entrypoint(["run"])', "pass"],
  ['t.image.env("PORT", "8080")', "pass"],
  ['t.image.env("PORT", /^80/)', "pass"],
  ['t.image.env("PORT", "80")', "fail"],
  ['t.image.env("EMPTY", "")', "pass"],
  ['t.image.env("NONE")', "fail"],
  ['t.image.envUnset("NONE")', "pass"],
  ['t.image.envUnset("PORT")', "fail"],
  ['t.image.label("team", "web")', "pass"],
  ['t.image.label("none")', "fail"],
  ['t.image.workdir("/app")', "pass"],
  ['t.image.workdir("/")', "fail"],
  ['t.image.stopSignal("SIGTERM")', "pass"],
  ['t.image.volume("/data")', "fail"],
  ['t.image.volume("/state/")', "pass"],
  ['t.image.volumeUnset("/state/")', "fail"],
  ['t.image.volumeUnset("//state")', "fail"],
  ['t.image.label("constructor")', "fail"],
  ['t.image.labelUnset("constructor")', "pass"],
  ['t.file("/app/server.js").mode(0o644)', "pass"],
  ['t.image.maxSize("1MB")', "pass"],
  ["t.image.maxSize(10)", "fail"],
  ["t.image.noSecretInEnvOrHistory()", "pass"],
  ["t.image.digestPinned()", "unknown"],
  ["t.image.commandExists()", "pass"],
  ['t.file("/app/server.js").exists()', "pass"],
  ['t.file("/app/none.js").exists()', "fail"],
  ['t.file("/app/none.js").absent()', "pass"],
  ['t.file("/app/server.js").absent()', "fail"],
  ['t.file("/app").isDirectory()', "pass"],
  ['t.file("/app").isFile()', "fail"],
  ['t.file("/app/server.js").mode("0644")', "pass"],
  ['t.file("/app/server.js").mode("0600")', "fail"],
  ['t.file("/app/server.js").ownedBy("node:node")', "pass"],
  ['t.file("/app/server.js").ownedBy("1000:1000")', "pass"],
  ['t.file("/app/server.js").ownedBy("root")', "fail"],
  ['t.file("/app/server.js").ownedBy("stranger")', "unknown"],
  ['t.file("/app/server.js").contains("backend1")', "pass"],
  ['t.file("/app/server.js").contains(/proxy_pass http:.*1/)', "pass"],
  ['t.file("/app/server.js").contains("backend9")', "fail"],
  ['t.file("/app/server.js").lacks("backend9")', "pass"],
  ['t.file("/app/server.js").lacks(/listen/g)', "fail"],
  ['t.file("/app/none.js").lacks("anything")', "fail"],
  ['t.file("/app/server.js").lacks(/^proxy_pass/)', "fail"],
  ['t.file("/app/server.js").lacks(/8080\\);$/)', "fail"],
  ['t.file("/app/server.js").lacks(/^backend1/)', "pass"],
  ['t.file("/app/server.js").contains(/^proxy_pass .*;$/)', "pass"],
  ['t.file("/etc/passwd").lacks(/^TOOR:/i)', "fail"],
  ["t.image.historyLacks(/^USER node/)", "fail"],
  ['t.image.env("PORT", /^80$/)', "fail"],
  ['t.file("/usr/bin/run").executable()', "pass"],
  ['t.file("/app/server.js").executable()', "fail"],
  ['t.file("/app/server.js").maxSize("1KB")', "pass"],
  ['t.files("**/{.git,.npmrc,id_rsa*}").none()', "pass"],
  ['t.files("**/*.js").none()', "fail"],
  ['t.files("/app/*.js").count(1)', "pass"],
  ['t.files("**/*.js").except("app/**").none()', "pass"],
  ['t.files("**/*.pem").notWritableByOthers()', "unknown"],
  // Through folders that are links, as in a shell.
  ['t.files("/bin/run").none()', "fail"],
  ['t.files("/bin/{sh,bash}").none()', "pass"],
  ['t.files("/far/**").count(1)', "pass"],
  ['t.files("/far/*").except("/bin/run").none()', "pass"],
  ['t.files("/self/self/far/r*").count(1)', "pass"],
  ['t.files("/*/run").count(1)', "pass"],
  ['t.files("/odd\\\\[1]/server.js").none()', "fail"],
  ['t.files("/loop/*").none()', "pass"],
  ['t.files("/bin").count(1)', "pass"],
  ['t.files("/self/**/server.js").count(1)', "pass"],
  ['t.image.volumeUnset("/data").labelUnset("none").exposesNot(22).os("linux").healthcheckUnset()', "pass"],
  ["t.image.exposesNot(8080)", "fail"],
  ['t.image.labelUnset("team")', "fail"],
  ["t.image.healthcheck()", "fail"],
  ['t.image.onbuild(["RUN x"])', "fail"],
  ['t.image.author("nobody")', "fail"],
  ['t.image.createdAfter("1960-01-01")', "pass"],
  ['t.image.createdAfter("2060-01-01")', "fail"],
  ["t.image.history(/COPY.*server/)", "pass"],
  ['t.image.history("RUN curl")', "fail"],
  ['t.image.historyLacks("RUN curl")', "pass"],
  ['t.image.base({ name: "debian" })', "unknown"],
  ["t.image.noShell()", "pass"],
  ["t.image.noSecretInFiles()", "pass"],
  ['t.file("/app/server.js").group("node").size(42).notSetuid()', "pass"],
  ['t.file("/app/server.js").setuid()', "fail"],
  ['t.file("/app/server.js").noCapabilities()', "pass"],
  ['t.file("/app/server.js").capabilities("cap_net_raw=ep")', "fail"],
  ['t.files("/app/**").noCapabilities()', "pass"],
  ['t.files("/none/**").noCapabilities()', "unknown"],
  ['t.file("/app/server.js").readableBy("node").writableBy("node").readableBy("root")', "pass"],
  ['t.file("/etc/passwd").writableBy("node")', "fail"],
  ['t.file("/app/server.js").executableBy("node")', "fail"],
  ['t.file("/app/server.js").executableBy("root")', "fail"],
  ['t.file("/app/server.js").readableBy("stranger")', "unknown"],
  ['t.file("/app/server.js").contains("listen", { from: "proxy", to: "nowhere" })', "fail"],
  ['t.file("/app/server.js").lacks("listen", { from: "proxy" })', "pass"],
  ['t.file("/app/server.js").json("a", 1)', "fail"],
  ['t.file("/app/server.js").newerThan("/etc/passwd")', "fail"],
  ['t.file("/app/server.js").isSocket()', "fail"],
  ['t.files("/app/*.js").every({ mode: "0644", ownedBy: "node:node" })', "pass"],
  ['t.files("/app/*.js").every({ mode: "0600" })', "fail"],
  ['t.files("/app/*.css").every({ mode: "0600" })', "fail"],
  ['t.files("**").noSetuid()', "pass"],
  ['t.files("/nowhere/**").noSetuid()', "unknown"],
  ['t.files("./etc//passwd/").none()', "fail"],
  ['t.user("node").shell("/bin/sh").primaryGroup("node").groups("node")', "pass"],
  ['t.user("node").groups("wheel")', "fail"],
  ['t.user("node").locked()', "unknown"],
  ['t.group("node").exists().gid(1000)', "pass"],
  ['t.group("node").members("root")', "fail"],
  ['t.group("wheel").absent()', "pass"],
  ['t.group("node").absent()', "fail"],
  ['t.package("nginx").installed()', "fail"],
  ['t.package("nginx").absent()', "unknown"],
  ['t.certificate("/app/server.js").validFor(1)', "fail"],
  ['t.command("true")', "unknown"],
  ["t.port(8080).listening()", "unknown"],
  ['t.process("node").notRunning()', "unknown"],
  ['t.user("node").exists().uid(1000).home("/home/node")', "pass"],
  ['t.user("node").uid(1)', "fail"],
  ['t.user("games").absent()', "pass"],
  ['t.user("node").absent()', "fail"],
];

test("each expectation on an image gives its verdict, and failures come with evidence", async () => {
  for (const [expression, verdict] of TABLE) {
    const { results } = await verify(`describeImage("web", (t) => ${expression});`);
    assert.ok(results.length > 0, expression);
    for (const result of results) {
      assert.equal(result.verdict, verdict, `${expression}: ${result.evidence}`);
      if (verdict !== "pass") assert.notEqual(result.evidence, "", expression);
      assert.match(result.place, /^spec-\w+\/web\.ts:2:/);
    }
  }
});

test("an image with faults fails the built-in checks by cause and shows no secret", async () => {
  const report = await runVerify({ files: [], images, root: folder, clock, includeDefaults: true });
  const bad = report.results.filter((result) => result.target === "image bad");
  assert.deepEqual(
    bad.map((result) => [result.verdict, result.evidence]),
    [
      ["fail", bad[0]?.evidence],
      [
        "fail",
        "DB_PASSWORD is named like a secret and has a value; history line 1: DB_PASSWORD is named like a secret and has a value",
      ],
      ["fail", "/app/.git"],
    ],
  );
  assert.match(
    bad[0]?.evidence ?? "",
    /^missing is not in the image \(looked at \/usr\/local\/sbin\/missing/,
  );
  assert.ok(
    report.results
      .filter((result) => result.target === "image web")
      .every((result) => result.verdict === "pass"),
  );
  assert.equal(report.exitCode, 1);
  assert.doesNotMatch(JSON.stringify(report) + renderResults(report), /hunter2/);
  const nonRoot = await verify('describeImage("bad", (t) => t.image.runsAsNonRoot());');
  assert.equal(nonRoot.results[0]?.verdict, "fail");
});

test("exit codes: nothing collected is 2, a failure is 1, only unknowns are 4 unless allowed", async () => {
  const codes: [string, Partial<VerifyOptions>, number][] = [
    ["", {}, 2],
    ['describeImage("web", (t) => t.image.exposes(8080));', {}, 0],
    ['describeImage("web", (t) => t.image.exposes(1));', {}, 1],
    ['describeImage("web", (t) => t.image.digestPinned());', {}, 4],
    ['describeImage("web", (t) => t.image.digestPinned());', { allowUnknown: true }, 0],
    ['describeImage("web", (t) => { t.image.exposes(1); t.image.user("node"); });', { filter: "user" }, 0],
    ['describeImage("web", (t) => t.image.exposes(1));', { filter: "no such check" }, 2],
    ['describeImage("web", (t) => t.image.exposes(1));', { only: "service" }, 2],
    ['describeService("web", (t) => t.http("/").status(200));', {}, 4],
  ];
  for (const [body, over, code] of codes) assert.equal((await verify(body, over)).exitCode, code, body);
});

test("a mistake in a spec file is one error with its place; a missing image is one error, not one per check", async () => {
  const table: [string, string, number][] = [
    ['describeImage("web", (t) => t.image.cmd([]));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.file("app"));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.file("/a").mode("rw"));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.file("/a").mode(644));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.file("/a").mode(4755));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.files("**").every({ mode: 755 }));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.files("**").every({ ownedBy: 0 }));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.file("/a").group(0));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.file("/a").capabilities("net_raw"));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.file("/a").maxSize(Number.NaN));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.within(Infinity).port(1).listening());', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.file("/a").contains(""));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.image.maxSize("big"));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.files("/etc/{passwd,group").none());', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.files("**").except("/etc/[x").none());', "VERIFY_SPEC_INVALID", 2],
    ['describeService("web", (t) => t.http("path"));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.command("x").stderr([]));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.command([]));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.command("x").stdout(3));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.package("x").version("newest"));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.port(0).listening());', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.http("/").status(200));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", (t) => t.container.stopsWithin("soon"));', "VERIFY_SPEC_INVALID", 2],
    ['describeImage("web", async (t) => t.image.exposes(1));', "VERIFY_SPEC_INVALID", 2],
    ["enum A { B }", "VERIFY_SPEC_INVALID", 2],
    ["throw new Error('oops');", "VERIFY_SPEC_INVALID", 2],
    ['describeImage("wbe", (t) => { t.image.exposes(1); t.image.exposes(2); });', "VERIFY_IMAGE_MISSING", 3],
  ];
  for (const [body, code, exitCode] of table) {
    await assert.rejects(verify(body), (error: { code: string; exitCode: number; where: string }) => {
      assert.deepEqual([error.code, error.exitCode], [code, exitCode], body);
      assert.match(error.where, /web\.ts/, body);
      return true;
    });
  }
  // Nothing is expected, or what is meant is ignored.
  const silent: [string, RegExp][] = [
    [
      'describeImage("web", (t) => { t.image.user("x"); t.file("/nope"); });',
      /file \/nope: nothing is expected/,
    ],
    ['describeImage("web", (t) => t.http("http://127.0.0.1:1/"));', /^.*GET http.*: nothing is expected/],
    ['describeImage("web", (t) => t.port(80).listening);', /^port 80: listening is not called/],
    ['describeImage("web", (t) => { t.file("/a").exists().isFile; });', /^file \/a: isFile is not called/],
    [
      'describeImage("web", (t) => { t.image.user("x"); t.image.exposes; });',
      /^image: exposes is not called/,
    ],
    ['describeImage("web", (t) => { t.files("**").except; });', /files \*\*: except is not called/],
    ['describeImage("web", (t) => t.files("**").except("a"));', /files \*\*: nothing/],
    ['describeImage("web", (t) => { t.image; });', /^image: nothing is expected/],
    ['describeImage("web", (t) => { t.image.user("x"); t.user; });', /^t\.user is not called/],
    ['describeImage("web", ({ image, file }) => { image.user("x"); });', /^t\.file is not called/],
    ['describeImage("web", (t) => { t.command("true"); t.secure; });', /^t\.secure is not called/],
    ['describeImage("web", (t) => { t.command("true"); t.log; });', /^log: nothing/],
    ['describeImage("web", (t) => { t.command("true"); t.log.stderr; });', /^log stderr: nothing/],
    ['describeImage("web", (t) => { t.command("true"); t.ports; });', /^ports: nothing/],
    ['describeImage("web", (t) => { t.command("true"); t.container; });', /^container: nothing/],
    ['describeImage("web", (t) => { t.command("true"); t.within("1s"); });', /^within 1s: nothing/],
    ['describeImage("web", (t) => { t.command("true"); t.once().container; });', /^container: nothing/],
    ['describeCompose(".", (t) => { t.in("a").port(80).listening(); t.in; });', /^t\.in is not called/],
    ['describeCompose(".", (t) => { t.in("a").port(80).listening(); t.in("b").dns; });', /^t\.dns is not/],
    ['describeCluster((t) => { t.objects("v1/Pod").count(1); t.workload; });', /^t\.workload is not called/],
    ['describeService("web", (t) => { t.http; });', /^t\.http is not called/],
    ['describeCompose(".", (t) => { t.in("a").port(80).listening(); t.in("b"); });', /in b: nothing/],
    ["describeCluster((t) => {});", /describeCluster: nothing/],
    ['describeCluster((t) => t.workload("deployment/web"));', /workload deployment\/web: nothing/],
    ['describeService("web", (t) => t.http("/"));', /GET \/: nothing/],
    [
      'describeImage("web", { comand: ["x"] }, (t) => t.image.user("x"));',
      /describeImage has no option "comand".*"command"/s,
    ],
    [
      'describeImage("web", (t) => t.image.user("x"), { user: "y" });',
      /options of describeImage stand before/,
    ],
    [
      'describeCluster({ kontext: "staging" }, (t) => {});',
      /describeCluster has no option "kontext".*"context"/s,
    ],
    ['describeCompose(".", { redy: "1s" }, (t) => {});', /describeCompose has no option "redy".*"ready"/s],
    [
      'describeCompose(".", { profiles: [] }, (t) => t.in("a").port(1).listening());',
      /profiles expects a list/,
    ],
    ['describeCompose(".", { ready: "1s" });', /describeCompose needs a stack/],
    ['describeCompose(".", { readyWhen: {} }, (t) => {});', /readyWhen names no service/],
    ['describeCompose(".", { readyWhen: "1s" }, (t) => {});', /names services.*ready\.log/s],
    [
      'describeCompose(".", { readyWhen: { db: ready.health } }, (t) => {});',
      /readyWhen: db: a form that is not called.*ready\.health\(…\)/s,
    ],
    [
      'describeCompose(".", { readyWhen: { db: "up" } }, (t) => {});',
      /readyWhen: db: "up" does not say when it is ready.*Use one of ready\.log\(…\)/s,
    ],
    ['stack("s", { redyWhen: {} }, (t) => {});', /stack has no option "redyWhen".*"readyWhen"/s],
    ["ready.log(3);", /ready\.log expects a string or an expression, got 3/],
    ["ready.log(/up/, 0);", /times expects a whole number from 1, got 0/],
    ['ready.http("healthz");', /a path begins with a slash, got "healthz"/],
    ['ready.http("/", { prot: 80 });', /ready\.http has no option "prot".*"port"/s],
    ['ready.http("/", { status: 20 });', /20 is not an HTTP status/],
    ['ready.http("/", { auth: { user: "a", pasword: "b" } });', /auth has no option "pasword".*"password"/s],
    ['ready.http("/", { auth: { user: "a" } });', /auth expects a user without a colon, and a password/],
    ["ready.ports(0);", /0 is not a port/],
    ["ready.ports([8080]);", /\[8080\] is not a port, like 8080/],
    ['ready.cmd("");', /ready\.cmd expects a command/],
    ["ready.cmd([]);", /ready\.cmd expects a list of words/],
    ["ready.exit(-1);", /ready\.exit expects a whole number/],
    ["ready.all([]);", /ready\.all expects a list/],
    ["ready.all([ready.ports]);", /ready\.all: a form that is not called/],
    ["ready.all([ready.ports()], { deadlineMs: 1 });", /ready\.all has no option "deadlineMs".*"deadline"/s],
    [
      "describeCluster({ readyWhen: { job: ready.all([ready.exit()]) } }, (t) => {});",
      /readyWhen: job: ready\.exit\(\) is not for a cluster.*describeCompose instead/s,
    ],
    [
      'describeCluster(stack("s", { readyWhen: { db: ready.cmd("x", { user: "app" }) } }, (t) => {}));',
      /readyWhen: db: a cluster runs commands as the container's own user only/,
    ],
    [
      'describeCompose(".", stack("a", { readyWhen: { db: ready.log("a") } }, (t) => {}), stack("b", { readyWhen: { db: ready.log("b") } }, (t) => {}));',
      /said twice, and differently, when "db" is ready/,
    ],
    ['describeCompose(".", (t) => t.in("a").port(1).listening(), { ready: "1s" });', /needs a stack/],
    ["describeCluster({ context: 'x' });", /describeCluster needs a stack/],
    ["describeCluster(undefined);", /options of describeCluster are an object|describeCluster needs a stack/],
    ['describeService("web", { clustre: "x" }, (t) => {});', /describeService has no option "clustre"/],
    ['describeService("web", (t) => t.http("/", { insecure: true }));', /http has no option "insecure"/],
    ['describeService("web", (t) => t.http("/", { deadline: 1 }));', /http has no option "deadline"/],
    [
      'describeImage("web", (t) => t.http("http://a/", { deadlineMs: 1 }));',
      /http has no option "deadlineMs"/,
    ],
    ['describeImage("web", (t) => t.command("x", { usr: "y" }));', /command has no option "usr".*"user"/s],
    [
      'describeImage("web", (t) => t.command("x", { entrypoint: ["sh"] }));',
      /entrypoint of a command is "keep"/,
    ],
    ['describeImage("web", (t) => t.command("x", "y"));', /options of command are an object/],
    ['describeImage("web", (t) => t.package("x", { manger: "npm" }));', /package has no option "manger"/],
    ['describeImage("web", (t) => t.secure({ setuids: [] }));', /secure has no option "setuids"/],
    [
      'describeImage("web", (t) => t.files("**").every({ mode: "0644", owndBy: "x" }));',
      /every has no option "owndBy"/,
    ],
    [
      'describeImage("web", (t) => t.file("/a").lacks("x", { form: "y" }));',
      /lacks has no option "form".*"from"/s,
    ],
    ['describeImage("web", (t) => t.file("/a").mode(644));', /644 is not a mode.*0o644 or "0644"/s],
    ['describeImage("web", (t) => t.file("/a").ownedBy(0));', /^0 is not an owner/],
    ['describeImage("web", (t) => t.image.base({ nmae: "x" }));', /base has no option "nmae"/],
  ];
  for (const [body, says] of silent) {
    await assert.rejects(
      verify(body),
      (error: { code: string; where: string; message: string; hint: string }) => {
        assert.equal(error.code, "VERIFY_SPEC_INVALID", body);
        assert.match(error.where, /web\.ts:2:\d+/, body);
        assert.match(`${error.message}\n${error.hint}`, says, body);
        return true;
      },
    );
  }
  // What has its check by itself, and words that are kept for later.
  const fine =
    'describeImage("web", ({ image, command, within, log }) => { const later = within("1s"); command("true"); later.log.stderr.lacks("x"); image.user("x"); log.contains("x"); });';
  assert.equal((await verify(fine)).results.length, 4);
  await assert.rejects(runVerify({ files: [join(folder, "none")], images, root: folder, clock }), {
    code: "VERIFY_SPEC_MISSING",
  });
});

test("a spec file that cannot be run is told with the line, and with a hint only where one fits", async () => {
  const table: readonly (readonly [body: string, where: RegExp, hint: RegExp | undefined])[] = [
    ["\nconst list = [1, 2 };", /web\.ts:\d+$/, undefined],
    ["\nenum A { B }", /web\.ts:\d+$/, /Only the types are removed/],
    ['\ndescribeImage("web", (t) => t.fil("/a"));', /web\.ts:\d+:\d+$/, undefined],
    ["throw new Error('oops');", /web\.ts:\d+:\d+$/, undefined],
  ];
  for (const [body, where, hint] of table) {
    await assert.rejects(verify(body), (error: { where: string; hint?: string }) => {
      assert.match(error.where, where, body);
      if (hint === undefined) assert.equal(error.hint, undefined, body);
      else assert.match(error.hint ?? "", hint);
      return true;
    });
  }
});

test("a service is asked again until its answer is right, and once for all expectations together", async () => {
  let asked = 0;
  const seen: unknown[] = [];
  const services: ServiceAccess = {
    fetch: (cluster, service, port, path, { method }) => {
      asked += 1;
      seen.push([cluster, service, port, path, method]);
      if (asked === 1) return Promise.reject(new Error("ECONNREFUSED"));
      return Promise.resolve({
        status: asked < 4 ? 503 : 200,
        headers: { "Content-Type": "text/html" },
        body: Buffer.from("the shop v1"),
      });
    },
  };
  const body = `describeService("web", { cluster: "tokyo", port: 80 }, (t) => t.http("/x").status(200).body(/shop/).header("content-type", "text/html"));`;
  const { report, attempts } = await inVirtualTime(
    (time) => verify(body, { services, clock: time }),
    () => asked,
  );
  assert.equal(report.exitCode, 0, JSON.stringify(report.results));
  assert.equal(attempts, 4);
  assert.deepEqual(seen[0], ["tokyo", "web", 80, "/x", "GET"]);
  assert.equal(report.results.length, 3);
});

test("a request to a service has the method, the headers and the body that the spec gives it", async () => {
  const seen: unknown[] = [];
  const services: ServiceAccess = {
    fetch: (_cluster, _service, _port, path, { method, headers, body }) => {
      seen.push({ path, method, headers, body });
      return Promise.resolve({ status: 201, headers: {}, body: Buffer.from("") });
    },
  };
  const given = '{ method: "post", headers: { "x-a": "1" }, body: "name=web" }';
  const body = `describeService("web", (t) => t.http("/orders", ${given}).status(201));`;
  assert.equal((await verify(body, { services })).exitCode, 0);
  assert.deepEqual(seen, [{ path: "/orders", method: "POST", headers: { "x-a": "1" }, body: "name=web" }]);
});

test("a service that stays wrong fails after its deadline with what it answered", async () => {
  const services: ServiceAccess = {
    fetch: () => Promise.resolve({ status: 502, headers: {}, body: Buffer.from("bad gateway") }),
  };
  const body = 'describeService("web", (t) => t.http("/", { deadlineMs: 2000 }).status(200));';
  const { report } = await inVirtualTime(
    (time) => verify(body, { services, clock: time }),
    () => 0,
  );
  assert.equal(report.exitCode, 1);
  assert.match(report.results[0]?.evidence ?? "", /status 502, body bad gateway/);
  assert.ok((report.results[0]?.attempts ?? 0) > 3);
  assert.match(renderResults(report), /✗ GET \/ › status 200\n.*found {5}status 502/s);
});

/** Every sleep ends at once and moves the time on. */
async function inVirtualTime(
  body: (time: Clock) => Promise<VerifyReport>,
  count: () => number,
): Promise<{ report: VerifyReport; attempts: number }> {
  let now = 0;
  const time: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep: (ms, signal) => {
      // The give-up timer of a request waits for its signal; the waits between requests pass.
      if (signal !== undefined) {
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      }
      now += ms;
      return Promise.resolve();
    },
  };
  return { report: await body(time), attempts: count() };
}
