/**
 * One blob on its way to a registry: HEAD → mount → one PUT up to a chunk, else PATCH chunk by chunk and the rest in the
 * closing PUT. After a failure the registry is asked where the upload stands, and it goes on from there; what the
 * registry has acknowledged is never sent again, and one failure costs at most one chunk.
 *
 * Source: OCI distribution specification 1.1, "Pushing a blob in chunks" and "Mounting a blob from another repository".
 */
import { type FileHandle, open } from "node:fs/promises";
import { SlipwayError } from "@slipway/base";
import type { ImageLayout } from "../layout.ts";
import type { Descriptor } from "../oci.ts";
import { formatReference, type ImageReference } from "../reference.ts";
import { discard, type HttpResponse, type RegistryHttp, TransientError } from "./http.ts";
import { ATTEMPTS, asBroken, scopeOf, wrongDigest } from "./transfer.ts";
import { afterPart, rangeEnd } from "./upload-position.ts";

export interface UploadTarget {
  readonly http: RegistryHttp;
  readonly layout: ImageLayout;
  readonly reference: ImageReference;
  /** Repositories of the same registry that may already hold the blob, the likeliest first. */
  readonly mountFrom: readonly string[];
  readonly chunkBytes: number;
}

export interface UploadOutcome {
  readonly how: "was-there" | "mounted" | "uploaded";
  /** Bytes of bodies that were sent, those of failed tries included. */
  readonly sentBytes: number;
}

/** 416 in a row, at the very position that the registry tells, before an upload is given up for a new one. */
const REFUSALS = 5;

