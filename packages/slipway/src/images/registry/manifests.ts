/** Manifests by tag and digest. A manifest's bytes are stored exactly as sent, whatever their formatting. */
import { type Descriptor, digestOf, isIndexType, MANIFEST_TYPES, MEDIA, parseDigest } from "../oci.ts";
import { isTag } from "../reference.ts";
import type { Exchange } from "./exchange.ts";
import { RegistryError } from "./response.ts";

/** The specification asks for at least 4 MB. */
const MAX_MANIFEST_BYTES = 8 * 1024 * 1024;

/** What is read of a manifest to store it; the rest is the client's business. */
export interface ManifestFacts {
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config?: Descriptor;
  readonly layers?: readonly Descriptor[];
  readonly manifests?: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export async function getManifest(exchange: Exchange, reference: string): Promise<void> {
  const { layout, request, response, repository } = exchange;
  const descriptor = await layout.resolve(repository, reference);
  if (descriptor === undefined || (await layout.size(descriptor.digest)) === undefined) {
    throw new RegistryError(404, "MANIFEST_UNKNOWN", `${repository}: no manifest ${reference}`);
  }
  const headers = {
    "Content-Type": descriptor.mediaType,
    "Content-Length": descriptor.size,
    "Docker-Content-Digest": descriptor.digest,
    ETag: `"${descriptor.digest}"`,
  };
  const body = request.method === "HEAD" ? undefined : await layout.read(descriptor.digest);
  response.writeHead(200, headers).end(body);
}

export async function putManifest(exchange: Exchange, reference: string): Promise<void> {
  const { layout, response, repository, query } = exchange;
  const body = await receive(exchange);
  const facts = parse(body);
  const algorithm = parseDigest(reference)?.algorithm ?? "sha256";
  const digest = digestOf(body, algorithm);
  const isByDigest = reference.includes(":");
  if (isByDigest && reference !== digest) {
    throw new RegistryError(400, "DIGEST_INVALID", `the manifest is ${digest}, not ${reference}`);
  }
  const mediaType = mediaTypeOf(exchange, facts);
  await requireParts(exchange, facts);
  const tags = isByDigest ? query.getAll("tag") : [reference];
  for (const tag of tags) {
    if (!isTag(tag)) throw new RegistryError(400, "MANIFEST_INVALID", `"${tag}" is not a tag`);
  }
  await layout.put(body, digest);
  await layout.hold(repository, { mediaType, digest, size: body.byteLength }, tags, {
    mayMoveTags: !exchange.hasImmutableTags,
  });
  // Garbage collection may have begun before this manifest was held: then the client hears of it, and sends again.
  await requireParts(exchange, facts);
  response
    .writeHead(201, {
      Location: `/v2/${repository}/manifests/${digest}`,
      "Docker-Content-Digest": digest,
      "Content-Length": 0,
      ...(facts.subject === undefined ? {} : { "OCI-Subject": facts.subject.digest }),
      ...(isByDigest && tags.length > 0 ? { "OCI-Tag": tags } : {}),
    })
    .end();
}

/** By tag: the tag alone goes. By digest: the manifest with all its tags. Blobs wait for garbage collection. */
export async function deleteManifest(exchange: Exchange, reference: string): Promise<void> {
  if (!(await exchange.layout.release(exchange.repository, reference))) {
    throw new RegistryError(404, "MANIFEST_UNKNOWN", `${exchange.repository}: no manifest ${reference}`);
  }
  exchange.response.writeHead(202, { "Content-Length": 0 }).end();
}

async function receive(exchange: Exchange): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of exchange.request as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size <= MAX_MANIFEST_BYTES) chunks.push(chunk); // the rest is read and dropped, so that the answer arrives
  }
  if (size > MAX_MANIFEST_BYTES) {
    throw new RegistryError(413, "SIZE_INVALID", `a manifest has at most ${MAX_MANIFEST_BYTES} bytes`);
  }
  return Buffer.concat(chunks);
}

function parse(body: Buffer): ManifestFacts {
  let document: unknown;
  try {
    document = JSON.parse(body.toString("utf8"));
  } catch {
    throw new RegistryError(400, "MANIFEST_INVALID", "the manifest is not JSON");
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    throw new RegistryError(400, "MANIFEST_INVALID", "the manifest is not a JSON object");
  }
  if ((document as { schemaVersion?: unknown }).schemaVersion !== 2) {
    throw new RegistryError(400, "MANIFEST_INVALID", "only manifests of schemaVersion 2 are stored");
  }
  const { layers, manifests, subject } = document as Record<string, unknown>;
  for (const list of [layers, manifests]) {
    if (list === undefined || (Array.isArray(list) && list.every(isDescriptor))) continue;
    throw new RegistryError(400, "MANIFEST_INVALID", "layers and manifests are lists of descriptors");
  }
  if (subject !== undefined && !isDescriptor(subject)) {
    throw new RegistryError(400, "MANIFEST_INVALID", "the subject is not a descriptor");
  }
  return document as ManifestFacts;
}

function isDescriptor(value: unknown): boolean {
  const { digest } = (value ?? {}) as { digest?: unknown };
  return typeof digest === "string" && parseDigest(digest) !== undefined;
}

function mediaTypeOf(exchange: Exchange, facts: ManifestFacts): string {
  const header = exchange.request.headers["content-type"]?.split(";")[0]?.trim();
  const mediaType = header ?? facts.mediaType ?? MEDIA.manifest;
  if (facts.mediaType !== undefined && header !== undefined && facts.mediaType !== header) {
    throw new RegistryError(
      400,
      "MANIFEST_INVALID",
      `Content-Type is ${header}, the manifest says ${facts.mediaType}`,
    );
  }
  if (!MANIFEST_TYPES.includes(mediaType)) {
    throw new RegistryError(400, "MANIFEST_INVALID", `${mediaType} is not a manifest type`);
  }
  return mediaType;
}

/** Everything that a manifest names must be here first; else a pull would fail later, far from the cause. */
async function requireParts(exchange: Exchange, facts: ManifestFacts): Promise<void> {
  const isIndex = isIndexType(facts.mediaType ?? "") || facts.manifests !== undefined;
  const parts = isIndex ? (facts.manifests ?? []) : [facts.config, ...(facts.layers ?? [])];
  for (const part of parts) {
    if (part === undefined || !isDescriptor(part)) {
      throw new RegistryError(400, "MANIFEST_INVALID", "the manifest has no config with a digest");
    }
    const isForeign = part.mediaType?.includes("foreign") || part.mediaType?.includes("nondistributable");
    if (isForeign || isIndex) continue; // an index may be sparse: only some of its platforms are copied
    await exchange.layout.touch(part.digest);
    const size = await exchange.layout.size(part.digest);
    if (size === undefined) {
      throw new RegistryError(404, "MANIFEST_BLOB_UNKNOWN", `${part.digest} was not pushed`);
    }
    if (size !== part.size) {
      throw new RegistryError(
        400,
        "SIZE_INVALID",
        `${part.digest} has ${size} bytes, not the manifest's ${part.size}`,
      );
    }
  }
}
