/**
 * `kill -9` of the world, or of the command line before a release has begun, leaves nothing behind and nothing undone.
 * What a release that is killed in the middle leaves is told by `killed.ts`, here and on a real Kubernetes.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { startTicksOf, systemCode, until } from "@slipway/base";
import { callWorld } from "../packages/slipway/src/world/control.ts";
import { findWorld, worldPaths } from "../packages/slipway/src/world/state.ts";
import { commandLine, commitRelease, type Project, smallShop, standingStill } from "./testing.ts";

let project: Project;
before(async () => {
  project = await smallShop();
  await project.ok("ship");
});
after(() => project.remove());

/** Runs `ship` until it prints this, and kills it in that moment. */
async function killedWhen(printed: string): Promise<void> {
  const running = project.startUntil(printed, "ship");
  await running.sees(new RegExp(printed, "m"));
  running.child.kill("SIGKILL");
  await running.ended;
}

const served = async (): Promise<string> =>
  (JSON.parse((await project.get("/")).body) as { release: string }).release;

describe("the command line is killed", () => {
  test("while it builds or pushes: nothing has begun", async () => {
    await commitRelease(project, "v2");
    await killedWhen("^build$");
    await killedWhen("^push$");
    const { stdout } = await project.ok("status");
    assert.match(stdout, /newest release: 1 healthy/);
    assert.doesNotMatch(stdout, /cut off/);
    await project.ok("ship");
    assert.equal(await served(), "v2");
  });
});

test("local up is interrupted before the world is ready: it ends with 130, and no world is left", async () => {
  await project.ok("local", "down");
  const { log } = worldPaths(project.folder);
  await rm(log);
  // However late the interruption comes, the world is not ready.
  const held = standingStill("world/main");
  const running = commandLine(project.folder, { ...project.env, ...held }).start("local", "up");
  await until("the world's process to be started", () => existsSync(log));
  running.child.kill("SIGINT");
  const { code, stdout, stderr } = await running.ended;
  assert.deepEqual([code, stdout], [130, ""], stderr);
  assert.match(stderr, /slipway: interrupted\n$/);
  assert.equal((await findWorld(worldPaths(project.folder))).kind, "absent");
  await project.ok("local", "up");
  assert.equal(await served(), "v2");
});

/** The processes below this one, with their start time, which tells a reused number. */
function descendantsOf(root: number): Map<number, string> {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // Ended in between.
    }
  }
  const found = new Map<number, string>();
  const isBelow = (pid: number | undefined): boolean =>
    pid !== undefined && pid !== 0 && (pid === root || isBelow(parents.get(pid)));
  for (const pid of parents.keys()) {
    const ticks = startTicksOf(pid);
    if (ticks !== undefined && isBelow(pid)) found.set(pid, ticks);
  }
  return found;
}

function namespacesOf(pids: Iterable<number>): Set<string> {
  const found = new Set<string>();
  for (const pid of pids)
    for (const kind of ["mnt", "net", "pid", "uts", "ipc"]) {
      try {
        found.add(readlinkSync(`/proc/${pid}/ns/${kind}`));
      } catch {
        // Ended in between.
      }
    }
  return found;
}

/** Every process of the machine, with its start time. */
function allProcesses(): Map<number, number> {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return new Map(pids.map((pid) => [Number(pid), Number(startTicksOf(Number(pid)) ?? Number.NaN)]));
}

/**
 * Numbers of namespaces are given out again at once, so whoever started after the kill does not count: whatever is
 * left of the killed world has a process that is older.
 */
function olderThan(ticks: number): number[] {
  return [...allProcesses()].filter(([, started]) => started <= ticks).map(([pid]) => pid);
}

