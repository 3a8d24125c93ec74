/** `slipway verify` on Docker and on Podman says what it says in the sandbox: of the shop's images, and of services together. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec, systemClock, until } from "@slipway/base";
import type Docker from "dockerode";
import { buildImages } from "../packages/slipway/src/images/build.ts";
import { ImageLayout } from "../packages/slipway/src/images/layout.ts";
import { createRegistryClient } from "../packages/slipway/src/images/registry/client.ts";
import { connect } from "../packages/slipway/src/verify/engines/docker/connect.ts";
import { OWNER_LABEL } from "../packages/slipway/src/verify/engines/docker/create-options.ts";
import { dockerEngine } from "../packages/slipway/src/verify/engines/docker/docker.ts";
import { hostLook } from "../packages/slipway/src/verify/engines/docker/host-look.ts";
import { loadImage } from "../packages/slipway/src/verify/engines/docker/images.ts";
import type { VerifyReport } from "../packages/slipway/src/verify/report/result.ts";
import { makeVerifyProject, RUNNING_SPEC, STACK_SPEC, type VerifyProject } from "./verify-project.ts";

const ENGINES = ["sandbox", "docker", "podman"] as const;
type EngineName = (typeof ENGINES)[number];

/** Of a front that asks the wrong port. */
const BROKEN_SPEC = `import { describeCompose } from "slipway/verify";
describeCompose("../compose", (t) => {
  t.in("frontend").within("5s").http("http://127.0.0.1/be1/").status(200);
  t.in("frontend").within("5s").reach("backend1", 8081).open();
  t.in("frontend").reach("backend1", 8081).closed();
  t.in("frontend").dns("backend3").resolvesNot();
  t.in("backend1").within("2s").port(8081).listening();
  t.in("backend1").process("nginx").running().user("www-data");
});
`;

/** Of a run that is still at it whenever it is killed: one check waits for what never comes. */
const LASTING_SPEC = STACK_SPEC.replace(
  't.in("frontend").log',
  't.in("frontend").within("10m").port(1).listening();\n  t.in("frontend").log',
);

let project: VerifyProject;

before(async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-verify-story-"));
  project = await makeVerifyProject(folder, { "running.ts": RUNNING_SPEC });
});
after(() => rm(project.folder, { recursive: true, force: true }));

interface Told {
  readonly exitCode: number;
  readonly report: VerifyReport;
  readonly text: string;
}

async function verify(engine: EngineName, ...words: readonly string[]): Promise<Told> {
  const { exitCode, stdout, stderr } = await project.slipway(
    "verify",
    "--engine",
    engine,
    "--json",
    ...words,
  );
  const text = stdout + stderr;
  assert.ok(exitCode === 0 || exitCode === 1 || exitCode === 4, `${engine}: exit ${exitCode}: ${text}`);
  return { exitCode, report: JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as VerifyReport, text };
}

const verdicts = ({ report }: Told): readonly string[] =>
  report.results.map(
    ({ target, subject, expectation, verdict }) => `${target} › ${subject} › ${expectation}: ${verdict}`,
  );

const onEach = async (...words: readonly string[]): Promise<readonly Told[]> => {
  const told: Told[] = [];
  for (const engine of ENGINES) told.push(await verify(engine, ...words));
  return told;
};

/** What the run made is gone with it; images stay. */
async function left(kind: "docker" | "podman"): Promise<readonly string[]> {
  const { docker } = (await connect(kind, process.env)) ?? assert.fail(`no ${kind} engine answers`);
  const label = { filters: { label: [OWNER_LABEL] } };
  return [
    ...(await docker.listContainers({ all: true, ...label })).map(({ Names }) => Names.join()),
    ...(await docker.listNetworks(label)).map(({ Name }) => Name),
    ...((await docker.listVolumes(label)).Volumes ?? []).map(({ Name }) => Name),
  ];
}

test("the shop's images pass on every engine, nothing is unknown, and nothing is left", async () => {
  const [sandbox, ...others] = (await onEach("--only", "image")) as [Told, ...Told[]];
  assert.equal(sandbox.exitCode, 0, sandbox.text);
  assert.ok(sandbox.report.results.length > 20, sandbox.text);
  assert.deepEqual([sandbox.report.failed, sandbox.report.unknown], [0, 0]);
  for (const other of others) assert.deepEqual(verdicts(other), verdicts(sandbox));
  for (const kind of ["docker", "podman"] as const) assert.deepEqual(await left(kind), []);
});

test("a check that fails in Docker and Podman is told as in the sandbox", async () => {
  const path = join(project.folder, "spec/wrong.ts");
  await writeFile(
    path,
    'import { describeImage } from "slipway/verify";\ndescribeImage("web", (t) => { t.within("60s").port(8080).listening(); t.within("1s").port(9090).listening(); });\n',
  );
  for (const engine of ENGINES) {
    const told = await project.slipway("verify", "--image", "web", "--engine", engine);
    assert.equal(told.exitCode, 1, told.stdout + told.stderr);
    assert.match(
      told.stdout,
      /✗ port 9090 › listening\n\s+expected {2}listening\n\s+found {5}listening: .*:8080/,
    );
  }
  await rm(path);
});

test("the services of the Compose example pass together on every engine", async () => {
  await writeFile(join(project.folder, "spec/stack.ts"), STACK_SPEC);
  const [sandbox, ...others] = (await onEach("--only", "compose")) as [Told, ...Told[]];
  assert.equal(sandbox.exitCode, 0, sandbox.text);
  assert.equal(sandbox.report.passed, 12);
  for (const other of others) assert.deepEqual(verdicts(other), verdicts(sandbox), other.text);
  for (const kind of ["docker", "podman"] as const) assert.deepEqual(await left(kind), []);
});

