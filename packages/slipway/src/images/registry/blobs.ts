/** GET, HEAD and DELETE of blobs, with byte ranges. */
import { pipeline } from "node:stream/promises";
import { parseDigest } from "../oci.ts";
import type { Exchange } from "./exchange.ts";
import { RegistryError } from "./response.ts";

export async function getBlob(exchange: Exchange, digest: string): Promise<void> {
  const { layout, request, response } = exchange;
  const size = await knownSize(exchange, digest);
  const headers = {
    "Content-Type": "application/octet-stream",
    "Docker-Content-Digest": digest,
    "Accept-Ranges": "bytes",
    ETag: `"${digest}"`,
  };
  if (request.method === "HEAD") {
    await layout.touch(digest); // whoever asks is about to rely on it: garbage collection leaves it for now
    return void response.writeHead(200, { ...headers, "Content-Length": size }).end();
  }
  const range = parseRange(request.headers.range, size);
  if (range === "unsatisfiable") {
    throw new RegistryError(416, "SIZE_INVALID", `the blob has ${size} bytes`, {
      "Content-Range": `bytes */${size}`,
    });
  }
  const body = await layout.openBlob(digest, range);
  if (range === undefined) response.writeHead(200, { ...headers, "Content-Length": size });
  else {
    response.writeHead(206, {
      ...headers,
      "Content-Length": range.end - range.start + 1,
      "Content-Range": `bytes ${range.start}-${range.end}/${size}`,
    });
  }
  // A blob that is damaged on disk ends the connection before its last byte is confirmed: no client can take it.
  await pipeline(body, response);
}

/** All repositories share the blobs, so one that any manifest of any of them needs cannot be deleted (405). */
export async function deleteBlob(exchange: Exchange, digest: string): Promise<void> {
  const { layout, response } = exchange;
  await knownSize(exchange, digest);
  if ((await layout.reachable()).has(digest)) {
    throw new RegistryError(405, "UNSUPPORTED", `${digest} is part of a manifest; delete the manifest first`);
  }
  await layout.removeBlob(digest);
  response.writeHead(202, { "Content-Length": 0 }).end();
}

async function knownSize(exchange: Exchange, digest: string): Promise<number> {
  if (parseDigest(digest) === undefined) {
    throw new RegistryError(400, "DIGEST_INVALID", `"${digest}" is not a digest`);
  }
  const size = await exchange.layout.size(digest);
  if (size === undefined) throw new RegistryError(404, "BLOB_UNKNOWN", `${digest} is not here`);
  return size;
}

/** One range of bytes (inclusive). Several ranges, or another unit, are answered with the whole, as RFC 9110 allows. */
export function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (match === null || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const last = Number(match[2]);
    return last === 0 || size === 0 ? "unsatisfiable" : { start: Math.max(0, size - last), end: size - 1 };
  }
  const start = Number(match[1]);
  const end = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (start >= size) return "unsatisfiable";
  return end < start ? undefined : { start, end };
}
