/**
 * The example of nginx in front of two backends, green: from the Compose file to both requests answered through the front
 * and everything removed. Images are built and layers unpacked before, as in every run but the first. Beside
 * `docker compose` where that is installed and SLIPWAY_BENCH_NGINX names an nginx image of its engine, with curl in it.
 * Writes results/compose.md; exits 4 when the goal is missed.
 *
 *   node bench/compose.bench.ts [runs, 10]
 */
import { enableCompileCache } from "node:module";
import { MISSED_GOAL } from "./machine.ts";

enableCompileCache(); // as the command line does

const { cp, mkdtemp, rm } = await import("node:fs/promises");
const { cpus, loadavg, tmpdir } = await import("node:os");
const { join } = await import("node:path");
const { exec, renderTable, systemClock, writeAtomic } = await import("../packages/base/src/index.ts");
const { ImageLayout } = await import("../packages/slipway/src/images/layout.ts");
const { createRegistryClient } = await import("../packages/slipway/src/images/registry/client.ts");
const { buildProject } = await import("../packages/slipway/src/verify/compose/images.ts");
const { loadProject } = await import("../packages/slipway/src/verify/compose/load.ts");
const { bringUp } = await import("../packages/slipway/src/verify/compose/run.ts");
const { createSandboxEngine } = await import("../packages/slipway/src/verify/engines/sandbox/engine.ts");

const runs = Number(process.argv[2] ?? 10);
const GOAL_MS = 1000;
const PATHS = ["/be1/", "/be2/"];
const root = join(import.meta.dirname, "..");
const folder = await mkdtemp(join(tmpdir(), "slipway-bench-"));
await cp(join(root, "examples/compose-nginx"), folder, { recursive: true });

interface Run {
  readonly [phase: string]: number;
}

/** What a run does after the images are there; `way` is how the requests are made. */
async function sandboxRun(way: "http from inside" | "curl in the front"): Promise<Run> {
  const marks: [string, number][] = [["", performance.now()]];
  const mark = (name: string): void => void marks.push([name, performance.now()]);
  const engine = createSandboxEngine({
    stateDirectory: join(folder, "runs"),
    layersDirectory: join(folder, "layers"),
    clock: systemClock,
  });
  engine.prepare();
  const { project: model } = await loadProject({
    cwd: folder,
    files: ["compose.yaml", "compose.curl.yaml"],
    env: { PORT: "0" },
  });
  const registry = createRegistryClient({});
  const spec = await buildProject(model, {
    layout: await ImageLayout.open(join(folder, "layout")),
    registry,
    root: folder,
    commitTimeMs: 0,
    isLocal: true,
    allowHostBases: [],
  });
  await registry.close();
  mark("read and look images up");
  const project = await engine.createProject(spec);
  mark("create");
  const result = await bringUp(project, { clock: systemClock, deadlineMs: 60_000 });
  if (result.kind !== "ready") throw new Error(JSON.stringify(result));
  mark("ready");
  const front = project.container("frontend");
  for (const path of PATHS) {
    const url = `http://127.0.0.1${path}`;
    const answer =
      way === "curl in the front"
        ? (await front.exec(["/bin/sh", "-c", `curl ${url} -v`])).stderr
        : JSON.stringify(
            await front.http({
              url,
              method: "GET",
              headers: {},
              body: undefined,
              timeoutMs: 5000,
              isInsecure: false,
            }),
          );
    if (!/HTTP\/1\.1 200 OK|"status":200/.test(answer)) throw new Error(answer);
  }
  mark("two requests");
  await engine.close();
  mark("remove");
  return phasesOf(marks);
}

