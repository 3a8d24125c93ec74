/** What the demo acts on: the copied shop, its repository, the command line, the load, and a watch on ready pods. */
import { type ChildProcess, fork, spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { exec, shellLine, systemClock, until } from "@slipway/base";
import { createHttpClient, type KubeClient, type Pod } from "@slipway/kube";
import { signInLink } from "../../packages/slipway/src/observer/pages/token.ts";
import { callWorld } from "../../packages/slipway/src/world/control.ts";
import { findWorld, type WorldState, worldPaths } from "../../packages/slipway/src/world/state.ts";
import { lookAtDashboard, type SeenRelease } from "./dashboard.ts";
import type { FromLoad, StepReport, ToLoad } from "./load.ts";

export interface ShipResult {
  readonly verdict: string;
  readonly cause: string | undefined;
  /** From the first crash of a container of the new release to the line that names the cause. */
  readonly causeAfterMs: number | undefined;
}

export interface Stage {
  readonly folder: string;
  readonly bin: string;
  slipway(...args: readonly string[]): Promise<number>;
  ship(): Promise<ShipResult>;
  /** `to` is a release number. */
  rollback(to: number): Promise<ShipResult>;
  commit(release: string, message: string): Promise<void>;
  /** Only `web` changes: its pods never answer, so nobody may ever hear from this release. */
  commitCrash(release: string, message: string): Promise<void>;
  revert(): Promise<void>;
  startLoad(): Promise<void>;
  beginStep(name: string, releases: readonly string[]): Promise<StepReport>;
  stopLoad(): Promise<void>;
  pause(ms: number): Promise<void>;
  lose(cluster: string): Promise<{ verdict: string }>;
  restore(cluster: string): Promise<{ verdict: string }>;
  /** The lowest number of ready pods since the last call, of the Deployment that was worst off. */
  takeReadyMin(): { readonly name: string; readonly lowest: number; readonly wanted: number };
  /** Every release as the dashboard shows it, once it has the requests of these. */
  dashboard(numbers: readonly number[]): Promise<readonly SeenRelease[]>;
  describe(): Promise<string>;
  /** Leaves the world as it is, and only stops watching it. */
  leave(): void;
  /** Takes everything down and removes the copy. */
  strike(): Promise<void>;
}

const root = join(import.meta.dirname, "..", "..");
const bin = join(root, "packages/slipway/bin/slipway");
const services = ["web", "backend1", "backend2"];
const REPLICAS = 3;

export async function setStage(options: {
  readonly sabotage: string | undefined;
  readonly say: (line: string) => void;
}): Promise<Stage> {
  const { say } = options;
  const folder = await mkdtemp(join(tmpdir(), "slipway-demo-"));
  await cp(join(root, "examples/shop"), folder, {
    recursive: true,
    filter: (source) => !source.includes(".slipway"),
  });
  await prepare(folder, options.sabotage);
  const git = async (...args: string[]): Promise<void> => {
    const result = await exec([
      "git",
      "-C",
      folder,
      "-c",
      "user.name=Demo",
      "-c",
      "user.email=demo@localhost",
      "-c",
      "commit.gpgsign=false",
      ...args,
    ]);
    if (result.exitCode !== 0) throw new Error(`git ${args.join(" ")}: ${result.stderr.trim()}`);
  };
  await git("init", "-q", "-b", "main");
  await git("add", "-A");
  await git("commit", "-q", "-m", "v1");

  let load: ChildProcess | undefined;
  const reports = new Map<string, PromiseWithResolvers<StepReport>>();
  const ready = readyCounter();
  const stop = new AbortController();
  const running = new Map<ChildProcess, Promise<unknown>>();
  let struck: Promise<void> | undefined;

  const run = (args: readonly string[], onLine: (line: string) => void = () => {}): Promise<number> => {
    if (struck !== undefined) throw new Error("interrupted");
    const child = spawn(bin, [...args], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, SLIPWAY_WHO: "demo" },
    });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        onLine(line);
        say(line);
      });
    }
    const ended = new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code) => resolve(code ?? 1));
    });
    running.set(child, ended);
    return ended.finally(() => running.delete(child));
  };

  const world = async (): Promise<WorldState> => {
    const found = await findWorld(worldPaths(folder));
    if (found.kind !== "running") throw new Error("the local world is not running");
    return found.state;
  };

  const release = async (args: readonly string[]): Promise<ShipResult> => {
    const crash = watchFirstCrash(await clientsIfUp(), stop.signal);
    let namedAt: number | undefined;
    const code = await run(args, (line) => {
      if (namedAt === undefined && line.includes("ContainerCrash")) namedAt = Date.now();
    });
    crash.stop();
    const result = await exec([bin, "history", "--json"], { cwd: folder });
    const newest = (
      JSON.parse(result.stdout) as {
        outcome: string;
        clusters: Record<string, { cause?: { code: string } }>;
      }[]
    )[0];
    if (newest === undefined)
      throw new Error(`slipway ${args.join(" ")} ended with ${code} and left no release`);
    const cause = Object.values(newest.clusters).find((cluster) => cluster.cause !== undefined)?.cause?.code;
    if ((code === 0) !== (newest.outcome === "healthy"))
      throw new Error(`slipway ${args.join(" ")} ended with ${code}, but the release is ${newest.outcome}`);
    ready.expect();
    return {
      verdict: newest.outcome,
      cause,
      causeAfterMs:
        namedAt === undefined || crash.at() === undefined
          ? undefined
          : Math.max(0, namedAt - (crash.at() as number)),
    };
  };

  const clientsIfUp = async (): Promise<KubeClient[]> =>
    (await world()).clusters.map(({ name, url, token, ca }) => createHttpClient({ name, url, token, ca }));

  const stage: Stage = {
    folder,
    bin,
    async slipway(...args) {
      const code = await run(args);
      if (code !== 0) throw new Error(`slipway ${args.join(" ")} ended with ${code}`);
      if (args[0] === "local" && args[1] === "up")
        for (const client of await clientsIfUp()) ready.follow(client, stop.signal);
      return code;
    },
    ship: () => release(["ship"]),
    rollback: (to) => release(["rollback", String(to)]),
    async commit(name, message) {
      for (const service of services) await writeFile(join(folder, service, "release.txt"), `${name}\n`);
      await git("commit", "-q", "-a", "-m", `${name}: ${message}`);
    },
    async commitCrash(name, message) {
      // Only the front changes, so that no pod of this release ever serves: the backends stay what they are.
      await writeFile(join(folder, "web/release.txt"), `${name}\n`);
      const file = join(folder, "web/server.mjs");
      const crash = `if (!process.env.PAYMENT_URL) throw new Error("PAYMENT_URL is not set");\n`;
      await writeFile(
        file,
        (await readFile(file, "utf8")).replace("const release =", `${crash}const release =`),
      );
      await git("commit", "-q", "-a", "-m", `${name}: ${message}`);
    },
    revert: () => git("reset", "-q", "--hard", "HEAD~1"),
    async startLoad() {
      const { edge } = await world();
      load = fork(join(import.meta.dirname, "load.ts"), [edge as string], {
        execArgv: ["--disable-warning=ExperimentalWarning"],
      });
      const started = Promise.withResolvers<void>();
      load.on("message", (message: FromLoad) => {
        if (message.type === "ready") started.resolve();
        else reports.get(message.step.name)?.resolve(message.step);
      });
      load.on("exit", () => {
        for (const [name, report] of reports)
          report.reject(new Error(`the load ended before it reported on "${name}"`));
      });
      await started.promise;
    },
    beginStep(name, releases) {
      const report = Promise.withResolvers<StepReport>();
      report.promise.catch(() => {}); // read at the end, where a rejection is told
      reports.set(name, report);
      load?.send({ type: "step", name, releases } satisfies ToLoad);
      return report.promise;
    },
    async stopLoad() {
      if (load === undefined || load.exitCode !== null) return;
      const ended = new Promise((resolve) => load?.once("exit", resolve));
      load.send({ type: "stop" } satisfies ToLoad);
      await ended;
    },
    pause: (ms) => systemClock.sleep(ms),
    async lose(cluster) {
      const state = await world();
      load?.send({ type: "lost", cluster, at: Date.now() } satisfies ToLoad);
      await callWorld(state, "lose", { cluster });
      say(`${cluster}: API server closed, node agent killed with SIGKILL, all its pods gone`);
      await systemClock.sleep(5000);
      return { verdict: "served by tokyo" };
    },
    async restore(cluster) {
      const state = await world();
      await callWorld(state, "restore", { cluster }, 60_000);
      say(`${cluster}: starting again from what it had stored`);
      await until(`all pods of ${cluster} to be ready again`, () => ready.isComplete(cluster), {
        timeoutMs: 60_000,
        everyMs: 50,
        describe: () => ready.describe(),
      });
      await until(
        `the edge to use ${cluster} again`,
        async () => {
          const { edgeStatus } = await callWorld<{
            edgeStatus: { services: { endpoints: { id: string; state: string }[] }[] };
          }>(state, "status");
          const endpoints = edgeStatus.services.flatMap((service) =>
            service.endpoints.filter(({ id }) => id.startsWith(`${cluster}/`)),
          );
          return endpoints.length >= REPLICAS && endpoints.every((endpoint) => endpoint.state === "healthy");
        },
        { timeoutMs: 60_000, everyMs: 50 },
      );
      return { verdict: "healthy" };
    },
    takeReadyMin: () => ready.take(),
    async dashboard(numbers) {
      let seen: readonly SeenRelease[] = [];
      await until(
        "the dashboard to show the requests of each release",
        async () => {
          const { observer } = await world();
          if (observer?.url === undefined || observer.token === undefined) return false;
          seen = await lookAtDashboard({ url: observer.url, token: observer.token });
          return numbers.every((number) =>
            seen.some(({ release, requests }) => release.number === number && requests > 0),
          );
        },
        { timeoutMs: 60_000, everyMs: 500 },
      );
      return seen;
    },
    async describe() {
      const { edge, observer } = await world();
      return [
        `  edge        ${edge}/  ${edge}/be1/  ${edge}/static/`,
        `  dashboard   ${observer?.url === undefined ? "does not run" : signInLink(observer.url, observer.token ?? "")}`,
        `  kubectl     export KUBECONFIG=${shellLine([worldPaths(folder).kubeconfig])}`,
        `  project     ${folder}`,
      ].join("\n");
    },
    leave() {
      stop.abort();
      load?.kill("SIGKILL");
    },
    strike() {
      struck ??= strike();
      return struck;
    },
  };
  const strike = async (): Promise<void> => {
    stage.leave();
    // What goes on would write into the folder that is removed, or start the world again. Ctrl-C has reached it already.
    for (const child of running.keys()) child.kill("SIGTERM");
    await Promise.allSettled(running.values());
    await exec([bin, "local", "down", "--delete"], { cwd: folder });
    await rm(folder, { recursive: true, force: true });
  };
  return stage;
}

