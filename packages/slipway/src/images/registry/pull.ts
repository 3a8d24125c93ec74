/** What is read from a registry: what a name stands for, and whole images into a layout. */
import { SlipwayError } from "@slipway/base";
import type { BlobWriter, ImageLayout } from "../layout.ts";
import {
  type Descriptor,
  digestOf,
  type ImageConfigFile,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  MANIFEST_TYPES,
  MEDIA,
  type Platform,
} from "../oci.ts";
import { formatReference, type ImageReference } from "../reference.ts";
import { discard, type HttpResponse, type RegistryHttp, TransientError } from "./http.ts";
import { ATTEMPTS, asBroken, inParallel, manifestPath, scopeOf, wrongDigest } from "./transfer.ts";

export async function head(
  http: RegistryHttp,
  reference: ImageReference,
  signal: AbortSignal | undefined,
  actions = "pull",
): Promise<Descriptor | undefined> {
  const response = await http.send({
    method: "HEAD",
    registry: reference.registry,
    target: manifestPath(reference),
    scope: scopeOf(reference, actions),
    headers: { accept: MANIFEST_TYPES.join(", ") },
    expect: [200, 404],
    signal,
  });
  await discard(response);
  const digest = response.headers["docker-content-digest"];
  if (response.status === 404) return undefined;
  if (digest === undefined) return (await getManifest(http, reference)).descriptor;
  return {
    mediaType: response.headers["content-type"] ?? MEDIA.manifest,
    digest,
    size: Number(response.headers["content-length"] ?? 0),
  };
}

export async function platforms(http: RegistryHttp, reference: ImageReference): Promise<readonly Platform[]> {
  const { descriptor, body } = await getManifest(http, reference);
  if (isIndexType(descriptor.mediaType)) {
    const index = JSON.parse(body.toString("utf8")) as ImageIndex;
    // Attestations stand in the index as images for unknown/unknown.
    return index.manifests.flatMap(({ platform }) =>
      platform === undefined || platform.os === "unknown" ? [] : [platform],
    );
  }
  const { config } = JSON.parse(body.toString("utf8")) as ImageManifest;
  const { body: text } = await http.sendWhole({
    method: "GET",
    registry: reference.registry,
    target: `/v2/${reference.repository}/blobs/${config.digest}`,
    scope: scopeOf(reference, "pull"),
    expect: [200],
  });
  const actual = digestOf(text, config.digest.startsWith("sha512:") ? "sha512" : "sha256");
  if (actual !== config.digest) throw wrongDigest(formatReference(reference), config.digest, actual);
  const { os, architecture, variant } = JSON.parse(text.toString("utf8")) as ImageConfigFile;
  return [{ os, architecture, ...(variant === undefined ? {} : { variant }) }];
}

export async function getManifest(
  http: RegistryHttp,
  reference: ImageReference,
): Promise<{ descriptor: Descriptor; body: Buffer }> {
  const { response, body } = await http.sendWhole({
    method: "GET",
    registry: reference.registry,
    target: manifestPath(reference),
    scope: scopeOf(reference, "pull"),
    headers: { accept: MANIFEST_TYPES.join(", ") },
    expect: [200, 404],
  });
  if (response.status === 404) {
    throw new SlipwayError({
      code: "REGISTRY_NOT_FOUND",
      where: formatReference(reference),
      message: "the registry has no such image",
      hint: "Check the repository, the tag and the spelling.",
      exitCode: 3,
    });
  }
  const mediaType =
    response.headers["content-type"]?.split(";")[0] ??
    (JSON.parse(body.toString("utf8")) as ImageManifest).mediaType ??
    MEDIA.manifest;
  const named = reference.digest ?? response.headers["docker-content-digest"];
  const digest = digestOf(body, named?.startsWith("sha512:") ? "sha512" : "sha256");
  if (named !== undefined && named !== digest) throw wrongDigest(formatReference(reference), named, digest);
  return { descriptor: { mediaType, digest, size: body.byteLength }, body };
}

export async function pullManifest(
  http: RegistryHttp,
  reference: ImageReference,
  descriptor: Descriptor,
  layout: ImageLayout,
): Promise<void> {
  let body: Buffer;
  if ((await layout.size(descriptor.digest)) === undefined) {
    body = (await getManifest(http, { ...reference, tag: undefined, digest: descriptor.digest })).body;
  } else body = await layout.read(descriptor.digest);
  const manifest = JSON.parse(body.toString("utf8")) as ImageManifest;
  if (manifest.config === undefined || manifest.layers === undefined) {
    throw new SlipwayError({
      code: "IMAGE_SCHEMA_UNSUPPORTED",
      where: formatReference(reference),
      message: "is not an image of schema 2 (it has no config or no layers)",
      hint: "Push the image again with a current tool.",
      exitCode: 3,
    });
  }
  await inParallel([manifest.config, ...manifest.layers], (blob) => pullBlob(http, reference, blob, layout));
  await layout.put(body, descriptor.digest);
}

/** A download that breaks goes on from the byte where it stopped, if the server answers ranges. */
export async function pullBlob(
  http: RegistryHttp,
  reference: ImageReference,
  blob: { readonly digest: string; readonly size?: number },
  layout: ImageLayout,
): Promise<void> {
  const there = await layout.size(blob.digest);
  if (there !== undefined && there === (blob.size ?? there)) return;
  let writer: BlobWriter = await layout.startBlob();
  try {
    for (let attempt = 1, reached = 0; ; attempt += 1) {
      try {
        const response = await http.send({
          method: "GET",
          registry: reference.registry,
          target: `/v2/${reference.repository}/blobs/${blob.digest}`,
          scope: scopeOf(reference, "pull"),
          headers: writer.size === 0 ? {} : { range: `bytes=${writer.size}-` },
          expect: [200, 206],
        });
        if (response.status === 200 && writer.size > 0) {
          await writer.abort();
          writer = await layout.startBlob();
        }
        await drain(response, writer);
        if (writer.size < (blob.size ?? 0)) throw new TransientError(`the body ended at byte ${writer.size}`);
        await writer.commit(blob.digest);
        return;
      } catch (error) {
        if (!(error instanceof TransientError) || attempt >= ATTEMPTS) throw asBroken(reference, error);
        await http.pause(attempt, error);
        if (writer.size > reached) attempt = 0;
        reached = Math.max(reached, writer.size);
      }
    }
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

async function drain(response: HttpResponse, writer: BlobWriter): Promise<void> {
  const body = response.body[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<unknown>;
    try {
      next = await body.next();
    } catch (cause) {
      throw new TransientError(cause instanceof Error ? cause.message : String(cause), { cause });
    }
    if (next.done === true) return;
    await writer.write(next.value as Uint8Array);
  }
}
