/** Images of a layout in an engine. An engine knows an image by the digest of its configuration, however it came there. */
import { SlipwayError } from "@slipway/base";
import type Docker from "dockerode";
import { dockerArchiveStream } from "../../../images/docker-archive.ts";
import type { BuiltImage } from "../../../images/image.ts";
import type { ImageLayout } from "../../../images/layout.ts";
import { MEDIA } from "../../../images/oci.ts";
import { readImageAt } from "../../../images/source.ts";
import { statusOf } from "./container.ts";

const NOT_FOUND = 404;
const SHORT = 12;

/** What the engine calls it. It stays there for the next run: loading takes longer than any check. */
export async function loadImage(docker: Docker, layout: ImageLayout, image: BuiltImage): Promise<string> {
  const size = (await layout.size(image.digest)) ?? 0;
  const held = (await layout.resolve(image.name, image.digest)) ?? {
    mediaType: MEDIA.manifest,
    digest: image.digest,
    size,
  };
  const { manifest } = await readImageAt(layout, held);
  const name = `slipway-verify/${image.name}:${image.digest.slice("sha256:".length).slice(0, SHORT)}`;
  for (const candidate of [manifest.config.digest, name]) {
    if (await isThere(docker, candidate)) return candidate;
  }
  const answer = await docker.loadImage(dockerArchiveStream(layout, manifest, name));
  let said = "";
  for await (const chunk of answer) said += String(chunk);
  if (await isThere(docker, name)) return name;
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
