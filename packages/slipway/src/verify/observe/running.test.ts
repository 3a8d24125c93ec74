import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Clock, SlipwayError, systemClock, until } from "@slipway/base";
import { buildImages } from "../../images/build.ts";
import type { BuiltImage } from "../../images/image.ts";
import { ImageLayout } from "../../images/layout.ts";
import type { RegistryClient } from "../../images/registry/client.ts";
import { collect } from "../collect.ts";
import type { Engine } from "../engines/engine.ts";
import { aService } from "../engines/testing.ts";
import { withoutImplied } from "../plan.ts";
import type { CheckResult } from "../report/result.ts";
import { type DecideOptions, decideChecks } from "../run.ts";
import { parseStructureTest } from "../structure-test/load.ts";
import {
  describeCompose,
  describeImage,
  empty,
  type ImageOptions,
  type ImageTarget,
  type StackTarget,
} from "../verify.ts";
import type { ComposeRunner } from "./compose-run.ts";
import { testingEngine } from "./testing-engine.ts";

let folder: string;
let images: readonly BuiltImage[];
let port: number;
/** Of this process alone: on 127.0.0.1 somebody else's connection may come by the port before the server does. */
const HOST = `127.1.${(process.pid >> 8) & 255}.${process.pid & 255}`;

const SERVER = `const http = require("node:http");
console.log("starting with " + process.env.DB_PASSWORD);
setTimeout(() => http.createServer((req, res) => {
  if (req.url === "/old") { res.writeHead(301, { location: "/new" }); return res.end(); }
  if (req.url === "/bad") { console.error("connect ECONNREFUSED 127.0.0.1:1"); res.writeHead(502); return res.end("bad gateway"); }
  res.setHeader("content-type", "application/json");
  res.end(JSON.stringify({ service: "web", items: [1, 2] }));
}).listen(Number(process.env.PORT), process.env.HOST, () => console.log("listening")), 120);
if (process.env.DEAF) process.on("SIGTERM", () => {});
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-running-"));
  await writeFile(join(folder, "server.cjs"), SERVER);
  await writeFile(
    join(folder, "Dockerfile"),
    "FROM scratch\nCOPY server.cjs /app/\nCOPY server.cjs /bin/sh\nCOPY server.cjs /bin/sleep\n",
  );
  await writeFile(join(folder, "Dockerfile.bare"), "FROM scratch\nCOPY server.cjs /app/\n");
  const layout = await ImageLayout.open(join(folder, "layout"));
  const by = (name: string) => ({
    kind: "context" as const,
    context: folder,
    dockerfile: join(folder, name),
    args: {},
  });
  images = await buildImages({
    images: [
      { name: "web", from: by("Dockerfile") },
      { name: "bare", from: by("Dockerfile.bare") },
    ],
    layout,
    registry: {} as RegistryClient,
    root: folder,
    commitTimeMs: 0,
    isLocal: true,
    allowHostBases: [],
  });
  const free = createServer().listen(0, HOST);
  await new Promise((resolve) => free.on("listening", resolve));
  port = (free.address() as { port: number }).port;
  free.close();
});
after(() => rm(folder, { recursive: true, force: true }));

const serve = (env: Record<string, string> = {}): ImageOptions => ({
  entrypoint: [process.execPath],
  command: [join(folder, "server.cjs")],
  env: { HOST, PORT: String(port), ...env },
});

/** Its time passes while somebody waits: on a busy machine, where a look takes long, there are as many looks. */
function clockOfWaits(): Clock {
  let now = 0;
  return {
    now: () => systemClock.now(),
    monotonic: () => now,
    sleep: async (ms, signal) => {
      await systemClock.sleep(ms, signal);
      now += ms;
    },
  };
}

/** Its containers have started when the server listens. */
const listeningEngine = () => testingEngine(systemClock, { startedWhen: "listening" });

async function decide(
  options: ImageOptions,
  body: (t: ImageTarget) => unknown,
  over: Partial<DecideOptions> = {},
  engine = testingEngine(systemClock),
): Promise<{ readonly results: readonly CheckResult[]; readonly engine: ReturnType<typeof testingEngine> }> {
  const checks = withoutImplied(await collect(() => describeImage("web", options, body)));
  const run = { images, root: folder, clock: clockOfWaits(), engine: () => Promise.resolve(engine), ...over };
  const results = await decideChecks(checks, run);
  assert.equal(engine.made, engine.removed, "everything that was made is removed");
  return { results, engine };
}

const verdicts = (results: readonly CheckResult[]): readonly string[] =>
  results.map(
    (one) =>
      `${one.verdict} ${one.subject} › ${one.expectation}${one.verdict === "pass" ? "" : `: ${one.evidence}`}`,
  );

async function allPass(
  options: ImageOptions,
  body: (t: ImageTarget) => unknown,
): Promise<ReturnType<typeof testingEngine>> {
  const { results, engine } = await decide(options, body);
  assert.deepEqual(verdicts(results.filter(({ verdict }) => verdict !== "pass")), []);
  return engine;
}

test("what a server does is seen without a single exec, and only one container is started for all checks", async () => {
  const engine = await allPass(serve(), (t) => {
    t.port(port).listening().listening(HOST);
    t.port(1).notListening();
    t.ports.onlyListening([port]);
    t.process(1)
      .running()
      .args(/server\.cjs/)
      .count(1);
    t.process("node")
      .running()
      .user(String(process.getuid?.() ?? 0));
    t.process("nginx").notRunning();
    t.http(`http://${HOST}:${port}/`)
      .status(200)
      .json("items[1]", 2)
      .header("content-type", /json/)
      .bodyLacks("secret");
    t.http(`http://${HOST}:${port}/old`).redirects("/new");
    t.log.contains("listening").count("listening", 1);
    t.log.stderr.lacks("error");
    t.dns("localhost").resolves("127.0.0.1");
    t.reach(HOST, port).open();
    t.reach("127.0.0.1", 1).closed();
    t.container.running().restarts(0).notOomKilled().stopsWithin("60s");
  });
  assert.deepEqual([engine.made, engine.execs], [1, 0]);
});