test("a front that asks the wrong port fails on every engine in the same checks, for the same reason", async () => {
  const conf = join(project.folder, "compose/frontend/nginx.conf");
  const text = await readFile(conf, "utf8");
  await writeFile(conf, text.replace("backend1:8080", "backend1:8081"));
  await writeFile(join(project.folder, "spec/stack.ts"), BROKEN_SPEC);
  try {
    const [sandbox, ...others] = (await onEach("--only", "compose", "--allow-dirty")) as [Told, ...Told[]];
    assert.equal(sandbox.exitCode, 1, sandbox.text);
    for (const other of others) assert.deepEqual(verdicts(other), verdicts(sandbox), other.text);
    for (const { report } of [sandbox, ...others]) {
      const [front] = report.results;
      assert.match(front?.evidence ?? "", /status 502/);
      assert.match(front?.why.join("\n") ?? "", /frontend's log: .*connect\(\) failed \(111/);
      assert.match(front?.why.join("\n") ?? "", /backend1 listens on 8080 only/);
    }
  } finally {
    await writeFile(conf, text);
    await rm(join(project.folder, "spec/stack.ts"));
  }
});

for (const kind of ["docker", "podman"] as const) {
  test(`${kind}: a run that is killed when its network, its containers or its services are there leaves nothing to keep`, async () => {
    assert.notEqual(LASTING_SPEC, STACK_SPEC);
    await writeFile(join(project.folder, "spec/stack.ts"), LASTING_SPEC);
    const connection = (await connect(kind, process.env)) ?? assert.fail(`no ${kind} engine answers`);
    const { docker } = connection;
    const filters = { label: [OWNER_LABEL] };
    const stages = [
      async () => (await docker.listNetworks({ filters })).length > 0,
      async () => (await docker.listContainers({ all: true, filters })).length > 0,
      async () => (await docker.listContainers({ filters })).length === 3,
    ];
    const engine = dockerEngine({ connection, clock: systemClock, look: hostLook });
    for (const [stage, isReached] of stages.entries()) {
      const { argv, env } = project.command("verify", "--only", "compose", "--engine", kind);
      const [program, ...args] = argv as [string, ...string[]];
      const run = spawn(program, args, { cwd: project.folder, env, stdio: "ignore" });
      const ended = once(run, "exit");
      await until(`stage ${stage}`, isReached, { timeoutMs: 60_000, everyMs: 5 });
      run.kill("SIGKILL");
      await ended;
      assert.notDeepEqual(await left(kind), [], `stage ${stage}: it was killed too late`);
      // What the engine was doing for it then is done a moment later.
      await until("all to be removed", async () => {
        await engine.sweep();
        return (await left(kind)).length === 0;
      });
    }
    await rm(join(project.folder, "spec/stack.ts"));
  });
}

test("its Dockerfiles build with Docker's builder on the image that NGINX names, and the front reaches both backends", async () => {
  const { docker } = (await connect("docker", process.env)) ?? assert.fail("no Docker engine answers");
  const base = await nginxIn(docker);
  const run = async (...words: readonly string[]): Promise<string> => {
    const env = { ...process.env, DOCKER_BUILDKIT: "0" }; // Debian's has no buildx
    const { exitCode, stdout, stderr } = await exec(["docker", ...words], {
      cwd: join(project.folder, "compose"),
      env,
    });
    assert.equal(exitCode, 0, `docker ${words.join(" ")}: ${stdout}${stderr}`);
    return stdout.trim();
  };
  const made: string[] = [];
  await run("network", "create", "compose-nginx");
  try {
    for (const name of ["backend1", "backend2", "frontend"]) {
      const context = name === "frontend" ? name : "backend";
      await run("build", "-q", "-t", `compose-nginx-${context}`, "--build-arg", `BASE=${base}`, context);
      const names = ["--hostname", name, "--network-alias", name];
      made.push(await run("run", "-d", "--network", "compose-nginx", ...names, `compose-nginx-${context}`));
    }
    const { State } = await docker.getContainer(made.at(-1) as string).inspect();
    const look = hostLook(State.Pid);
    for (const [path, backend] of [
      ["/be1/", "backend1"],
      ["/be2/", "backend2"],
    ] as const) {
      const body = await until(`${path} to answer`, async () => {
        const answer = await look.http({
          url: `http://127.0.0.1${path}`,
          method: "GET",
          headers: {},
          body: undefined,
          timeoutMs: 5000,
          isInsecure: false,
        });
        return "status" in answer && answer.status === 200 ? answer.body : undefined;
      });
      assert.equal(body, `${backend} got /\n`);
    }
    look.close();
  } finally {
    for (const id of made) await run("rm", "-f", id);
    await run("network", "rm", "compose-nginx");
  }
});

/** This machine's nginx as an image of the engine, as if it had been pulled; its name there. */
async function nginxIn(docker: Docker): Promise<string> {
  const folder = join(project.folder, ".slipway", "nginx");
  await mkdir(folder, { recursive: true });
  const dockerfile = join(folder, "Dockerfile");
  await writeFile(dockerfile, "FROM slipway/host/nginx\n");
  const layout = await ImageLayout.open(join(folder, "layout"));
  const registry = createRegistryClient({});
  const [image] = await buildImages({
    images: [{ name: "nginx", from: { kind: "context", context: folder, dockerfile, args: {} } }],
    layout,
    registry,
    root: folder,
    commitTimeMs: 0,
    revision: undefined,
    isLocal: true,
    allowHostBases: [],
    builder: "slipway",
  }).finally(() => registry.close());
  assert.ok(image);
  const { name } = await loadImage(docker, layout, image);
  await docker.getImage(name).tag({ repo: "nginx", tag: "here" });
  return "nginx:here";
}
