/** The registry of the local world with users and rules of its own: what is deleted, and what never is. */
import assert from "node:assert/strict";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ImageLayout } from "../packages/slipway/src/images/layout.ts";
import { createRegistryClient, type RegistryClient } from "../packages/slipway/src/images/registry/client.ts";
import { type Registry, startRegistry } from "../packages/slipway/src/images/registry/registry.ts";
import { putImage } from "../packages/slipway/src/images/registry/testing/images.ts";
import { commitRelease, type Project, smallShop } from "./testing.ts";

let project: Project;
let upstream: Registry;
const PASSWORD = "only for this test";

before(async () => {
  project = await smallShop();
  upstream = await startRegistry({ directory: join(project.folder, ".slipway", "upstream"), port: 0 });
  await project.edit(
    "slipway.config.ts",
    "  notify:",
    `  local: {
    registry: {
      retention: { keepLast: 1 },
      users: { ci: { passwordFrom: "SHOP_REGISTRY_PASSWORD" } },
      login: "bearer",
      upstreams: { tools: "${upstream.host}" },
    },
  },
  notify:`,
  );
  await project.commit("v1: a registry with users");
});
after(async () => {
  await upstream?.close();
  await project.remove();
});

const asCi = (): RegistryClient =>
  createRegistryClient({
    credentials: () => Promise.resolve({ kind: "basic", username: "ci", password: PASSWORD }),
  });

const served = async (): Promise<string> =>
  (JSON.parse((await project.get("/")).body) as { release: string }).release;

const images = (): Promise<ImageLayout> => ImageLayout.open(join(project.folder, ".slipway", "images"));

test("a world whose registry has a user does not start without the password", async () => {
  const { stderr } = await project.fails(2, "local", "up");
  assert.match(
    stderr,
    /local\/registry\/users\/ci\/passwordFrom: the variable SHOP_REGISTRY_PASSWORD is not set/,
  );
});

test("three releases go through the registry with its password, and nobody else comes in", async () => {
  project.env["SHOP_REGISTRY_PASSWORD"] = PASSWORD;
  await project.ok("ship");
  for (const release of ["v2", "v3"]) {
    await commitRelease(project, release);
    await project.ok("ship");
  }
  assert.equal(await served(), "v3");
  const { registry } = await project.world();
  assert.equal((await fetch(`http://${registry}/v2/_catalog`)).status, 401);
});

test("what is out of date goes, what the releases need stays, and they can be gone back to", async () => {
  const { registry } = await project.world();
  const client = asCi();
  const folder = join(project.folder, ".slipway", "other");
  const layout = await ImageLayout.open(folder);
  const [old, young] = [
    await putImage(layout, { seed: 1, layers: [50_000] }),
    await putImage(layout, { seed: 2, layers: [50_000] }),
  ];
  await client.push(layout, old, `${registry}/shop/tool:1`);
  await client.push(layout, young, `${registry}/shop/tool:2`);
  await client.close();
  await rm(folder, { recursive: true });

  const would = await project.ok("registry", "gc", "--grace", "0", "--dry-run");
  assert.match(would.stdout, /would drop shop\/tool: tags 1; 1 image/);
  assert.doesNotMatch(would.stdout, /shop\/web/);
  assert.notEqual(await (await images()).resolve("shop/tool", "1"), undefined);
  const kept = await project.ok("registry", "gc");
  assert.match(kept.stdout, /freed 0.0 MB, 0 blobs/, "within the grace of an hour nothing goes");

  const did = await project.ok("registry", "gc", "--grace", "0");
  assert.match(did.stdout, /dropped shop\/tool: tags 1; 1 image/);
  assert.equal(await (await images()).resolve("shop/tool", "1"), undefined);
  assert.equal(await (await images()).size(old.digest), undefined);
  assert.notEqual(await (await images()).size(young.digest), undefined);

  await project.ok("rollback", "1");
  assert.equal(await served(), "v1");
});

test("what the configuration names as an upstream is mirrored, and there without it", async () => {
  const { registry } = await project.world();
  const folder = join(project.folder, ".slipway", "mirrored");
  const layout = await ImageLayout.open(folder);
  const image = await putImage(layout, { seed: 3, layers: [50_000] });
  const client = asCi();
  await client.push(layout, image, `${upstream.host}/team/tool:1`);
  const copy = await ImageLayout.open(join(folder, "copy"));
  assert.equal((await client.pull(`${registry}/tools/team/tool:1`, copy)).digest, image.digest);
  await upstream.close();
  const again = await ImageLayout.open(join(folder, "again"));
  assert.equal((await client.pull(`${registry}/tools/team/tool:1`, again)).digest, image.digest);
  await client.close();
});

test("while a cluster that is stored does not run, nothing is deleted", async () => {
  const ghost = join(project.folder, ".slipway", "clusters", "ghost");
  await mkdir(ghost);
  const { stderr } = await project.fails(3, "registry", "gc", "--grace", "0");
  assert.match(stderr, /clusters\/ghost: is stored here but does not run/);
  await rm(ghost, { recursive: true });
});
