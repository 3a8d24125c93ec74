/**
 * Push to and pull from any OCI registry. Content goes between a registry and an image layout, blobs four at a
 * time, always in the order blobs → manifests → tag, so that a tag never names what is not there.
 *
 * An upload that breaks is continued where the server says it stands; at most one chunk is sent twice. Bodies on
 * their way in are checked against their digest before they become visible in the layout.
 *
 * @example
 * const client = createRegistryClient({ clock, random, credentials: dockerCredentials(process.env) });
 * const base = await client.pull("registry.example/base:1", layout);
 * await client.push(layout, descriptor, "127.0.0.1:5000/shop/web:v1", { mountFrom: ["shop/base"] });
 */
import { type FileHandle, open } from "node:fs/promises";
import { type Clock, type Random, SlipwayError, systemClock, systemRandom } from "@slipway/base";
import type { BlobWriter, ImageLayout } from "../layout.ts";
import {
  choosePlatform,
  type Descriptor,
  digestOf,
  hostPlatform,
  type ImageConfigFile,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  MANIFEST_TYPES,
  MEDIA,
  type Platform,
} from "../oci.ts";
import { formatReference, type ImageReference, parseReference } from "../reference.ts";
import { type FindCredentials, noCredentials } from "./credentials.ts";
import { discard, type HttpResponse, RegistryHttp, TransientError } from "./http.ts";

const PARALLEL_BLOBS = 4;
const CHUNK_BYTES = 8 * 1024 * 1024;
const ATTEMPTS = 8;

export interface RegistryClientOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly credentials?: FindCredentials;
  /** Bytes per PATCH; a server may ask for more (OCI-Chunk-Min-Length). */
  readonly chunkBytes?: number;
}

export interface PushResult {
  /** `host/repository:tag@sha256:…` */
  readonly reference: string;
  readonly uploadedBytes: number;
  readonly uploadedBlobs: number;
}

export interface RegistryClient {
  /** What a reference names now; undefined when the registry has no such tag or digest. The signal ends the question. */
  head(reference: string, signal?: AbortSignal): Promise<Descriptor | undefined>;
  /** What an image can run on: the entries of an index, or what a single image's own config says. */
  platforms(reference: string): Promise<readonly Platform[]>;
  /** The descriptor of the image for one platform: an index is resolved to its entry. Rejects when there is none. */
  resolve(reference: string, platform?: Platform): Promise<Descriptor>;
  /** Copies the image for one platform into the layout and returns its manifest's descriptor. */
  pull(
    reference: string,
    layout: ImageLayout,
    options?: { readonly platform?: Platform },
  ): Promise<Descriptor>;
  /** `mountFrom`: repositories of the same registry that may already hold some of the blobs. */
  push(
    layout: ImageLayout,
    image: Descriptor,
    reference: string,
    options?: { readonly mountFrom?: readonly string[] },
  ): Promise<PushResult>;
  close(): Promise<void>;
}

export function createRegistryClient(options: RegistryClientOptions = {}): RegistryClient {
  const http = new RegistryHttp({
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom(),
    credentials: options.credentials ?? noCredentials,
  });
  const chunkBytes = options.chunkBytes ?? CHUNK_BYTES;
  const resolve = async (reference: ImageReference, platform: Platform): Promise<Descriptor> => {
    const { descriptor, body } = await getManifest(http, reference);
    if (!isIndexType(descriptor.mediaType)) return descriptor;
    const index = JSON.parse(body.toString("utf8")) as ImageIndex;
    return choosePlatform(index, platform, formatReference(reference));
  };
  return {
    head: (text, signal) => head(http, parseReference(text), signal),
    platforms: (text) => platforms(http, parseReference(text)),
    resolve: (text, platform = hostPlatform()) => resolve(parseReference(text), platform),
    pull: async (text, layout, { platform = hostPlatform() } = {}) => {
      const reference = parseReference(text);
      const descriptor = await resolve(reference, platform);
      await pullManifest(http, reference, descriptor, layout);
      return descriptor;
    },
    push: (layout, image, text, { mountFrom = [] } = {}) =>
      pushImage({ http, layout, reference: parseReference(text), mountFrom, chunkBytes }, image),
    close: () => http.close(),
  };
}

// Reading

