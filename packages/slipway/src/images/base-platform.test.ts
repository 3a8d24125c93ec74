/** A base that is an index of several platforms: the image of the wanted one is taken, and nothing of the others. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Clock, systemClock } from "@slipway/base";
import { attachedTo } from "./attest/attach.ts";
import { buildImages } from "./build.ts";
import type { BuiltImage } from "./image.ts";
import { bytesEntry } from "./layer-entry.ts";
import { writeLayer } from "./layer-writer.ts";
import { ImageFiles } from "./layers.ts";
import { ImageLayout } from "./layout.ts";
import {
  type Descriptor,
  encodeDocument,
  hostPlatform,
  type ImageConfigFile,
  type ImageIndex,
  type ImageManifest,
  MEDIA,
  type Platform,
} from "./oci.ts";
import { createRegistryClient } from "./registry/client.ts";
import { type Registry, startRegistry } from "./registry/registry.ts";
import { readImage } from "./source.ts";

const AMD64: Platform = { os: "linux", architecture: "amd64" };
const ARM64: Platform = { os: "linux", architecture: "arm64", variant: "v8" };

/** Nobody waits between two attempts. */
const IMPATIENT: Clock = { ...systemClock, sleep: () => Promise.resolve() };

let folder: string;
let registry: Registry;
let index: Descriptor;
/** The only layer of each image of the index, by its architecture. */
const layers = new Map<string, string>();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-base-platform-"));
  registry = await startRegistry({ directory: join(folder, "registry"), port: 0 });
  const manifests = [ATTESTATION];
  for (const platform of [AMD64, ARM64])
    manifests.push({ ...(await imageFor(platform, registry.layout)), platform });
  for (const manifest of manifests.slice(1)) await registry.layout.hold("base", manifest);
  const document = encodeDocument({ schemaVersion: 2, mediaType: MEDIA.index, manifests });
  index = { mediaType: MEDIA.index, ...(await registry.layout.put(document)) };
  await registry.layout.hold("base", index, ["1"]);
});
after(async () => {
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

/** As buildx writes them beside the images: it is none, and there is no blob of it. */
const ATTESTATION: Descriptor = {
  mediaType: MEDIA.manifest,
  digest: `sha256:${"0".repeat(64)}`,
  size: 2,
  platform: { os: "unknown", architecture: "unknown" },
};

async function imageFor(platform: Platform, layout: ImageLayout): Promise<Descriptor> {
  const { descriptor, diffId } = await writeLayer(layout, [bytesEntry("machine", platform.architecture)], {
    mtime: 0,
    compression: "gzip",
  });
  layers.set(platform.architecture, descriptor.digest);
  const config: ImageConfigFile = {
    ...platform,
    config: { Env: [`MACHINE=${platform.architecture}`] },
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [],
  };
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, ...(await layout.put(encodeDocument(config))) },
    layers: [descriptor],
  };
  return { mediaType: MEDIA.manifest, ...(await layout.put(encodeDocument(manifest))) };
}

/** Builds a Dockerfile in a layout of its own, or in one that is there. */
async function build(dockerfile: string, platform: Platform | undefined, layout?: ImageLayout) {
  const built = await buildFor(dockerfile, platform === undefined ? undefined : [platform], layout);
  return { ...(await lookAt(built.layout, platform)), layout: built.layout };
}

async function buildFor(
  dockerfile: string,
  platforms: readonly Platform[] | undefined,
  layout?: ImageLayout,
): Promise<{ layout: ImageLayout; image: BuiltImage }> {
  const root = await mkdtemp(join(folder, "project-"));
  await mkdir(join(root, "web"));
  await writeFile(join(root, "web", "Dockerfile"), dockerfile);
  const into = layout ?? (await ImageLayout.open(join(root, "layout")));
  const client = createRegistryClient({ clock: IMPATIENT });
  try {
    const [image] = await buildImages({
      images: [
        {
          name: "web",
          from: {
            kind: "context",
            context: join(root, "web"),
            dockerfile: join(root, "web", "Dockerfile"),
            args: {},
          },
        },
      ],
      layout: into,
      registry: client,
      root,
      commitTimeMs: 0,
      isLocal: false,
      allowHostBases: [],
      ...(platforms === undefined ? {} : { platforms }),
    });
    return { layout: into, image: image as BuiltImage };
  } finally {
    await client.close();
  }
}

/** The image as a machine of that platform gets it. */
async function lookAt(into: ImageLayout, platform: Platform | undefined) {
  const image = await readImage(into, "web", "latest", platform);
  assert.ok(image !== undefined);
  const files = await ImageFiles.open(into, image.manifest);
  const text = async (path: string): Promise<string | undefined> => {
    const found = files.lookup(path);
    return found.kind === "found" ? files.readText(found.node) : undefined;
  };
  return { ...image, text };
}

