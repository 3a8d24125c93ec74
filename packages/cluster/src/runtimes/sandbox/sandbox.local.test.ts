import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bootId, exec, systemClock, until } from "@slipway/base";
import { runtimeCases } from "../cases.ts";
import type { ContainerExit, ContainerSpec, ServiceRoute } from "../runtime.ts";
import { removeSandboxLeftovers } from "./leftovers.ts";
import { probeSandbox } from "./probe.ts";
import { createSandboxRuntime, type SandboxRuntime } from "./sandbox.ts";
import { findTool } from "./system.ts";
import { hostLayer, hostTree, TestImages } from "./testing.ts";

const isRoot = process.getuid?.() === 0;
const NOBODY = "65534";
const HTTP = "require('http').createServer((q,s)=>s.end(process.env.HOSTNAME)).listen(80)";

const programs = ["sh", "cat", "ls", "id", "sleep", "echo", "ps"];
const nginx = findTool("nginx");
const nginxFolders = ["/etc/nginx", "/usr/share/nginx"];
const nodeLayers = [{ files: hostLayer(programs, { node: true }) }];
const images = new TestImages()
  .add("host", {
    layers: nodeLayers,
    config: { Env: ["FROM_IMAGE=yes", "BOTH=image"], Cmd: ["node", "-e", HTTP], StopSignal: "SIGINT" },
  })
  .add("user-1000", {
    layers: [{ files: hostLayer(programs), compression: "gzip" }],
    config: { User: "1000", WorkingDir: "/home/app/work" },
  })
  .add("named-user", {
    layers: [{ files: hostLayer(programs), compression: "zstd" }],
    config: { User: "app" },
  })
  .add("deletes", {
    layers: [
      {
        files: [
          ...hostLayer(programs),
          { path: "data/gone", content: "x" },
          { path: "data/kept", content: "y" },
        ],
      },
      { files: [{ path: "opaque/old", content: "x" }] },
      {
        files: [
          { path: "data/.wh.gone" },
          { path: "opaque/.wh..wh..opq" },
          { path: "opaque/new", content: "z" },
        ],
      },
    ],
    config: {},
  });
const serving = (onTerm: string) => [
  "-e",
  `process.on('SIGTERM',()=>{${onTerm}});console.log('listening');require('http').createServer((q,s)=>s.end()).listen(80)`,
];
images
  .add("server", { layers: nodeLayers, config: { Entrypoint: ["node"], Cmd: serving("process.exit(0)") } })
  .add("stubborn", { layers: nodeLayers, config: { Entrypoint: ["node"], Cmd: serving("") } })
  .add("crash", { layers: nodeLayers, config: { Entrypoint: ["sh", "-c"], Cmd: ["sleep 0.1; exit 3"] } });
if (nginx !== undefined) {
  images.add("nginx", {
    layers: [
      {
        files: [
          ...hostLayer([...programs, "nginx"]),
          ...nginxFolders.flatMap(hostTree).filter(({ path }) => !path.includes("/modules")),
          { path: "var/log/nginx", type: "directory", mode: 0o777 },
          { path: "var/lib/nginx", type: "directory", mode: 0o777 },
          { path: "run", type: "directory", mode: 0o777 },
          { path: "var/log/nginx/access.log", type: "symlink", link: "/dev/stdout" },
          { path: "var/log/nginx/error.log", type: "symlink", link: "/dev/stderr" },
        ],
      },
    ],
    config: { Cmd: ["nginx", "-g", "daemon off;"] },
  });
}

interface World {
  readonly runtime: SandboxRuntime;
  readonly directory: string;
  readonly exits: ContainerExit[];
  readonly events: { podUid: string; reason: string; message: string }[];
  readonly lost: string[];
}

async function openWorld(directory: string, layersDirectory: string): Promise<World> {
  const world = { directory, exits: [], events: [], lost: [] } as Omit<World, "runtime">;
  const runtime = await createSandboxRuntime({
    name: "test",
    directory,
    layersDirectory,
    images,
    clock: systemClock,
  });
  runtime.onExit((exit) => world.exits.push(exit));
  runtime.onEvent((event) => world.events.push(event));
  runtime.onLost((reason) => world.lost.push(reason));
  return { ...world, runtime };
}