async function head(
  http: RegistryHttp,
  reference: ImageReference,
  signal: AbortSignal | undefined,
): Promise<Descriptor | undefined> {
  const response = await http.send({
    method: "HEAD",
    registry: reference.registry,
    target: manifestPath(reference),
    scope: scopeOf(reference, "pull"),
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

async function platforms(http: RegistryHttp, reference: ImageReference): Promise<readonly Platform[]> {
  const { descriptor, body } = await getManifest(http, reference);
  if (isIndexType(descriptor.mediaType)) {
    const index = JSON.parse(body.toString("utf8")) as ImageIndex;
    // Attestations stand in the index as images for unknown/unknown.
    return index.manifests.flatMap(({ platform }) =>
      platform === undefined || platform.os === "unknown" ? [] : [platform],
    );
  }
  const { config } = JSON.parse(body.toString("utf8")) as ImageManifest;
  const response = await http.send({
    method: "GET",
    registry: reference.registry,
    target: `/v2/${reference.repository}/blobs/${config.digest}`,
    scope: scopeOf(reference, "pull"),
    expect: [200],
  });
  const text = Buffer.from(await response.body.bytes());
  const actual = digestOf(text, config.digest.startsWith("sha512:") ? "sha512" : "sha256");
  if (actual !== config.digest) throw wrongDigest(formatReference(reference), config.digest, actual);
  const { os, architecture, variant } = JSON.parse(text.toString("utf8")) as ImageConfigFile;
  return [{ os, architecture, ...(variant === undefined ? {} : { variant }) }];
}

async function getManifest(
  http: RegistryHttp,
  reference: ImageReference,
): Promise<{ descriptor: Descriptor; body: Buffer }> {
  const response = await http.send({
    method: "GET",
    registry: reference.registry,
    target: manifestPath(reference),
    scope: scopeOf(reference, "pull"),
    headers: { accept: MANIFEST_TYPES.join(", ") },
    expect: [200, 404],
  });
  const body = Buffer.from(await response.body.bytes());
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

async function pullManifest(
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
async function pullBlob(
  http: RegistryHttp,
  reference: ImageReference,
  blob: Descriptor,
  layout: ImageLayout,
): Promise<void> {
  if ((await layout.size(blob.digest)) === blob.size) return;
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
        if (writer.size < blob.size) throw new TransientError(`the body ended at byte ${writer.size}`);
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

// Writing

interface Push {
  readonly http: RegistryHttp;
  readonly layout: ImageLayout;
  readonly reference: ImageReference;
  readonly mountFrom: readonly string[];
  readonly chunkBytes: number;
}

async function pushImage(push: Push, image: Descriptor): Promise<PushResult> {
  const counts = { bytes: 0, blobs: 0 };
  await pushManifest(push, image, push.reference.tag ?? image.digest, counts);
  return {
    reference: formatReference({ ...push.reference, digest: image.digest }),
    uploadedBytes: counts.bytes,
    uploadedBlobs: counts.blobs,
  };
}

async function pushManifest(
  push: Push,
  image: Descriptor,
  tagOrDigest: string,
  counts: { bytes: number; blobs: number },
): Promise<void> {
  const body = await push.layout.read(image.digest);
  if (isIndexType(image.mediaType)) {
    const index = JSON.parse(body.toString("utf8")) as ImageIndex;
    for (const child of index.manifests) await pushManifest(push, child, child.digest, counts);
  } else {
    const manifest = JSON.parse(body.toString("utf8")) as ImageManifest;
    const blobs = new Map([manifest.config, ...manifest.layers].map((blob) => [blob.digest, blob]));
    await inParallel([...blobs.values()], async (blob) => {
      const uploaded = await pushBlob(push, blob);
      if (uploaded === 0) return;
      counts.bytes += uploaded;
      counts.blobs += 1;
    });
  }
  const response = await push.http.send({
    method: "PUT",
    registry: push.reference.registry,
    target: `/v2/${push.reference.repository}/manifests/${tagOrDigest}`,
    scope: pushScope(push),
    headers: { "content-type": image.mediaType },
    body,
    expect: [201],
  });
  await discard(response);
  const stored = response.headers["docker-content-digest"];
  if (stored !== undefined && stored !== image.digest) {
    throw wrongDigest(formatReference(push.reference), image.digest, stored);
  }
}

/** Returns how many bytes had to be sent: 0 when the registry had the blob or could mount it. */
async function pushBlob(push: Push, blob: Descriptor): Promise<number> {
  if (await hasBlob(push, blob)) return 0;
  const file = await open(push.layout.blobPath(blob.digest), "r");
  const upload: Upload = {
    push,
    blob,
    file,
    location: undefined,
    offset: 0,
    sent: 0,
    chunk: push.chunkBytes,
  };
  try {
    for (let attempt = 1, reached = 0; ; attempt += 1) {
      try {
        if (upload.location === undefined && (await startUpload(upload)) === "mounted") return 0;
        await sendRest(upload);
        return upload.sent;
      } catch (error) {
        if (!(error instanceof TransientError) || attempt >= ATTEMPTS) throw asBroken(push.reference, error);
        await push.http.pause(attempt, error);
        // The answer to the last request may be all that was lost.
        if (await hasBlob(push, blob)) return upload.sent;
        await askStatus(upload);
        // Only tries in a row that bring nothing forward count: a bad line is slow, not hopeless.
        if (upload.offset > reached) attempt = 0;
        reached = Math.max(reached, upload.offset);
      }
    }
  } finally {
    await file.close();
  }
}

interface Upload {
  readonly push: Push;
  readonly blob: Descriptor;
  readonly file: FileHandle;
  location: string | undefined;
  /** Bytes that the server has. */
  offset: number;
  sent: number;
  chunk: number;
}

async function hasBlob(push: Push, blob: Descriptor): Promise<boolean> {
  const response = await push.http.send({
    method: "HEAD",
    registry: push.reference.registry,
    target: `/v2/${push.reference.repository}/blobs/${blob.digest}`,
    scope: pushScope(push),
    expect: [200, 404],
  });
  await discard(response);
  return response.status === 200;
}

async function startUpload(upload: Upload): Promise<"mounted" | "started"> {
  const { push, blob } = upload;
  const from = push.mountFrom.find((repository) => repository !== push.reference.repository);
  const query = from === undefined ? "" : `?mount=${blob.digest}&from=${encodeURIComponent(from)}`;
  const response = await push.http.send({
    method: "POST",
    registry: push.reference.registry,
    target: `/v2/${push.reference.repository}/blobs/uploads/${query}`,
    scope: pushScope(push),
    headers: { "content-length": "0" },
    expect: [201, 202],
    isOnce: true,
  });
  await discard(response);
  if (response.status === 201) return "mounted";
  const least = Number(response.headers["oci-chunk-min-length"] ?? 0);
  upload.chunk = Math.max(push.chunkBytes, Number.isFinite(least) ? least : 0);
  upload.offset = 0;
  moveTo(upload, response);
  return "started";
}

/** PATCH while more than a chunk is left, then the last bytes in the closing PUT. */
async function sendRest(upload: Upload): Promise<void> {
  const { push, blob } = upload;
  while (blob.size - upload.offset > upload.chunk) {
    const body = await readPart(upload, upload.chunk);
    const response = await sendPart(upload, "PATCH", upload.location as string, body, [202, 416, 404]);
    if (!continues(upload, response)) return sendRest(upload);
    upload.offset += body.byteLength;
    moveTo(upload, response);
  }
  const body = await readPart(upload, blob.size - upload.offset);
  const location = upload.location as string;
  const target = `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(blob.digest)}`;
  const response = await sendPart(upload, "PUT", target, body, [201, 416, 404]);
  if (!continues(upload, response)) return sendRest(upload);
  const stored = response.headers["docker-content-digest"];
  if (stored !== undefined && stored !== blob.digest) {
    throw wrongDigest(formatReference(push.reference), blob.digest, stored);
  }
}

async function sendPart(
  upload: Upload,
  method: "PATCH" | "PUT",
  target: string,
  body: Buffer,
  expect: readonly number[],
): Promise<HttpResponse> {
  const { push, offset } = upload;
  const isPartial = method === "PATCH" || offset > 0;
  upload.sent += body.byteLength;
  const response = await push.http.send({
    method,
    registry: push.reference.registry,
    target,
    scope: pushScope(push),
    headers: {
      "content-type": "application/octet-stream",
      ...(isPartial && body.byteLength > 0
        ? { "content-range": `${offset}-${offset + body.byteLength - 1}` }
        : {}),
    },
    body,
    expect,
    isOnce: true,
  });
  await discard(response);
  return response;
}

/** 416: the server stands elsewhere, go on from there. 404: the session is gone, start a new one. */
function continues(upload: Upload, response: HttpResponse): boolean {
  if (response.status === 404) {
    upload.location = undefined;
    throw new TransientError("the upload session is gone", { status: 404 });
  }
  if (response.status !== 416) return true;
  const stands = rangeEnd(response);
  if (stands === undefined || stands === upload.offset || stands > upload.blob.size) {
    upload.location = undefined;
    throw new TransientError("the registry refused the range without saying where it stands", {
      status: 416,
    });
  }
  upload.offset = stands;
  if (response.headers["location"] !== undefined) moveTo(upload, response);
  return false;
}

async function askStatus(upload: Upload): Promise<void> {
  if (upload.location === undefined) return;
  const { push } = upload;
  const response = await push.http.send({
    method: "GET",
    registry: push.reference.registry,
    target: upload.location,
    scope: pushScope(push),
    expect: [200, 202, 204, 404, 400, 405],
  });
  await discard(response);
  const stands = response.status === 204 || response.status === 202 ? rangeEnd(response) : undefined;
  if (stands === undefined || stands > upload.blob.size) {
    upload.location = undefined;
    return;
  }
  // `0-0` is one byte or none: take it as none; if it was one, the server answers 416 and we go on from 1.
  upload.offset = stands === 1 ? 0 : stands;
  if (response.headers["location"] !== undefined) moveTo(upload, response);
}

/** Bytes that the server has, of `Range: 0-<last>`. */
function rangeEnd(response: HttpResponse): number | undefined {
  const match = /^(?:bytes=)?0-(\d+)$/.exec(response.headers["range"] ?? "");
  return match === null ? undefined : Number(match[1]) + 1;
}

function moveTo(upload: Upload, response: HttpResponse): void {
  const location = response.headers["location"];
  if (location === undefined) {
    throw new SlipwayError({
      code: "REGISTRY_REFUSED",
      where: formatReference(upload.push.reference),
      message: "the registry opened an upload without saying where (no Location)",
      exitCode: 3,
    });
  }
  upload.location = new URL(location, response.url).href;
}

async function readPart(upload: Upload, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await upload.file.read(buffer, filled, length - filled, upload.offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

// Shared

const manifestPath = (reference: ImageReference): string =>
  `/v2/${reference.repository}/manifests/${reference.digest ?? reference.tag ?? "latest"}`;

const scopeOf = (reference: ImageReference, actions: string): string =>
  `repository:${reference.repository}:${actions}`;

/** One scope for the whole push; mounting needs to read the other repositories too. */
function pushScope(push: Push): string {
  const others = push.mountFrom
    .filter((repository) => repository !== push.reference.repository)
    .map((repository) => `repository:${repository}:pull`);
  return [scopeOf(push.reference, "pull,push"), ...others].join(" ");
}

/** Runs at most four at once; the first failure is thrown when the others have ended. */
async function inParallel<T>(items: readonly T[], body: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next] as T;
      next += 1;
      await body(item);
    }
  };
  const workers = Array.from({ length: Math.min(PARALLEL_BLOBS, items.length) }, worker);
  const failed = (await Promise.allSettled(workers)).find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

function asBroken(reference: ImageReference, error: unknown): unknown {
  if (!(error instanceof TransientError)) return error;
  return new SlipwayError({
    code: error.status === undefined ? "REGISTRY_UNREACHABLE" : "REGISTRY_FAILED",
    where: formatReference(reference),
    message: `the transfer broke ${ATTEMPTS} times in a row: ${error.message}`,
    hint: "Run the command again; what was sent already is not sent twice.",
    cause: error,
    exitCode: 3,
  });
}

function wrongDigest(where: string, expected: string, actual: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_DIGEST_MISMATCH",
    where,
    message: `the registry's content is ${actual}, not ${expected}`,
    hint: "Something between here and the registry changed the content; do not use this image.",
    exitCode: 3,
  });
}
