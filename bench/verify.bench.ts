/**
 * Two figures of `slipway verify`. The 20 checks of one image with a warm index, with nothing running and in the sandbox,
 * beside Serverspec's docker backend and with Docker where Debian's ruby-serverspec is installed and an engine answers.
 * And the corpus of broken images: false passes, false failures, decided. Writes results/verify.md; exits 1 when a goal
 * is missed.
 *
 *   node bench/verify.bench.ts [rounds, 10] [all | short, all]
 */
import { enableCompileCache } from "node:module";

enableCompileCache(); // as the command line does

const { mkdtemp, rm, writeFile } = await import("node:fs/promises");
const { existsSync } = await import("node:fs");
const { cpus, loadavg, tmpdir } = await import("node:os");
const { join } = await import("node:path");
const { exec, renderTable, systemClock, writeAtomic } = await import("../packages/base/src/index.ts");
const { ImageLayout } = await import("../packages/slipway/src/images/layout.ts");
const { collect } = await import("../packages/slipway/src/verify/collect.ts");
const { connect } = await import("../packages/slipway/src/verify/engines/docker/connect.ts");
const { dockerEngine } = await import("../packages/slipway/src/verify/engines/docker/docker.ts");
const { hostLook } = await import("../packages/slipway/src/verify/engines/docker/host-look.ts");
const { createSandboxEngine } = await import("../packages/slipway/src/verify/engines/sandbox/engine.ts");
const { webBase } = await import("../packages/slipway/src/verify/mutations/bases.ts");
const { buildImage } = await import("../packages/slipway/src/verify/mutations/build.ts");
const { falseFailures, falsePasses, runCorpus, show, undecided } = await import(
  "../packages/slipway/src/verify/mutations/score.ts"
);
const { withoutImplied } = await import("../packages/slipway/src/verify/plan.ts");
const { decideChecks } = await import("../packages/slipway/src/verify/run.ts");
const { describeImage } = await import("../packages/slipway/src/verify/verify.ts");

type Engine = import("../packages/slipway/src/verify/engines/engine.ts").Engine;
type ImageTarget = import("../packages/slipway/src/verify/verify.ts").ImageTarget;
type Decided = import("../packages/slipway/src/verify/mutations/score.ts").Decided;

const rounds = Number(process.argv[2] ?? 10);
const isShort = process.argv[3] === "short";
const folder = await mkdtemp(join(tmpdir(), "slipway-bench-"));
const lines: string[] = ["# verify", ""];
let isMissed = false;
const say = (line: string): void => {
  console.log(line);
  lines.push(line);
};

const busybox = "/bin/busybox";
const sandbox = createSandboxEngine({
  stateDirectory: join(folder, "runs"),
  layersDirectory: join(folder, "layers"),
  clock: systemClock,
});
const connection = await connect("docker", process.env).catch(() => undefined);
const docker =
  connection === undefined ? undefined : dockerEngine({ connection, clock: systemClock, look: hostLook });

/** 9 on one file, 4 on others, 3 on accounts, 2 on packages; and 2 commands where something runs. */
function twentyChecks(t: ImageTarget, hasCommands: boolean): void {
  t.file("/app/server.conf").exists().isFile().mode("0644").ownedBy("root:root").contains("listen 8080");
  t.file("/app/server.conf")
    .contains(/proxy_pass/)
    .lacks("debug")
    .maxSize(1000)
    .readableBy("app");
  t.file("/app/tool").executable();
  t.file("/app/data").isDirectory();
  t.file("/app/current").linkedTo("/app/server.conf");
  t.file("/app/.env").absent();
  t.user("app").exists().uid(1000);
  t.group("staff").exists();
  t.package("nginx-light").installed();
  t.package("telnet").absent();
  if (hasCommands) {
    t.command(["/app/tool"]).stdout("tool 1.2");
    t.command("echo $PORT").stdout("8080");
  } else t.image.user("app").exposes(8080);
}

const image = await buildImage(webBase(busybox), undefined, await ImageLayout.open(join(folder, "images")));

async function once(engine: Engine | undefined): Promise<number> {
  const checks = withoutImplied(
    await collect(() => describeImage("web", (t) => twentyChecks(t, engine !== undefined))),
  );
  const startedAt = performance.now();
  const results = await decideChecks(checks, {
    images: [image],
    root: folder,
    clock: systemClock,
    name: `bench-${process.pid}`,
    ...(engine === undefined
      ? {}
      : { engine: () => Promise.resolve({ ...engine, close: () => Promise.resolve() }) }),
  });
  const bad = results.filter(({ verdict }) => verdict !== "pass");
  if (bad.length > 0) throw new Error(`${bad[0]?.subject} › ${bad[0]?.expectation}: ${bad[0]?.evidence}`);
  return performance.now() - startedAt;
}

async function median(run: () => Promise<number>): Promise<number> {
  await run(); // the index, unpacked layers, the image in the engine
  const all: number[] = [];
  for (let round = 0; round < rounds; round += 1) all.push(await run());
  return all.sort((a, b) => a - b)[Math.floor(all.length / 2)] as number;
}

