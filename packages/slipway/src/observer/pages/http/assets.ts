/**
 * The built pages, read once at the start and compressed once, so that an answer is a look into a map: what is asked can
 * name no other file. Vite puts a hash of its content into the name of every file below `assets/`; those never change and
 * are kept by the browser, the page itself is asked for each time (with its ETag).
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { lookup } from "mime-types";

export interface Asset {
  readonly type: string;
  readonly etag: string;
  readonly cacheControl: string;
  readonly bodies: Readonly<Partial<Record<Encoding, Buffer>>> & { readonly identity: Buffer };
}

export type Encoding = "br" | "gzip" | "identity";

/** By path: `/`, `/assets/index-1a2b.js`. */
export type Assets = ReadonlyMap<string, Asset>;

const brotli = promisify(brotliCompress);
const gzipped = promisify(gzip);

/** Undefined when there are no built pages in this folder. */
export async function readAssets(folder: string): Promise<Assets | undefined> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = names.filter((entry) => entry.isFile());
  const assets = new Map<string, Asset>();
  await Promise.all(
    files.map(async (entry) => {
      const file = join(entry.parentPath, entry.name);
      const path = `/${file
        .slice(folder.length + 1)
        .split(sep)
        .join("/")}`;
      assets.set(path, await assetOf(path, await readFile(file)));
    }),
  );
  const index = assets.get("/index.html");
  if (index === undefined) return undefined;
  assets.set("/", index);
  return assets;
}

export async function assetOf(path: string, identity: Buffer): Promise<Asset> {
  const type = lookup(path) || "application/octet-stream";
  const isText = /^(?:text\/|application\/(?:javascript|json|manifest)|image\/svg)/.test(type);
  const etag = `"${createHash("sha256").update(identity).digest("base64url").slice(0, 27)}"`;
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9 };
  return {
    type: isText ? `${type}; charset=utf-8` : type,
    etag,
    cacheControl: path.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache",
    bodies: {
      identity,
      ...(isText && identity.length > 512
        ? { br: await brotli(identity, { params }), gzip: await gzipped(identity) }
        : {}),
    },
  };
}

/** The best of what both know. `q=0` refuses one. */
export function encodingOf(accepted: string | undefined, { bodies }: Asset): Encoding {
  const refused = /(?:^|,)\s*(br|gzip)\s*;\s*q=0(?:\.0*)?\s*(?=,|$)/g;
  const without = new Set([...(accepted ?? "").matchAll(refused)].map(([, name]) => name));
  const names = (accepted ?? "").split(",").map((part) => (part.split(";")[0] as string).trim());
  const found = (["br", "gzip"] as const).find(
    (name) => bodies[name] !== undefined && names.includes(name) && !without.has(name),
  );
  return found ?? "identity";
}