const FROM = () => `FROM ${registry.host}/base:1\n`;

test("the image of the wanted platform is taken, and nothing of the other is fetched", async () => {
  for (const [wanted, other] of [
    [AMD64, ARM64],
    [ARM64, AMD64],
  ] as const) {
    const { config, layout, text } = await build(FROM(), wanted);
    assert.deepEqual(
      [config.architecture, config.config.Env, await text("/machine")],
      [wanted.architecture, [`MACHINE=${wanted.architecture}`], wanted.architecture],
    );
    assert.equal(await layout.size(layers.get(other.architecture) as string), undefined);
  }
});

test("for several platforms an image is an index, whose images each have their documents, and is pushed whole", async () => {
  const { layout, image } = await buildFor(`${FROM()}ARG TARGETARCH\nLABEL built-for=$TARGETARCH\n`, [
    AMD64,
    ARM64,
  ]);
  for (const platform of [AMD64, ARM64]) {
    const { config, text } = await lookAt(layout, platform);
    const { architecture } = platform;
    assert.equal(await text("/machine"), architecture);
    assert.deepEqual(
      [config.architecture, config.config.Labels?.["built-for"]],
      [architecture, architecture],
    );
  }
  const { manifests } = await layout.readJson<ImageIndex>(image.digest);
  assert.deepEqual(
    manifests.map(({ platform }) => platform),
    [AMD64, ARM64],
  );
  const attached = await attachedTo(layout, "web", image.digest);
  assert.equal(attached.length, 4);

  const client = createRegistryClient({ clock: IMPATIENT });
  try {
    const descriptor = (await layout.resolve("web", image.digest)) ?? assert.fail("it is not held");
    await client.push(layout, descriptor, `${registry.host}/shop/web:1`, { attached });
    for (const { digest } of manifests) {
      const response = await fetch(`${registry.url}/v2/shop/web/referrers/${digest}`);
      assert.equal(((await response.json()) as { manifests: unknown[] }).manifests.length, 2);
    }
    const pulled = await ImageLayout.open(await mkdtemp(join(folder, "pulled-")));
    const arm = await client.pull(`${registry.host}/shop/web:1`, pulled, { platform: ARM64 });
    assert.equal(arm.digest, manifests[1]?.digest);
  } finally {
    await client.close();
  }
});

test("the same for several platforms is the same index, and one that a base lacks is an error", async () => {
  const [first, second] = await Promise.all([1, 2].map(() => buildFor(FROM(), [AMD64, ARM64])));
  assert.equal(first?.image.digest, second?.image.digest);
  await assert.rejects(buildFor(FROM(), [AMD64, { os: "linux", architecture: "s390x" }]), {
    code: "IMAGE_PLATFORM_MISSING",
  });
});

test("without saying one it is this machine's", async () => {
  const { config, text } = await build(FROM(), undefined);
  const { architecture } = hostPlatform();
  assert.deepEqual([config.architecture, await text("/machine")], [architecture, architecture]);
});

test("stages of one file may be of different platforms, also when the base is named by its digest", async () => {
  for (const base of [`${registry.host}/base:1`, `${registry.host}/base@${index.digest}`]) {
    const dockerfile = `FROM --platform=linux/arm64 ${base} AS other\nFROM ${base}\nCOPY --from=other /machine /other\n`;
    const first = await build(dockerfile, AMD64);
    assert.deepEqual([await first.text("/machine"), await first.text("/other")], ["amd64", "arm64"], base);
    // Again in the same layout, where the base is known already, and the other way round.
    const second = await build(dockerfile.replace("arm64", "amd64"), ARM64, first.layout);
    assert.deepEqual([await second.text("/machine"), await second.text("/other")], ["arm64", "amd64"], base);
  }
});

test("where the registry cannot be reached, what was pulled before is taken for its own platform only", async () => {
  const away = await startRegistry({ directory: join(folder, "registry"), port: 0 });
  const from = `FROM ${away.host}/base:1\n`;
  const { layout } = await build(from, ARM64);
  await away.close();
  assert.equal((await build(from, ARM64, layout)).config.architecture, "arm64");
  await assert.rejects(build(from, AMD64, layout), { code: "REGISTRY_UNREACHABLE" });
});

test("a platform that the base does not have is an error with the line and what there is", async () => {
  await assert.rejects(build(FROM(), { os: "linux", architecture: "riscv64" }), (error: Error) => {
    const { code, where } = error as Error & { code: string; where: string };
    assert.deepEqual([code, where], ["IMAGE_PLATFORM_MISSING", "web/Dockerfile:1"]);
    assert.match(error.message, /no image for linux\/riscv64; it offers linux\/amd64, linux\/arm64/);
    return true;
  });
});
