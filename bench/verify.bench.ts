/**
 * Two figures of `slipway verify`. The 20 checks of one image with a warm index, with nothing running, in the sandbox and
 * with Docker, beside Serverspec's docker backend; and how many execs they cost. And the corpus of broken images on every
 * engine that answers, with Serverspec's score on it: false passes, false failures, decided. Writes results/verify.md;
 * exits 4 when a time is missed, 1 when a check is wrong.
 *
 *   node bench/verify.bench.ts [rounds, 10] [all | running | short, all]
 *
 * `running` starts containers only of images that are broken in what runs, which takes a third of the time; `short` does
 * so in the sandbox only.
 *
 *   node scripts/engines.ts node bench/verify.bench.ts     with Debian's Docker and Podman, started for it
 *
 * Serverspec is Debian's ruby-serverspec and ruby-docker-api. Its image has the tools that it asks, from this machine.
 */
import { enableCompileCache } from "node:module";
import { MISSED_GOAL } from "./machine.ts";

enableCompileCache(); // as the command line does

const { mkdtemp, rm } = await import("node:fs/promises");
const { existsSync } = await import("node:fs");
const { cpus, loadavg, tmpdir } = await import("node:os");
const { join } = await import("node:path");
const { renderTable, systemClock, writeAtomic } = await import("../packages/base/src/index.ts");
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
const { isAboutRunning } = await import("../packages/slipway/src/verify/mutations/spread.ts");
const { MUTATIONS } = await import("../packages/slipway/src/verify/mutations/mutations.ts");
const { loadImage } = await import("../packages/slipway/src/verify/engines/docker/images.ts");
const { forPeer, peerBase } = await import("./verify/peer-base.ts");
const { hasServerspec, passedChecks, runServerspec, SERVERSPEC_NAMES } = await import(
  "./verify/serverspec.ts"
);
const { withoutImplied } = await import("../packages/slipway/src/verify/plan.ts");
const { decideChecks } = await import("../packages/slipway/src/verify/run.ts");
const { describeImage } = await import("../packages/slipway/src/verify/verify.ts");

type Engine = import("../packages/slipway/src/verify/engines/engine.ts").Engine;
type ImageTarget = import("../packages/slipway/src/verify/verify.ts").ImageTarget;
type Decided = import("../packages/slipway/src/verify/mutations/score.ts").Decided;

const rounds = Number(process.argv[2] ?? 10);
const form = process.argv[3] ?? "all";
const isShort = form === "short";
const folder = await mkdtemp(join(tmpdir(), "slipway-bench-"));
const lines: string[] = ["# verify", ""];
let isMissed = false;
/** What no busy machine excuses. */
let isWrong = false;
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
const podmanConnection = await connect("podman", process.env).catch(() => undefined);
const engineOn = (found: typeof connection): Engine | undefined =>
  found === undefined ? undefined : dockerEngine({ connection: found, clock: systemClock, look: hostLook });
const docker = engineOn(connection);
const podman = engineOn(podmanConnection);

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

const layout = await ImageLayout.open(join(folder, "images"));
// The same image for everybody, where this machine has the tools that Serverspec asks.
const peerImage = peerBase(busybox);
const image = await buildImage(peerImage ?? webBase(busybox), undefined, layout);
/** What an engine ran inside containers, of the run that was last. */
let execs = 0;

/** Counts execs, and does not close: closing belongs to whoever opened it. */
function counted(engine: Engine): Engine {
  return {
    ...engine,
    close: () => Promise.resolve(),
    async createProject(spec) {
      const project = await engine.createProject(spec);
      return {
        spec,
        container: (name) => project.container(name),
        remove: () => {
          for (const { name } of spec.services) execs += project.container(name).execs;
          return project.remove();
        },
      };
    },
  };
}

async function once(engine: Engine | undefined): Promise<number> {
  execs = 0;
  const checks = withoutImplied(
    await collect(() => describeImage("web", (t) => twentyChecks(t, engine !== undefined))),
  );
  const startedAt = performance.now();
  const results = await decideChecks(checks, {
    images: [image],
    root: folder,
    clock: systemClock,
    name: `bench-${process.pid}`,
    ...(engine === undefined ? {} : { engine: () => Promise.resolve(counted(engine)) }),
  });
  const bad = results.filter(({ verdict }) => verdict !== "pass");
  if (bad.length > 0) throw new Error(`${bad[0]?.subject} › ${bad[0]?.expectation}: ${bad[0]?.evidence}`);
  return performance.now() - startedAt;
}

/** Medians; each contestant once in every round, so that what else this machine does meets all of them. */
async function medians(
  contestants: readonly (readonly [name: string, run: (() => Promise<number>) | undefined])[],
): Promise<ReadonlyMap<string, number>> {
  const taking = contestants.flatMap(([name, run]) =>
    run === undefined ? [] : [{ name, run, all: [] as number[] }],
  );
  for (const { run } of taking) await run(); // the index, unpacked layers, the image in the engine
  for (let round = 0; round < rounds; round += 1) {
    for (const { run, all } of taking) all.push(await run());
  }
  return new Map(
    taking.map(({ name, all }) => [name, all.sort((x, y) => x - y)[Math.floor(all.length / 2)] as number]),
  );
}

function goal(what: string, ratio: number, wanted: number): void {
  const isMet = ratio >= wanted;
  if (!isMet) isMissed = true;
  say(`${what}: ${ratio.toFixed(1)} times (goal ${wanted}): ${isMet ? "met" : "MISSED"}`);
}

