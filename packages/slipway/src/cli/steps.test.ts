import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Project } from "./project.ts";
import { bucketStep, keepReferences, readBuild } from "./steps.ts";

const built = (digest: string, reference: string | undefined) => ({
  name: "web",
  digest,
  reference,
  layout: "",
});

test("an image that is the same as in an earlier release keeps the reference it had there", () => {
  const releases = [
    { images: [{ digest: "sha256:b", reference: "localhost:5000/shop/web:two@sha256:b" }] },
    { images: [{ digest: "sha256:a", reference: "localhost:5000/shop/web:one@sha256:a" }] },
  ];
  const table: readonly (readonly [string, string | undefined, string | undefined])[] = [
    // digest, reference of this build, reference that is deployed
    ["sha256:a", "localhost:5000/shop/web:three@sha256:a", "localhost:5000/shop/web:one@sha256:a"],
    ["sha256:c", "localhost:5000/shop/web:three@sha256:c", "localhost:5000/shop/web:three@sha256:c"],
    // Another registry, or another port of the local one: the earlier reference may lead nowhere.
    ["sha256:a", "localhost:5001/shop/web:three@sha256:a", "localhost:5001/shop/web:three@sha256:a"],
    ["sha256:a", undefined, undefined],
  ];
  for (const [digest, reference, expected] of table) {
    assert.equal(keepReferences([built(digest, reference)], releases)[0]?.reference, expected);
  }
});

test("a project without images needs no build before a deploy; one with images does", async () => {
  const version = { commit: "f".repeat(40), dirty: false, message: "m", author: "a", timeMs: 1000 };
  const projectOf = (images: readonly unknown[]): Project =>
    ({ config: { environment: "prod", images }, paths: { root: "/nowhere" } }) as unknown as Project;
  assert.deepEqual(await readBuild(projectOf([]), version, {}), {
    environment: "prod",
    tag: "f".repeat(12),
    version: { commit: "f".repeat(12), message: "m", author: "a", dirty: false },
    images: [],
  });
  await assert.rejects(readBuild(projectOf([{}]), version, {}), { code: "BUILD_MISSING" });
});

test("static files reach the local world with releases to it, and with no others", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "buckets-"));
  t.after(() => rm(folder, { recursive: true }));
  const from = join(folder, "public");
  const served = join(folder, "assets", "a.txt");
  const projectOf = (isLocal: boolean): Project =>
    ({
      config: {
        isLocal,
        edge: { routes: [{ path: "/static/*", target: { kind: "bucket", name: "assets", from } }] },
      },
      paths: { bucket: (name: string) => join(folder, name) },
    }) as unknown as Project;
  const said: string[] = [];
  const output = { say: (line: string) => void said.push(line), emit: () => undefined };

  await assert.rejects(bucketStep(projectOf(true), output), { code: "EDGE_BUCKET_SOURCE" });
  await mkdir(from);
  await writeFile(join(from, "a.txt"), "one");
  await bucketStep(projectOf(true), output);
  assert.equal(await readFile(served, "utf8"), "one");
  await writeFile(join(from, "a.txt"), "two, longer");
  await bucketStep(projectOf(false), output);
  assert.equal(await readFile(served, "utf8"), "one");
  assert.deepEqual(said, [
    "  note: bucket assets: nothing was uploaded; only the local world serves buckets so far",
  ]);
});