function containerSpec(podUid: string, over: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    podUid,
    name: "main",
    attempt: 0,
    image: "host",
    imagePullPolicy: "IfNotPresent",
    command: undefined,
    args: undefined,
    workingDir: undefined,
    env: [],
    user: undefined,
    group: undefined,
    runAsNonRoot: false,
    readOnlyRootFilesystem: false,
    mounts: [],
    terminationMessagePath: "/dev/termination-log",
    ...over,
  };
}

async function startPod(world: World, uid: string, over: Partial<ContainerSpec> = {}): Promise<string> {
  const { podIP } = await world.runtime.startPod({
    uid,
    namespace: "default",
    name: uid,
    hostname: uid,
    hostAliases: [],
  });
  await world.runtime.startContainer(containerSpec(uid, over));
  return podIP;
}

function shell(script: string): { command: readonly string[] } {
  return { command: ["sh", "-c", script] };
}

async function exitOf(world: World, uid: string, attempt = 0): Promise<ContainerExit> {
  return await until(`exit of ${uid}`, () => world.exits.filter((exit) => exit.podUid === uid)[attempt]);
}

async function logOf(
  world: World,
  uid: string,
  options: { follow?: boolean; attempt?: number; timestamps?: boolean; name?: string } = {},
): Promise<string> {
  const pieces: Uint8Array[] = [];
  const log = world.runtime.logs(uid, options.name ?? "main", options.attempt, {
    follow: options.follow ?? false,
    tailLines: undefined,
    sinceMs: undefined,
    timestamps: options.timestamps ?? false,
    limitBytes: undefined,
    signal: AbortSignal.timeout(20_000),
  });
  for await (const piece of log) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}

/** Runs a pod's script to its end and returns what it wrote. */
async function outputOf(world: World, uid: string, over: Partial<ContainerSpec>): Promise<string> {
  await startPod(world, uid, over);
  await exitOf(world, uid);
  const output = await logOf(world, uid);
  await world.runtime.stopPod(uid);
  return output;
}

async function execOf(
  world: World,
  uid: string,
  command: readonly string[],
  options: Parameters<SandboxRuntime["exec"]>[3] = {},
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  let stdout = "";
  let stderr = "";
  const { exitCode } = await world.runtime.exec(uid, "main", command, {
    ...options,
    stdout: (chunk) => {
      stdout += Buffer.from(chunk).toString();
    },
    stderr: (chunk) => {
      stderr += Buffer.from(chunk).toString();
    },
  });
  return { exitCode, stdout, stderr };
}

/** Dials until the server listens. */
async function connected(world: World, ip: string, port: number): Promise<Socket> {
  return (await until(`${ip}:${port} to accept`, () =>
    world.runtime.dial(ip, port).catch(() => undefined),
  )) as Socket;
}

async function get(world: World, ip: string, port: number): Promise<string> {
  const socket = await connected(world, ip, port);
  socket.write("GET / HTTP/1.0\r\n\r\n");
  let text = "";
  for await (const chunk of socket.setEncoding("utf8")) text += chunk;
  return text;
}

function route(name: string, clusterIP: string, ips: readonly string[], port = 80): ServiceRoute {
  return {
    namespace: "default",
    name,
    clusterIP,
    ports: [{ name: "http", port, protocol: "TCP", endpoints: ips.map((ip) => ({ ip, port: 80 })) }],
  };
}

/** Seconds to sleep that no other run of this file, at the same time on this machine, has on a command line. */
const marker = (kind: number): string => `${kind}${String(process.pid).padStart(7, "0")}`;

/** Processes whose command line has the marker, on the whole machine. */
function processesWith(marker: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(marker);
    } catch {
      return false;
    }
  });
}

const scratch = mkdtempSync(join(tmpdir(), "slipway sandbox ")); // a path with spaces is as good as any;
const layersDirectory = join(scratch, "layers");
after(() => rmSync(scratch, { recursive: true, force: true }));

