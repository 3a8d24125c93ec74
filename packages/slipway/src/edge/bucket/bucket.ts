/**
 * A static bucket: a folder answered as a CDN in front of object storage would: strong ETags, conditional
 * requests, ranges, compression, and cache headers by kind of name. Only GET and HEAD; nothing outside the folder.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, realpath, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { brotliCompress, gzip, constants as zlibConstants } from "node:zlib";
import { systemCode } from "@slipway/base";
import mime from "mime-types";
import { isNotModified, parseRange, preferredEncoding } from "./conditions.ts";

export interface Bucket {
  handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<void>;
}

interface Entry {
  readonly file: string;
  readonly size: number;
  readonly mtimeMs: number;
  /** Hex SHA-256 of the content, shortened. */
  readonly hash: string;
  readonly type: string;
  readonly compressed: Map<"br" | "gzip", Buffer>;
}

/** Compressed copies are kept in memory only for files up to this size; larger ones go out as they are. */
const COMPRESS_LIMIT_BYTES = 4 * 1024 * 1024;
const COMPRESS_FLOOR_BYTES = 512;
const COMPRESSIBLE =
  /^(?:text\/|image\/svg|application\/(?:javascript|json|xml|wasm|manifest\+json|[a-z.+-]+\+(?:json|xml)))/;
/** `app.3f2a91bc.js`, `index-BfK3h2Zq.css`: the name changes with the content, so it may be cached for ever. */
const HASHED_NAME = /[.-](?=[A-Za-z0-9_]*\d)[A-Za-z0-9_]{8,}\.\w+$/;

export function createBucket(folder: string): Bucket {
  const entries = new Map<string, Entry>();
  return {
    async handle(request, response, path) {
      if (request.method !== "GET" && request.method !== "HEAD") {
        response.writeHead(405, { allow: "GET, HEAD", "content-length": 0 });
        return void response.end();
      }
      const entry = await find(path);
      if (entry === undefined) return plain(response, request, 404, "not found\n");
      await answer(request, response, entry);
    },
  };

  async function find(path: string): Promise<Entry | undefined> {
    let decoded: string;
    try {
      decoded = decodeURIComponent(path.split("?", 1)[0] as string);
    } catch {
      return undefined;
    }
    if (decoded.includes("\0")) return undefined;
    const wanted = join(folder, decoded.endsWith("/") ? `${decoded}index.html` : decoded);
    try {
      // Symbolic links are followed, but not out of the folder.
      const [root, file] = await Promise.all([realpath(folder), realpath(wanted)]);
      if (file !== root && !file.startsWith(root + sep)) return undefined;
      const info = await stat(file);
      if (!info.isFile()) return undefined;
      const known = entries.get(file);
      if (known !== undefined && known.size === info.size && known.mtimeMs === info.mtimeMs) return known;
      const hash = await hashFile(file);
      const type =
        mime.contentType(mime.lookup(file) || "application/octet-stream") || "application/octet-stream";
      const entry: Entry = {
        file,
        size: info.size,
        mtimeMs: info.mtimeMs,
        hash,
        type,
        compressed: new Map(),
      };
      entries.set(file, entry);
      return entry;
    } catch (error) {
      if (["ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG"].includes(systemCode(error) ?? ""))
        return undefined;
      throw error;
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse, entry: Entry): Promise<void> {
    // A range of a HEAD has no meaning (RFC 9110, section 14.2).
    const range = request.method === "GET" ? request.headers.range : undefined;
    const canCompress =
      COMPRESSIBLE.test(entry.type) &&
      entry.size >= COMPRESS_FLOOR_BYTES &&
      entry.size <= COMPRESS_LIMIT_BYTES;
    const encoding =
      canCompress && range === undefined ? preferredEncoding(request.headers["accept-encoding"]) : undefined;
    // Each representation has a tag of its own (RFC 9110, section 8.8.3.3).
    const etag = encoding === undefined ? `"${entry.hash}"` : `"${entry.hash}-${encoding}"`;
    const headers: Record<string, string | number> = {
      etag,
      "last-modified": new Date(entry.mtimeMs).toUTCString(),
      "cache-control": cacheControl(entry),
      "accept-ranges": "bytes",
      ...(canCompress ? { vary: "accept-encoding" } : {}),
    };
    if (isNotModified(request.headers, etag, entry.mtimeMs)) {
      response.writeHead(304, headers);
      return void response.end();
    }
    headers["content-type"] = entry.type;
    if (encoding !== undefined) {
      const body = await compressed(entry, encoding);
      response.writeHead(200, { ...headers, "content-encoding": encoding, "content-length": body.length });
      return void response.end(request.method === "HEAD" ? undefined : body);
    }
    const part = parseRange(range, request.headers["if-range"] as string | undefined, {
      size: entry.size,
      etag,
      mtimeMs: entry.mtimeMs,
    });
    if (part === "unsatisfiable") {
      response.writeHead(416, { "content-range": `bytes */${entry.size}`, "content-length": 0 });
      return void response.end();
    }
    const [start, end] = part ?? [0, entry.size - 1];
    if (part !== undefined) headers["content-range"] = `bytes ${start}-${end}/${entry.size}`;
    headers["content-length"] = end - start + 1;
    response.writeHead(part === undefined ? 200 : 206, headers);
    if (request.method === "HEAD" || entry.size === 0) return void response.end();
    // A client that leaves, or a file that cannot be read to its end, closes both; there is nobody left to tell.
    await pipeline(createReadStream(entry.file, { start, end }), response).catch(() => {});
  }
}

async function compressed(entry: Entry, encoding: "br" | "gzip"): Promise<Buffer> {
  const known = entry.compressed.get(encoding);
  if (known !== undefined) return known;
  const raw = await readFile(entry.file);
  const body =
    encoding === "br"
      ? await promisify(brotliCompress)(raw, { params: { [zlibConstants.BROTLI_PARAM_QUALITY]: 5 } })
      : await promisify(gzip)(raw, { level: 6 });
  entry.compressed.set(encoding, body);
  return body;
}

async function hashFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest("hex").slice(0, 32);
}

/** Pages must show a new release soon, hashed names never change, the rest is kept for an hour. */
function cacheControl(entry: Entry): string {
  if (entry.type.startsWith("text/html")) return "public, max-age=60";
  if (HASHED_NAME.test(entry.file)) return "public, max-age=31536000, immutable";
  return "public, max-age=3600";
}

function plain(response: ServerResponse, request: IncomingMessage, status: number, text: string): void {
  response.writeHead(status, {
    "content-type": "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(text),
  });
  response.end(request.method === "HEAD" ? undefined : text);
}
