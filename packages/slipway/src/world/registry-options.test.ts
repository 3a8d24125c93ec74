import assert from "node:assert/strict";
import { test } from "node:test";
import { localRegistryOf, localRegistrySchema } from "../config/local-registry.ts";
import type { UpstreamClient } from "../images/registry/pull-through.ts";
import { registryOptionsOf } from "./registry-options.ts";

const client = {} as UpstreamClient;
const options = (written: unknown, env: NodeJS.ProcessEnv = {}) =>
  registryOptionsOf(localRegistryOf(localRegistrySchema.optional().parse(written)), "images", client, env);

test("nothing written is a registry for everybody, without mirrors", () => {
  assert.deepEqual(options(undefined), { directory: "images", hasImmutableTags: false });
});

test("users get their passwords from the environment, and mirrors their client", () => {
  const written = {
    users: { ann: { passwordFrom: "A" }, bob: { passwordFrom: "B", right: "read" } },
    login: "bearer",
    anonymousRead: true,
    immutableTags: true,
    upstreams: { hub: "docker.io" },
  };
  assert.deepEqual(options(written, { A: "1", B: "2" }), {
    directory: "images",
    hasImmutableTags: true,
    access: {
      scheme: "bearer",
      users: [
        { name: "ann", password: "1", right: "write" },
        { name: "bob", password: "2", right: "read" },
      ],
      anonymousRead: true,
    },
    upstreams: { hosts: { hub: "docker.io" }, client },
  });
  assert.throws(() => options(written, { A: "1", B: "" }), {
    code: "REGISTRY_PASSWORD_MISSING",
    exitCode: 2,
  });
});

test("what the configuration refuses", () => {
  for (const written of [
    { retention: { keepLast: 0 } },
    { retention: { keepFor: "soon" } },
    { upstreams: { "a/b": "docker.io" } },
    { upstreams: { hub: "https://docker.io" } },
    { users: { "a:b": { passwordFrom: "A" } } },
    { users: { ann: { password: "secret" } } },
  ]) {
    assert.equal(localRegistrySchema.safeParse(written).success, false, JSON.stringify(written));
  }
  const { retention, retentionOf } = localRegistryOf({
    retention: { keepFor: "30d", repositories: { "shop/web": { keepLast: 3 } } },
  });
  assert.deepEqual(retention, { keepLast: undefined, keepForMs: 30 * 24 * 60 * 60 * 1000 });
  assert.deepEqual(retentionOf, { "shop/web": { keepLast: 3, keepForMs: undefined } });
});
