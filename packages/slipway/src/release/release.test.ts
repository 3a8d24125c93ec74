/** Releases over two whole clusters in this process: real controllers and kubelet, pods simulated. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import { createHttpClient, type Deployment } from "@slipway/kube";
import { freeze, unlock } from "./lock/freeze.ts";
import { parseManifest } from "./manifests/manifests.ts";
import { renderObjects } from "./manifests/render.ts";
import type { ReleaseContext, RenderedRelease } from "./model.ts";
import { deploy, history, hold, rollback, status } from "./release.ts";
import {
  behaviours,
  contextOf,
  image,
  recordEvents,
  rendered as renderedWeb,
  targetsOf,
  webManifest,
} from "./testing.ts";
import { renderEvent, renderHistory, renderStatus } from "./text.ts";

let clusters: Cluster[] = [];

before(async () => {
  clusters = await Promise.all(
    ["osaka", "tokyo"].map((name) => startCluster({ name, runtime: "simulated", behaviours })),
  );
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

async function imageOf(cluster: Cluster, name: string): Promise<string | undefined> {
  const deployment = await cluster.client.get<Deployment>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    namespace: "default",
    name,
  });
  return deployment.spec.template.spec.containers[0]?.image?.split("@")[0];
}

test("a service goes forward, is stopped in the first wave by a crash, and is taken back by hand", () =>
  story(contextOf(targetsOf(clusters))));

test("the same over HTTPS, as a command in its own process would do it", async (t) => {
  const targets = clusters.map(({ name, url, token, ca }) => ({
    name,
    client: createHttpClient({ name, url, token, ca }),
  }));
  t.after(() => Promise.all(targets.map((target) => target.client.close())));
  await story(contextOf(targets, { service: "store" }), "store");
});

test("static files are brought when nothing refuses the release any more, and before anything is applied", async () => {
  const context = contextOf(targetsOf(clusters), { service: "files", namespace: "files" });
  const of = (tag: string): RenderedRelease => inNamespace(tag, "files");
  const log: string[] = [];
  const options = {
    bringFiles: async () => {
      log.push("files");
    },
    onEvent: ({ type }: { readonly type: string }) => {
      if (type === "locked" || type === "started" || type === "applied") log.push(type);
    },
  };
  assert.equal((await deploy(context, of("v1"), options)).exitCode, 0);
  assert.deepEqual(log.splice(0), ["locked", "files", "started", "applied", "applied"]);

  await freeze(context, { message: "the sale" });
  await assert.rejects(deploy(context, of("v2"), options), { code: "LOCK_FROZEN" });
  await unlock(context, { force: true });
  await hold(context, 1);
  await assert.rejects(deploy(context, of("v1"), options), { code: "RELEASE_HELD" });
  assert.deepEqual(log, [], "nothing was brought for a release that was refused");

  const broken = { bringFiles: () => Promise.reject(new Error("no space left")) };
  await assert.rejects(deploy(context, of("v2"), broken), { message: "no space left" });
  assert.deepEqual(
    (await history(context)).map(({ number }) => number),
    [1],
  );
  assert.equal((await deploy(context, of("v2"), options)).exitCode, 0, "the lock is free");
});

function inNamespace(tag: string, namespace: string): RenderedRelease {
  return renderObjects({
    service: namespace,
    namespace,
    loaded: parseManifest(webManifest({ replicas: 1 }), "k8s/web.yaml"),
    patches: [],
    images: [image("web", tag)],
    version: { commit: `${tag}0000000`, message: `ship ${tag}`, author: "Aki", dirty: false },
  });
}

async function story(context: ReleaseContext, prefix = ""): Promise<void> {
  const rendered = (tag: string, options: Parameters<typeof renderedWeb>[1] = {}): RenderedRelease =>
    renderedWeb(tag, {
      ...options,
      // The same content would be the same ConfigMap, and that is the other service's.
      setting: `${prefix}${options.setting ?? "hello"}`,
      service: context.service,
      name: `${prefix}web`,
    });
  const imageIn = (cluster: Cluster): Promise<string | undefined> => imageOf(cluster, `${prefix}web`);
  const first = await deploy(context, rendered("v1"));
  assert.equal(first.exitCode, 0);
  assert.equal(first.record.outcome, "healthy");

  const second = await deploy(context, rendered("v2", { setting: "good day" }));
  assert.equal(second.record.number, 2);
  assert.equal(second.exitCode, 0);

  const seen = recordEvents();
  const third = await deploy(context, rendered("crash"), seen);
  assert.equal(
    third.record.outcome,
    "rolled-back",
    seen.events.map((event) => renderEvent(event)).join("\n"),
  );
  assert.equal(third.exitCode, 1);
  const osaka = third.clusters.find((cluster) => cluster.name === "osaka");
  assert.equal(osaka?.cause?.code, "ContainerCrash");
  assert.match(osaka?.cause?.why ?? "", /^crashed twice: exit code 3$/);
  assert.equal(osaka?.cause?.said, "cannot find module ./db");
  assert.deepEqual(osaka?.restored, { to: 2, ok: true });
  assert.equal(third.clusters.find((cluster) => cluster.name === "tokyo")?.verdict, "not-started");
  assert.deepEqual(third.evidence[0]?.log?.tail, ["cannot find module ./db"]);
  assert.deepEqual(await Promise.all(clusters.map(imageIn)), [
    "registry.test/web:v2",
    "registry.test/web:v2",
  ]);

  await assert.rejects(deploy(context, rendered("crash")), { code: "RELEASE_HELD" });

  await assert.rejects(rollback(context), {
    code: "ROLLBACK_OF_ROLLBACK",
    message: "release 3 failed and was taken back already: osaka, tokyo run release 2",
    hint: "To leave release 2 as well: slipway rollback 1. Otherwise ship a corrected version.",
  });
  const back = await rollback(context, { to: 1 });
  assert.equal(back.exitCode, 0);
  assert.deepEqual([back.record.kind, back.record.restores, back.record.leaves], ["rollback", 1, 2]);
  assert.deepEqual(await Promise.all(clusters.map(imageIn)), [
    "registry.test/web:v1",
    "registry.test/web:v1",
  ]);
  await assert.rejects(rollback(context), {
    code: "ROLLBACK_OF_ROLLBACK",
    message:
      "what runs now is a rollback already (release 4, of 2 to 1), and a rollback is not rolled back by itself",
  });

  const records = await history(context);
  assert.deepEqual(
    records.map((record) => record.outcome),
    ["healthy", "rolled-back", "healthy", "healthy"],
  );
  const lines = renderHistory(records, Date.now()).split("\n");
  assert.match(lines[1] ?? "", /^4 .* healthy .* rollback of 2 to 1 .* osaka: healthy, tokyo: healthy /);
  assert.match(
    lines[2] ?? "",
    /rolled-back .* osaka: failed \(ContainerCrash\), back at 2, tokyo: not-started/,
  );
  // The rollback was over when the new pods were well; the last old one is counted until it goes.
  const report = await until("the old pods to go", async () => {
    const now = await status(context);
    return now.clusters.every((cluster) => cluster.workloads[0]?.available === 2) ? now : undefined;
  });
  assert.deepEqual(
    report.clusters.map((cluster) => [cluster.name, cluster.runs]),
    [
      ["osaka", 4],
      ["tokyo", 4],
    ],
  );
  assert.match(renderStatus(report), /newest release: 4 healthy/);
}
