/** What can be wrong with an image layout or its content. */
import { SlipwayError } from "@slipway/base";

export function tagTaken(repository: string, tag: string, digest: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_TAG_TAKEN",
    where: `${repository}:${tag}`,
    message: `names ${digest}, and tags do not move here`,
    hint: "Choose another tag.",
    exitCode: 1,
  });
}

export function invalidDigest(digest: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_DIGEST_INVALID",
    message: `"${digest}" is not a digest`,
    hint: "A digest is sha256: and 64 hexadecimal digits.",
    exitCode: 2,
  });
}

export function digestMismatch(expected: string, actual: string, where?: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_DIGEST_MISMATCH",
    where,
    message: `the content is ${actual}, not ${expected}`,
    hint: "The content was damaged or replaced. Delete it and build or push the image again.",
    exitCode: 1,
  });
}

export function blobMissing(digest: string, directory: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_BLOB_MISSING",
    where: directory,
    message: `${digest} is not here`,
    hint: "Build or push the image again.",
    exitCode: 1,
  });
}

export function lockHeld(path: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_LAYOUT_LOCKED",
    where: path,
    message: "another process keeps changing this image layout",
    hint: "Wait for it, or delete the file if no other Slipway runs.",
    exitCode: 1,
  });
}
