/**
 * A change of code on its way to a registry: `slipway build --push`, once for each change and with a `--watch` that stays, beside
 * `docker build` and `docker push`, into one registry on loopback. Writes results/build.md.
 *
 *   node bench/build.bench.ts [rounds, 10] [files of the small tree, 900]
 *
 * Two trees: a small one, of which a build is little more than the start of a process, and one of ten times the files, which says
 * more about the builder.
 *
 * Docker's commands ask a daemon that was started before. Slipway has none, but `slipway build --push --watch` stays, where a person
 * has started it, and answers `slipway build --push` beside it. So there are three figures: of that command beside a build that
 * watches, which is like for like and has the goal; of the build that watches, from a change of a file to its image in the registry;
 * and of the command alone, of which the start of its process takes more than the goal allows for the small tree.
 *
 * All of it lies in memory where the machine has that (tmpfs), the peer's too: what is compared are programs. A file system
 * without a journal makes each new file slow for minutes where many were removed before (ext4, `recently_deleted`).
 *
 * The program runs as `npm ci` leaves it, bundled; from the sources, and a Node that does nothing, are measured beside it.
 * Docker is Debian's docker.io with BuildKit, and beside it with the builder that this version takes where nobody asks for BuildKit.
 * It is started here for the time of the measurement; without dockerd, or without the right to run it, the peer is not measured
 * and that is said.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, statfsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { exec, renderTable, seededRandom, writeAtomic } from "../packages/base/src/index.ts";
import { buildHostBase } from "../packages/slipway/src/images/host/base.ts";
import { ImageLayout } from "../packages/slipway/src/images/layout.ts";
import { createRegistryClient } from "../packages/slipway/src/images/registry/client.ts";
import { startRegistry } from "../packages/slipway/src/images/registry/registry.ts";
import { bundle } from "../scripts/bundle.ts";
import { MISSED_GOAL } from "./machine.ts";

const rounds = Number(process.argv[2] ?? 10);
const FILES = Number(process.argv[3] ?? 900);
const TREES = [FILES, FILES * 10];
const FILE_BYTES = 5000;
const GOAL = 3;
const MEMORY = "/dev/shm";
/** Images, layouts and what Docker unpacks of them; containers often have 64 MB. */
const ROOM_BYTES = 4e9;

const place = hasRoom(MEMORY) ? MEMORY : tmpdir();
const folder = await mkdtemp(join(place, "slipway-build-bench-"));
const registry = await startRegistry({ directory: join(folder, "registry"), port: 0 });
const root = join(import.meta.dirname, "..");
const slipway = join(root, "packages", "slipway", "bin", "slipway");
await bundle({ root, dist: join(root, "packages", "slipway", "dist") });

/** The base that both stand on: this machine's Node, pulled from the registry by each. */
const base = `${registry.host}/base/node:1`;
const layout = await ImageLayout.open(join(folder, "base"));
const client = createRegistryClient();
await client.push(
  layout,
  await buildHostBase("slipway/node", layout, { isLocal: true, allowHostBases: [] }, "bench"),
  base,
);
await client.close();

function hasRoom(path: string): boolean {
  if (!existsSync(path)) return false;
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize >= ROOM_BYTES;
}

interface Measured {
  readonly name: string;
  readonly seconds: readonly number[];
}

interface Contestant {
  readonly name: string;
  readonly steps: readonly (readonly string[])[];
  readonly env: Readonly<Record<string, string>>;
}

const ours: Contestant = {
  name: "slipway build --push",
  steps: [[slipway, "build", "--push", "--env", "bench", "--allow-dirty", "--builder", "slipway"]],
  env: { SLIPWAY_SOURCES: "0" },
};
/** Before the commit: files of the code's layer are still as old as they were, so only what changed is packed. */
const edited: Contestant = { ...ours, name: "the same, not committed" };
/** From the change of a file until the registry has its image. */
const WATCHING = "slipway build --push --watch, not committed";
/** From the change of a file until the command has ended. */
const BESIDE = "slipway build --push beside it, not committed";
const fromSources: Contestant = { ...ours, name: "the same from its sources", env: { SLIPWAY_SOURCES: "1" } };
const version: Contestant = { name: "slipway --version", steps: [[slipway, "--version"]], env: ours.env };
const idle: Contestant = { name: "node -e 0", steps: [[process.execPath, "-e", "0"]], env: {} };

