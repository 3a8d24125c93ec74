/** An image that other tools can unpack: its layer is a real tar, and its config says so. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { exec, SlipwayError } from "@slipway/base";
import type { ImageLayout } from "../../layout.ts";
import { type Descriptor, digestOf, encodeDocument, type ImageManifest, MEDIA } from "../../oci.ts";

/** A tar with one file, made by this machine's tar. */
export async function makeTar(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-tar-"));
  try {
    await mkdir(join(folder, "etc"));
    await writeFile(join(folder, "etc", "greeting"), "hello\n".repeat(5000));
    const { exitCode, stderr } = await exec(["tar", "-C", folder, "-cf", join(folder, "layer.tar"), "etc"]);
    if (exitCode !== 0) throw new Error(`tar: ${stderr}`);
    return await readFile(join(folder, "layer.tar"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `layer` is `tar` as `mediaType` says: plain or compressed. */
export async function putRealImage(
  layout: ImageLayout,
  tar: Buffer,
  mediaType: string,
  layer: Buffer,
): Promise<Descriptor> {
  const config = encodeDocument({
    os: "linux",
    architecture: "amd64",
    config: { Cmd: ["/bin/true"], Env: ["A=b"] },
    rootfs: { type: "layers", diff_ids: [digestOf(tar)] },
    history: [{ created_by: "test" }],
  });
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, ...(await layout.put(config)) },
    layers: [{ mediaType, ...(await layout.put(layer)) }],
  };
  return { mediaType: MEDIA.manifest, ...(await layout.put(encodeDocument(manifest))) };
}

/** By the bytes: Docker's media type says gzip of layers that are plain, too. */
export function unpacked(layer: Buffer): Buffer {
  const magic = layer.readUInt32BE(0);
  if (magic >>> 16 === 0x1f8b) return gunzipSync(layer);
  return magic === 0x28b52ffd ? zstdDecompressSync(layer) : layer;
}

/** Rejects, with the name of Debian's package, where the program is not installed: what is not tested must not look it. */
export async function requireProgram(program: string): Promise<void> {
  await exec([program, "--version"]).catch((cause: unknown) => {
    throw new SlipwayError({
      code: "TEST_PACKAGE_MISSING",
      where: program,
      message: "is not installed",
      hint: `Install Debian's package ${program}.`,
      cause,
      exitCode: 3,
    });
  });
}
