import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, systemClock, until } from "@slipway/base";
import { startCluster } from "@slipway/cluster";
import type { Deployment } from "@slipway/kube";
import { deploy, status } from "../release/release.ts";
import { behaviours, contextOf, rendered, targetsOf } from "../release/testing.ts";
import { renderStatus } from "../release/text.ts";
import type { CliContext } from "./command.ts";
import { watchStatus } from "./watch-status.ts";

test("a watched status is printed again when it changes, and only then, until it is stopped", async (t) => {
  const tokyo = await startCluster({ name: "tokyo", runtime: "simulated", behaviours });
  t.after(() => tokyo.stop());
  const release = contextOf(targetsOf([tokyo]));
  assert.equal((await deploy(release, rendered("v1"))).exitCode, 0);
  const stop = new AbortController();
  t.after(() => stop.abort());
  const written: string[] = [];
  const context: CliContext = {
    cwd: "/",
    env: {},
    clock: systemClock,
    random: seededRandom(1),
    signal: stop.signal,
    isTerminal: false,
    columns: 80,
    write: (text) => written.push(text),
    writeError: () => undefined,
  };
  let looks = 0;
  const show = async (): Promise<string> => {
    looks += 1;
    return renderStatus(await status(release));
  };
  const watching = watchStatus(context, release, { show, redraws: false, mostMs: 1_100 });
  await until("the first status", () => written.length > 0);
  const web = { apiVersion: "apps/v1", kind: "Deployment", namespace: "default", name: "web" };
  const change = { spec: { minReadySeconds: 1 } };
  await tokyo.client.patch(web, "merge", change, { fieldManager: "kubectl-edit" });
  await until("the change by hand", () => /minReadySeconds.*kubectl-edit/.test(written.at(-1) ?? ""));
  // What follows from it, as pods that are not ready for long enough, is news, too.
  await until("the Deployment to have come to rest", async () => {
    const { metadata, spec, status: now } = await tokyo.client.get<Deployment>(web);
    return now?.observedGeneration === metadata.generation && now?.availableReplicas === spec.replicas;
  });
  const atRest = renderStatus(await status(release));
  await until("the status at rest", () => written.at(-1) === atRest, { describe: () => written.join("\n") });
  const [seen, printed] = [looks, written.length];
  await until("other looks", () => looks > seen + 1);
  assert.equal(written.length, printed, "the same status is not printed again and again");
  stop.abort();
  assert.equal(await watching, 0);
});
