/**
 * An image to a registry, in the order blobs → manifests → index → tag, so that a tag never names what is not there.
 * A push of what the registry already has sends only questions: one HEAD for each blob and manifest.
 */
import { SlipwayError } from "@slipway/base";
import type { ImageLayout } from "../layout.ts";
import { type Descriptor, type ImageIndex, type ImageManifest, isIndexType, MEDIA } from "../oci.ts";
import { formatReference } from "../reference.ts";
import { discard } from "./http.ts";
import { getManifest, head } from "./pull.ts";
import { referrerEntry, referrersTag, withReferrer } from "./referrers-tag.ts";
import { inParallel, scopeOf, wrongDigest } from "./transfer.ts";
import { type UploadOutcome, type UploadTarget, uploadBlob } from "./upload.ts";

export interface PushTarget extends UploadTarget {
  /** Blobs that are on their way already. */
  readonly begun?: (blob: Descriptor) => Promise<UploadOutcome> | undefined;
}

export interface PushResult {
  /** `host/repository:tag@sha256:…` */
  readonly reference: string;
  /** Bytes of the image's blobs that went over the wire, those of failed tries included. */
  readonly uploadedBytes: number;
  readonly uploadedBlobs: number;
  /** Blobs that the registry took over from another of its repositories. */
  readonly mountedBlobs: number;
  /** Of what was to be attached, what the registry did not take, and why. */
  readonly refused: readonly { readonly document: Descriptor; readonly error: SlipwayError }[];
}

/**
 * `attached`: manifests about the image. Their blobs go along with the image's; a registry that does not take one of them
 * has the image all the same.
 */
export async function pushImage(
  target: PushTarget,
  image: Descriptor,
  attached: readonly Descriptor[] = [],
): Promise<PushResult> {
  const contents = await contentsOf(target.layout, image);
  const documents = await Promise.all(attached.map((document) => contentsOf(target.layout, document)));
  const others = new Map(documents.flatMap(({ blobs }) => [...blobs]));
  for (const digest of contents.blobs.keys()) others.delete(digest);
  const upload = (blob: Descriptor): Promise<UploadOutcome> =>
    target.begun?.(blob) ?? uploadBlob(target, blob);
  const counts = { bytes: 0, uploaded: 0, mounted: 0 };
  let broken: SlipwayError | undefined;
  await inParallel([...contents.blobs.values(), ...others.values()], async (blob) => {
    if (others.has(blob.digest)) {
      await upload(blob).catch((error: unknown) => {
        broken = onlyOurs(error);
      });
      return;
    }
    const { how, sentBytes } = await upload(blob);
    counts.bytes += sentBytes;
    if (how === "uploaded") counts.uploaded += 1;
    if (how === "mounted") counts.mounted += 1;
  });
  // A blob that was new means a manifest that is new: only then the question would be wasted.
  const mayBeThere = counts.uploaded + counts.mounted === 0;
  for (const manifest of contents.manifests) {
    const isLast = manifest === contents.manifests.at(-1);
    const name = isLast ? (target.reference.tag ?? image.digest) : manifest.descriptor.digest;
    for (const { subject, entry } of await pushManifest(target, manifest, name, mayBeThere))
      await addReferrer(target, subject, entry);
  }
  const refused: { document: Descriptor; error: SlipwayError }[] = [];
  // Sent side by side; what a registry does not list itself is listed one after the other.
  const sent = attached.map(async (_, index) => {
    if (broken !== undefined) throw broken;
    const unlisted: Unlisted[] = [];
    for (const manifest of documents[index]?.manifests ?? [])
      unlisted.push(...(await pushManifest(target, manifest, manifest.descriptor.digest, true)));
    return unlisted;
  });
  const outcomes = await Promise.allSettled(sent);
  for (const [index, document] of attached.entries()) {
    try {
      const outcome = outcomes[index] as PromiseSettledResult<readonly Unlisted[]>;
      if (outcome.status === "rejected") throw outcome.reason;
      for (const { subject, entry } of outcome.value) await addReferrer(target, subject, entry);
    } catch (error) {
      refused.push({ document, error: onlyOurs(error) });
    }
  }
  return {
    refused,
    reference: formatReference({ ...target.reference, digest: image.digest }),
    uploadedBytes: counts.bytes,
    uploadedBlobs: counts.uploaded,
    mountedBlobs: counts.mounted,
  };
}

