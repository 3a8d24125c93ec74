/** A real kustomization through the kubectl of this machine: base and overlay, images, patches, generated config. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { exec, type SlipwayError } from "@slipway/base";
import type { Config } from "../../config/types.ts";
import { renderRelease } from "./render.ts";

const kubectl = await exec(["kubectl", "kustomize", "--help"]).catch(() => undefined);
const skip = kubectl?.exitCode === 0 ? false : "there is no kubectl with kustomize on this machine";
const digest = `sha256:${"a".repeat(64)}`;

const files: Readonly<Record<string, string>> = {
  "base/kustomization.yaml": "resources: [web.yaml]\n",
  "base/web.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 1
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      initContainers: [{ name: prepare, image: web }]
      containers: [{ name: web, image: web, envFrom: [{ configMapRef: { name: settings } }] }]
`,
  "overlays/prod/kustomization.yaml": `resources: [../../base]
namespace: shop
images: [{ name: web, newTag: "1.2.3" }]
replicas: [{ name: web, count: 4 }]
configMapGenerator: [{ name: settings, literals: [greeting=hello] }]
`,
  "overlays/broken/kustomization.yaml": "resources: [missing.yaml]\n",
};

test("a real overlay is built, and then treated like plain YAML", { skip }, async (t) => {
  const root = await mkdtemp(join(tmpdir(), "slipway-kustomize-"));
  t.after(() => rm(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const render = (folder: string) =>
    renderRelease({
      config: {
        name: "shop",
        namespace: "default",
        root,
        manifests: [join(root, folder)],
        patches: [],
        release: {},
      } as unknown as Config,
      images: [{ name: "web", digest, reference: `registry.test/web:v1@${digest}`, layout: "" }],
      version: { commit: "", message: "", author: "", dirty: false },
    });
  const { objects } = await render("overlays/prod");
  assert.deepEqual(
    objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace}`),
    ["ConfigMap shop", "Deployment shop"],
  );
  const { spec } = objects[1] as never as {
    spec: { replicas: number; template: { spec: Record<string, readonly { image: string }[]> } };
  };
  assert.equal(spec.replicas, 4);
  const images = [
    ...(spec.template.spec["initContainers"] ?? []),
    ...(spec.template.spec["containers"] ?? []),
  ];
  assert.deepEqual(
    images.map(({ image }) => image),
    [`registry.test/web:v1@${digest}`, `registry.test/web:v1@${digest}`],
  );

  await assert.rejects(render("overlays/broken"), (error: SlipwayError) => {
    assert.equal(error.code, "MANIFEST_PROGRAM_FAILED");
    assert.equal(error.where, "kustomize overlays/broken");
    assert.match(error.message, /^exit code 1\n[\s\S]*missing\.yaml/);
    return true;
  });
});