test("a command that the engine refuses to run fails with the reason, and the others go on", async () => {
  const { results } = await decide(serve(), (t) => {
    t.command(["id"], { user: "nouser" }).stdoutLacks("root");
    t.command(["true"]);
    t.container.running();
  });
  assert.deepEqual(
    results.map(({ verdict }) => verdict),
    ["fail", "unknown", "pass", "pass"],
  );
  assert.match(results[0]?.evidence ?? "", /cannot be run: id: unable to find user nouser/);
});

test("a container that ends while it is checked was not running, and says with what code and why", async () => {
  const [pid, go] = [join(folder, "ends.pid"), join(folder, "ends.go")];
  const ends = `echo $$ >${pid}; until test -e ${go}; do sleep 0.05; done; echo no database >&2; exit 9`;
  const { results } = await decide({ entrypoint: ["sh", "-c", ends] }, (t) => {
    t.container.running();
    // It lets the container end, and goes on until it has.
    const wait = (condition: string): string => `${condition}; do sleep 0.05; done`;
    t.command(`${wait(`until test -s ${pid}`)}; touch ${go}; ${wait(`while kill -0 $(cat ${pid})`)}`);
    t.log.stderr.contains("no database");
  });
  const running = results[0];
  assert.deepEqual([running?.verdict, running?.evidence], ["fail", "exited 9"]);
  assert.deepEqual(running?.why, ["web exited 9; its last lines: no database"]);
});

test("where the engine shows no sockets or processes, one exec reads both for all checks", async () => {
  const engine = testingEngine(systemClock, { blind: ["sockets", "processes"] });
  const { results } = await decide(
    serve(),
    (t) => {
      t.http(`http://${HOST}:${port}/`).status(200);
      t.port(port).listening();
      t.process("node").running();
    },
    {},
    engine,
  );
  assert.ok(
    results.every(({ verdict }) => verdict === "pass"),
    verdicts(results).join("\n"),
  );
  assert.ok(engine.execs >= 1);
});

test("each wrong expectation fails with what was seen and how long it was tried", async () => {
  const wrong = (t: ImageTarget): void => {
    const w = t.within("600ms");
    w.port(port).notListening();
    w.port(1).listening();
    w.process("nginx").running();
    w.process("node").notRunning();
    w.log.lacks("listening");
    w.log.contains("listenning on");
    w.reach(HOST, port).closed();
    w.reach("no-such-host.invalid", 80).closed();
    w.container.exitCode(0);
    w.container.healthy();
    w.http(`http://${HOST}:${port}/`).body(/"service":"shop"/);
  };
  const { results } = await decide(serve(), wrong, {}, listeningEngine());
  assert.deepEqual(
    results.map(({ verdict }) => verdict),
    ["fail", "fail", "fail", "fail", "fail", "fail", "fail", "unknown", "fail", "unknown", "fail"],
    verdicts(results).join("\n"),
  );
  assert.match(results[1]?.evidence ?? "", new RegExp(`listening: ${HOST.replaceAll(".", "\\.")}:${port}`));
  assert.ok((results[1]?.attempts ?? 0) > 1 && (results[1]?.durationMs ?? 0) > 300);
  assert.match(results[5]?.closest ?? "", /^listening {2}\(log line 2 of 2\)$/);
});

