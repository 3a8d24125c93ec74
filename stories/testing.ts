/**
 * What the stories share: a project in a folder and git repository of its own, the real command line run on it, and
 * the local world that it starts. Whatever a story does, the world is taken down and the folder removed at its end.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { exec, until } from "@slipway/base";
import { createHttpClient, type KubeClient } from "@slipway/kube";
import { findWorld, type WorldState, worldPaths } from "../packages/slipway/src/world/state.ts";

export const root = join(import.meta.dirname, "..");
export const bin = join(root, "packages/slipway/bin/slipway");

export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Both streams, as a person sees them. */
  readonly text: string;
}

export interface Running {
  readonly child: ChildProcess;
  /** Everything printed so far. */
  text(): string;
  readonly ended: Promise<Answer>;
  /** Waits until this was printed. */
  sees(text: string | RegExp): Promise<void>;
}

/** The real command line, in one folder and environment. */
export interface CommandLine {
  slipway(...args: readonly string[]): Promise<Answer>;
  /** Must end with 0. */
  ok(...args: readonly string[]): Promise<Answer>;
  /** Must end with this code. */
  fails(code: number, ...args: readonly string[]): Promise<Answer>;
  start(...args: readonly string[]): Running;
  /** The same; once it has printed this (a regular expression, `m`) it stands still, to be killed. */
  startUntil(printed: string, ...args: readonly string[]): Running;
  /** Kills what still runs. */
  killAll(): void;
}

export interface Project extends Omit<CommandLine, "killAll"> {
  readonly folder: string;
  /** Set for every command that follows. */
  readonly env: Record<string, string>;
  read(path: string): Promise<string>;
  write(path: string, text: string): Promise<void>;
  /** Replaces a text that must be there. */
  edit(path: string, from: string | RegExp, to: string): Promise<void>;
  git(...args: readonly string[]): Promise<string>;
  commit(message: string): Promise<void>;
  world(): Promise<WorldState>;
  client(cluster: string): Promise<KubeClient>;
  /** The answer of the edge, tried again until it has a ready endpoint. */
  get(path: string): Promise<{ readonly status: number; readonly body: string }>;
  remove(): Promise<void>;
}

/** Variables with which that program stands still: once it has printed this, else before it has begun. See standing-still.ts. */
export function standingStill(program: string, printed = ""): Readonly<Record<string, string>> {
  const hold = pathToFileURL(join(import.meta.dirname, "standing-still.ts")).href;
  return { NODE_OPTIONS: `--import=${hold}`, STANDS_STILL_PROGRAM: program, STANDS_STILL_AT: printed };
}

export function commandLine(folder: string, env: Readonly<Record<string, string>>): CommandLine {
  const running = new Set<ChildProcess>();

  const startWith = (more: Readonly<Record<string, string>>, args: readonly string[]): Running => {
    const child = spawn(bin, [...args], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        ...{
          CI: undefined,
          NODE_OPTIONS: undefined,
          SLACK_BOT_TOKEN: undefined,
          SLACK_WEBHOOK_URL: undefined,
          SLACK_SIGNING_SECRET: undefined,
          SLACK_APP_TOKEN: undefined,
        },
        ...env,
        ...more,
      },
    });
    running.add(child);
    let [stdout, stderr, text] = ["", "", ""];
    child.stdout.setEncoding("utf8").on("data", (piece: string) => {
      stdout += piece;
      text += piece;
    });
    child.stderr.setEncoding("utf8").on("data", (piece: string) => {
      stderr += piece;
      text += piece;
    });
    const ended = new Promise<Answer>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => {
        running.delete(child);
        resolve({ code: code ?? 128, stdout, stderr, text });
      });
    });
    return {
      child,
      text: () => text,
      ended,
      async sees(wanted) {
        const isSeen = (): boolean =>
          typeof wanted === "string" ? text.includes(wanted) : wanted.test(text);
        let isOver = false;
        void ended.then(() => {
          isOver = true;
        });
        await until(`slipway ${args.join(" ")} to print ${wanted}`, () => isSeen() || isOver, {
          timeoutMs: 60_000,
          describe: () => text,
        });
        assert.ok(isSeen(), `slipway ${args.join(" ")} ended without printing ${wanted}:\n${text}`);
      },
    };
  };

  const start: CommandLine["start"] = (...args) => startWith({}, args);
  const fails = async (code: number, ...args: readonly string[]): Promise<Answer> => {
    const answer = await start(...args).ended;
    assert.equal(answer.code, code, `slipway ${args.join(" ")} ended with ${answer.code}:\n${answer.text}`);
    return answer;
  };
  return {
    start,
    startUntil: (printed, ...args) => startWith(standingStill("bin/start.mjs", printed), args),
    slipway: (...args) => start(...args).ended,
    ok: (...args) => fails(0, ...args),
    fails,
    killAll: () => {
      for (const child of running) child.kill("SIGKILL");
    },
  };
}

