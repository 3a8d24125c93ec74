/**
 * Runs a command with a Docker and a Podman engine of its own: `node scripts/engines.ts COMMAND…`, in which DOCKER_HOST
 * and CONTAINER_HOST lead to them. Both are Debian's (`docker.io`, `podman`), started here, and end with the command.
 *
 * It puts itself into a network and a mount namespace first, so that bridges, addresses, firewall rules and mounts of
 * the engines never touch this machine's own; the command's loopback is theirs as well. Needs root.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const INSIDE = "SLIPWAY_ENGINES_INSIDE";
const ANSWER_WITHIN_MS = 60_000;
/** Where containers of both engines find the name server; the block is for documentation (RFC 5737). */
const NAME_SERVER = "203.0.113.53";

interface Engine {
  readonly name: string;
  readonly package: string;
  readonly command: readonly string[];
  readonly socket: string;
}

const command = process.argv.slice(2);
if (command.length === 0) fail("engines: name a command to run");
if (process.getuid?.() !== 0) fail("engines: starting Docker and Podman needs root");

process.exitCode =
  process.env[INSIDE] === undefined
    ? await run(
        [
          "unshare",
          "--net",
          "--mount",
          "--propagation",
          "private",
          process.execPath,
          ...process.argv.slice(1),
        ],
        {
          [INSIDE]: "1",
        },
      )
    : await withEngines();

async function withEngines(): Promise<number> {
  // Short: the path of a socket may have 107 bytes, and containerd appends to it.
  const folder = await mkdtemp(join(tmpdir(), "swe-"));
  const started: { readonly engine: Engine; readonly child: ChildProcess; log: string }[] = [];
  try {
    if ((await run(["ip", "link", "set", "lo", "up"], {})) !== 0) fail("engines: ip link set lo up failed");
    await startNameServer(folder);
    // Of its own, and empty: what this machine's Docker is told in /etc/docker is not for it.
    await writeFile(join(folder, "docker.json"), "{}");
    for (const engine of enginesIn(folder)) {
      const [program, ...args] = engine.command as [string, ...string[]];
      const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
      const entry = { engine, child, log: "" };
      const keep = (text: Buffer): void => {
        entry.log = (entry.log + text.toString("utf8")).slice(-8192);
      };
      child.stdout.on("data", keep);
      child.stderr.on("data", keep);
      child.on("error", (error) => {
        entry.log += `${program}: ${error.message}; install Debian's package ${engine.package}\n`;
      });
      started.push(entry);
    }
    for (const entry of started) {
      if (await answers(entry.engine.socket, entry.child)) continue;
      fail(`engines: ${entry.engine.name} did not answer within ${ANSWER_WITHIN_MS / 1000} s:\n${entry.log}`);
    }
    return await run(command, {
      DOCKER_HOST: `unix://${join(folder, "docker.sock")}`,
      CONTAINER_HOST: `unix://${join(folder, "podman.sock")}`,
    });
  } finally {
    await Promise.all(started.map(({ child }) => end(child)));
    endRest();
    // Overlay mounts of containers that were left: they go with the namespace, and only then can the folder.
    await run(["sh", "-c", `grep -o " ${folder}[^ ]*" /proc/self/mounts | sort -r | xargs -r umount -l`], {});
    await rm(folder, { recursive: true, force: true });
  }
}

function enginesIn(folder: string): readonly Engine[] {
  const docker = join(folder, "docker.sock");
  const podman = join(folder, "podman.sock");
  return [
    {
      name: "Docker",
      package: "docker.io",
      socket: docker,
      command: [
        "dockerd",
        ...["--host", `unix://${docker}`],
        ...["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")],
        ...["--pidfile", join(folder, "docker.pid"), "--config-file", join(folder, "docker.json")],
        ...["--log-level", "warn"],
      ],
    },
    {
      name: "Podman",
      package: "podman",
      socket: podman,
      command: [
        "podman",
        ...["--root", join(folder, "pod-data"), "--runroot", join(folder, "pod-run")],
        ...["--network-config-dir", join(folder, "pod-net"), "--tmpdir", join(folder, "pod-tmp")],
        ...["--cgroup-manager", "cgroupfs", "--events-backend", "file"],
        // Debian's crun refuses the mix of cgroup versions that some machines have.
        ...["--runtime", "runc"],
        ...["system", "service", "--time", "0", `unix://${podman}`],
      ],
    },
  ];
}

/**
 * Engines pass on what they cannot resolve to the machine's name servers. Here there are none, and every name that is
 * nobody's would cost a timeout; so one answers that there is no such name (NXDOMAIN, RFC 1035).
 */
async function startNameServer(folder: string): Promise<void> {
  const server = createSocket("udp4");
  server.on("message", (query, { port, address }) => {
    const answer = Buffer.from(query);
    answer.writeUInt16BE(0x8183, 2); // an answer, recursion available, NXDOMAIN
    answer.fill(0, 6, 12); // with no records
    let end = 12;
    while (end < query.length && query[end] !== 0) end += (query[end] as number) + 1;
    server.send(answer.subarray(0, end + 5), port, address);
  });
  server.on("error", () => {}); // who asked is gone
  // At one address of its own: Podman's server listens at this port of each network, and an answer must come from
  // where it was asked.
  const isThere = await run(["ip", "addr", "add", `${NAME_SERVER}/32`, "dev", "lo"], {});
  if (isThere !== 0) fail("engines: ip addr add failed");
  server.bind(53, NAME_SERVER);
  await once(server, "listening");
  server.unref();
  const resolvConf = join(folder, "resolv.conf");
  await writeFile(resolvConf, `nameserver ${NAME_SERVER}\n`);
  const target = await realpath("/etc/resolv.conf");
  if ((await run(["mount", "--bind", resolvConf, target], {})) !== 0) fail("engines: mount --bind failed");
}

/** Whether GET /_ping is answered while the engine lives. */
async function answers(socketPath: string, child: ChildProcess): Promise<boolean> {
  const until = performance.now() + ANSWER_WITHIN_MS;
  while (child.exitCode === null && child.pid !== undefined && performance.now() < until) {
    if (existsSync(socketPath) && (await ping(socketPath))) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

function ping(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: "/_ping" }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on("error", () => resolve(false));
    asked.end();
  });
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined)
    return Promise.resolve();
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  return ended;
}

/**
 * Podman leaves a process for each exec that lives for five minutes more and then tidies up, which would make the folder
 * again. Whatever is left in this network namespace was started here.
 */
function endRest(): void {
  const own = readlinkSync("/proc/self/ns/net");
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one) && Number(one) !== process.pid)) {
    try {
      if (readlinkSync(`/proc/${name}/ns/net`) === own) process.kill(Number(name), "SIGKILL");
    } catch {
      // ended meanwhile
    }
  }
}

function run(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const [program, ...args] = argv as [string, ...string[]];
  const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...env } });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

function fail(message: string): never {
  throw new Error(message);
}
