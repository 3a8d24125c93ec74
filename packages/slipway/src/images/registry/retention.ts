/**
 * Which tags and manifests of a repository go, by age and number. Pure.
 *
 * A tag stays if any reason holds: it is one of the newest `keepLast`, it was pushed within `keepForMs`, or a release
 * names it. Without a rule everything stays. A manifest without a tag stays while something that stays needs it (an index
 * names it, or it is about an image that stays: an SBOM, a signature), while it is young, or while a release names it.
 */
import type { HeldManifest } from "../layout.ts";

export interface RetentionRule {
  /** So many of the newest tags stay. */
  readonly keepLast?: number | undefined;
  /** What was pushed within this time stays, in milliseconds. */
  readonly keepForMs?: number | undefined;
}

/** What must stay, whatever its age. */
export interface Needs {
  /** Digests of manifests. */
  readonly digests: ReadonlySet<string>;
  /** `repository:tag`, for references without a digest. */
  readonly names: ReadonlySet<string>;
}

export interface RepositoryContents {
  readonly repository: string;
  readonly manifests: readonly HeldManifest[];
  /** By digest: what an index names. */
  readonly children: ReadonlyMap<string, readonly string[]>;
  /** By digest: what a manifest is about. */
  readonly subjects: ReadonlyMap<string, string>;
}

export interface Retention {
  readonly tags: readonly string[];
  /** Digests of manifests that go altogether. */
  readonly manifests: readonly string[];
}

export function outdated(
  contents: RepositoryContents,
  rule: RetentionRule | undefined,
  needs: Needs,
  times: { readonly now: number; readonly graceMs: number },
): Retention {
  if (rule === undefined || (rule.keepLast === undefined && rule.keepForMs === undefined))
    return { tags: [], manifests: [] };
  const { repository, manifests } = contents;
  const isYoung = ({ pushedAtMs }: HeldManifest): boolean =>
    // When it was pushed is unknown of what another program wrote: that is no reason to delete it.
    pushedAtMs === undefined || pushedAtMs + Math.max(rule.keepForMs ?? 0, times.graceMs) > times.now;
  const newestFirst = manifests
    .flatMap((manifest) => manifest.tags.map((tag) => ({ tag, manifest })))
    .sort(
      (a, b) =>
        (b.manifest.pushedAtMs ?? times.now) - (a.manifest.pushedAtMs ?? times.now) ||
        (a.tag < b.tag ? 1 : -1),
    );
  const isKept = ({ tag, manifest }: { tag: string; manifest: HeldManifest }, position: number): boolean =>
    position < (rule.keepLast ?? 0) ||
    isYoung(manifest) ||
    needs.names.has(`${repository}:${tag}`) ||
    needs.digests.has(manifest.descriptor.digest);
  const kept = newestFirst.filter(isKept);
  const staying = new Set(kept.map(({ manifest }) => manifest.descriptor.digest));
  for (const manifest of manifests) {
    if (manifest.tags.length > 0) continue;
    if (isYoung(manifest) || needs.digests.has(manifest.descriptor.digest))
      staying.add(manifest.descriptor.digest);
  }
  // What stays keeps what it needs and what is about it; referrers may have referrers.
  for (let before = -1; before < staying.size; ) {
    before = staying.size;
    for (const digest of [...staying]) {
      for (const child of contents.children.get(digest) ?? []) staying.add(child);
    }
    for (const [digest, subject] of contents.subjects) if (staying.has(subject)) staying.add(digest);
  }
  return {
    tags: newestFirst.filter((one) => !kept.includes(one)).map(({ tag }) => tag),
    manifests: manifests.map(({ descriptor }) => descriptor.digest).filter((digest) => !staying.has(digest)),
  };
}
