/**
 * The same release engine against a real Kubernetes: ship, a crash that is found and taken back, rollback by hand. The
 * images are our daemonless ones, pulled by a real containerd from our registry.
 *
 * SLIPWAY_REAL_KUBERNETES names a program with `up NAME` (prints the path of a KUBECONFIG as its last line) and
 * `down NAME`, whose node pulls from a registry on localhost:5000. It may be Kubernetes 1.20, which has no
 * PodDisruptionBudget policy/v1, so that part of the shop stays out.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec } from "@slipway/base";
import { startRegistry } from "../packages/slipway/src/images/registry/registry.ts";
import { type Project, shopProject } from "./testing.ts";

const program = process.env["SLIPWAY_REAL_KUBERNETES"];
const skip =
  program === undefined
    ? "SLIPWAY_REAL_KUBERNETES is not set: there is no real Kubernetes to ship to"
    : false;
const services = ["web", "backend1", "backend2"];
const cleanups: (() => Promise<unknown>)[] = [];
let project: Project;

interface HistoryEntry {
  readonly outcome: string;
  readonly clusters: Readonly<Record<string, { readonly cause?: { readonly code: string } }>>;
}

before(async () => {
  if (program === undefined) return;
  const wasUp = /^a kube-apiserver running$/m.test((await exec([program, "status"])).stdout);
  const up = await exec([program, "up", "a"]);
  if (!wasUp) cleanups.push(() => exec([program, "down", "a"]));
  assert.equal(up.exitCode, 0, up.stdout + up.stderr);
  const kubeconfig = up.stdout.trim().split("\n").at(-1) as string;
  const context = await exec(["kubectl", "--kubeconfig", kubeconfig, "config", "current-context"]);

  const images = await mkdtemp(join(tmpdir(), "slipway-real-"));
  const registry = await startRegistry({ directory: images, port: 5000 });
  cleanups.push(() => registry.close().then(() => rm(images, { recursive: true })));

  project = await shopProject();
  cleanups.push(() => project.remove());
  project.env["KUBECONFIG"] = kubeconfig;
  await project.edit(
    "slipway.config.ts",
    /production: \{[\s\S]*?\n {4}\},/,
    `real: {
      clusters: { tokyo: context("${context.stdout.trim()}") },
      registry: "localhost:5000/shop", allowHostBases: ["slipway/node"], patches: ["k8s/local/"],
      release: { waves: [["tokyo"]], bake: "1s" },
    },`,
  );
  for (const service of services)
    await project.edit(`k8s/${service}.yaml`, /---\napiVersion: policy\/v1[\s\S]*$/, "");
  await project.commit("v1");
});

after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const newest = async (): Promise<HistoryEntry> => {
  const { stdout } = await project.ok("history", "--env", "real", "--json");
  return (JSON.parse(stdout) as HistoryEntry[])[0] as HistoryEntry;
};

test("ships to a real cluster", { skip }, async () => {
  await project.ok("ship", "--env", "real");
  assert.equal((await newest()).outcome, "healthy");
  for (const service of services) await project.write(`${service}/release.txt`, "v2\n");
  await project.commit("v2");
  await project.ok("ship", "--env", "real");
  assert.equal((await newest()).outcome, "healthy");
});

test("a crash on a real cluster is named and taken back", { skip }, async () => {
  await project.edit(
    "web/server.mjs",
    "const release =",
    'throw new Error("PAYMENT_URL is not set");\nconst release =',
  );
  await project.commit("v3");
  const { text } = await project.fails(1, "ship", "--env", "real");
  assert.match(text, /PAYMENT_URL is not set/, "the log of the crashed container is part of the evidence");
  const { outcome, clusters } = await newest();
  assert.equal(outcome, "rolled-back");
  assert.equal(clusters["tokyo"]?.cause?.code, "ContainerCrash");
});

test("rollback takes a real cluster back, with no argument", { skip }, async () => {
  await project.ok("rollback", "--env", "real");
  assert.equal((await newest()).outcome, "healthy");
  const { stdout } = await project.ok("status", "--env", "real");
  assert.match(stdout, /rollback of 2 to 1/);
});
