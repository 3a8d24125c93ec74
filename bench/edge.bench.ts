/**
 * The edge against http-proxy-3 (the most used Node proxy's maintained line) and nginx, in front of the same backends in
 * the same run, one process each, in turn. The proxy has processor 0 for itself, load and backends have processor 1.
 * Writes results/edge.md; exits 4 when the edge makes less than 1.5 times the requests of http-proxy-3.
 *
 *   node bench/edge.bench.ts [seconds per trial, 5] [trials, 3]
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { exec, renderTable, until, writeAtomic } from "../packages/base/src/index.ts";
import { MISSED_GOAL } from "./machine.ts";

const seconds = Number(process.argv[2] ?? 5);
const trials = Number(process.argv[3] ?? 3);
const GOAL = 1.5;
const CONNECTIONS = 64;
/** USER_HZ, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
const nginx = ["/usr/sbin/nginx", "/usr/bin/nginx"].find(existsSync);
const folder = await mkdtemp(join(tmpdir(), "slipway-bench-"));
const children: ChildProcess[] = [];

try {
  execFileSync("wrk", ["-v"], { stdio: "ignore" });
} catch (error) {
  if ((error as NodeJS.ErrnoException).code === "ENOENT") {
    console.error("bench: wrk is missing; install it with: apt-get install -y wrk");
    process.exit(3);
  }
}

try {
  const [backendA, backendB, edgePort, peerPort, nginxPort] = await Promise.all(
    Array.from({ length: 5 }, freePort),
  );
  const here = (name: string): string => join(import.meta.dirname, "edge", name);
  if (nginx === undefined)
    start(1, [process.execPath, here("backend.ts"), String(backendA), String(backendB)]);
  else
    await startNginx(
      1,
      "backend",
      `${[backendA, backendB].map((port) => `server { listen 127.0.0.1:${port}; keepalive_requests 1000000; location / { return 200 "${"x".repeat(1024)}"; } }`).join("\n")}`,
    );
  const ports = [String(backendA), String(backendB)];
  const edgePid = start(0, [process.execPath, here("slipway.ts"), String(edgePort), ...ports]);
  const peerPid = start(0, [process.execPath, here("http-proxy-3.ts"), String(peerPort), ...ports]);
  let nginxPid = 0;
  if (nginx !== undefined) {
    nginxPid = await startNginx(
      0,
      "proxy",
      `upstream web { server 127.0.0.1:${backendA}; server 127.0.0.1:${backendB}; keepalive 128; }
      server { listen 127.0.0.1:${nginxPort}; keepalive_requests 1000000; location / { proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection ""; } }`,
    );
  }
  const rivals: { name: string; port: number; pid: number; how: string; runs: Run[] }[] = [
    {
      name: "slipway edge",
      port: edgePort as number,
      pid: edgePid,
      how: "health checks, retries and access log on",
      runs: [],
    },
    {
      name: "http-proxy-3",
      port: peerPort as number,
      pid: peerPid,
      how: "one keep-alive agent for all requests, no log",
      runs: [],
    },
    ...(nginx === undefined
      ? []
      : [
          {
            name: "nginx",
            port: nginxPort as number,
            pid: nginxPid,
            how: "upstream keepalive 128, HTTP/1.1, one worker, no log",
            runs: [],
          },
        ]),
  ];
  for (const { port } of rivals) await until(`port ${port}`, () => canConnect(port));
  for (const { port } of rivals) await load(port, 1, 0); // warm-up
  for (let trial = 0; trial < trials; trial += 1)
    for (const rival of rivals) rival.runs.push(await load(rival.port, seconds, rival.pid));

  const median = (values: readonly number[]): number =>
    [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  // Pair by pair, so that a change of the machine's speed between trials does not count.
  const ratioOf = (index: number): number =>
    median(
      (rivals[index] as (typeof rivals)[number]).runs.map(
        (run, trial) => run.rps / ((rivals[1] as (typeof rivals)[number]).runs[trial] as Run).rps,
      ),
    );
  const rps = (index: number): number =>
    median((rivals[index] as (typeof rivals)[number]).runs.map((run) => run.rps));
  const ratio = ratioOf(0);
  const table = renderTable([
    [
      "proxy",
      "requests/s (median)",
      "of http-proxy-3",
      "processor us/request",
      "p50 ms",
      "p99 ms",
      "errors",
      "configuration",
    ],
    ...rivals.map(({ name, how, runs }, index) => [
      name,
      Math.round(rps(index)).toLocaleString("en"),
      `${ratioOf(index).toFixed(2)} x`,
      median(runs.map((run) => run.processorUs)).toFixed(0),
      median(runs.map((run) => run.p50)).toFixed(2),
      median(runs.map((run) => run.p99)).toFixed(2),
      String(runs.reduce((sum, run) => sum + run.errors, 0)),
      how,
    ]),
  ]);
  const text = `# Edge

\`node bench/edge.bench.ts ${seconds} ${trials}\` on ${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.versions.node}: wrk with ${CONNECTIONS} connections,
1 KiB answers, ${trials} trials of ${seconds} s in turn, backends: ${nginx === undefined ? "Node" : "nginx"}. The proxy has one processor for itself.

\`\`\`
${table}
\`\`\`

Goal: at least ${GOAL} x http-proxy-3. Measured: ${ratio.toFixed(2)} x${ratio >= GOAL ? "" : ", short of the goal"}.
`;
  console.log(text);
  if (seconds >= 3) await writeAtomic(join(import.meta.dirname, "results/edge.md"), text);
  process.exitCode = ratio >= GOAL ? 0 : MISSED_GOAL;
} finally {
  for (const child of children) child.kill("SIGTERM");
  await rm(folder, { recursive: true, force: true });
}

interface Run {
  readonly rps: number;
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
  /** Processor time of the proxy for one request, user and system: what a noisy machine changes least. */
  readonly processorUs: number;
}

