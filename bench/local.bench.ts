/**
 * How fast the local world is: `slipway --help`, `slipway local up` with two clusters until both API servers answer and
 * all nodes are Ready, the world's memory without pods, and a Node pod in the sandbox from create to Ready.
 * Writes results/local.md; exits 4 when a goal is missed.
 *
 *   node bench/local.bench.ts [runs of up, 5] [pods of each kind, 15]
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { renderTable, until, writeAtomic } from "../packages/base/src/index.ts";
import {
  createHttpClient,
  type KubeClient,
  type Node,
  type Pod,
  type Probe,
} from "../packages/kube/src/index.ts";
import { findWorld, type WorldState, worldPaths } from "../packages/slipway/src/world/state.ts";
import { MISSED_GOAL } from "./machine.ts";

const runs = Number(process.argv[2] ?? 5);
const pods = Number(process.argv[3] ?? 15);
const root = join(import.meta.dirname, "..");
const bin = join(root, "packages/slipway/bin/slipway");
const folder = await mkdtemp(join(tmpdir(), "slipway-bench-"));
const rows: {
  readonly what: string;
  readonly goal: number;
  readonly unit: string;
  readonly values: readonly number[];
}[] = [];

try {
  await cp(join(root, "examples/shop/backend1"), join(folder, "backend1"), { recursive: true });
  await writeFile(join(folder, "pod.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: none }\n");
  await writeFile(
    join(folder, "slipway.config.ts"),
    `import { defineConfig, local } from "slipway";
    export default defineConfig({ name: "bench", images: { backend1: { context: "backend1" } }, manifests: ["pod.yaml"],
      environments: { local: { clusters: { tokyo: local(), osaka: local() } } } });`,
  );
  rows.push({
    what: "slipway --help",
    goal: 200,
    unit: "ms",
    values: await repeat(10, async () => (await timed(() => slipway("--help"))).ms),
  });

  const upMs: number[] = [];
  const worldMb: number[] = [];
  const agentsMb: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    if (run > 0) await slipway("local", "down");
    const began = performance.now();
    await slipway("local", "up");
    const state = await world();
    await Promise.all(clients(state).map(nodesReady));
    upMs.push(performance.now() - began);
    worldMb.push(await residentMb(state.pid));
    agentsMb.push(
      (await Promise.all(state.clusters.map(({ agentPid }) => residentMb(agentPid as number)))).reduce(
        (a, b) => a + b,
        0,
      ),
    );
  }
  rows.push({ what: "local up, two clusters, nodes Ready", goal: 2000, unit: "ms", values: upMs });
  rows.push({ what: "world's resident memory, no pods", goal: 250, unit: "MB", values: worldMb });
  rows.push({ what: "both node agents' resident memory", goal: Number.NaN, unit: "MB", values: agentsMb });

  await slipway("build");
  await slipway("push");
  const { images } = JSON.parse(
    await readFile(join(worldPaths(folder).root, "build/images.json"), "utf8"),
  ) as { images: { reference: string }[] };
  const [client] = clients(await world()) as [KubeClient];
  const image = images[0]?.reference as string;
  const probe: Probe = { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 };
  await startPod(client, "warm", image, undefined); // unpacks the layers
  rows.push({
    what: "Node pod, create to Ready, no probe",
    goal: 500,
    unit: "ms",
    values: await repeat(pods, (index) => startPod(client, `plain-${index}`, image, undefined)),
  });
  rows.push({
    what: "Node pod, create to Ready, http probe of 1 s",
    goal: 1500,
    unit: "ms",
    values: await repeat(pods, (index) => startPod(client, `probed-${index}`, image, probe)),
  });
} finally {
  await slipway("local", "down", "--delete").catch(() => {});
  await rm(folder, { recursive: true, force: true });
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[Math.floor(values.length / 2)] as number;
const table = renderTable([
  ["what", "median", "min", "max", "goal (median)", "met"],
  ...rows.map(({ what, goal, unit, values }) => [
    what,
    `${Math.round(median(values))} ${unit}`,
    `${Math.round(Math.min(...values))}`,
    `${Math.round(Math.max(...values))}`,
    Number.isNaN(goal) ? "-" : `${goal} ${unit}`,
    Number.isNaN(goal) ? "-" : median(values) <= goal ? "yes" : "NO",
  ]),
]);
const text = `# Local world

\`node bench/local.bench.ts ${runs} ${pods}\` on ${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.versions.node}, as ${userInfo().username}.

\`\`\`
${table}
\`\`\`
`;
console.log(text);
if (runs >= 5) await writeAtomic(join(import.meta.dirname, "results/local.md"), text);
process.exitCode = rows.every(({ goal, values }) => Number.isNaN(goal) || median(values) <= goal)
  ? 0
  : MISSED_GOAL;

async function slipway(...args: string[]): Promise<void> {
  await promisify(execFile)(bin, args, { cwd: folder });
}

async function timed(act: () => Promise<void>): Promise<{ ms: number }> {
  const began = performance.now();
  await act();
  return { ms: performance.now() - began };
}

async function repeat(count: number, act: (index: number) => Promise<number>): Promise<number[]> {
  const values: number[] = [];
  for (let index = 0; index < count; index += 1) values.push(await act(index));
  return values;
}

async function world(): Promise<WorldState> {
  const found = await findWorld(worldPaths(folder));
  if (found.kind !== "running") throw new Error("the world is not running");
  return found.state;
}

function clients(state: WorldState): KubeClient[] {
  return state.clusters.map(({ name, url, token, ca }) => createHttpClient({ name, url, token, ca }));
}

async function nodesReady(client: KubeClient): Promise<void> {
  await until(`nodes of ${client.name}`, async () => {
    const { items } = await client.list<Node>({ apiVersion: "v1", kind: "Node" });
    return (
      items.length > 0 &&
      items.every((node) =>
        node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
      )
    );
  });
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

async function startPod(
  client: KubeClient,
  name: string,
  image: string,
  readinessProbe: Probe | undefined,
): Promise<number> {
  const ref = { apiVersion: "v1", kind: "Pod", namespace: "default", name };
  const { metadata } = await client.list({ apiVersion: "v1", kind: "Pod" }, { namespace: "default" });
  const stop = new AbortController();
  const events = client.watch<Pod>(
    { apiVersion: "v1", kind: "Pod" },
    {
      namespace: "default",
      fieldSelector: `metadata.name=${name}`,
      resourceVersion: metadata.resourceVersion,
      signal: stop.signal,
    },
  );
  const began = performance.now();
  await client.create({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "web", image, ...(readinessProbe === undefined ? {} : { readinessProbe }) }],
    },
  } as Pod);
  for await (const { object } of events) {
    if (object.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True")) break;
  }
  const took = performance.now() - began;
  stop.abort();
  await client.delete(ref, { gracePeriodSeconds: 0 });
  await until(
    `${name} to be gone`,
    () =>
      client.get(ref).then(
        () => false,
        () => true,
      ),
    { timeoutMs: 30_000 },
  );
  return took;
}