try {
  say(`${cpus().length} × ${cpus()[0]?.model}, load ${loadavg()[0]?.toFixed(1)}, ${rounds} rounds`);
  say("");
  const reference = await serverspecImage();
  let dockerExecs = 0;
  const contestants = [
    ["with nothing running", () => once(undefined)],
    ["in the sandbox, with 2 commands", () => once(sandbox)],
    [
      "with Docker, with 2 commands",
      docker &&
        (async () => {
          const took = await once(docker);
          dockerExecs = execs;
          return took;
        }),
    ],
    ["with Podman, with 2 commands", podman && (() => once(podman))],
    ["Serverspec, docker backend", reference === undefined ? undefined : () => serverspec(reference)],
  ] as const;
  const took = await medians(contestants);
  say("20 checks on one image, warm index, median:");
  say("");
  say(
    renderTable(
      contestants.map(([name]) => {
        const value = took.get(name);
        return [name, value === undefined ? "not here" : `${value.toFixed(0)} ms`];
      }),
    ),
  );
  const [none, , inDocker, , peer] = contestants.map(([name]) => took.get(name));
  say("");
  if (docker !== undefined) {
    const isMet = dockerExecs <= 3;
    if (!isMet) isMissed = true;
    say(
      `execs with Docker, for 18 declarative checks and 2 commands: ${dockerExecs} (goal at most 3): ${isMet ? "met" : "MISSED"}`,
    );
  }
  if (peer !== undefined && none !== undefined) {
    goal("faster than Serverspec with nothing running", peer / none, 10);
    if (inDocker !== undefined) goal("faster than Serverspec with Docker", peer / inDocker, 5);
  } else {
    say(
      "Serverspec is not beside it: it needs Debian's ruby-serverspec and ruby-docker-api, and a Docker engine.",
    );
  }
  say("");
  await corpus("with nothing running", undefined);
  if (existsSync(busybox)) await corpus("in the sandbox", sandbox);
  if (docker !== undefined && !isShort) await corpus("with Docker", docker);
  if (podman !== undefined && !isShort) await corpus("with Podman", podman);
  if (reference !== undefined && !isShort) await serverspecCorpus();
} finally {
  await sandbox.close();
  await rm(folder, { recursive: true, force: true });
}

/** What Docker calls the image; undefined where there is no Serverspec, or nothing that it could look into. */
async function serverspecImage(): Promise<string | undefined> {
  if (connection === undefined || peerImage === undefined || !(await hasServerspec())) return undefined;
  return (await loadImage(connection.docker, layout, image)).name;
}

async function serverspec(reference: string): Promise<number> {
  const { examples, tookMs, text } = await runServerspec("twenty", reference, folder);
  const failed = examples.filter(({ status }) => status !== "passed");
  if (examples.length === 20 && failed.length === 0) return tookMs;
  throw new Error(`serverspec: ${failed.map((one) => one.full_description).join("; ") || text}`);
}

/** The checks that it has a resource for, on every image that is broken in a way that one of them is about. */
async function serverspecCorpus(): Promise<void> {
  if (connection === undefined || peerImage === undefined) return;
  const passedOn = async (built: typeof image): Promise<ReadonlySet<string>> => {
    const { name } = await loadImage(connection.docker, layout, built);
    return passedChecks((await runServerspec("corpus", name, folder)).examples);
  };
  const held = await passedOn(image);
  const names = SERVERSPEC_NAMES.filter((name) => held.has(name));
  const wrongly: string[] = [];
  const failures: string[] = [];
  const mutations = MUTATIONS.filter(
    (one) => one.base === "web" && (isAboutRunning(one) || one.untrue.some((name) => names.includes(name))),
  );
  for (const mutation of mutations) {
    const passed = await passedOn(await buildImage(peerImage, forPeer(mutation.damage), layout));
    for (const name of names) {
      const holds = !mutation.untrue.includes(name);
      const isProvable = mutation.unprovable?.includes(name) !== true;
      if (!holds && passed.has(name)) wrongly.push(`${mutation.name}: ${name}`);
      if (holds && isProvable && !passed.has(name)) failures.push(`${mutation.name}: ${name}`);
    }
  }
  const missing = SERVERSPEC_NAMES.filter((name) => !held.has(name));
  say(
    `Serverspec on the corpus: ${names.length} checks that it has a resource for, on ${mutations.length} broken images:`,
  );
  say(`  ${wrongly.length} false passes, ${failures.length} false failures`);
  if (missing.length > 0) say(`  not counted, they fail on the undamaged image: ${missing.join(", ")}`);
  for (const one of wrongly) say(`  passes although it is untrue: ${one}`);
}

async function corpus(where: string, engine: Engine | undefined): Promise<void> {
  const decided: readonly Decided[] = await runCorpus({
    layout: await ImageLayout.open(join(folder, "corpus")),
    clock: systemClock,
    isShort: form !== "all",
    ...(engine === undefined ? {} : { engine, busybox }),
  });
  const own = engine === undefined ? decided.filter(({ needsEngine }) => !needsEngine) : decided;
  const wrong = [...falsePasses(own), ...falseFailures(own)];
  const share = (100 * (own.length - undecided(own).length)) / own.length;
  say(
    `The corpus ${where}${form === "all" || engine === undefined ? "" : ", run where it is about what runs"}: ${own.length} checks on ${new Set(own.map((one) => `${one.base} ${one.mutation}`)).size} images:`,
  );
  say(
    `  ${falsePasses(own).length} false passes, ${falseFailures(own).length} false failures, ${share.toFixed(1)} % decided (goals 0, 0, 95 %)`,
  );
  for (const one of wrong) say(`  ${show(one)}`);
  if (wrong.length > 0 || share < 95) isWrong = true;
}

if (!isShort) await writeAtomic(join(import.meta.dirname, "results", "verify.md"), `${lines.join("\n")}\n`);
process.exitCode = isWrong ? 1 : isMissed ? MISSED_GOAL : 0;