describe(`sandbox runtime as ${isRoot ? "root" : "an ordinary user"}`, () => {
  let world: World;
  before(async () => {
    world = await openWorld(join(scratch, "world"), layersDirectory);
  });
  after(async () => await world.runtime.close());

  test("this system can run pods", async () => {
    const probe = await probeSandbox();
    assert.equal(probe.ok, true, probe.ok ? "" : `${probe.error.message} ${probe.error.hint}`);
  });

  test("a container may open /dev/stdout and /dev/stderr", async () => {
    const output = await outputOf(
      world,
      "std",
      shell("echo out >/dev/stdout; echo err >/dev/stderr; echo 3 >/proc/1/fd/1"),
    );
    assert.deepEqual(output.split("\n").sort(), ["", "3", "err", "out"]);
  });

  test("an image whose USER is 1000 runs as 1000, in its working directory, and may open its output", async () => {
    const output = await outputOf(world, "u1000", {
      image: "user-1000",
      ...shell("id -u; pwd -P; echo ok >/dev/stderr"),
    });
    assert.deepEqual(output.split("\n").sort(), ["", "/home/app/work", "1000", "ok"]);
  });

  test("a USER given by name is looked up in the image, its group too", async () => {
    const output = await outputOf(world, "named", { image: "named-user", ...shell("id -u; id -g; id -un") });
    assert.equal(output, "1000\n1000\napp\n");
  });

  test("runAsUser goes before the image's USER", async () => {
    const over = { image: "user-1000", user: 33, group: 33, ...shell("id -u; id -g") };
    assert.equal(await outputOf(world, "as33", over), "33\n33\n");
  });

  test("runAsNonRoot refuses an image that would run as root", async () => {
    await assert.rejects(startPod(world, "nonroot", { runAsNonRoot: true }), {
      reason: "CreateContainerConfigError",
      message: "container has runAsNonRoot and image will run as root",
    });
    await world.runtime.stopPod("nonroot");
  });

  test("environment: image first, then pod, with PATH, HOME and HOSTNAME as containerd adds them", async () => {
    const output = await outputOf(world, "env", {
      env: [{ name: "BOTH", value: 'pod\'s "own" $x' }],
      ...shell('echo "$FROM_IMAGE|$BOTH|$HOSTNAME|$HOME|$SHLVL$LANG"'),
    });
    assert.equal(output, 'yes|pod\'s "own" $x|env|/root|\n');
  });

  test("a container is process 1 of its own pid namespace, with the pod's hostname", async () => {
    const output = await outputOf(
      world,
      "pid1",
      shell("echo $$; ps -e -o pid= ; cat /proc/sys/kernel/hostname /etc/hostname"),
    );
    const [self, ...rest] = output.trim().split(/\s+/);
    assert.equal(self, "1");
    assert.deepEqual(rest.slice(-2), ["pid1", "pid1"]);
    assert.ok(rest.length <= 5, `sees only its own processes: ${output}`);
  });

  test("files that a layer deletes are gone, what is below and above stays", async () => {
    const output = await outputOf(world, "deletes", {
      image: "deletes",
      ...shell("ls /data /opaque; cat /data/kept /opaque/new"),
    });
    assert.equal(output, "/data:\nkept\n\n/opaque:\nnew\nyz");
  });

  test("a server that speaks first does not lose its greeting through dial", async () => {
    const server = "require('net').createServer(s=>{s.on('error',()=>{}).write('220 hello\\n')}).listen(25)";
    const ip = await startPod(world, "greeter", { command: ["node", "-e", server] });
    (await connected(world, ip, 25)).destroy();
    for (let attempt = 0; attempt < 50; attempt += 1) {
      const socket = await world.runtime.dial(ip, 25);
      const [greeting] = (await once(socket, "data")) as [Buffer];
      assert.equal(greeting.toString(), "220 hello\n");
      socket.destroy();
    }
    await world.runtime.stopPod("greeter");
  });

  test("dial to a port where nobody listens is refused, with the code that Node gives", async () => {
    const ip = await startPod(world, "closed", shell("sleep 60"));
    await assert.rejects(world.runtime.dial(ip, 9), { code: "ECONNREFUSED" });
    await world.runtime.stopPod("closed");
    await assert.rejects(world.runtime.dial(ip, 9, { timeoutMs: 60_000 }), /EHOSTUNREACH/);
  });

  describe("three replicas on one port behind a Service", () => {
    const names = ["replica-0", "replica-1", "replica-2"];
    let ips: string[];
    before(async () => {
      ips = await Promise.all(names.map((name) => startPod(world, name)));
      await Promise.all(ips.map(async (ip) => (await connected(world, ip, 80)).destroy()));
      await world.runtime.setServices([
        route("web", "10.96.0.20", ips),
        {
          ...route("headless", "None", ips),
          hostnames: ips.map((ip, index) => ({ ip, hostname: `h-${index}` })),
        },
      ]);
      await startPod(world, "client", shell("sleep 600"));
    });
    after(async () => {
      for (const name of [...names, "client"]) await world.runtime.stopPod(name);
    });

    test("each has its own address", async () => {
      assert.equal(new Set(ips).size, 3);
      for (const [index, ip] of ips.entries())
        assert.match(await get(world, ip, 80), new RegExp(`${names[index]}$`));
    });

    test("a pod reaches all of them by the Service's short name, and a server sees its own Service", async () => {
      const ask =
        "(async()=>{const n=new Set();for(let i=0;i<6;i++)n.add(await(await fetch('http://web',{headers:{connection:'close'}})).text());console.log([...n].sort().join())})()";
      for (const from of ["client", "replica-0"]) {
        const { stdout, stderr } = await execOf(world, from, ["node", "-e", ask]);
        assert.equal(stdout, `${names.join()}\n`, stderr);
      }
    });

    test("names resolve as in Kubernetes", async () => {
      const look = `const d=require('dns').promises;(async()=>{for(const n of process.argv.slice(1))console.log((await d.lookup(n,{all:true}).catch(e=>[{address:e.code}])).map(a=>a.address).sort().join())})()`;
      const { stdout } = await execOf(world, "client", [
        ...["node", "-e", look, "web", "web.default", "web.default.svc.cluster.local"],
        ...["headless", "h-1.headless", "nothing.default.svc.cluster.local"],
      ]);
      const ip = "10.96.0.20";
      assert.equal(stdout, `${[ip, ip, ip, ips.toSorted().join(), ips[1], "ENOTFOUND"].join("\n")}\n`);
    });

    test("an endpoint that refuses is passed over, and without endpoints the Service refuses", async () => {
      const ask =
        "fetch('http://web',{headers:{connection:'close'}}).then(r=>r.text(),e=>e.cause.code).then(console.log)";
      const dead = await startPod(world, "not-listening", shell("sleep 60"));
      await world.runtime.setServices([route("web", "10.96.0.20", [dead, ips[0] as string])]);
      for (let attempt = 0; attempt < 2; attempt += 1)
        assert.equal((await execOf(world, "client", ["node", "-e", ask])).stdout, "replica-0\n");
      await world.runtime.setServices([route("web", "10.96.0.20", [])]);
      assert.equal((await execOf(world, "client", ["node", "-e", ask])).stdout, "ECONNREFUSED\n");
      await world.runtime.stopPod("not-listening");
    });

    test("there is no way out: names and addresses are refused at once, with an event that names local.egress", async () => {
      const ask =
        "Promise.all(['http://db.example.com','http://192.0.2.1'].map(u=>fetch(u).catch(e=>e.cause.code))).then(c=>console.log(c.join()))";
      assert.equal((await execOf(world, "client", ["node", "-e", ask])).stdout, "ENOTFOUND,ENETUNREACH\n");
      for (const reason of ["NameNotFound", "NetworkUnreachable"]) {
        const event = await until(`event ${reason}`, () =>
          world.events.find((seen) => seen.reason === reason),
        );
        assert.equal(event.podUid, "client");
        assert.match(event.message, /local\.egress/);
      }
    });

    test("an egress Service reaches a server outside, which may speak first", async () => {
      const server = createServer((socket) => socket.end("hello from outside")).listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as { port: number };
      await world.runtime.setServices([
        { ...route("db", "10.96.0.30", [], 5432), egress: { host: "127.0.0.1", port } },
        { ...route("off", "10.96.0.31", [], 5432), egress: { host: "127.0.0.1", port: 1 } },
      ]);
      const ask = (name: string) =>
        `const s=require('net').connect(5432,'${name}');s.on('data',d=>console.log(String(d))).on('error',e=>console.log(e.code))`;
      assert.equal((await execOf(world, "client", ["node", "-e", ask("db")])).stdout, "hello from outside\n");
      assert.equal((await execOf(world, "client", ["node", "-e", ask("off")])).stdout, "ECONNRESET\n");
      server.close();
    });
  });

  describe("exec", () => {
    before(async () => void (await startPod(world, "exec", { image: "user-1000", ...shell("sleep 600") })));
    after(async () => await world.runtime.stopPod("exec"));

    test("runs in the container as its user and returns output and exit code", async () => {
      const result = await execOf(world, "exec", [
        "sh",
        "-c",
        "id -u; pwd -P; ps -p 1 -o args=; echo err >/dev/stderr; exit 7",
      ]);
      assert.deepEqual(result, {
        exitCode: 7,
        stdout: "1000\n/home/app/work\nsh -c sleep 600\n",
        stderr: "err\n",
      });
    });

    test("passes its input on", async () => {
      const { Readable } = await import("node:stream");
      const result = await execOf(world, "exec", ["cat"], { stdin: Readable.from(["one ", "two"]) });
      assert.deepEqual(result, { exitCode: 0, stdout: "one two", stderr: "" });
    });

    test("a timeout kills the command and rejects", async () => {
      const long = marker(5);
      await assert.rejects(execOf(world, "exec", ["sleep", long], { timeoutMs: 100 }), {
        code: "ETIMEDOUT",
      });
      await until("the command to be gone", () => processesWith(long).length === 0);
    });

    test("a command that is not there gives 127 and says so", async () => {
      const result = await execOf(world, "exec", ["nope"]);
      assert.deepEqual(result, {
        exitCode: 127,
        stdout: "",
        stderr: 'exec: "nope": executable file not found in $PATH\n',
      });
    });
  });

  test("signals reach process 1; its exit code and termination message are reported", async () => {
    const script =
      "trap 'echo bye >/dev/termination-log; exit 4' TERM; echo ready; while :; do sleep 0.05; done";
    await startPod(world, "term", shell(script));
    await until("the trap", async () => (await logOf(world, "term")) === "ready\n");
    await world.runtime.signal("term", "main", "SIGTERM");
    const exit = await exitOf(world, "term");
    assert.deepEqual(
      [exit.exitCode, exit.signal, exit.reason, exit.message],
      [4, undefined, "Error", "bye\n"],
    );
    assert.equal(world.runtime.stopSignal("term", "main"), "SIGINT");
    await world.runtime.stopPod("term");
  });

  test("SIGKILL is reported as 137, and leaves nothing of its own in the log", async () => {
    await startPod(world, "kill", shell("echo up; sleep 600"));
    await until("output", async () => (await logOf(world, "kill")) === "up\n");
    await world.runtime.signal("kill", "main", "SIGKILL");
    const exit = await exitOf(world, "kill");
    assert.deepEqual([exit.exitCode, exit.signal], [137, 9]);
    assert.equal(await logOf(world, "kill"), "up\n");
    await world.runtime.stopPod("kill");
  });

  test("logs: each attempt keeps its own, following ends with the container", async () => {
    await startPod(world, "logs", shell("echo first"));
    await exitOf(world, "logs");
    await world.runtime.startContainer(
      containerSpec("logs", {
        attempt: 1,
        ...shell("for i in 1 2 3 4 5; do echo $i; sleep 0.05; done; printf end"),
      }),
    );
    assert.equal(await logOf(world, "logs", { follow: true }), "1\n2\n3\n4\n5\nend");
    assert.equal(await logOf(world, "logs", { attempt: 0 }), "first\n");
    assert.match(
      await logOf(world, "logs", { attempt: 0, timestamps: true }),
      /^\d{4}-\d\d-\d\dT[\d:]+\.\d{9}Z first\n$/,
    );
    await world.runtime.stopPod("logs");
    assert.equal(await logOf(world, "logs", { attempt: 0 }), "first\n", "logs outlive the pod");
    await world.runtime.forgetPod("logs");
    await assert.rejects(logOf(world, "logs"), /has no log/);
  });

  test("volumes: empty ones are shared and outlive a restart, files appear with content and mode", async () => {
    const hostPath = join(scratch, "shared");
    mkdirSync(hostPath, { recursive: true });
    const mounts: ContainerSpec["mounts"] = [
      { kind: "empty", volume: "data", path: "/data", readOnly: false },
      { kind: "host", volume: "host", hostPath, path: "/from host", readOnly: true },
      {
        kind: "files",
        volume: "config",
        path: "/data/config",
        readOnly: true,
        files: [{ path: "a/b.txt", content: Buffer.from("hello"), mode: 0o440 }],
      },
    ];
    const script =
      "cat /data/config/a/b.txt /data/count; ls -l /data/config/a | cut -c1-10; echo x >>/data/count; echo no >'/from host/x' || echo read-only; echo no 2>&1 >/data/config/y || echo read-only";
    await startPod(world, "volumes", { mounts, ...shell(script.replace(" | cut -c1-10", "")) });
    await exitOf(world, "volumes");
    await world.runtime.startContainer(
      containerSpec("volumes", { attempt: 1, mounts, ...shell("cat /data/count") }),
    );
    await exitOf(world, "volumes", 1);
    const first = await logOf(world, "volumes", { attempt: 0 });
    assert.match(first, /^hello/m);
    assert.match(first, /-r--r-----/);
    assert.equal(first.match(/^read-only$/gm)?.length, 2);
    assert.equal(await logOf(world, "volumes"), "x\n");
    await world.runtime.stopPod("volumes");
  });

  test("files that change or go are seen by a container that runs", async () => {
    const files = (entries: Record<string, string>): ContainerSpec["mounts"] => [
      {
        kind: "files",
        volume: "config",
        path: "/config",
        readOnly: true,
        files: Object.entries(entries).map(([path, text]) => ({
          path,
          content: Buffer.from(text),
          mode: 0o644,
        })),
      },
    ];
    const show = "cd /config; cat a; ls; until [ -f c ]; do sleep 0.02; done; cat a c; ls";
    await startPod(world, "files", { mounts: files({ a: "old\n", b: "" }), ...shell(show) });
    await until("the first look", async () => (await logOf(world, "files")).endsWith("b\n"));
    await world.runtime.writeFiles("files", files({ a: "new\n", c: "more\n" }));
    await exitOf(world, "files");
    assert.equal(await logOf(world, "files"), "old\na\nb\nnew\nmore\na\nc\n");
    await world.runtime.stopPod("files");
    await world.runtime.writeFiles("files", files({ a: "too late" }));
  });

  test("a pod that is stopped while its container starts leaves nothing running", async () => {
    // The start may win or lose; both are right as long as nothing is left.
    const long = marker(6);
    const starting = startPod(world, "race", shell(`sleep ${long}`)).catch(() => undefined);
    const again = world.runtime.startPod({
      uid: "race",
      namespace: "default",
      name: "race",
      hostname: "race",
      hostAliases: [],
    });
    const { podIP } = await again;
    await world.runtime.stopPod("race");
    assert.ok([podIP, undefined].includes(await starting), "one pod has one address");
    await until("nothing of it to run", () => processesWith(long).length === 0);
    await world.runtime.stopPod("race");
  });

  test("readOnlyRootFilesystem refuses writes, except into volumes", async () => {
    const output = await outputOf(world, "readonly", {
      readOnlyRootFilesystem: true,
      mounts: [{ kind: "empty", volume: "tmp", path: "/tmp", readOnly: false }],
      ...shell("echo x >/file || echo refused; echo y >/tmp/file && cat /tmp/file"),
    });
    assert.match(output, /^refused$/m);
    assert.match(output, /^y$/m);
  });

  test("what cannot start says why, in Kubernetes' words", async () => {
    const cases: readonly [string, Partial<ContainerSpec>, string, RegExp][] = [
      ["no-image", { image: "missing" }, "ErrImagePull", /"missing": not found/],
      [
        "never",
        { image: "unseen", imagePullPolicy: "Never" },
        "ErrImageNeverPull",
        /not present with pull policy of Never/,
      ],
      [
        "no-command",
        { command: ["nope"] },
        "RunContainerError",
        /^exec: "nope": executable file not found in \$PATH$/,
      ],
      ["no-file", { command: ["/nope"] }, "RunContainerError", /stat \/nope: no such file or directory/],
      [
        "no-user",
        { image: "deletes", command: ["id"], user: undefined, terminationMessagePath: "/proc/x" },
        "CreateContainerError",
        /cannot mount at \/proc\/x/,
      ],
    ];
    for (const [uid, over, reason, message] of cases) {
      await assert.rejects(startPod(world, uid, over), (error: { reason: string; message: string }) => {
        assert.equal(error.reason, reason, error.message);
        assert.match(error.message, message);
        return true;
      });
      await world.runtime.stopPod(uid);
    }
  });

  test("an image that changes to a second user works as root, and is explained where there is one uid", async () => {
    const script =
      "try{process.setgid(33);process.setuid(33);console.log(process.getuid())}catch(e){console.error(e)};setInterval(()=>{},1e6)";
    await startPod(world, "second", { command: ["node", "-e", script] });
    const written = await until("its word", async () => await logOf(world, "second"));
    const probe = await probeSandbox();
    if (probe.ok && probe.ids === "one-uid") {
      const event = await until("the event", () =>
        world.events.find(({ reason }) => reason === "SecondUserNeeded"),
      );
      assert.equal(event.podUid, "second");
      assert.match(event.message, /setgid.*uidmap/);
    } else assert.equal(written, "33\n");
    await world.runtime.stopPod("second");
  });

  test("nginx runs, logs to its output and finds its upstream by name", {
    skip: nginx === undefined ? "nginx is not installed" : false,
  }, async () => {
    const ip = await startPod(world, "upstream");
    (await connected(world, ip, 80)).destroy();
    await world.runtime.setServices([route("backend1", "10.96.0.40", [ip])]);
    const conf = `server { listen 80; location / { proxy_pass http://backend; } } upstream backend { server backend1:80; }`;
    const user = isRoot ? undefined : 33;
    const front = await startPod(world, "nginx", {
      image: "nginx",
      user,
      mounts: [
        {
          kind: "files",
          volume: "conf",
          path: "/etc/nginx/sites-enabled",
          readOnly: true,
          files: [{ path: "default", content: Buffer.from(conf), mode: 0o644 }],
        },
      ],
    });
    assert.match(await get(world, front, 80), /upstream$/, await logOf(world, "nginx"));
    // nginx writes the line after it has answered.
    await until("the access log's line", async () =>
      /"GET \/ HTTP\/1\.0" 200/.test(await logOf(world, "nginx")),
    );
    await world.runtime.stopPod("nginx");
    await world.runtime.stopPod("upstream");
  });

  test("two clusters may use the same pod addresses and share their layers", async () => {
    const other = await openWorld(join(scratch, "other"), layersDirectory);
    try {
      const ip = await startPod(other, "same");
      assert.match(await get(other, ip, 80), /same$/);
    } finally {
      await other.runtime.close();
    }
  });
});