const daemon = await startDocker();

interface Outcome {
  readonly files: number;
  readonly measured: readonly Measured[];
  readonly peer: string | undefined;
  /** The peer as it builds when nothing is set. */
  readonly unset: string | undefined;
  /** Bytes that a second build and push of the same tree send. */
  readonly unchanged: number;
}

try {
  const outcomes: Outcome[] = [];
  for (const files of TREES) outcomes.push(await measure(files));
  await report(outcomes);
} finally {
  await daemon?.stop();
  await registry.close();
  await rm(folder, { recursive: true, force: true });
}

async function measure(files: number): Promise<Outcome> {
  const project = join(folder, `project-${files}`);
  const app = join(project, "app");
  await makeProject(project, files);
  const image = `${registry.host}/peer/app:${files}`;
  const theirs: Contestant | undefined =
    daemon === undefined
      ? undefined
      : {
          name: `docker build + push (${daemon.name})`,
          steps: [
            [daemon.program, "build", "--quiet", "--tag", image, app],
            [daemon.program, "push", "--quiet", image],
          ],
          env: daemon.env,
        };
  const unset: Contestant | undefined = theirs && {
    ...theirs,
    name: "the same without BuildKit",
    env: { ...theirs.env, DOCKER_BUILDKIT: "0" },
  };
  const peers = [theirs, unset].filter((one) => one !== undefined);
  const contestants = [ours, ...peers, fromSources, version, idle];
  const names = [...contestants.map(({ name }) => name), edited.name, WATCHING, BESIDE];
  const seconds = new Map(names.map((name) => [name, [] as number[]]));
  const watching = await startWatching(files);
  for (const contestant of contestants) await run(contestant, project); // the first time everything is made and sent
  const unchanged = await uploadedAgain(project);
  const changed = join(app, "src", "changed.js");
  for (let round = 0; round < rounds; round += 1) {
    // Each goes first as often as the other.
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      // A change for each: what one has built from the same sources is the other's.
      await writeFile(changed, `module.exports = ${JSON.stringify(`${round}, ${contestant.name}`)};\n`);
      commitAll(project);
      seconds.get(contestant.name)?.push(await run(contestant, project));
    }
    await writeFile(changed, `module.exports = ${JSON.stringify(`${round}, not committed`)};\n`);
    seconds.get(edited.name)?.push(await run(edited, project));
    const watched = [WATCHING, BESIDE] as const;
    for (const name of round % 2 === 0 ? watched : watched.toReversed()) {
      const text = `module.exports = ${JSON.stringify(`${round}, ${name}`)};\n`;
      seconds.get(name)?.push(await (name === WATCHING ? watching.change(text) : watching.ask(text)));
    }
  }
  await watching.stop();
  const measured = names.map((name): Measured => ({ name, seconds: seconds.get(name) ?? [] }));
  return { files, measured, peer: theirs?.name, unset: unset?.name, unchanged };
}

/** Seconds of all steps, one after the other. The registry is in this process, so nothing here may block it. */
async function run({ steps, env }: Contestant, project: string): Promise<number> {
  const started = performance.now();
  for (const step of steps) {
    const result = await exec(step, { cwd: project, env: { ...process.env, ...env } });
    if (result.exitCode !== 0) throw new Error(`${step.join(" ")}: ${result.stdout}${result.stderr}`);
  }
  return (performance.now() - started) / 1000;
}