test("a first process that ignores its stop signal is told from one that does not", async () => {
  const { results } = await decide(serve({ DEAF: "1" }), (t) => {
    t.port(port).listening();
    t.container.stopsWithin("300ms");
  });
  assert.equal(results[1]?.verdict, "fail");
  assert.match(results[1]?.evidence ?? "", /ignored its stop signal and was killed/);
});

test("a container that ends says so at once: what should be there fails, what should not is unknown, with its last lines", async () => {
  const options = { entrypoint: ["/bin/sh", "-c"], command: ["echo cannot open the database >&2; exit 3"] };
  const { results } = await decide(options, (t) => {
    t.within("20m").port(80).listening(); // who waited for that would not come to an end
    t.port(22).notListening();
    t.process("nginx").notRunning();
    t.container.exitCode(3);
  });
  assert.deepEqual(
    results.map(({ verdict }) => verdict),
    ["fail", "unknown", "unknown", "pass"],
  );
  assert.deepEqual(results[0]?.why, ["web exited 3; its last lines: cannot open the database"]);
});

test("what failed early proves nothing by its log, what ended well or as expected does", async () => {
  const ends = (code: number) => ({ entrypoint: ["/bin/sh", "-c"], command: [`echo begun; exit ${code}`] });
  const says = (t: ImageTarget): void => {
    t.log.stderr.lacks("warn");
    t.log.count("warn", 0);
    t.log.lacks("begun");
    t.log.contains("begun");
  };
  const expected = (t: ImageTarget): void => {
    says(t);
    t.container.exitCode(3);
  };
  const table: readonly [number, (t: ImageTarget) => void, readonly string[]][] = [
    [3, says, ["unknown", "unknown", "fail", "pass"]],
    [0, says, ["pass", "pass", "fail", "pass"]],
    [3, expected, ["pass", "pass", "fail", "pass", "pass"]],
    [1, expected, ["unknown", "unknown", "fail", "pass", "fail"]],
  ];
  for (const [code, body, verdicts] of table) {
    const { results } = await decide(ends(code), body);
    const seen = results.map(({ verdict }) => verdict);
    assert.deepEqual(seen, verdicts, `exit ${code}`);
  }
});

test("a container that cannot be started fails what should be there, and nothing passes by it", async () => {
  const { results } = await decide({ entrypoint: ["/no/such/program"] }, (t) => {
    t.port(80).listening();
    t.port(22).notListening();
    t.log.lacks("error");
    t.container.running();
  });
  assert.deepEqual(
    results.map(({ verdict }) => verdict),
    ["fail", "unknown", "unknown", "fail"],
  );
});

test("a 502 is explained by the front's own log", async () => {
  const bad = (t: ImageTarget) => t.within("2s").http(`http://${HOST}:${port}/bad`).status(200);
  const { results } = await decide(serve(), bad, {}, listeningEngine());
  assert.deepEqual(results[0]?.why, ["web's log: connect ECONNREFUSED 127.0.0.1:1"]);
});

test("where nothing keeps a container running, a setup and an input are unknown, and say what the one who wrote them can do", async () => {
  const yaml = `schemaVersion: 2.0.0
commandTests:
  - { name: a, command: echo, args: [hi], expectedOutput: [hi], teardown: [[echo]] }
  - { name: b, command: echo, setup: [[echo]] }
`;
  const checks = [
    ...parseStructureTest(yaml, join(folder, "t.yaml"), "bare"),
    ...withoutImplied(
      await collect(() =>
        describeImage("bare", { command: ["true"] }, (t) => t.command(["cat"], { stdin: "x" }).stdout("x")),
      ),
    ),
  ];
  const engine = testingEngine(systemClock);
  const results = await decideChecks(checks, {
    images,
    root: folder,
    clock: clockOfWaits(),
    engine: () => Promise.resolve(engine),
  });
  const why = "the image has no /bin/sh and sleep to keep a container running with";
  const setup = `${why}, so its setup cannot be run`;
  const input = `${why}, so it gets no input`;
  const build = "Build what the setup makes into the image, or test a stage of its Dockerfile that has both.";
  const stay = 'Give describeImage a command that stays: { command: ["node", "server.js"] }.';
  assert.deepEqual(
    results.map(({ verdict, evidence, remedy }) => [verdict, evidence, remedy]),
    [
      ["pass", "", undefined],
      ["pass", "", undefined],
      ["unknown", setup, build],
      ["unknown", input, stay],
      ["unknown", input, stay],
    ],
  );
});

