import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Clock, systemClock } from "@slipway/base";
import { ImageLayout } from "../layout.ts";
import type { Descriptor } from "../oci.ts";
import { grantsOf, type RegistryAccess, type Right } from "./access.ts";
import { createRegistryClient, type RegistryClient } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { putImage } from "./testing/images.ts";

let folder: string;
let layout: ImageLayout;
let image: Descriptor;
let now = systemClock.now();
const clock: Clock = { ...systemClock, now: () => now, sleep: () => Promise.resolve() };

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-access-"));
  layout = await ImageLayout.open(join(folder, "layout"));
  image = await putImage(layout, { seed: 3, layers: [1000] });
});
after(() => rm(folder, { recursive: true, force: true }));

const users = [
  { name: "ann", password: "a:b", right: "write" },
  { name: "bob", password: "pw", right: "read" },
] as const;

async function guarded(
  access: RegistryAccess,
  body: (registry: Registry, as: (name?: string, password?: string) => RegistryClient) => Promise<void>,
): Promise<void> {
  const registry = await startRegistry({
    directory: await mkdtemp(join(folder, "registry-")),
    port: 0,
    access,
    clock,
  });
  const clients: RegistryClient[] = [];
  try {
    await body(registry, (username, password = "") => {
      const found = username === undefined ? undefined : ({ kind: "basic", username, password } as const);
      const client = createRegistryClient({ clock, credentials: () => Promise.resolve(found) });
      clients.push(client);
      return client;
    });
  } finally {
    for (const client of clients) await client.close();
    await registry.close();
  }
}

for (const scheme of ["basic", "bearer"] as const) {
  test(`${scheme}: a writer pushes, a reader only reads, nobody else comes in`, () =>
    guarded({ scheme, users }, async ({ host }, as) => {
      const reference = `${host}/shop/web:v1`;
      const denied = { code: "REGISTRY_DENIED", exitCode: 3 };
      await assert.rejects(as().push(layout, image, reference), denied);
      await assert.rejects(as("ann", "wrong").push(layout, image, reference), denied);
      await assert.rejects(as("bob", "pw").push(layout, image, reference), denied);
      await as("ann", "a:b").push(layout, image, reference);
      assert.equal((await as("bob", "pw").head(reference))?.digest, image.digest);
      await assert.rejects(as().head(reference), denied);
    }));

  test(`${scheme}: reading may be open to everybody`, () =>
    guarded({ scheme, users, anonymousRead: true }, async ({ host }, as) => {
      await as("ann", "a:b").push(layout, image, `${host}/shop/web:v1`);
      assert.equal((await as().head(`${host}/shop/web:v1`))?.digest, image.digest);
      await assert.rejects(as().push(layout, image, `${host}/shop/web:v2`), { code: "REGISTRY_DENIED" });
    }));

  test(`${scheme}: the answer to a stranger is as the specification says`, () =>
    guarded({ scheme, users }, async ({ url, host }) => {
      const response = await fetch(`${url}/v2/shop/web/manifests/v1`);
      assert.equal(response.status, 401);
      const { errors } = (await response.json()) as { errors: { code: string }[] };
      assert.equal(errors[0]?.code, "UNAUTHORIZED");
      assert.equal(
        response.headers.get("www-authenticate"),
        scheme === "basic"
          ? 'Basic realm="registry"'
          : `Bearer realm="http://${host}/token",service="${host}",scope="repository:shop/web:pull"`,
      );
      assert.equal((await fetch(`${url}/v2/`)).status, 401);
    }));
}

test("a token opens its scope, for its time, and cannot be made by others", () =>
  guarded({ scheme: "bearer", users }, async ({ url }, as) => {
    const authorization = `Basic ${Buffer.from("ann:a:b").toString("base64")}`;
    const asked = await fetch(`${url}/token?scope=repository:shop/web:pull`, { headers: { authorization } });
    const { token } = (await asked.json()) as { token: string };
    const read = async (path: string, bearer = token): Promise<number> =>
      (await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${bearer}` } })).status;
    assert.equal(await read("/v2/"), 200);
    assert.equal(await read("/v2/shop/web/manifests/v1"), 404);
    assert.equal(await read("/v2/shop/api/manifests/v1"), 401);
    assert.equal(await read("/v2/shop/web/manifests/v1", `${token}x`), 401);
    const forged = Buffer.from(JSON.stringify({ grants: ["shop/api read"], until: now + 1e9 }));
    assert.equal(
      await read("/v2/shop/api/manifests/v1", `${forged.toString("base64url")}.${token.split(".")[1]}`),
      401,
    );
    now += 5 * 60 * 1000;
    assert.equal(await read("/v2/shop/web/manifests/v1"), 401);
    // The client finds out and renews it.
    const client = as("ann", "a:b");
    await client.push(layout, image, `${new URL(url).host}/shop/web:v1`);
    now += 5 * 60 * 1000;
    await client.push(layout, image, `${new URL(url).host}/shop/web:v2`);
  }));

test("what a right grants of the scopes that are asked for", () => {
  const table: readonly [scopes: readonly string[], right: Right, grants: readonly string[]][] = [
    [["repository:a:pull"], "read", ["a read"]],
    [["repository:a:pull,push"], "read", ["a read"]],
    [["repository:a:pull,push"], "write", ["a read", "a write"]],
    [["repository:a:push"], "write", ["a write"]],
    [["repository:a:delete"], "write", ["a write"]],
    [["repository:a/b:*", "repository:c:pull"], "write", ["a/b read", "a/b write", "c read"]],
    [["registry:catalog:*", "nonsense"], "write", []],
    [[], "write", []],
  ];
  for (const [scopes, right, grants] of table)
    assert.deepEqual(grantsOf(scopes, right), grants, scopes.join(" "));
});
