import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { importArchive } from "./archive.ts";
import { bytesEntry } from "./layer-entry.ts";
import { writeLayer } from "./layer-writer.ts";
import { ImageFiles } from "./layers.ts";
import { ImageLayout } from "./layout.ts";
import { digestOf, hostPlatform, type ImageManifest, MEDIA } from "./oci.ts";
import { padding, TAR_END, type TarEntry, tarHeader } from "./tar.ts";

let folder: string;
let layout: ImageLayout;
let layerTar: Buffer;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-archive-test-"));
  layout = await ImageLayout.open(join(folder, "layout"));
  const source = await ImageLayout.open(join(folder, "source"));
  const written = await writeLayer(source, [bytesEntry("etc/motd", "hello")], {
    mtime: 1,
    compression: "none",
  });
  layerTar = await source.read(written.descriptor.digest);
});
after(() => rm(folder, { recursive: true, force: true }));

function tarOf(files: Readonly<Record<string, string | Buffer>>): Buffer {
  const parts = Object.entries(files).flatMap(([path, content]) => {
    const isLink = typeof content === "string" && content.startsWith("-> ");
    const body = isLink ? Buffer.alloc(0) : Buffer.from(content);
    const entry: TarEntry = {
      path,
      kind: isLink ? "symlink" : "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: body.length,
      mtime: 0,
      link: isLink ? (content as string).slice(3) : "",
    };
    return [tarHeader(entry), body, Buffer.alloc(padding(body.length))];
  });
  return Buffer.concat([...parts, TAR_END]);
}

const configOf = (architecture = hostPlatform().architecture): string =>
  JSON.stringify({
    architecture,
    os: "linux",
    config: { Cmd: ["x"] },
    rootfs: { type: "layers", diff_ids: [digestOf(layerTar)] },
  });

function saved(over: Readonly<Record<string, string | Buffer>> = {}): Buffer {
  return tarOf({
    "abc/layer.tar": layerTar,
    "def/layer.tar": "-> ../abc/layer.tar",
    "config.json": configOf(),
    "manifest.json": JSON.stringify([
      { Config: "config.json", RepoTags: ["web:1"], Layers: ["def/layer.tar"] },
    ]),
    ...over,
  });
}

async function load(archive: Buffer): Promise<ImageFiles> {
  const path = join(await mkdtemp(join(folder, "a-")), "image.tar");
  await writeFile(path, archive);
  const descriptor = await importArchive(path, layout);
  return ImageFiles.open(layout, await layout.readJson<ImageManifest>(descriptor.digest));
}

test("what docker save wrote is taken in, also gzipped and with linked layers", async () => {
  for (const archive of [saved(), gzipSync(saved())]) {
    const files = await load(archive);
    const found = files.lookup("/etc/motd");
    assert.equal(found.kind === "found" ? await files.readText(found.node) : "", "hello");
  }
});

test("packed layers in a docker archive are recognised by their first bytes", async () => {
  const files = await load(saved({ "abc/layer.tar": gzipSync(layerTar) }));
  assert.equal(files.lookup("/etc/motd").kind, "found");
});

test("an OCI layout in a tar is taken in byte for byte; a wrong blob is not", async () => {
  const config = configOf();
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, digest: digestOf(config), size: config.length },
    layers: [{ mediaType: MEDIA.layer, digest: digestOf(layerTar), size: layerTar.length }],
  });
  const blob = (digest: string): string => `./blobs/sha256/${digest.slice(7)}`;
  const oci = (content: Buffer): Buffer =>
    tarOf({
      "index.json": JSON.stringify({
        schemaVersion: 2,
        manifests: [{ mediaType: MEDIA.manifest, digest: digestOf(manifest), size: manifest.length }],
      }),
      "oci-layout": '{"imageLayoutVersion":"1.0.0"}',
      [blob(digestOf(manifest))]: manifest,
      [blob(digestOf(config))]: config,
      [blob(digestOf(layerTar))]: content,
    });
  const path = join(folder, "oci.tar");
  await writeFile(path, oci(layerTar));
  const fresh = await ImageLayout.open(join(folder, "fresh"));
  assert.equal((await importArchive(path, fresh)).digest, digestOf(manifest));
  const damaged = Buffer.from(layerTar);
  damaged[600] = 1;
  await writeFile(path, oci(damaged));
  await assert.rejects(importArchive(path, await ImageLayout.open(join(folder, "fresh2"))), {
    code: "IMAGE_DIGEST_MISMATCH",
    where: path,
    message: `the content is ${digestOf(damaged)}, not ${digestOf(layerTar)}`,
    hint: "The archive is damaged. Save it again, or fetch it again.",
  });
});

test("several images in a layout are named by their references, else by their digests", async () => {
  const config = JSON.stringify({ mediaType: MEDIA.config, digest: digestOf(configOf()), size: 1 });
  const manifests = ["1", "2"].map(
    (text) => `{"schemaVersion":2,"config":${config},"layers":[],"x":${text}}`,
  );
  const named = { "org.opencontainers.image.ref.name": "web:1", "com.example.note": "" };
  const index = manifests.map((text, at) => ({
    mediaType: MEDIA.manifest,
    digest: digestOf(text),
    size: text.length,
    ...(at === 0 ? { annotations: named } : { annotations: { "com.example.note": "" } }),
  }));
  const blobs = manifests.map((text) => [`./blobs/sha256/${digestOf(text).slice(7)}`, text]);
  const archive = tarOf({
    "index.json": JSON.stringify({ schemaVersion: 2, manifests: index }),
    ...Object.fromEntries(blobs),
  });
  await assert.rejects(load(archive), {
    code: "IMAGE_ARCHIVE_AMBIGUOUS",
    message: `holds several images: web:1, ${index[1]?.digest}`,
  });
});

test("an archive that cannot be used is one error that says why", async () => {
  const two = JSON.stringify([
    { Config: "config.json", RepoTags: ["a:1"], Layers: [] },
    { Config: "other.json", RepoTags: ["b:1"], Layers: [] },
  ]);
  const table: [Buffer, string][] = [
    [tarOf({ readme: "x" }), "IMAGE_ARCHIVE_DAMAGED"],
    [Buffer.from("not a tar at all".repeat(100)), "IMAGE_ARCHIVE_DAMAGED"],
    [saved({ "manifest.json": "[]" }), "IMAGE_ARCHIVE_EMPTY"],
    [saved({ "manifest.json": two }), "IMAGE_ARCHIVE_AMBIGUOUS"],
    [saved({ "manifest.json": "{" }), "IMAGE_ARCHIVE_DAMAGED"],
    [saved({ "manifest.json": "null" }), "IMAGE_ARCHIVE_DAMAGED"],
    [saved({ "manifest.json": "[{}]" }), "IMAGE_ARCHIVE_DAMAGED"],
    [saved({ "config.json": "null" }), "IMAGE_ARCHIVE_DAMAGED"],
    [gzipSync(saved({})).subarray(0, 200), "IMAGE_ARCHIVE_DAMAGED"],
    [Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(100)]), "IMAGE_ARCHIVE_DAMAGED"],
    [saved({ "config.json": configOf("s390x") }), "IMAGE_PLATFORM_MISSING"],
  ];
  const other = Buffer.from(layerTar);
  other[600] = 1;
  table.push([saved({ "abc/layer.tar": other }), "IMAGE_DIGEST_MISMATCH"]);
  for (const [archive, code] of table) await assert.rejects(load(archive), { code }, code);
  await assert.rejects(importArchive(join(folder, "none.tar"), layout), {
    code: "IMAGE_ARCHIVE_MISSING",
    exitCode: 3,
  });
});