test("commands run once each, in order, in one container; isolated ones in their own", async () => {
  const file = join(folder, "counted");
  const engine = await allPass(serve(), (t) => {
    t.command(`echo one >> ${file}; cat ${file}`).stdout("one\n");
    t.command(["cat", file]).stdout(["one", /^o/]).stderr(empty()).maxTime("25s");
    t.command("echo oops >&2; exit 4").exits(4).stderr(/oops/).stdout(empty()).stderrLacks("fine");
    t.command(["cat"], { stdin: "given" }).stdout("given");
    t.command("echo $GREETING; pwd", { env: { GREETING: "hi" }, workdir: "/tmp" }).stdout("hi\n/tmp");
    t.command(["echo", '{"a":{"b":[7]}}']).json("a.b[0]", 7);
    t.command(["true"]).isolated();
  });
  assert.deepEqual([engine.made, engine.execs], [2, 7]);
});

test("a command fails by its exit code, its text or its time, and says how it went", async () => {
  const { results } = await decide(serve(), (t) => {
    t.command("echo almost there >&2; exit 2").stderr(/almost done/);
    t.command(["sleep", "5"], { timeout: "200ms" });
    t.command(["no-such-program"]);
  });
  assert.deepEqual(
    results.map((one) => [one.verdict, one.evidence, one.closest]),
    [
      ["fail", "exit 2", "almost there  (last line of stderr)"],
      ["fail", 'stderr is "almost there"', "almost there  (stderr line 1 of 1)"],
      ["fail", "it was killed after 200 ms", undefined],
      ["fail", "exit 127", "spawn no-such-program ENOENT  (last line of stderr)"],
    ],
  );
  assert.match(results[0]?.cost ?? "", /^exit 2 · \d+ ms$/);
});

test("an image whose own command ends at once is still asked, in a container that waits", async () => {
  const engine = await allPass({ entrypoint: ["true"] }, (t) => {
    t.command(["echo", "here"]).stdout("here");
    t.command("echo there").stdout("there");
  });
  assert.equal(engine.made, 2);
});

test("secrets are replaced by value in everything that is shown", async () => {
  const shown = (t: ImageTarget): void => {
    t.within("300ms").log.contains("starting with nothing");
    t.command("echo $DB_PASSWORD; exit 1", { env: { DB_PASSWORD: "another-secret" } });
  };
  const { results } = await decide(serve({ DB_PASSWORD: "hunter2hunter2" }), shown, {}, listeningEngine());
  assert.deepEqual(
    results.map(({ verdict }) => verdict),
    ["fail", "fail"],
  );
  assert.doesNotMatch(JSON.stringify(results), /hunter2|another-secret/);
  assert.match(JSON.stringify(results), /starting with •••/);
});

test("the engine is opened only when a check needs it, and one that fails is one error", async () => {
  const broken = () =>
    Promise.reject(new SlipwayError({ code: "ENGINE_MISSING", message: "no engine", exitCode: 3 }));
  const { results } = await decide({}, (t) => t.file("/app/server.cjs").exists(), { engine: broken });
  assert.equal(results[0]?.verdict, "pass");
  await assert.rejects(
    decide({}, (t) => t.port(1).listening().listening(), { engine: broken }),
    { code: "ENGINE_MISSING" },
  );
});

test("a command can be run by the image's entrypoint, in the running container and as the first process", async () => {
  const script = join(folder, "entrypoint");
  await writeFile(script, '#!/bin/sh\nexport FROM_ENTRYPOINT=yes\nexec "$@"\n', { mode: 0o755 });
  const waits = ["/bin/sh", "-c", "trap 'exit 0' TERM; while sleep 0.1; do :; done"];
  for (const command of [waits, ["true"]]) {
    await allPass({ entrypoint: [script], command }, (t) => {
      const print = ["/bin/sh", "-c", "echo $FROM_ENTRYPOINT"];
      t.command(print, { entrypoint: "keep" }).stdout("yes");
      t.command(print).stdout("");
    });
  }
});