let cases = 0;
runtimeCases(
  `sandbox as ${isRoot ? "root" : "an ordinary user"}`,
  async () => {
    cases += 1;
    const { runtime } = await openWorld(join(scratch, `case-${cases}`), layersDirectory);
    return {
      runtime,
      images: {
        server: "server",
        port: 80,
        logLine: "listening",
        crash: "crash",
        stubborn: "stubborn",
        missing: "missing",
      },
      close: () => runtime.close(),
    };
  },
  { command: ["sh", "-c", "exit 0"] },
);

describe(`what is left behind as ${isRoot ? "root" : "an ordinary user"}`, () => {
  test("an agent killed with SIGKILL takes all pods along and is reported as lost", async () => {
    const world = await openWorld(join(scratch, "killed"), layersDirectory);
    const long = marker(7);
    await startPod(world, "marked", shell(`sleep ${long}`));
    assert.ok(processesWith(long).length > 0);
    process.kill(world.runtime.agentPid, "SIGKILL");
    await until("the loss to be noticed", () => world.lost.length === 1);
    await until("its processes to be gone", () => processesWith(long).length === 0);
    await assert.rejects(world.runtime.dial("10.244.0.2", 80), { code: "SANDBOX_AGENT_LOST" });
    await world.runtime.close();
    assert.deepEqual(readdirSync(world.directory).sort(), ["logs"]);
  });

  test("the next start ends an agent that is left, and never a stranger with its pid", async () => {
    const directory = join(scratch, "left");
    const world = await openWorld(directory, layersDirectory);
    const pid = world.runtime.agentPid;
    assert.equal(await removeSandboxLeftovers(directory, systemClock), pid);
    await until("the loss to be noticed", () => world.lost.length === 1);
    const state = { pid: process.pid, start: "1", boot: bootId() };
    writeFileSync(join(directory, "agent.json"), JSON.stringify(state));
    assert.equal(await removeSandboxLeftovers(directory, systemClock), undefined, "this test is still here");
  });

  test("a system that refuses namespaces is told what to change", {
    skip: isRoot ? false : "only root can drop the right",
  }, async () => {
    const probe = new URL("probe.ts", import.meta.url).href;
    const script = `const { probeSandbox } = await import(${JSON.stringify(probe)}); const p = await probeSandbox(); console.log(p.ok, p.error?.code, p.error?.message, p.error?.hint)`;
    const { stdout } = await exec([
      ...[findTool("setpriv") as string, "--inh-caps=-all", "--bounding-set=-sys_admin", "--"],
      ...[process.execPath, "--input-type=module", "-e", script],
    ]);
    assert.match(stdout, /^false SANDBOX_REFUSED this system refuses to create namespaces: .*CAP_SYS_ADMIN/s);
  });

  test("a world killed with SIGKILL leaves no process and no mount", async () => {
    const directory = join(scratch, "orphan");
    const long = marker(8);
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL("testing-world.ts", import.meta.url)), directory],
      {
        // Not as an argument: the world itself would then be found by it.
        env: { ...process.env, SLEEP_SECONDS: long },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const agentPid = line.toString().trim();
    assert.match(agentPid, /^\d+$/);
    assert.ok(processesWith(long).length > 0);
    child.kill("SIGKILL");
    await until("its processes to be gone", () => processesWith(long).length === 0);
    await until("the agent to be gone", () => !processesWith("sandbox/agent.ts").includes(agentPid));
    const mounts = readFileSync("/proc/mounts", "utf8").replaceAll("\\040", " ");
    assert.ok(!mounts.includes(directory), mounts);
    const next = await openWorld(directory, layersDirectory);
    await next.runtime.close();
    assert.deepEqual(readdirSync(directory).sort(), ["logs"]);
  });
});