async function dockerRun(nginx: string): Promise<Run> {
  const marks: [string, number][] = [["", performance.now()]];
  const compose = async (...args: readonly string[]): Promise<string> => {
    const command = ["docker", "compose", "-f", join(folder, "compose.yaml"), ...args];
    const { exitCode, stdout, stderr } = await exec(command, {
      env: { ...process.env, NGINX: nginx, PORT: "0" },
    });
    if (exitCode !== 0) throw new Error(stderr);
    return stdout + stderr;
  };
  await compose("up", "--detach", "--wait");
  marks.push(["create and ready", performance.now()]);
  for (const path of PATHS) {
    const answer = await compose("exec", "-T", "frontend", "curl", `http://127.0.0.1${path}`, "-v");
    if (!/HTTP\/1\.1 200 OK/.test(answer)) throw new Error(answer);
  }
  marks.push(["two requests", performance.now()]);
  await compose("down", "--timeout", "0");
  marks.push(["remove", performance.now()]);
  return phasesOf(marks);
}

function phasesOf(marks: readonly [string, number][]): Run {
  const phases = marks
    .slice(1)
    .map(([name, at], index) => [name, at - (marks[index]?.[1] as number)] as const);
  return Object.fromEntries([...phases, ["all", (marks.at(-1)?.[1] as number) - (marks[0]?.[1] as number)]]);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

const results: { readonly what: string; readonly runs: Run[] }[] = [];
try {
  for (const way of ["http from inside", "curl in the front"] as const) {
    await sandboxRun(way); // builds, and unpacks
    const list: Run[] = [];
    for (let run = 0; run < runs; run += 1) list.push(await sandboxRun(way));
    results.push({ what: `sandbox, ${way}`, runs: list });
  }
  const peer = await peerOf();
  if (peer.kind === "there") {
    await dockerRun(peer.nginx);
    const list: Run[] = [];
    for (let run = 0; run < runs; run += 1) list.push(await dockerRun(peer.nginx));
    results.push({ what: "docker compose", runs: list });
  }
  const best = Math.min(
    ...results.slice(0, 2).map(({ runs: list }) => median(list.map((run) => run["all"] as number))),
  );
  const rows = results.flatMap(({ what, runs: list }) =>
    Object.keys(list[0] as Run).map((phase) => {
      const values = list.map((run) => run[phase] as number);
      return [what, phase, `${median(values).toFixed(0)} ms`, `${Math.max(...values).toFixed(0)} ms`];
    }),
  );
  const table = renderTable([["where", "phase", "median", "worst"], ...rows]);
  const docker = results.find(({ what }) => what === "docker compose");
  const ratio =
    docker === undefined
      ? `docker compose: not measured, ${peer.kind === "missing" ? peer.why : ""}`
      : `docker compose takes ${(median(docker.runs.map((run) => run["all"] as number)) / best).toFixed(1)} times as long`;
  const verdict = `goal: green in at most ${GOAL_MS} ms in the sandbox: ${best <= GOAL_MS ? "met" : "MISSED"} (${best.toFixed(0)} ms)`;
  const machine = `${cpus().length} processors, Node ${process.version}, ${runs} runs, load ${loadavg()[0]?.toFixed(1)}`;
  console.log(`${machine}\n\n${table}\n\n${ratio}\n${verdict}`);
  if (process.argv[2] === undefined)
    await writeAtomic(
      join(import.meta.dirname, "results/compose.md"),
      `# nginx in front of two backends, from a Compose file\n\n${machine}. Written by \`node bench/compose.bench.ts\`.\n\n\`\`\`\n${table}\n\`\`\`\n\n${ratio}\n\n${verdict}\n`,
    );
  process.exitCode = best <= GOAL_MS ? 0 : MISSED_GOAL;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function peerOf(): Promise<
  { readonly kind: "there"; readonly nginx: string } | { readonly kind: "missing"; readonly why: string }
> {
  const version = await exec(["docker", "compose", "version"]).catch(() => undefined);
  if (version?.exitCode !== 0) return { kind: "missing", why: "it is not installed" };
  const nginx = process.env["SLIPWAY_BENCH_NGINX"];
  return nginx === undefined
    ? { kind: "missing", why: "SLIPWAY_BENCH_NGINX names no image" }
    : { kind: "there", nginx };
}
