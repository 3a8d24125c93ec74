/** The observer beside a real local world, started by the real command line. */
import assert from "node:assert/strict";
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startTicksOf, until } from "@slipway/base";
import { emptyProject, type Project } from "../../../../stories/testing.ts";
import type { CompanionState } from "../world/companion.ts";
import { callWorld } from "../world/control.ts";
import { worldPaths } from "../world/state.ts";
import type { ObserverFigures } from "./observer.ts";

let project: Project;

before(async () => {
  project = await emptyProject();
  await project.write(
    "slipway.config.ts",
    `import { defineConfig, local } from "slipway";
export default defineConfig({
  name: "quiet",
  manifests: ["k8s/"],
  environments: { local: { clusters: { osaka: local() }, release: { bake: "0s" } } },
});
`,
  );
  await project.write("k8s/settings.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\n");
});
after(() => project.remove());

async function observer(): Promise<CompanionState> {
  return (await until("the observer to run", async () => {
    const { observer: found } = await project.world();
    return found?.state === "running" ? found : undefined;
  })) as CompanionState;
}

async function figures(): Promise<ObserverFigures | undefined> {
  const answer = await callWorld<{ observerFigures: ObserverFigures | null }>(
    await project.world(),
    "status",
  );
  return answer.observerFigures ?? undefined;
}

const isAlive = ({ pid, startTicks }: CompanionState): boolean =>
  pid !== undefined && startTicksOf(pid) === startTicks;

test("it reads the logs of pods, is started again when it dies, and ends with a world that is killed", async () => {
  await project.ok("local", "up");
  const first = await observer();
  const log = join(worldPaths(project.folder).cluster("osaka"), "sandbox/logs/some-uid/web/0.log");
  await mkdir(join(log, ".."), { recursive: true });
  await writeFile(log, "2026-01-01T00:00:00.000000000Z stdout F one\n");
  await until("a line to be stored", async () => ((await figures())?.lines ?? 0) > 0);

  process.kill(first.pid as number, "SIGKILL");
  const second = (await until("another observer", async () => {
    const { observer: found } = await project.world();
    return found?.state === "running" && found.pid !== first.pid ? found : undefined;
  })) as CompanionState;
  assert.equal(second.deaths, 1);
  await appendFile(log, "2026-01-01T00:00:01.000000000Z stdout F two\n");
  await until("the line behind to be stored", async () => (await figures())?.lines === 1);
  await statusSays(/observer .* 1 lines of 2 logs, 0 bytes to read; started again 1×/);
  assert.ok(!(await project.ok("local", "status", "--json")).stdout.includes('"token"'));
  await scraped();

  const stored = (await project.ok("logs", "--since", "36500d")).stdout;
  assert.equal(stored, "osaka some-uid  one\nosaka some-uid  two\n", "the pod is gone, its lines are not");
  assert.equal(
    (await project.ok("logs", "--since", "36500d", "--grep", "t.o")).stdout,
    "osaka some-uid  two\n",
  );

  process.kill((await project.world()).pid, "SIGKILL");
  await until("the observer to end with its world", () => !isAlive(second));
});

/** Figures are left out where the observer does not give them within a second, and may be of the middle of a read. */
async function statusSays(what: RegExp): Promise<void> {
  let said = "";
  const isSaid = async (): Promise<boolean> => {
    said = (await project.ok("local", "status")).stdout;
    return what.test(said);
  };
  await until(`the status to say ${what}`, isSaid, { describe: () => said });
}

/** As the status tells it: both addresses, one token. */
async function scraped(): Promise<void> {
  const { metrics, observer: watching } = JSON.parse((await project.ok("local", "status", "--json")).stdout);
  const token = await readFile(join(worldPaths(project.folder).metrics, "token"), "utf8");
  const read = async (url: string): Promise<string> =>
    (await fetch(url, { headers: { authorization: `Bearer ${token}`, connection: "close" } })).text();
  assert.match(await read(metrics), /^slipway_cluster_up\{cluster="osaka"\} 1$/m);
  assert.match(await read(watching.metrics), /^slipway_ingest_lines_total\{kind="logs"\} 1$/m);
  assert.equal((await fetch(metrics, { headers: { connection: "close" } })).status, 401);
}

test("a project that wants none has none", async () => {
  await project.edit("slipway.config.ts", 'name: "quiet",', 'name: "quiet",\n  observe: false,');
  await project.ok("local", "up");
  assert.equal((await project.world()).observer, undefined);
  assert.ok(!(await project.ok("local", "status")).stdout.includes("observer"));
});

test("a running world gets one, and loses it, with the next deployment after the configuration says so", async () => {
  await project.edit("slipway.config.ts", "\n  observe: false,", "");
  await project.ok("ship");
  const watching = await observer();
  await until("its figures", figures);
  await project.edit("slipway.config.ts", 'name: "quiet",', 'name: "quiet",\n  observe: false,');
  await project.ok("ship");
  await until("its end", async () => (await project.world()).observer === undefined);
  assert.ok(!isAlive(watching));
  assert.equal((await project.world()).metrics, undefined);
  await project.ok("local", "down");
  assert.doesNotMatch(await readFile(worldPaths(project.folder).log, "utf8"), /unhandled|uncaught/);
});
