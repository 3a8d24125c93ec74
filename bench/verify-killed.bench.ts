/**
 * `kill -9` of `slipway verify` at moments spread over a whole run of the Compose example, in the sandbox and with each
 * engine that answers. After each, the next run must pass, and nothing may be left: no container, network or volume in
 * the engine, no interface, no process, no folder of a run. Writes results/verify-killed.md; exits 1 when something is.
 *
 *   node bench/verify-killed.bench.ts [kills on each, 20]
 *   node scripts/engines.ts node bench/verify-killed.bench.ts     with Debian's Docker and Podman, started for it
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { exec, renderTable, until, writeAtomic } from "../packages/base/src/index.ts";
import { connect } from "../packages/slipway/src/verify/engines/docker/connect.ts";
import { OWNER_LABEL } from "../packages/slipway/src/verify/engines/docker/create-options.ts";
import { makeVerifyProject, STACK_SPEC } from "../stories/verify-project.ts";

type EngineName = "sandbox" | "docker" | "podman";

const kills = Number(process.argv[2] ?? 20);
const folder = await mkdtemp(join(tmpdir(), "slipway-killed-"));
const project = await makeVerifyProject(folder, {});
await writeFile(join(folder, "spec/stack.ts"), STACK_SPEC);
const lines: string[] = ["# verify, killed", ""];
let isMissed = false;
const say = (line: string): void => {
  console.log(line);
  lines.push(line);
};
const words = (engine: EngineName): readonly string[] => ["verify", "--only", "compose", "--engine", engine];

/** Names of everything there that carries the label of a run of checks. */
async function inEngine(kind: "docker" | "podman"): Promise<readonly string[]> {
  const connection = await connect(kind, process.env);
  if (connection === undefined) return [];
  const { docker } = connection;
  const filters = { label: [OWNER_LABEL] };
  return [
    ...(await docker.listContainers({ all: true, filters })).map(({ Names }) => `container ${Names.join()}`),
    ...(await docker.listNetworks({ filters })).map(({ Name }) => `network ${Name}`),
    ...((await docker.listVolumes({ filters })).Volumes ?? []).map(({ Name }) => `volume ${Name}`),
  ];
}

/** The node agent and its containers see their mounts in the folder; whatever else a run starts inherits its variables. */
async function processes(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    const read = (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, "utf8").catch(() => "");
    const line = (await read("cmdline")).replaceAll("\0", " ");
    const isOurs = [line, await read("mountinfo"), await read("environ")].some((text) =>
      text.includes(folder),
    );
    if (isOurs) found.push(`process ${pid} ${line}`);
  }
  return found;
}

const runs = join(folder, ".slipway", "verify");

async function folders(): Promise<readonly string[]> {
  const names = await readdir(runs).catch((): string[] => []);
  return names.filter((name) => name.startsWith("run-"));
}

const interfaces = async (): Promise<readonly string[]> =>
  (await exec(["ip", "-o", "link"])).stdout.split("\n").map((line) => line.split(":")[1]?.trim() ?? "");

async function pass(engine: EngineName): Promise<number> {
  const startedAt = performance.now();
  const { exitCode, stdout, stderr } = await project.slipway(...words(engine));
  if (exitCode !== 0) throw new Error(`${engine}: exit ${exitCode}: ${stdout}${stderr}`);
  return performance.now() - startedAt;
}

/** How many things the killed run had left when it was gone, and what the run after it did not remove. */
async function killAt(ms: number, engine: EngineName): Promise<{ left: number; still: readonly string[] }> {
  const { argv, env } = project.command(...words(engine));
  const [program, ...args] = argv as [string, ...string[]];
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...env, SLIPWAY_KILLED_IN: folder },
    stdio: "ignore",
  });
  const ended = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), ms);
  await ended;
  clearTimeout(timer);
  const things = async (): Promise<readonly string[]> => [
    ...(engine === "sandbox" ? [] : await inEngine(engine)),
    ...(await folders()).map((name) => `folder ${name}`),
  ];
  const left = (await things()).length;
  // One that was killed between making its folder and signing it gets a minute; that is over now.
  const past = Date.now() / 1000 - 120;
  for (const name of await folders()) {
    if (!existsSync(join(runs, name, "owner.json"))) await utimes(join(runs, name), past, past);
  }
  await pass(engine);
  // What the kernel ends with the run is not gone the moment that the run is.
  await until("its processes to end", async () => (await processes()).length === 0).catch(() => {});
  return { left, still: [...(await things()), ...(await processes())] };
}

try {
  say(`${cpus().length} × ${cpus()[0]?.model}, load ${loadavg()[0]?.toFixed(1)}, ${kills} kills on each`);
  say("");
  const rows: string[][] = [["engine", "a whole run", "kills", "left something", "left by the run after it"]];
  const told: string[] = [];
  for (const engine of ["sandbox", "docker", "podman"] as const) {
    const isHere = engine === "sandbox" || (await connect(engine, process.env).catch(() => undefined));
    if (!isHere) {
      rows.push([engine, "not here", "", "", ""]);
      continue;
    }
    await pass(engine); // images are built and loaded, layers unpacked
    const whole = await pass(engine);
    const before = await interfaces();
    let dirty = 0;
    const still: string[] = [];
    for (let round = 0; round < kills; round += 1) {
      const killed = await killAt((whole * (round + 0.5)) / kills, engine);
      if (killed.left > 0) dirty += 1;
      still.push(...killed.still.map((one) => `${engine}, kill ${round + 1}: ${one}`));
    }
    const more = (await interfaces()).filter((name) => !before.includes(name));
    still.push(...more.map((name) => `${engine}: interface ${name}`));
    rows.push([engine, `${(whole / 1000).toFixed(1)} s`, String(kills), String(dirty), String(still.length)]);
    told.push(...still);
  }
  say(renderTable(rows));
  for (const one of told) say(one);
  isMissed = told.length > 0;
  say("");
  say(`Goal: nothing is left by the run after a killed one: ${isMissed ? "MISSED" : "met"}.`);
} finally {
  await rm(folder, { recursive: true, force: true });
}

if (kills >= 20)
  await writeAtomic(join(import.meta.dirname, "results", "verify-killed.md"), `${lines.join("\n")}\n`);
process.exitCode = isMissed ? 1 : 0;