describe("the world is killed", () => {
  interface Killed {
    readonly pids: Map<number, string>;
    readonly namespaces: Set<string>;
    /** When the youngest process of the machine had started, in clock ticks. */
    readonly ticks: number;
  }
  const kill = async (): Promise<Killed> => {
    const { pid } = await project.world();
    const pids = descendantsOf(pid);
    const own = namespacesOf([process.pid]);
    const namespaces = new Set([...namespacesOf(pids.keys())].filter((name) => !own.has(name)));
    assert.ok(pids.size >= 5 && namespaces.size >= 6, "agents and pods are among them");
    const ticks = Math.max(...[...allProcesses().values()].filter((started) => !Number.isNaN(started)));
    process.kill(pid, "SIGKILL");
    return { pids, namespaces, ticks };
  };
  const assertNothingIsLeft = (before: Killed): void => {
    const left = [...before.pids].filter(([pid, ticks]) => startTicksOf(pid) === ticks).map(([pid]) => pid);
    assert.deepEqual(left, [], "no process is left");
    const alive = namespacesOf(olderThan(before.ticks));
    assert.deepEqual(
      [...before.namespaces].filter((name) => alive.has(name)),
      [],
      "no namespace is left",
    );
    const mounts = readFileSync("/proc/self/mountinfo", "utf8");
    assert.ok(!mounts.includes(project.folder), "no mount is left");
    // A network namespace with a name is a mount of it.
    assert.deepEqual(
      [...before.namespaces].filter((name) => mounts.includes(name)),
      [],
      "no named namespace is left",
    );
  };

  test("the next up leaves nothing of it behind and has everything again, up to the last second", async () => {
    const history = (await project.ok("history", "--json")).stdout;
    const client = await project.client("tokyo");
    await client.create({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "last-second", namespace: "default" },
      data: { written: "just now" },
    } as never);
    const before = await kill();
    await client.close();
    await project.ok("local", "up");
    assertNothingIsLeft(before);

    const again = await project.client("tokyo");
    const kept = await again.get({
      apiVersion: "v1",
      kind: "ConfigMap",
      namespace: "default",
      name: "last-second",
    });
    assert.deepEqual((kept as unknown as { data: unknown }).data, { written: "just now" });
    await again.close();
    assert.equal((await project.ok("history", "--json")).stdout, history);
    assert.equal(await served(), "v2");
  });

  test("the next down leaves nothing of it behind and says that it had died", async () => {
    const before = await kill();
    const { stdout } = await project.ok("local", "down");
    assert.match(stdout, /had died; its leftovers are removed/);
    assertNothingIsLeft(before);
    assert.match((await project.ok("local", "down")).stdout, /no local world is running/);
    assert.match((await project.fails(3, "status")).stderr, /is not running\n.*slipway local up/);
  });

  test("ship starts the world again, and what it had stored is there", async () => {
    await project.git("revert", "--no-edit", "HEAD");
    const { stdout } = await project.ok("ship");
    assert.match(stdout, /starting the local world/);
    assert.match(stdout, /release 3 is healthy everywhere/);
  });

  test("a terminal that closes while a ship runs leaves a record of where it was", async () => {
    // With other images: a release that changes nothing is healthy as soon as its objects are applied.
    await project.git("revert", "--no-edit", "HEAD");
    await project.edit("slipway.config.ts", 'bake: "0s"', 'bake: "10m"'); // it is at it, whenever the terminal closes
    const ship = project.start("ship");
    await ship.sees(/objects applied/);
    ship.child.kill("SIGHUP");
    assert.equal((await ship.ended).code, 130);
    const [newest] = JSON.parse((await project.ok("history", "--json")).stdout) as { outcome: string }[];
    assert.equal(newest?.outcome, "interrupted");
  });

  test("who deletes what it stores has ended it, with all its pods, whatever it would note just then", async () => {
    const state = await project.world();
    const { pid } = state;
    const before = descendantsOf(pid);
    const { root } = worldPaths(project.folder);
    // What runs may write a file where all had just been deleted: whoever meets that deletes once more.
    await until("all of it to be deleted", () =>
      rm(root, { recursive: true, force: true }).then(
        () => true,
        (error: unknown) => assert.equal(systemCode(error), "ENOTEMPTY"),
      ),
    );
    // It is asked for something that it notes; unless it has seen by now that there is nothing to note it in.
    await callWorld(state, "edge", {}).catch(() => {});
    const left = () => [...before].filter(([one, ticks]) => startTicksOf(one) === ticks);
    await until("the world and its pods to end", () => left().length === 0, {
      describe: () => left().join(" "),
    });
    assert.match((await project.ok("local", "down")).stdout, /no local world is running/);
  });
});