async function load(port: number, forSeconds: number, pid: number): Promise<Run> {
  const before = await processorTicks(pid);
  const { stdout } = await exec(
    pinned(1, [
      "wrk",
      "-t1",
      `-c${CONNECTIONS}`,
      `-d${forSeconds}s`,
      "--latency",
      `http://127.0.0.1:${port}/`,
    ]),
  );
  const ms = (percent: string): number => {
    const [, value, unit] = new RegExp(`${percent}%\\s+([\\d.]+)(us|ms|s)`).exec(stdout) ?? [];
    return Number(value) * ({ us: 0.001, ms: 1, s: 1000 }[unit ?? "ms"] ?? 1);
  };
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0);
  const processorUs = (((await processorTicks(pid)) - before) * (1_000_000 / TICKS_PER_SECOND)) / requests;
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? "0";
  const sockets =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/
      .exec(stdout)
      ?.slice(1)
      .map(Number) ?? [];
  return {
    rps: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? 0),
    p50: ms("50"),
    p99: ms("99"),
    errors: Number(bad) + sockets.reduce((a, b) => a + b, 0),
    processorUs,
  };
}

/** Of a process and its children: nginx works in a child of the process that was started. */
async function processorTicks(pid: number): Promise<number> {
  if (pid === 0) return 0;
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8"))
    .trim()
    .split(" ")
    .filter(Boolean);
  const below = await Promise.all(children.map((child) => processorTicks(Number(child))));
  return Number(fields[11]) + Number(fields[12]) + below.reduce((a, b) => a + b, 0);
}

function pinned(cpu: number, command: readonly string[]): string[] {
  return cpus().length > 1 ? ["taskset", "-c", String(cpu), ...command] : [...command];
}

function start(cpu: number, command: readonly string[]): number {
  const [program, ...args] = pinned(cpu, command) as [string, ...string[]];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  children.push(child);
  return child.pid as number;
}

async function startNginx(cpu: number, name: string, servers: string): Promise<number> {
  const file = join(folder, `${name}.conf`);
  await writeFile(
    file,
    `daemon off; worker_processes 1; pid ${folder}/${name}.pid; error_log ${folder}/${name}.log;
    events { worker_connections 1024; }
    http { access_log off; keepalive_timeout 620s; client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder}; ${servers} }`,
  );
  const pid = start(cpu, [nginx as string, "-c", file, "-p", folder]);
  await until(
    `nginx ${name}`,
    async () => (await readFile(`${folder}/${name}.pid`, "utf8").catch(() => "")) !== "",
  );
  return pid;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