/** The copy differs from the example in what the demo needs: a free port, and what the sabotage takes away. */
async function prepare(folder: string, sabotage: string | undefined): Promise<void> {
  const file = join(folder, "slipway.config.ts");
  const settings = [
    "port: 0",
    ...(sabotage === "no-retry" ? ["retries: 0"] : []),
    ...(sabotage === "no-drain" ? ['drain: "0s"'] : []),
  ];
  const config = await readFile(file, "utf8");
  if (!config.includes("edge: {"))
    throw new Error("examples/shop/slipway.config.ts has no edge section to adapt");
  await writeFile(file, config.replace("edge: {", `edge: {\n    ${settings.join(", ")},`));
  if (sabotage === "no-prestop") {
    for (const service of services) {
      const patch = join(folder, "k8s/local", `${service}.yaml`);
      await writeFile(
        patch,
        (await readFile(patch, "utf8")).replace(
          /lifecycle:\n\s+preStop:\n\s+exec: .*\n/,
          "lifecycle: { preStop: null }\n",
        ),
      );
    }
  }
}

/** Counts ready pods of each Deployment in each cluster by watching pods, and remembers the lowest total. */
function readyCounter() {
  const pods = new Map<string, { cluster: string; name: string; isReady: boolean }>();
  const lowest = new Map<string, number>();
  let isExpected = false;
  const total = (name: string, cluster?: string): number =>
    [...pods.values()].filter(
      (pod) => pod.name === name && pod.isReady && (cluster === undefined || pod.cluster === cluster),
    ).length;
  const clusters = new Set<string>();
  const note = (): void => {
    if (!isExpected) return;
    for (const name of services)
      lowest.set(name, Math.min(lowest.get(name) ?? Number.POSITIVE_INFINITY, total(name)));
  };
  const drop = (cluster: string): void => {
    for (const [key, pod] of pods) if (pod.cluster === cluster) pods.delete(key);
  };
  return {
    follow(client: KubeClient, signal: AbortSignal): void {
      clusters.add(client.name);
      const loop = async (): Promise<void> => {
        while (!signal.aborted) {
          try {
            const type = { apiVersion: "v1", kind: "Pod" };
            const listed = await client.list<Pod>(type, { namespace: "default" });
            drop(client.name);
            for (const pod of listed.items) set(client.name, pod);
            note();
            for await (const event of client.watch<Pod>(type, {
              namespace: "default",
              resourceVersion: listed.metadata.resourceVersion,
              signal,
            })) {
              if (event.type === "DELETED") pods.delete(`${client.name}/${event.object.metadata.name}`);
              else if (event.type !== "BOOKMARK") set(client.name, event.object);
              note();
            }
          } catch {
            if (signal.aborted) return;
            drop(client.name); // nobody can say that pods of a lost cluster are ready
            note();
          }
          await systemClock.sleep(50, signal).catch(() => {});
        }
      };
      void loop();
      function set(cluster: string, pod: Pod): void {
        const isReady =
          pod.metadata.deletionTimestamp === undefined &&
          pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
        pods.set(`${cluster}/${pod.metadata.name}`, {
          cluster,
          name: pod.metadata.labels?.["app"] ?? "",
          isReady,
        });
      }
    },
    /** From the first finished release on there is a floor to hold. */
    expect(): void {
      if (isExpected) return;
      isExpected = true;
      note();
    },
    isComplete: (cluster: string): boolean => services.every((name) => total(name, cluster) === REPLICAS),
    describe: (): string =>
      services
        .map(
          (name) =>
            `${name} ${[...clusters].map((cluster) => `${cluster} ${total(name, cluster)}`).join(" ")}`,
        )
        .join(", "),
    take() {
      const wanted = isExpected ? REPLICAS * clusters.size : 0;
      const [name, low] = [...lowest].sort((a, b) => a[1] - b[1])[0] ?? ["", 0];
      lowest.clear();
      note();
      return { name, lowest: low, wanted };
    },
  };
}

/** The time at which a container of these clusters was first seen to have crashed. */
function watchFirstCrash(clients: readonly KubeClient[], outer: AbortSignal) {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, outer]);
  let first: number | undefined;
  for (const client of clients) {
    const follow = async (): Promise<void> => {
      const type = { apiVersion: "v1", kind: "Pod" };
      const listed = await client.list<Pod>(type, { namespace: "default" });
      for await (const { object } of client.watch<Pod>(type, {
        namespace: "default",
        resourceVersion: listed.metadata.resourceVersion,
        signal,
      })) {
        const crashed = object.status?.containerStatuses?.some(
          ({ state, lastState }) => ((state?.terminated ?? lastState?.terminated)?.exitCode ?? 0) !== 0,
        );
        if (crashed && object.metadata.deletionTimestamp === undefined) first ??= Date.now();
      }
    };
    follow().catch(() => {});
  }
  return { at: () => first, stop: () => stop.abort() };
}
