import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { surveyProject } from "./survey.ts";

/** [files beside the manifest, Node services with a lockfile, those that only lack one] */
const TABLE: readonly (readonly [readonly string[], readonly string[], readonly string[]])[] = [
  [[], [], []],
  [["api/package.json", "api/package-lock.json"], ["api"], []],
  [["api/package.json"], [], ["api"]],
  [["package.json"], [], ["."]],
  [["api/package.json", "api/Dockerfile"], [], []],
  [["api/package.json", "api/yarn.lock"], [], []],
  [["package.json", "package-lock.json", "apps/web/package.json"], ["."], []],
  [["api/package-lock.json", "api/package.json", "api-next/package.json"], ["api"], ["api-next"]],
];
for (const [files, nodeFolders, unlockedFolders] of TABLE) {
  test(`Node services of ${files.join(", ") || "nothing"}`, async (t) => {
    const root = await mkdtemp(join(tmpdir(), "slipway-survey-"));
    t.after(() => rm(root, { recursive: true }));
    await writeFile(
      join(root, "web.yaml"),
      "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\n",
    );
    for (const file of files) {
      await mkdir(dirname(join(root, file)), { recursive: true });
      await writeFile(join(root, file), file.endsWith("Dockerfile") ? "FROM scratch\n" : "{}\n");
    }
    assert.partialDeepStrictEqual(await surveyProject(root), { nodeFolders, unlockedFolders });
  });
}