test("of an image for other machines what is read is decided, and what would run is unknown", async () => {
  const layout = await ImageLayout.open(join(folder, "foreign"));
  const dockerfile = join(folder, "Dockerfile");
  const foreign = await buildImages({
    images: [{ name: "web", from: { kind: "context", context: folder, dockerfile, args: {} } }],
    layout,
    registry: {} as RegistryClient,
    root: folder,
    commitTimeMs: 0,
    isLocal: true,
    allowHostBases: [],
    platforms: [{ os: "linux", architecture: "riscv64" }],
  });
  const { results } = await decide(
    serve(),
    (t) => {
      t.image.arch("riscv64");
      t.file("/app/server.cjs").isFile();
      t.port(port).listening();
      t.port(9).notListening();
      t.command(["true"], { isolated: true });
      t.container.stopsWithin("1s");
    },
    { images: foreign, binfmtMisc: () => Promise.resolve(undefined) },
  );
  assert.deepEqual(
    results.map(({ verdict }) => verdict),
    ["pass", "pass", "unknown", "unknown", "unknown", "unknown"],
  );
  assert.match(
    results[2]?.evidence ?? "",
    /^the image is for linux\/riscv64, this machine is linux\/\w+, and binfmt_misc is not mounted$/,
  );
});

test("services of a stack are asked together, and commands until they hold", async () => {
  const engine = testingEngine(systemClock);
  const compose: ComposeRunner = {
    async up(_place, used) {
      const spec = (name: string) => ({ ...serviceTemplate(), name });
      const project = await used.createProject({ name: "shop", services: [spec("front"), spec("back")] });
      await project.container("front").start();
      return project;
    },
  };
  const run = async (body: (t: StackTarget) => unknown): Promise<readonly CheckResult[]> => {
    const checks = withoutImplied(await collect(() => describeCompose(".", body)));
    return decideChecks(checks, {
      images,
      root: folder,
      clock: systemClock,
      engine: () => Promise.resolve(engine),
      compose,
    });
  };
  const results = await run((t) => {
    t.in("front").http(`http://${HOST}:${port}/`).status(200);
    t.in("front").command(`test -e ${folder}/late || { touch ${folder}/late; exit 1; }`);
    t.in("front").log.lacks("[emerg]");
  });
  assert.deepEqual(verdicts(results.filter(({ verdict }) => verdict !== "pass")), []);
  assert.equal(results[1]?.attempts, 2);
  assert.equal(results[0]?.target, "compose › front");
  const dead: ComposeRunner = {
    up: () =>
      Promise.reject(new SlipwayError({ code: "COMPOSE_NOT_READY", message: "back exited 1", exitCode: 1 })),
  };
  assert.equal(await notReady(engine, dead), "fail: the services did not become ready: back exited 1");
  assert.equal(engine.made, engine.removed);
});

async function notReady(engine: Engine, compose: ComposeRunner): Promise<string> {
  const checks = await collect(() => describeCompose(".", (t) => t.in("front").port(80).notListening()));
  const [failed] = await decideChecks(checks, {
    images,
    root: folder,
    clock: systemClock,
    engine: () => Promise.resolve(engine),
    compose,
  });
  return `${failed?.verdict}: ${failed?.evidence}`;
}

test("the last words of a service that did not become ready are shown without its secrets", async () => {
  const compose: ComposeRunner = {
    up(_place, _engine, { onVariables }) {
      onVariables({ DB_PASSWORD: "correct-horse" });
      const message = "exited with 1\n  front | no user at db with correct-horse";
      return Promise.reject(new SlipwayError({ code: "COMPOSE_SERVICE_EXITED", message, exitCode: 1 }));
    },
  };
  const told = await notReady(testingEngine(systemClock), compose);
  assert.match(told, /front \| no user at db with \S+$/);
  assert.doesNotMatch(told, /correct-horse/);
});

const serviceTemplate = () =>
  aService("web", {
    image: images[0] as BuiltImage,
    entrypoint: [process.execPath],
    command: [join(folder, "server.cjs")],
    environment: { HOST, PORT: String(port) },
  });

test("an interrupted run removes what it started and ends at once", async () => {
  const stop = new AbortController();
  const engine = testingEngine(systemClock);
  const checks = await collect(() =>
    describeImage("web", serve(), (t) => t.within("60s").port(1).listening()),
  );
  const running = decideChecks(checks, {
    images,
    root: folder,
    clock: systemClock,
    engine: () => Promise.resolve(engine),
    signal: stop.signal,
  });
  await until("the container is started", () => engine.made === 1);
  const startedAt = systemClock.monotonic();
  stop.abort(new Error("interrupted"));
  await assert.rejects(running, /interrupted/);
  assert.ok(systemClock.monotonic() - startedAt < 30_000, "without it the run waits for 60 s");
  assert.ok(engine.removed >= 1);
});