export async function uploadBlob(target: UploadTarget, blob: Descriptor): Promise<UploadOutcome> {
  if (await hasBlob(target, blob)) return { how: "was-there", sentBytes: 0 };
  const file = await open(target.layout.blobPath(blob.digest), "r");
  const upload: Upload = {
    target,
    blob,
    file,
    location: undefined,
    offset: 0,
    sent: 0,
    chunk: target.chunkBytes,
    buffer: undefined,
    isResumed: false,
    refusals: 0,
  };
  try {
    for (let attempt = 1, reached = 0; ; attempt += 1) {
      try {
        if (upload.location === undefined && (await begin(upload)) === "mounted") {
          return { how: "mounted", sentBytes: upload.sent };
        }
        await sendRest(upload);
        return { how: "uploaded", sentBytes: upload.sent };
      } catch (error) {
        if (!(error instanceof TransientError) || attempt >= ATTEMPTS)
          throw asBroken(target.reference, error);
        await target.http.pause(attempt, error);
        await askStatus(upload);
        // No session any more: the answer to the closing PUT may be all that was lost. Asked after the status, which the
        // registry answers only when it is done with what it still received.
        if (upload.location === undefined && (await hasBlob(target, blob)))
          return { how: "uploaded", sentBytes: upload.sent };
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
  readonly target: UploadTarget;
  readonly blob: Descriptor;
  readonly file: FileHandle;
  /** Absolute; undefined before the first POST and after the registry has forgotten the upload. */
  location: string | undefined;
  /** Bytes that the registry has. */
  offset: number;
  sent: number;
  chunk: number;
  /**
   * Holds the part that is on its way, and the next one when that was answered: fresh ones would wait for the garbage
   * collector by the dozen.
   */
  buffer: Buffer | undefined;
  /** This session went on from an offset that the registry reported after a failure. */
  isResumed: boolean;
  /** 416 without a position that helps, in a row. */
  refusals: number;
}

async function hasBlob({ http, reference }: UploadTarget, blob: Descriptor): Promise<boolean> {
  const response = await http.send({
    method: "HEAD",
    registry: reference.registry,
    target: `/v2/${reference.repository}/blobs/${blob.digest}`,
    scope: scopeOf(reference, "pull,push"),
    expect: [200, 404],
  });
  await discard(response);
  return response.status === 200;
}

/** Opens an upload, unless one of the other repositories has the blob and the registry mounts it. */
async function begin(upload: Upload): Promise<"mounted" | "started"> {
  const { target } = upload;
  const others = target.mountFrom.filter((repository) => repository !== target.reference.repository);
  for (const [position, from] of others.entries()) {
    const response = await tryMount(upload, from);
    if (response?.status === 201) return "mounted";
    if (response === undefined) continue;
    opened(upload, response);
    if (position === others.length - 1) return "started";
    await abandon(upload);
  }
  const response = await post(upload, "", scopeOf(target.reference, "pull,push"));
  opened(upload, response);
  return "started";
}

/** Mounting is a saving, never a need: a token service that does not let us read the other repository is no failure. */
async function tryMount(upload: Upload, from: string): Promise<HttpResponse | undefined> {
  const { blob, target } = upload;
  const query = `?mount=${encodeURIComponent(blob.digest)}&from=${encodeURIComponent(from)}`;
  const scope = `${scopeOf(target.reference, "pull,push")} repository:${from}:pull`;
  try {
    return await post(upload, query, scope);
  } catch (error) {
    if (error instanceof SlipwayError && MOUNT_REFUSALS.has(error.code)) return undefined;
    throw error;
  }
}

const MOUNT_REFUSALS: ReadonlySet<string> = new Set(["REGISTRY_DENIED", "REGISTRY_NOT_FOUND"]);

async function post(upload: Upload, query: string, scope: string): Promise<HttpResponse> {
  const { http, reference } = upload.target;
  const response = await http.send({
    method: "POST",
    registry: reference.registry,
    target: `/v2/${reference.repository}/blobs/uploads/${query}`,
    scope,
    headers: { "content-length": "0" },
    expect: [201, 202],
  });
  await discard(response);
  const mounted = response.headers["docker-content-digest"];
  if (response.status === 201 && mounted !== undefined && mounted !== upload.blob.digest) {
    throw wrongDigest(formatReference(reference), upload.blob.digest, mounted);
  }
  return response;
}

function opened(upload: Upload, response: HttpResponse): void {
  const least = Number(response.headers["oci-chunk-min-length"] ?? 0);
  upload.chunk = Math.max(upload.target.chunkBytes, Number.isFinite(least) ? least : 0);
  upload.offset = 0;
  upload.isResumed = false;
  upload.refusals = 0;
  moveTo(upload, response);
}

/** Tells the registry that nobody will go on with this upload; it would drop it by itself later. */
async function abandon(upload: Upload): Promise<void> {
  const { http, reference } = upload.target;
  const response = await http
    .send({
      method: "DELETE",
      registry: reference.registry,
      target: upload.location as string,
      scope: scopeOf(reference, "pull,push"),
      expect: [200, 202, 204, 400, 404, 405],
    })
    .catch(() => undefined);
  if (response !== undefined) await discard(response);
  upload.location = undefined;
}

/** PATCH while more than a chunk is left, then the last bytes in the closing PUT. */
async function sendRest(upload: Upload): Promise<void> {
  const { blob } = upload;
  while (blob.size - upload.offset > upload.chunk) {
    await sendPart(upload, "PATCH", upload.location as string, upload.chunk);
  }
  const location = upload.location as string;
  const target = `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(blob.digest)}`;
  const isStored = await sendPart(upload, "PUT", target, blob.size - upload.offset);
  if (!isStored) return sendRest(upload); // the registry stands elsewhere than we thought
}

/** Returns whether the blob is complete; moves the offset to where the registry now stands. */
async function sendPart(
  upload: Upload,
  method: "PATCH" | "PUT",
  target: string,
  length: number,
): Promise<boolean> {
  const { http, reference } = upload.target;
  const { offset } = upload;
  const isPartial = method === "PATCH" || offset > 0;
  const body = await readPart(upload, length);
  upload.sent += length;
  // Until it is answered the connection may still read from the buffer: a request that breaks keeps it.
  const { buffer } = upload;
  upload.buffer = undefined;
  const response = await http.send({
    method,
    registry: reference.registry,
    target,
    scope: scopeOf(reference, "pull,push"),
    headers: {
      "content-type": "application/octet-stream",
      ...(isPartial && length > 0 ? { "content-range": `${offset}-${offset + length - 1}` } : {}),
    },
    body,
    // A 400 to a session that was continued may be about where it was continued: that is worth a fresh session.
    expect: [method === "PATCH" ? 202 : 201, 404, 416, ...(upload.isResumed ? [400] : [])],
    isOnce: true,
  });
  await discard(response);
  if (response.status === 201 || response.status === 202) upload.buffer = buffer;
  const next = afterPart(
    { offset, length, size: upload.blob.size },
    response.status,
    response.headers["range"],
  );
  switch (next.kind) {
    case "stored":
      checkStored(upload, response);
      return true;
    case "go-on":
      upload.refusals = 0;
      upload.offset = next.offset;
      if (response.status === 416) upload.isResumed = true;
      if (response.headers["location"] !== undefined) moveTo(upload, response);
      return false;
    case "ask":
      upload.refusals += 1;
      if (upload.refusals >= REFUSALS) await abandon(upload);
      throw new TransientError("the registry refused the range without saying where it stands", {
        status: response.status,
      });
    case "start-again":
      upload.location = undefined;
      throw new TransientError("the upload session is gone", { status: response.status });
  }
}

function checkStored(upload: Upload, response: HttpResponse): void {
  const stored = response.headers["docker-content-digest"];
  if (stored === undefined || stored === upload.blob.digest) return;
  throw wrongDigest(formatReference(upload.target.reference), upload.blob.digest, stored);
}

async function askStatus(upload: Upload): Promise<void> {
  if (upload.location === undefined) return;
  const { http, reference } = upload.target;
  const response = await http.send({
    method: "GET",
    registry: reference.registry,
    target: upload.location,
    scope: scopeOf(reference, "pull,push"),
    expect: [200, 202, 204, 400, 404, 405, 416],
  });
  await discard(response);
  const isKnown = response.status === 204 || response.status === 202;
  const stands = isKnown ? rangeEnd(response.headers["range"]) : undefined;
  if (stands === undefined || stands > upload.blob.size) {
    upload.location = undefined;
    return;
  }
  // `0-0` is one byte or none: take it as none. If it was one, the registry refuses, and the blob begins anew.
  upload.offset = stands === 1 ? 0 : stands;
  upload.isResumed = true;
  if (response.headers["location"] !== undefined) moveTo(upload, response);
}

function moveTo(upload: Upload, response: HttpResponse): void {
  const location = response.headers["location"];
  if (location === undefined) {
    throw new SlipwayError({
      code: "REGISTRY_REFUSED",
      where: formatReference(upload.target.reference),
      message: "the registry opened an upload without saying where (no Location)",
      exitCode: 3,
    });
  }
  upload.location = new URL(location, response.url).href;
}

async function readPart(upload: Upload, length: number): Promise<Buffer> {
  upload.buffer ??= Buffer.allocUnsafeSlow(Math.max(length, Math.min(upload.chunk, upload.blob.size)));
  if (upload.buffer.byteLength < length) upload.buffer = Buffer.allocUnsafeSlow(length);
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await upload.file.read(
      upload.buffer,
      filled,
      length - filled,
      upload.offset + filled,
    );
    if (bytesRead === 0) throw new Error(`${upload.blob.digest} became shorter while it was pushed`);
    filled += bytesRead;
  }
  return upload.buffer.subarray(0, length);
}
