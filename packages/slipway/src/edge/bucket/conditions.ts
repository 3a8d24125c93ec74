/** The arithmetic of conditional and partial requests (RFC 9110, sections 13 and 14), as pure functions. */
import type { IncomingHttpHeaders } from "node:http";

/** If-None-Match wins over If-Modified-Since; the latter has whole seconds. */
export function isNotModified(headers: IncomingHttpHeaders, etag: string, mtimeMs: number): boolean {
  const tags = headers["if-none-match"];
  if (tags !== undefined) {
    const bare = (tag: string): string => tag.trim().replace(/^W\//, "");
    return tags.trim() === "*" || tags.split(",").some((tag) => bare(tag) === bare(etag));
  }
  const since = Date.parse(headers["if-modified-since"] ?? "");
  return !Number.isNaN(since) && Math.floor(mtimeMs / 1000) * 1000 <= since;
}

/**
 * `[first, last]` byte of a single range; undefined means the whole file: no range, several ranges, a unit or
 * syntax we do not know, or an If-Range that does not match any more.
 */
export function parseRange(
  range: string | undefined,
  ifRange: string | undefined,
  file: { readonly size: number; readonly etag: string; readonly mtimeMs: number },
): readonly [number, number] | "unsatisfiable" | undefined {
  if (range === undefined) return undefined;
  if (ifRange !== undefined && ifRange !== file.etag) {
    const date = Date.parse(ifRange);
    if (Number.isNaN(date) || Math.floor(file.mtimeMs / 1000) * 1000 !== date) return undefined;
  }
  const match = /^bytes=(\d*)-(\d*)$/.exec(range.trim());
  if (match === null || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const suffix = Number(match[2]);
    if (suffix === 0 || file.size === 0) return "unsatisfiable";
    return [Math.max(0, file.size - suffix), file.size - 1];
  }
  const first = Number(match[1]);
  const last = match[2] === "" ? file.size - 1 : Math.min(Number(match[2]), file.size - 1);
  if (match[2] !== "" && Number(match[2]) < first) return undefined;
  return first >= file.size ? "unsatisfiable" : [first, last];
}

/** Brotli before gzip, when the client accepts it with a weight above zero. */
export function preferredEncoding(accept: string | undefined): "br" | "gzip" | undefined {
  if (accept === undefined) return undefined;
  const weights = new Map(
    accept.split(",").map((item) => {
      const [name = "", ...parameters] = item.trim().toLowerCase().split(";");
      const weight = parameters
        .map((parameter) => /^\s*q=([\d.]+)/.exec(parameter)?.[1])
        .find((q) => q !== undefined);
      return [name.trim(), weight === undefined ? 1 : Number(weight)] as const;
    }),
  );
  const accepts = (name: string): boolean => (weights.get(name) ?? weights.get("*") ?? 0) > 0;
  if (accepts("br")) return "br";
  return accepts("gzip") ? "gzip" : undefined;
}
