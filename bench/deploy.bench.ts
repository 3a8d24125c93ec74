/**
 * What `slipway deploy` and `slipway rollback` cost, beside what people use today.
 *
 *   real       `slipway deploy` against `kubectl apply` + `kubectl rollout status` on a real Kubernetes, in turns: nothing
 *              changed (seconds on top), and 10 pods replaced (ratio, bake excluded)
 *   clusters   six embedded clusters against one, pods simulated with the same readiness delay (ratio, one wave)
 *   rollback   three embedded clusters with 10 sandboxed pods each: until the first write, until every cluster is healthy
 *
 * Needs SLIPWAY_REAL_KUBERNETES (a program with `up NAME` and `down NAME`) for the first part, which is left out with a
 * loud line otherwise. Writes results/deploy.md; exits 4 when a goal is missed.
 *
 *   node bench/deploy.bench.ts [runs, 5] [parts: real,clusters,rollback]
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { exec, renderTable, seededRandom, systemClock, writeAtomic } from "../packages/base/src/index.ts";
import { startCluster } from "../packages/cluster/src/index.ts";
import { startRegistry } from "../packages/slipway/src/images/registry/registry.ts";
import { deploy } from "../packages/slipway/src/release/release.ts";
import { contextOf, rendered } from "../packages/slipway/src/release/testing.ts";
import { MISSED_GOAL } from "./machine.ts";

const runs = Number(process.argv[2] ?? 5);
const parts = (process.argv[3] ?? "real,clusters,rollback").split(",");
const bin = join(import.meta.dirname, "../packages/slipway/bin/slipway");
const PODS = 10;

interface Row {
  readonly what: string;
  readonly ours: string;
  readonly peer: string;
  readonly figure: string;
  readonly goal: string;
  readonly isMet: boolean;
}
const rows: Row[] = [];
const notes: string[] = [];

const found = (...more: readonly Row[]): void => {
  for (const { what, figure } of more) console.error(`${what}: ${figure}`);
  rows.push(...more);
};
if (parts.includes("clusters")) found(await sixClusters());
if (parts.includes("rollback")) found(...(await threeClustersBack()));
if (parts.includes("real")) {
  const program = process.env["SLIPWAY_REAL_KUBERNETES"];
  if (program === undefined) {
    const note = "NOT MEASURED on a real Kubernetes: SLIPWAY_REAL_KUBERNETES is not set";
    console.error(note);
    notes.push(note);
  } else found(...(await besideKubectl(program)));
}

const page = [
  "# Deploy and rollback",
  "",
  "Made by `node bench/deploy.bench.ts`. Medians; ratios are medians of the ratios of runs made in turns.",
  "",
  "```",
  renderTable([
    ["what", "slipway", "beside it", "figure", "goal", ""],
    ...rows.map(({ what, ours, peer, figure, goal, isMet }) => [
      what,
      ours,
      peer,
      figure,
      goal,
      isMet ? "met" : "MISSED",
    ]),
  ]),
  "```",
  "",
  ...notes.map((note) => `- ${note}`),
  `- Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"})`,
  "",
].join("\n");
console.log(page);
if (runs >= 3 && rows.length >= 4)
  await writeAtomic(new URL("./results/deploy.md", import.meta.url).pathname, page);
process.exitCode = rows.every(({ isMet }) => isMet) ? 0 : MISSED_GOAL;

// --- The real Kubernetes ---

async function besideKubectl(program: string): Promise<readonly Row[]> {
  const cleanups: (() => Promise<unknown>)[] = [];
  try {
    const up = await exec([program, "up", "a"]);
    cleanups.push(() => exec([program, "down", "a"]));
    const kubeconfig = up.stdout.trim().split("\n").at(-1) as string;
    const context = (await must(["kubectl", "--kubeconfig", kubeconfig, "config", "current-context"])).trim();
    const images = await mkdtemp(join(tmpdir(), "slipway-bench-registry-"));
    const registry = await startRegistry({ directory: images, port: 5000 });
    cleanups.push(() => registry.close().then(() => rm(images, { recursive: true, force: true })));
    const plain = await mkdtemp(join(tmpdir(), "slipway-bench-kubectl-"));
    cleanups.push(() => rm(plain, { recursive: true, force: true }));
    const project = await newProject({
      clusters: `{ real: context("${context}") }`,
      more: 'registry: "localhost:5000/bench", allowHostBases: ["slipway/host/sleep"], namespace: "bench-slipway",',
    });
    cleanups.push(project.remove);
    const env = { KUBECONFIG: kubeconfig };
    const kubectl = (...args: readonly string[]): Promise<string> =>
      must(["kubectl", "--kubeconfig", kubeconfig, "-n", "bench-kubectl", ...args]);
    await must(["kubectl", "--kubeconfig", kubeconfig, "create", "namespace", "bench-kubectl"]);
    cleanups.push(() =>
      exec(["kubectl", "--kubeconfig", kubeconfig, "delete", "namespace", "bench-kubectl", "bench-slipway"]),
    );

    let version = 0;
    /** Both get the same new template; returns the file for kubectl. */
    const nextVersion = async (): Promise<string> => {
      version += 1;
      await project.write("k8s/web.yaml", manifest("web", version));
      await project.commit(`v${version}`);
      await project.slipway(env, "build");
      await project.slipway(env, "push");
      const plan = JSON.parse(await project.read(".slipway/build/images.json")) as {
        readonly images: readonly { readonly reference: string }[];
      };
      const path = join(plain, "web.yaml");
      await writeFile(path, manifest(plan.images[0]?.reference ?? "", version));
      return path;
    };
    const byKubectl = async (file: string): Promise<number> =>
      timed(async () => {
        await kubectl("apply", "-f", file);
        await kubectl("rollout", "status", "deployment/web", "--timeout=300s");
      });
    const bySlipway = (): Promise<number> => timed(() => project.slipway(env, "deploy"));

    let file = await nextVersion();
    await bySlipway();
    await byKubectl(file);
    const same: Pair[] = [];
    for (let run = 0; run < runs; run += 1)
      same.push({ ours: await bySlipway(), peer: await byKubectl(file) });
    const changed: Pair[] = [];
    for (let run = 0; run < runs; run += 1) {
      file = await nextVersion();
      // Who goes first alternates: the one after finds the machine as the other left it.
      const first = run % 2 === 0 ? await bySlipway() : undefined;
      const peer = await byKubectl(file);
      changed.push({ ours: first ?? (await bySlipway()), peer });
    }
    const onTop = median(same.map(({ ours, peer }) => ours - peer));
    const ratio = median(changed.map(({ ours, peer }) => ours / peer));
    const version1 = (await must(["kubectl", "--kubeconfig", kubeconfig, "version", "-o", "json"])).match(
      /"serverVersion"[\s\S]*?"gitVersion": "([^"]+)"/,
    )?.[1];
    notes.push(
      `the real Kubernetes is ${version1 ?? "of unknown version"}; ${PODS} pods of sleep, no probe, grace period 1 s`,
    );
    return [
      {
        what: "nothing changed, on a real cluster",
        ours: seconds(median(same.map(({ ours }) => ours))),
        peer: `${seconds(median(same.map(({ peer }) => peer)))} kubectl apply + rollout status`,
        figure: `${seconds(onTop)} on top`,
        goal: "at most 1.5 s",
        isMet: onTop <= 1_500,
      },
      {
        what: `${PODS} pods replaced, on a real cluster`,
        ours: seconds(median(changed.map(({ ours }) => ours))),
        peer: `${seconds(median(changed.map(({ peer }) => peer)))} kubectl apply + rollout status`,
        figure: `${ratio.toFixed(2)} times`,
        goal: "at most 1.1 times",
        isMet: ratio <= 1.1,
      },
    ];
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}

