/** Images of a layout in an engine. An engine knows an image by the digest of its configuration, however it came there. */
import { SlipwayError } from "@slipway/base";
import type Docker from "dockerode";
import { dockerArchiveStream } from "../../../images/docker-archive.ts";
import type { BuiltImage } from "../../../images/image.ts";
import type { ImageLayout } from "../../../images/layout.ts";
import { type ImageConfigFile, MEDIA } from "../../../images/oci.ts";
import { readImageAt } from "../../../images/source.ts";
import { statusOf } from "./status.ts";

const NOT_FOUND = 404;
const SHORT = 12;

export interface LoadedImage {
  /** What the engine calls it. */
  readonly name: string;
  readonly config: ImageConfigFile["config"];
}

/** The image stays there for the next run: loading takes longer than any check. */
export async function loadImage(
  docker: Docker,
  layout: ImageLayout,
  image: BuiltImage,
): Promise<LoadedImage> {
  const size = (await layout.size(image.digest)) ?? 0;
  const held = (await layout.resolve(image.name, image.digest)) ?? {
    mediaType: MEDIA.manifest,
    digest: image.digest,
    size,
  };
  const { manifest, config: file } = await readImageAt(layout, held);
  const config = file.config ?? {};
  const name = `slipway-verify/${image.name}:${image.digest.slice("sha256:".length).slice(0, SHORT)}`;
  for (const candidate of [manifest.config.digest, name]) {
    if (await isThere(docker, candidate)) return { name: candidate, config };
  }
  const answer = await docker.loadImage(dockerArchiveStream(layout, manifest, name));
  let said = "";
  for await (const chunk of answer) said += String(chunk);
  if (await isThere(docker, name)) return { name, config };
  throw new SlipwayError({
    code: "ENGINE_IMAGE_NOT_LOADED",
    where: `images/${image.name}`,
    message: `the engine did not take the image: ${said.trim().slice(0, 500)}`,
    exitCode: 3,
  });
}

async function isThere(docker: Docker, name: string): Promise<boolean> {
  try {
    await docker.getImage(name).inspect();
    return true;
  } catch (error) {
    if (statusOf(error) === NOT_FOUND) return false;
    throw error;
  }
}