function onlyOurs(error: unknown): SlipwayError {
  if (error instanceof SlipwayError && error.code !== "INTERRUPTED") return error;
  throw error;
}

interface Manifest {
  readonly descriptor: Descriptor;
  readonly body: Buffer;
  readonly content: Partial<ImageManifest & ImageIndex>;
}

interface Contents {
  /** Children before the index that names them; the image itself last. */
  readonly manifests: readonly Manifest[];
  readonly blobs: ReadonlyMap<string, Descriptor>;
}

async function contentsOf(layout: ImageLayout, image: Descriptor): Promise<Contents> {
  const manifests = new Map<string, Manifest>();
  const blobs = new Map<string, Descriptor>();
  const visit = async (descriptor: Descriptor): Promise<void> => {
    if (manifests.has(descriptor.digest)) return;
    const body = await layout.read(descriptor.digest);
    const content = JSON.parse(body.toString("utf8")) as Manifest["content"];
    if (isIndexType(descriptor.mediaType)) {
      for (const child of content.manifests ?? []) await visit(child);
    } else {
      for (const blob of [content.config, ...(content.layers ?? [])]) {
        if (blob !== undefined && (await isOurs(layout, blob))) blobs.set(blob.digest, blob);
      }
    }
    manifests.set(descriptor.digest, { descriptor, body, content });
  };
  await visit(image);
  return { manifests: [...manifests.values()], blobs };
}

/** Layers that may not be distributed stay where their URLs say; everything else must be in the layout. */
async function isOurs(layout: ImageLayout, blob: Descriptor): Promise<boolean> {
  const size = await layout.size(blob.digest);
  if (size === blob.size) return true;
  if (size === undefined && /foreign|nondistributable/.test(blob.mediaType)) return false;
  throw new SlipwayError({
    code: "IMAGE_BLOB_MISSING",
    where: layout.directory,
    message:
      size === undefined
        ? `${blob.digest} is not here`
        : `${blob.digest} has ${size} bytes, not the manifest's ${blob.size}`,
    hint: "Build the image again, or pull it for the platform that it is pushed for.",
    exitCode: 1,
  });
}

/** What is about another manifest, in a registry that does not list such by itself. */
interface Unlisted {
  readonly subject: string;
  readonly entry: Descriptor;
}

async function pushManifest(
  target: UploadTarget,
  manifest: Manifest,
  name: string,
  mayBeThere: boolean,
): Promise<readonly Unlisted[]> {
  const { descriptor, body, content } = manifest;
  const isDigest = name === descriptor.digest;
  const named = {
    ...target.reference,
    tag: isDigest ? undefined : name,
    digest: isDigest ? name : undefined,
  };
  // A manifest with a subject is always sent: the answer tells whether the registry keeps the list of referrers.
  if (mayBeThere && content.subject === undefined) {
    const there = await head(target.http, named, undefined, "pull,push");
    if (there?.digest === descriptor.digest) return [];
  }
  const response = await putManifest(target, name, descriptor.mediaType, body);
  const stored = response["docker-content-digest"];
  if (stored !== undefined && stored !== descriptor.digest) {
    throw wrongDigest(formatReference(target.reference), descriptor.digest, stored);
  }
  if (content.subject === undefined || response["oci-subject"] !== undefined) return [];
  return [{ subject: content.subject.digest, entry: referrerEntry(descriptor, content) }];
}

async function putManifest(
  { http, reference }: UploadTarget,
  name: string,
  mediaType: string,
  body: Buffer,
): Promise<Readonly<Record<string, string>>> {
  const response = await http.send({
    method: "PUT",
    registry: reference.registry,
    target: `/v2/${reference.repository}/manifests/${name}`,
    scope: scopeOf(reference, "pull,push"),
    headers: { "content-type": mediaType },
    body,
    expect: [201],
  });
  await discard(response);
  return response.headers;
}

/** Two pushes at once may lose one entry here: the tag has no way to change only if it is still what was read. */
async function addReferrer(target: UploadTarget, subject: string, entry: Descriptor): Promise<void> {
  const tag = referrersTag(subject);
  const named = { ...target.reference, tag, digest: undefined };
  const there = await head(target.http, named, undefined, "pull,push");
  const list =
    there === undefined
      ? undefined
      : (JSON.parse((await getManifest(target.http, named)).body.toString("utf8")) as ImageIndex);
  const changed = withReferrer(list, entry);
  if (changed !== undefined) await putManifest(target, tag, MEDIA.index, changed);
}
