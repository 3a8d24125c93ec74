import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { systemClock } from "@slipway/base";
import { dockerArchive } from "../images/docker-archive.ts";
import type { BuiltImage } from "../images/image.ts";
import { ImageLayout } from "../images/layout.ts";
import { createRegistryClient } from "../images/registry/client.ts";
import { type Registry, startRegistry } from "../images/registry/registry.ts";
import { readImage } from "../images/source.ts";
import { webBase } from "./mutations/bases.ts";
import { buildImage } from "./mutations/build.ts";
import { imageFetcher, isOtherImage } from "./other-images.ts";
import { runVerify, type VerifyReport } from "./run.ts";

let folder: string;
let image: BuiltImage;
let registry: Registry;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-other-images-"));
  const layout = await ImageLayout.open(join(folder, "oci"));
  image = await buildImage(webBase(undefined), undefined, layout);
  const read = (await readImage(layout, image.name, image.digest)) ?? assert.fail();
  const archive = dockerArchive(layout, read.manifest, "web:1");
  await writeFile(join(folder, "Web Image.tar"), archive);
  registry = await startRegistry({ directory: join(folder, "registry"), port: 0 });
  const client = createRegistryClient();
  await client.push(layout, read.descriptor, `${registry.host}/shop/web:1`);
  await client.close();
});
after(async () => {
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

/** A spec file in a folder of its own, so that paths are seen to be relative to it. */
async function verify(name: string): Promise<VerifyReport> {
  await mkdir(join(folder, "spec"), { recursive: true });
  const spec = join(folder, "spec", "other.ts");
  const api = pathToFileURL(join(import.meta.dirname, "verify.ts")).href;
  const body = `import { describeImage } from "${api}";\ndescribeImage(${JSON.stringify(name)}, (t) => t.image.exposes(8080));\n`;
  await writeFile(spec, body);
  const fetchImage = imageFetcher({
    layout: join(folder, "kept"),
    clock: systemClock,
    registry: () => createRegistryClient(),
  });
  return runVerify({ files: [spec], images: [], fetchImage, root: folder, clock: systemClock });
}

test("an archive, an image layout and a reference are checked as they are, under the digest that they have", async () => {
  for (const name of ["../Web Image.tar", "../oci", `${registry.host}/shop/web:1`]) {
    const { results, exitCode } = await verify(name);
    assert.equal(exitCode, 0, `${name}: ${results[0]?.evidence}`);
    assert.equal(results[0]?.target, `image ${name}`);
    assert.match(results[0]?.digest ?? "", /^sha256:/);
  }
  const { results } = await verify(`${registry.host}/shop/web@${image.digest}`);
  assert.equal(results[0]?.digest, image.digest);
});

test("one that is not there is one error, and a bare word is looked for among the project's own", async () => {
  await assert.rejects(verify("../none.tar"), { code: "IMAGE_ARCHIVE_MISSING" });
  await assert.rejects(verify(`${registry.host}/shop/none:1`), { code: "REGISTRY_NOT_FOUND", exitCode: 3 });
  await assert.rejects(verify("wbe"), { code: "VERIFY_IMAGE_MISSING", exitCode: 3 });
  await assert.rejects(verify("nginx:"), { code: "IMAGE_REFERENCE_INVALID", exitCode: 2 });
  assert.ok(!isOtherImage("team/web"));
});