/** The same 20 checks for Serverspec, as its documentation has them: one exec for each, in a container of the image. */
const SPEC = `require "serverspec"
require "docker"
set :backend, :docker
set :docker_image, ENV["SPEC_IMAGE"]
describe file("/app/server.conf") do
  it { should exist }
  it { should be_file }
  it { should be_mode 644 }
  it { should be_owned_by "root" }
  its(:content) { should match(/listen 8080/) }
  its(:content) { should match(/proxy_pass/) }
  its(:content) { should_not match(/debug/) }
  its(:size) { should < 1000 }
  it { should be_readable }
end
describe(file("/app/tool")) { it { should be_executable } }
describe(file("/app/data")) { it { should be_directory } }
describe(file("/app/current")) { it { should be_linked_to "/app/server.conf" } }
describe(file("/app/.env")) { it { should_not exist } }
describe user("app") do
  it { should exist }
  it { should have_uid 1000 }
end
describe(group("staff")) { it { should exist } }
describe(package("nginx-light")) { it { should be_installed } }
describe(package("telnet")) { it { should_not be_installed } }
describe(command("/app/tool")) { its(:stdout) { should match(/tool 1.2/) } }
describe(command("echo $PORT")) { its(:stdout) { should match(/8080/) } }
`;

const hasServerspec =
  (await exec(["sh", "-c", "command -v rspec && ruby -e 'require \"serverspec\"'"])).exitCode === 0;

async function serverspec(reference: string): Promise<number> {
  const spec = join(folder, "image_spec.rb");
  await writeFile(spec, SPEC);
  const startedAt = performance.now();
  await exec(["rspec", spec], { env: { ...process.env, SPEC_IMAGE: reference } });
  return performance.now() - startedAt;
}

function goal(what: string, ratio: number, wanted: number): void {
  const isMet = ratio >= wanted;
  if (!isMet) isMissed = true;
  say(`${what}: ${ratio.toFixed(1)} times (goal ${wanted}): ${isMet ? "met" : "MISSED"}`);
}

try {
  say(`${cpus().length} × ${cpus()[0]?.model}, load ${loadavg()[0]?.toFixed(1)}, ${rounds} rounds`);
  say("");
  const none = await median(() => once(undefined));
  const inSandbox = await median(() => once(sandbox));
  const inDocker = docker === undefined ? undefined : await median(() => once(docker));
  const reference = process.env["SLIPWAY_BENCH_IMAGE"];
  const peer =
    hasServerspec && docker !== undefined && reference !== undefined
      ? await median(() => serverspec(reference))
      : undefined;
  const ms = (value: number | undefined): string =>
    value === undefined ? "not here" : `${value.toFixed(0)} ms`;
  say("20 checks on one image, warm index, median:");
  say(
    renderTable([
      ["with nothing running", ms(none)],
      ["in the sandbox, with 2 commands", ms(inSandbox)],
      ["with Docker, with 2 commands", ms(inDocker)],
      ["Serverspec, docker backend", ms(peer)],
    ]),
  );
  if (peer !== undefined) {
    goal("faster than Serverspec with nothing running", peer / none, 10);
    if (inDocker !== undefined) goal("faster than Serverspec with Docker", peer / inDocker, 5);
  } else {
    say(
      "Serverspec is not beside it: it needs Debian's ruby-serverspec, a Docker engine, and the image in it (SLIPWAY_BENCH_IMAGE).",
    );
  }
  say("");
  await corpus("with nothing running", undefined);
  if (existsSync(busybox)) await corpus("in the sandbox", sandbox);
  if (docker !== undefined && !isShort) await corpus("with Docker", docker);
} finally {
  await sandbox.close();
  await rm(folder, { recursive: true, force: true });
}

async function corpus(where: string, engine: Engine | undefined): Promise<void> {
  const layout = await ImageLayout.open(join(folder, "corpus"));
  const decided: readonly Decided[] = await runCorpus({
    layout,
    clock: systemClock,
    isShort,
    ...(engine === undefined ? {} : { engine, busybox }),
  });
  const counted = engine === undefined ? decided.filter(({ needsEngine }) => !needsEngine) : decided;
  const wrong = [...falsePasses(counted), ...falseFailures(counted)];
  const share = (100 * (counted.length - undecided(counted).length)) / counted.length;
  say(
    `The corpus ${where}: ${counted.length} checks on ${new Set(counted.map((one) => `${one.base} ${one.mutation}`)).size} images:`,
  );
  say(
    `  ${falsePasses(counted).length} false passes, ${falseFailures(counted).length} false failures, ${share.toFixed(1)} % decided (goals 0, 0, 95 %)`,
  );
  for (const one of wrong) say(`  ${show(one)}`);
  if (wrong.length > 0 || share < 95) isMissed = true;
}

await writeAtomic(join(import.meta.dirname, "results", "verify.md"), `${lines.join("\n")}\n`);
process.exitCode = isMissed ? 1 : 0;