// --- Six clusters at once ---

async function sixClusters(): Promise<Row> {
  const names = ["tokyo", "osaka", "seoul", "taipei", "sydney", "mumbai"];
  const clusters = await Promise.all(
    names.map((name) =>
      startCluster({
        name,
        runtime: "simulated",
        // 2 s until ready, as a pull and a start take.
        behaviours: [{ image: "*", behaviour: { startMs: 2_000 } }],
      }),
    ),
  );
  try {
    const targets = clusters.map(({ name, client }) => ({ name, client }));
    let version = 0;
    const release = async (count: number, namespace: string): Promise<number> => {
      version += 1;
      const some = targets.slice(0, count);
      const waves = [some.map(({ name }) => name)];
      const base = contextOf(some, { namespace, clock: systemClock, random: seededRandom(version) });
      const context = { ...base, release: { ...base.release, waves, bakeMs: 0 } };
      const what = rendered(`v${version}`, { replicas: PODS });
      const objects = what.objects.map((object) => ({
        ...object,
        metadata: { ...object.metadata, namespace },
      }));
      return timed(async () => {
        const { exitCode } = await deploy(context, { ...what, objects });
        if (exitCode !== 0) throw new Error(`release of ${count} clusters ended with ${exitCode}`);
      });
    };
    await release(1, "one");
    await release(6, "six");
    const pairs: Pair[] = [];
    for (let run = 0; run < runs; run += 1)
      pairs.push({ ours: await release(6, "six"), peer: await release(1, "one") });
    const ratio = median(pairs.map(({ ours, peer }) => ours / peer));
    return {
      what: `six clusters in one wave, ${PODS} pods replaced in each`,
      ours: seconds(median(pairs.map(({ ours }) => ours))),
      peer: `${seconds(median(pairs.map(({ peer }) => peer)))} one cluster`,
      figure: `${ratio.toFixed(2)} times`,
      goal: "at most 1.5 times",
      isMet: ratio <= 1.5,
    };
  } finally {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
  }
}

// --- Three clusters, back ---

