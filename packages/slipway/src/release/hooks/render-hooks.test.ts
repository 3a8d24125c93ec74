import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { HookConfig } from "../../config/types.ts";
import { loadHooks } from "./render-hooks.ts";

let root = "";
before(async () => {
  root = await mkdtemp(join(tmpdir(), "slipway-hooks-"));
});
after(() => rm(root, { recursive: true, force: true }));

/** A hook whose file holds a Job of this name. */
async function hook(file: string, text: string, when: HookConfig["when"] = "before"): Promise<HookConfig> {
  const path = join(root, file);
  await writeFile(path, text);
  const run = { kind: "job", file: path, in: "first-cluster", keep: 3 } as const;
  return { when, name: file, timeoutMs: 60_000, onRollback: false, run };
}

const job = (name: string): string => `apiVersion: batch/v1
kind: Job
metadata: { name: ${name} }
spec: { template: { spec: { restartPolicy: Never, containers: [{ name: run, image: web }] } } }
`;

const load = (...hooks: readonly HookConfig[]) => loadHooks({ root, namespace: "shop", release: { hooks } });

test("hooks with Jobs of their own names are loaded in their order", async () => {
  const loaded = await load(
    await hook("migrate.yaml", job("migrate")),
    await hook("warm.yaml", job("warm"), "after"),
  );
  assert.deepEqual(
    loaded.map(({ file }) => file),
    ["migrate.yaml", "warm.yaml"],
  );
});

test("two hooks cannot have one Job: the second would count as done already", async () => {
  await assert.rejects(load(await hook("a.yaml", job("migrate")), await hook("b.yaml", job("migrate"))), {
    code: "HOOK_JOB_TWICE",
    where: "slipway.config.ts/release/hooks/before",
    message: "b.yaml and a.yaml both hold a Job migrate: it would run once",
  });
  // Here one names the namespace of the project, which the other gets.
  const named = job("migrate, namespace: shop");
  await assert.rejects(load(await hook("a.yaml", job("migrate")), await hook("b.yaml", named)), {
    code: "HOOK_JOB_TWICE",
  });
  assert.equal(
    (await load(await hook("a.yaml", job("migrate")), await hook("b.yaml", named.replace("shop", "x"))))
      .length,
    2,
  );
  const one = await hook("a.yaml", job("migrate"));
  await assert.rejects(load(one, { ...one, when: "after" }), {
    code: "HOOK_JOB_TWICE",
    where: "slipway.config.ts/release/hooks/after",
    message: "a.yaml is the Job of two hooks: migrate would run once",
  });
});

test("a hook's file holds one Job and nothing else", async () => {
  for (const [file, text, holds] of [
    ["empty.yaml", "", "nothing"],
    ["two.yaml", `${job("a")}---\n${job("b")}`, "Job a, Job b"],
    ["map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n", "ConfigMap a"],
  ] as const) {
    const one = await hook(file, text);
    await assert.rejects(load(one), {
      code: "HOOK_NOT_A_JOB",
      message: `${join(root, file)} should hold exactly one Job, and holds ${holds}`,
    });
  }
});

test("a hook's file that is not there is told as the hook's", async () => {
  const one = await hook("a.yaml", job("migrate"));
  const file = join(root, "hooks/migrte.yaml");
  await assert.rejects(load({ ...one, run: { kind: "job", file, in: "each", keep: 3 } }), {
    code: "HOOK_NOT_FOUND",
    where: "slipway.config.ts/release/hooks/before",
    message: "hooks/migrte.yaml: no such file",
    exitCode: 2,
  });
});