/** In a tree of its own: it would build what the others change. */
async function startWatching(files: number): Promise<{
  /** Seconds. */
  change(text: string): Promise<number>;
  ask(text: string): Promise<number>;
  stop(): Promise<void>;
}> {
  const project = join(folder, `watched-${files}`);
  await makeProject(project, files);
  const words = ["build", "--push", "--json", "--env", "bench", "--allow-dirty", "--builder", "slipway"];
  const asking: Contestant = { name: BESIDE, steps: [[slipway, ...words]], env: ours.env };
  const child = spawn(slipway, [...words, "--watch"], {
    cwd: project,
    env: { ...process.env, ...ours.env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  /** Reads up to that line, and returns it. */
  const until = async (isWanted: (line: string) => boolean): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error("slipway build --watch ended");
      if (isWanted(value)) return value;
    }
  };
  const waits = (line: string): boolean => line.includes('"kind":"waiting"');
  let digest: string | undefined;
  /** Of another image than the last: what is written in two steps may be built twice. */
  const pushed = async (): Promise<void> => {
    const digestIn = (line: string): string | undefined => /"step":"push".*@(sha256:\w+)/.exec(line)?.[1];
    const isNew = (line: string): boolean => ![undefined, digest].includes(digestIn(line));
    digest = digestIn(await until(isNew));
  };
  await pushed();
  await until(waits);
  const changed = join(project, "app", "src", "changed.js");
  return {
    async change(text) {
      const started = performance.now();
      await writeFile(changed, text);
      await pushed();
      const took = performance.now() - started;
      await until(waits);
      return took / 1000;
    },
    async ask(text) {
      const started = performance.now();
      await writeFile(changed, text);
      await run(asking, project);
      const took = performance.now() - started;
      await pushed();
      await until(waits);
      return took / 1000;
    },
    stop() {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

async function uploadedAgain(project: string): Promise<number> {
  await run(ours, project);
  const command = [slipway, "push", "--env", "bench", "--allow-dirty", "--json"];
  const { stdout } = await exec(command, { cwd: project });
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { uploadedBytes?: number });
  return events.reduce((sum, { uploadedBytes = 0 }) => sum + uploadedBytes, 0);
}

async function report(outcomes: readonly Outcome[]): Promise<void> {
  const parts = outcomes.map(partOf);
  const head = [
    `${rounds} rounds for each tree; one changed file over node_modules and a base of the registry; Docker's daemon runs before the clock does`,
    ...(daemon === undefined
      ? ["peer not measured: no dockerd that could be started here (Debian: docker.io, as root)"]
      : []),
    `Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), the registry in this process, all files in ${place}; load average ${loadavg()[0]?.toFixed(1)}`,
  ];
  const lines = head.map((line) => `- ${line}`);
  const page = ["# Build and push", "", ...lines, "", ...parts.map(({ text }) => text)].join("\n");
  console.log(page);
  await writeAtomic(join(import.meta.dirname, "results", "build.md"), page);
  if (parts.some(({ isMet }) => !isMet)) process.exitCode = MISSED_GOAL;
}

function partOf({ files, measured, peer, unset, unchanged }: Outcome): {
  readonly text: string;
  readonly isMet: boolean;
} {
  const median = (values: readonly number[]): number =>
    [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  const secondsOf = (name: string | undefined): readonly number[] | undefined =>
    measured.find((one) => one.name === name)?.seconds;
  const medianOf = (name: string): number => median(secondsOf(name) as readonly number[]);
  const [beside, theirs] = [secondsOf(BESIDE) as readonly number[], secondsOf(peer)];
  const ratioOf = (name: string): number => median(theirs as readonly number[]) / medianOf(name);
  const ratio = theirs === undefined ? undefined : ratioOf(BESIDE);
  const table = renderTable([
    ["", "median s", "fastest s", "slowest s"],
    ...measured.map(({ name, seconds }) => [
      name,
      ...[median(seconds), Math.min(...seconds), Math.max(...seconds)].map((value) => value.toFixed(3)),
    ]),
  ]);
  const lines = [
    ...(theirs === undefined || ratio === undefined
      ? []
      : [
          `a command for each change, beside a build that watches as Docker's beside its daemon: ${ratio.toFixed(1)} times as fast as docker build and push (goal: at least ${GOAL}), by the fastest rounds ${(Math.min(...theirs) / Math.min(...beside)).toFixed(1)}`,
          `the build that watches: ${ratioOf(WATCHING).toFixed(1)} times as fast`,
          `a command for each change alone, without any process that stays: ${ratioOf(ours.name).toFixed(1)} times as fast; not committed ${ratioOf(edited.name).toFixed(1)}; beside Docker without BuildKit ${(median(secondsOf(unset) as readonly number[]) / medianOf(ours.name)).toFixed(1)}`,
          `${GOAL} times as fast are ${(median(theirs) / GOAL).toFixed(2)} s, of which the start of the command line takes ${medianOf(version.name).toFixed(2)} (a Node that does nothing: ${medianOf(idle.name).toFixed(2)})`,
        ]),
    `an unchanged rebuild uploads ${unchanged} bytes (goal: 0)`,
  ];
  const title = `## ${files} files, ${((files * FILE_BYTES) / 1e6).toFixed(1)} MB, a tenth of them code`;
  const text = [title, "", ...lines.map((line) => `- ${line}`), "", "```", table, "```", ""].join("\n");
  return { text, isMet: unchanged === 0 && (ratio === undefined || ratio >= GOAL) };
}

async function makeProject(project: string, files: number): Promise<void> {
  const app = join(project, "app");
  const random = seededRandom(1);
  const text = (bytes: number): string => {
    let made = "";
    while (made.length < bytes) made += `exports.${random.name(8)} = "${random.uuid()}";\n`;
    return made.slice(0, bytes);
  };
  await mkdir(join(app, "src"), { recursive: true });
  for (let index = 0; index < files; index += 1) {
    const place = index < files * 0.9 ? join(app, "node_modules", `p${index % 60}`) : join(app, "src");
    await mkdir(place, { recursive: true });
    await writeFile(join(place, `f${index}.js`), text(FILE_BYTES));
  }
  await writeFile(
    join(app, "Dockerfile"),
    `FROM ${base}\nWORKDIR /app\nCOPY node_modules ./node_modules\nCOPY src ./src\nUSER 1000\nCMD ["node", "src/changed.js"]\n`,
  );
  // As in a project of somebody: git neither keeps what was installed nor looks into it.
  await writeFile(join(project, ".gitignore"), "node_modules/\n");
  await writeFile(join(app, "package-lock.json"), "{}\n");
  await writeFile(join(app, ".dockerignore"), "Dockerfile\n.dockerignore\n");
  await writeFile(join(project, "k8s.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: none }\n");
  await writeFile(
    join(project, "slipway.config.ts"),
    `import { context, defineConfig } from "slipway";
export default defineConfig({
  name: "bench",
  images: { app: { context: "app" } },
  manifests: ["k8s.yaml"],
  environments: { bench: { clusters: { none: context("none") }, registry: "${registry.host}/own" } },
});
`,
  );
  git(project, "init", "-q");
  commitAll(project);
}

function commitAll(project: string): void {
  git(project, "add", "-A");
  git(project, "-c", "user.name=b", "-c", "user.email=b@example.com", "commit", "-qm", "b");
}

function git(project: string, ...args: readonly string[]): void {
  const { status } = spawnSync("git", args, { cwd: project, stdio: "inherit" });
  if (status !== 0) throw new Error(`git ${args.join(" ")} ended with ${status}`);
}

async function startDocker(): Promise<
  | {
      readonly name: string;
      readonly program: string;
      readonly env: Readonly<Record<string, string>>;
      stop(): Promise<void>;
    }
  | undefined
> {
  if (!existsSync("/usr/sbin/dockerd") || process.getuid?.() !== 0) return undefined;
  const program = existsSync("/usr/bin/docker") ? "/usr/bin/docker" : "docker";
  const socket = `unix://${join(folder, "docker.sock")}`;
  const child = spawn(
    "/usr/sbin/dockerd",
    [
      ...["--data-root", join(folder, "docker"), "--exec-root", join(folder, "docker-exec")],
      ...["--pidfile", join(folder, "docker.pid"), "-H", socket, "--iptables=false", "--bridge=none"],
    ],
    { stdio: "ignore" },
  );
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const env = { DOCKER_HOST: socket, DOCKER_BUILDKIT: "1" };
  const asked = (): string | undefined => {
    const result = spawnSync(program, ["version", "--format", "{{.Client.Version}} {{.Server.Version}}"], {
      env: { ...process.env, ...env },
      encoding: "utf8",
    });
    return result.status === 0 ? result.stdout.trim() : undefined;
  };
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };
  let version: string | undefined;
  for (let attempt = 0; version === undefined && attempt < 100 && child.exitCode === null; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    version = asked();
  }
  if (version === undefined) {
    await stop();
    return undefined;
  }
  const [client = "", server = ""] = version.split(" ");
  const hasBuildKit =
    Number(client.split(".")[0]) < 23 || spawnSync(program, ["buildx", "version"]).status === 0;
  return {
    name: `${server}, ${hasBuildKit ? "BuildKit" : "classic builder: no buildx plugin"}`,
    program,
    env: { ...env, DOCKER_BUILDKIT: hasBuildKit ? "1" : "0" },
    stop,
  };
}