async function threeClustersBack(): Promise<readonly Row[]> {
  const project = await newProject({
    clusters: "{ tokyo: local(), osaka: local(), seoul: local() }",
    more: "",
    probe: "readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 }",
    dockerfile: 'FROM slipway/node\nCOPY server.mjs /server.mjs\nCMD ["node", "/server.mjs"]\n',
  });
  try {
    for (const version of [1, 2]) {
      await project.write("k8s/web.yaml", manifest("web", version, project.probe));
      await project.commit(`v${version}`);
      await project.slipway({}, "ship");
    }
    const firstMs: number[] = [];
    const wholeMs: number[] = [];
    // There and back: each rollback goes to the release that the one before it left.
    for (let run = 0; run < runs; run += 1) {
      const { first, whole } = await project.rollback(String(run % 2 === 0 ? 1 : 2));
      firstMs.push(first);
      wholeMs.push(whole);
    }
    return [
      {
        what: `rollback of 3 clusters x ${PODS} sandboxed pods: first write`,
        ours: seconds(median(firstMs)),
        peer: "-",
        figure: `${seconds(Math.max(...firstMs))} at most`,
        goal: "within 3 s",
        isMet: Math.max(...firstMs) <= 3_000,
      },
      {
        what: "  until every cluster is judged ok",
        ours: seconds(median(wholeMs)),
        peer: "-",
        figure: `${seconds(Math.max(...wholeMs))} at most`,
        goal: "within 60 s",
        isMet: Math.max(...wholeMs) <= 60_000,
      },
    ];
  } finally {
    await project.slipway({}, "local", "down", "--delete").catch(() => undefined);
    await project.remove();
  }
}

// --- Small parts ---

interface Pair {
  readonly ours: number;
  readonly peer: number;
}

function manifest(image: string, version: number, probe = ""): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: ${PODS}
  selector: { matchLabels: { app: web } }
  strategy: { rollingUpdate: { maxSurge: 50%, maxUnavailable: 0 } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: ${image}
          env: [{ name: VERSION, value: "${version}" }]
          resources: { requests: { cpu: 1m, memory: 4Mi } }
          ${probe}
`;
}

async function newProject(options: {
  readonly clusters: string;
  readonly more: string;
  readonly probe?: string;
  /** Default: a program that only sleeps. */
  readonly dockerfile?: string;
}): Promise<{
  readonly probe: string;
  write(path: string, text: string): Promise<string>;
  read(path: string): Promise<string>;
  commit(message: string): Promise<void>;
  slipway(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<void>;
  /** Milliseconds from the start of the process to the first write, and to its end. */
  rollback(to: string): Promise<{ readonly first: number; readonly whole: number }>;
  remove(): Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-bench-"));
  const write = async (path: string, text: string): Promise<string> => {
    const at = join(folder, path);
    await mkdir(dirname(at), { recursive: true });
    await writeFile(at, text);
    return at;
  };
  const git = (...args: readonly string[]): Promise<string> =>
    must(["git", "-C", folder, "-c", "user.name=Bench", "-c", "user.email=bench@localhost", ...args]);
  await git("init", "-q", "-b", "main");
  await write("web/Dockerfile", options.dockerfile ?? 'FROM slipway/host/sleep\nCMD ["sleep", "100000"]\n');
  await write(
    "web/server.mjs",
    'import { createServer } from "node:http";\ncreateServer((_, response) => response.end("ok")).listen(8080);\nprocess.on("SIGTERM", () => process.exit(0));\n',
  );
  await write(
    "slipway.config.ts",
    `import { context, defineConfig, local } from "slipway";
export default defineConfig({ name: "bench", images: { web: { context: "web" } }, manifests: ["k8s/"],
  environments: { bench: { clusters: ${options.clusters}, ${options.more} release: { waves: undefined, bake: "0s" } } } });
`.replace("waves: undefined, ", ""),
  );
  const start = (args: readonly string[], env: Readonly<Record<string, string>>) =>
    spawn(bin, [...args, "--env", "bench"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, CI: undefined, SLIPWAY_WHO: "bench", ...env },
    });
  return {
    probe: options.probe ?? "",
    write,
    read: async (path) => (await import("node:fs/promises")).readFile(join(folder, path), "utf8"),
    commit: async (message) => {
      await git("add", "-A");
      await git("commit", "-q", "-m", message);
    },
    slipway: (env, ...args) =>
      new Promise((resolve, reject) => {
        const child = start(args, env);
        let text = "";
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding("utf8").on("data", (piece: string) => {
            text += piece;
          });
        }
        child.on("close", (code) =>
          code === 0
            ? resolve()
            : reject(new Error(`slipway ${args.join(" ")} ended with ${code}:\n${text}`)),
        );
      }),
    rollback: (to) =>
      new Promise((resolve, reject) => {
        const began = performance.now();
        let first: number | undefined;
        let text = "";
        const child = start(["rollback", to, "--yes", "--json"], {});
        child.stdout.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
          // The record is written under the lock just before this is told; the first object follows.
          if (first === undefined && text.includes('"type":"started"')) first = performance.now() - began;
        });
        child.on("close", (code) =>
          code === 0 && first !== undefined
            ? resolve({ first, whole: performance.now() - began })
            : reject(new Error(`slipway rollback ${to} ended with ${code}:\n${text.slice(-2_000)}`)),
        );
      }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function must(argv: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await exec(argv);
  if (exitCode !== 0) throw new Error(`${argv.join(" ")} ended with ${exitCode}: ${stderr}`);
  return stdout;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