test("all of this also works for an ordinary user with one uid", {
  skip: isRoot ? false : "this is that user",
}, async () => {
  const home = join(scratch, "nobody");
  mkdirSync(home);
  chmodSync(scratch, 0o755);
  chownSync(home, Number(NOBODY), Number(NOBODY));
  const readable = readableCopy(join(scratch, "copy"));
  await exec(["chmod", "-R", "a+rX", join(scratch, "copy")]);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const result = await exec(
    [
      ...[findTool("setpriv") as string, "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"],
      ...[readable.node, "--test", "--test-reporter=tap", readable.test],
    ],
    { env: { ...env, HOME: home, TMPDIR: home }, cwd: "/" },
  );
  const failures = result.stdout.split("\n").filter((line) => /^\s*not ok/.test(line));
  assert.equal(result.exitCode, 0, `${failures.join("\n")}\n${result.stdout.slice(-6000)}${result.stderr}`);
});

/** Another user may not enter the folder where this checkout lies, nor the one with its Node. */
function readableCopy(to: string): { node: string; test: string } {
  const packages = fileURLToPath(new URL("../../../../", import.meta.url));
  mkdirSync(join(to, "node_modules/@slipway"), { recursive: true });
  for (const name of ["base", "cluster"]) {
    for (const part of ["src", "package.json"])
      cpSync(join(packages, name, part), join(to, name, part), { recursive: true });
    symlinkSync(`../../${name}`, join(to, "node_modules/@slipway", name));
  }
  copyFileSync(process.execPath, join(to, "node"));
  const test = fileURLToPath(import.meta.url).slice(packages.length);
  return { node: join(to, "node"), test: join(to, test) };
}

function once(emitter: NodeJS.EventEmitter, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    emitter.once(event, (...values: unknown[]) => resolve(values));
    emitter.once("error", reject);
  });
}
