/**
 * Base images made from this machine, for machines that reach no registry: `slipway/node` is the running Node with
 * the libraries it links to, `slipway/host/PROGRAM` an installed program with its libraries, its files and its
 * accounts. They are ordinary images: content-addressed, pushed and pulled like any other.
 *
 * They hold what happens to be installed here, so they differ from machine to machine: refused outside local
 * environments unless named in `allowHostBases`.
 *
 * The layer is stored uncompressed: it never leaves this machine, and packing 120 MB of Node would take longer
 * than everything else together. What went into it is remembered by size, time and inode of each file, so that it
 * is hashed once, not with each build.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { SlipwayError } from "@slipway/base";
import { type WrittenLayer, writeLayer } from "../layer-writer.ts";
import type { ImageLayout } from "../layout.ts";
import {
  type Descriptor,
  encodeDocument,
  hostPlatform,
  type ImageConfigFile,
  type ImageManifest,
  MEDIA,
  type Platform,
} from "../oci.ts";
import { readRecord, writeRecord } from "../record.ts";
import type { HostBase } from "./host-base.ts";
import { nodeBase } from "./node.ts";
import { programBase } from "./program.ts";

/** Of every file in such a layer: the same on every build, whatever the commit. */
const MTIME = 0;
/** Change when the way these bases are made changes. */
const RECIPE = 1;

export interface HostBasePolicy {
  readonly isLocal: boolean;
  readonly allowHostBases: readonly string[];
}

/**
 * Builds the base, or finds it built before, and returns its manifest. Rejects with IMAGES_HOST_BASE_REFUSED,
 * IMAGES_HOST_BASE_UNKNOWN, IMAGES_HOST_PROGRAM_MISSING.
 */
export async function buildHostBase(
  from: string,
  layout: ImageLayout,
  policy: HostBasePolicy,
  where: string,
  platform: Platform = hostPlatform(),
): Promise<Descriptor> {
  const program = /^slipway\/host\/([A-Za-z0-9_.+-]+)$/.exec(from)?.[1];
  if (from !== "slipway/node" && program === undefined) throw unknownBase(from, where);
  if (!policy.isLocal && !policy.allowHostBases.includes(from)) throw refused(from, where);
  if (platform.architecture !== hostPlatform().architecture) throw otherPlatform(from, where, platform);
  const base = program === undefined ? await nodeBase() : await programBase(program, where);
  const layer = await layerOf(base, layout);
  return writeImage(base, layer, layout);
}

async function layerOf(base: HostBase, layout: ImageLayout): Promise<WrittenLayer> {
  const record = layout.cachePath("host", `${await inputKey(base)}.json`);
  const known = readRecord<WrittenLayer>(record);
  if (known !== undefined && (await layout.size(known.descriptor.digest)) === known.descriptor.size) {
    await layout.touch(known.descriptor.digest);
    return known;
  }
  const layer = await writeLayer(layout, base.entries, { mtime: MTIME, compression: "none" });
  await writeRecord(record, layer);
  return layer;
}

/** The identity of all inputs without reading them: a changed file changes its size, its times or its inode. */
async function inputKey(base: HostBase): Promise<string> {
  const hash = createHash("sha256").update(`recipe ${RECIPE}\n`);
  for (const entry of base.entries) {
    const { content, ...facts } = entry;
    hash.update(JSON.stringify(facts));
    if (content?.kind === "bytes") hash.update(content.bytes);
    if (content?.kind === "path") {
      const seen = await stat(content.path, { bigint: true });
      hash.update(`${content.path} ${seen.dev} ${seen.ino} ${seen.size} ${seen.mtimeNs} ${seen.ctimeNs}`);
    }
    hash.update("\n");
  }
  return hash.digest("hex");
}

async function writeImage(base: HostBase, layer: WrittenLayer, layout: ImageLayout): Promise<Descriptor> {
  const created = new Date(MTIME).toISOString();
  const config: ImageConfigFile = {
    created,
    ...hostPlatform(),
    config: base.config,
    rootfs: { type: "layers", diff_ids: [layer.diffId] },
    history: [{ created, created_by: `${base.name}, from this machine` }],
  };
  const configBlob = await layout.put(encodeDocument(config));
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, ...configBlob },
    layers: [layer.descriptor],
  };
  return { mediaType: MEDIA.manifest, ...(await layout.put(encodeDocument(manifest))) };
}

function refused(from: string, where: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_HOST_BASE_REFUSED",
    where,
    message: `${from} is made from this machine and may only be used in a local environment`,
    hint: `Use an image of a registry as the base, or allow it by name: allowHostBases: ["${from}"].`,
    exitCode: 2,
  });
}

function unknownBase(from: string, where: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGES_HOST_BASE_UNKNOWN",
    where,
    message: `${from} is not a base that Slipway makes`,
    hint: "It makes slipway/node and slipway/host/PROGRAM, where PROGRAM is an installed program like nginx.",
    exitCode: 2,
  });
}

function otherPlatform(from: string, where: string, platform: Platform): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_PLATFORM_MISSING",
    where,
    message: `${from} can only be made for ${hostPlatform().architecture}, not ${platform.architecture}`,
    hint: "Use an image of a registry as the base for other platforms.",
    exitCode: 3,
  });
}
