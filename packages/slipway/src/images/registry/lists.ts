/** Lists: tags of a repository, repositories, and what refers to a manifest. */
import type { ServerResponse } from "node:http";
import type { ImageLayout } from "../layout.ts";
import { type Descriptor, MEDIA, parseDigest } from "../oci.ts";
import type { Exchange } from "./exchange.ts";
import type { ManifestFacts } from "./manifests.ts";
import { RegistryError } from "./response.ts";

export async function listTags(exchange: Exchange): Promise<void> {
  const { layout, repository, query, response } = exchange;
  const held = await layout.manifests(repository);
  if (held === undefined) throw new RegistryError(404, "NAME_UNKNOWN", `no repository ${repository}`);
  const { page, next } = pageOf(
    held.flatMap((manifest) => manifest.tags),
    query,
  );
  if (next !== undefined) response.setHeader("Link", `</v2/${repository}/tags/list?${next}>; rel="next"`);
  response
    .writeHead(200, { "Content-Type": "application/json" })
    .end(JSON.stringify({ name: repository, tags: page }));
}

/** Not of the specification, but what every registry has. */
export async function listRepositories(
  layout: ImageLayout,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const { page, next } = pageOf(await layout.repositories(), query);
  if (next !== undefined) response.setHeader("Link", `</v2/_catalog?${next}>; rel="next"`);
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify({ repositories: page }));
}

/** `n` names after `last`; `next` is the query of the page that follows, if there is one. */
function pageOf(
  names: readonly string[],
  query: URLSearchParams,
): { readonly page: readonly string[]; readonly next: string | undefined } {
  const limit = query.get("n");
  if (limit !== null && !/^\d+$/.test(limit)) {
    throw new RegistryError(400, "UNSUPPORTED", `n must be a whole number, got "${limit}"`);
  }
  const last = query.get("last");
  const all = [...names].sort(byName).filter((name) => last === null || byName(name, last) > 0);
  const page = limit === null ? all : all.slice(0, Number(limit));
  if (page.length === 0 || page.length === all.length) return { page, next: undefined };
  return { page, next: `n=${limit}&last=${encodeURIComponent(page.at(-1) as string)}` };
}

/** The specification's order: letters without regard to case; the bytes decide between what is then the same. */
function byName(one: string, other: string): number {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()];
  if (a !== b) return a < b ? -1 : 1;
  return one === other ? 0 : one < other ? -1 : 1;
}

export async function listReferrers(exchange: Exchange, digest: string): Promise<void> {
  const { layout, repository, query, response } = exchange;
  if (parseDigest(digest) === undefined) {
    throw new RegistryError(400, "DIGEST_INVALID", `"${digest}" is not a digest`);
  }
  const wanted = query.get("artifactType");
  const manifests: Descriptor[] = [];
  for (const { descriptor } of (await layout.manifests(repository)) ?? []) {
    if ((await layout.size(descriptor.digest)) === undefined) continue;
    const facts = await layout.readJson<ManifestFacts>(descriptor.digest);
    const artifactType = facts.artifactType ?? facts.config?.mediaType;
    if (facts.subject?.digest !== digest || (wanted !== null && artifactType !== wanted)) continue;
    manifests.push({
      ...descriptor,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(facts.annotations === undefined ? {} : { annotations: facts.annotations }),
    });
  }
  if (wanted !== null) response.setHeader("OCI-Filters-Applied", "artifactType");
  response
    .writeHead(200, { "Content-Type": MEDIA.index })
    .end(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests }));
}