export async function emptyProject(): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-story-"));
  const env: Record<string, string> = { SLIPWAY_WHO: "story", SLIPWAY_BUILDER: "slipway" };
  const { killAll, ...commands } = commandLine(folder, env);
  const project: Project = {
    folder,
    env,
    ...commands,
    read: (path) => readFile(join(folder, path), "utf8"),
    async write(path, text) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    },
    async edit(path, from, to) {
      const before = await project.read(path);
      const after = before.replace(from, to);
      assert.notEqual(after, before, `${path} has no ${from}`);
      await project.write(path, after);
    },
    async git(...args) {
      const identity = [
        "-c",
        "user.name=Story",
        "-c",
        "user.email=story@localhost",
        "-c",
        "commit.gpgsign=false",
      ];
      const result = await exec(["git", "-C", folder, ...identity, ...args]);
      assert.equal(result.exitCode, 0, `git ${args.join(" ")}: ${result.stderr}`);
      return result.stdout.trim();
    },
    async commit(message) {
      await project.git("add", "-A");
      await project.git("commit", "-q", "-m", message);
    },
    async world() {
      const found = await findWorld(worldPaths(folder));
      assert.equal(found.kind, "running", "the world should run");
      return (found as { state: WorldState }).state;
    },
    async client(cluster) {
      const found = (await project.world()).clusters.find(({ name }) => name === cluster);
      assert.ok(found, `no cluster ${cluster}`);
      return createHttpClient(found);
    },
    async get(path) {
      const { edge } = await project.world();
      return until(`the edge to have an endpoint for ${path}`, async () => {
        const response = await fetch(`${edge}${path}`);
        const answer = { status: response.status, body: await response.text() };
        return answer.status === 503 ? undefined : answer;
      });
    },
    async remove() {
      killAll();
      if ((await findWorld(worldPaths(folder))).kind !== "absent") {
        const { stopWorld } = await import("../packages/slipway/src/world/process.ts");
        await stopWorld(folder);
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
  return project;
}

const services = ["web", "backend1", "backend2"];

/** Everything as fast as it goes: for stories that are not about rolling updates. */
const fastPatch = (name: string): string => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${name}
spec:
  replicas: 1
  minReadySeconds: 0
  progressDeadlineSeconds: 20
  template:
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - name: ${name}
          readinessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 1, timeoutSeconds: 5 }
          lifecycle: { preStop: null }
`;

/** A copy of the shop, committed as v1, with the edge on a free port and one pod of each Deployment. */
export async function shopProject(): Promise<Project> {
  const project = await emptyProject();
  await cp(join(root, "examples/shop"), project.folder, {
    recursive: true,
    filter: (source) => !source.includes(".slipway"),
  });
  await project.edit("slipway.config.ts", "edge: {", "edge: {\n    port: 0,");
  await project.edit("slipway.config.ts", 'bake: "2s"', 'bake: "0s"');
  for (const name of services) await project.write(`k8s/local/${name}.yaml`, fastPatch(name));
  await project.git("init", "-q", "-b", "main");
  await project.commit("v1");
  return project;
}

/** The shop with `web` alone: one pod in each cluster. Both clusters are one wave unless the story is about waves. */
export async function smallShop(options: { readonly waves?: 1 | 2 } = {}): Promise<Project> {
  const project = await shopProject();
  if (options.waves !== 2)
    await project.edit("slipway.config.ts", 'waves: [["tokyo"], ["osaka"]]', 'waves: [["tokyo", "osaka"]]');
  await project.edit(
    "slipway.config.ts",
    ', backend1: { context: "backend1" }, backend2: { context: "backend2" }',
    "",
  );
  await project.edit("slipway.config.ts", '  verify: ["spec/"],\n', "");
  for (const name of ["backend1", "backend2"]) {
    await rm(join(project.folder, `k8s/${name}.yaml`));
    await rm(join(project.folder, `k8s/local/${name}.yaml`));
  }
  await project.commit("v1: web alone");
  return project;
}

/** The next version of the small shop, committed. */
export async function commitRelease(project: Project, release: string): Promise<void> {
  await project.write("web/release.txt", `${release}\n`);
  await project.commit(release);
}

/** Every line must be JSON; long work prints one for each event. */
export function jsonLines(answer: Answer): Record<string, unknown>[] {
  assert.notEqual(answer.stdout.trim(), "");
  return answer.stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
