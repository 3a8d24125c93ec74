/**
 * Retention and garbage collection of a registry's storage, in this order: names that are out of date go, then the blobs
 * that nothing needs any more. Both leave what the caller says is needed.
 */
import { collectGarbage, type Swept } from "../garbage.ts";
import type { HeldManifest, ImageLayout } from "../layout.ts";
import type { ImageIndex, ImageManifest } from "../oci.ts";
import {
  type Needs,
  outdated,
  type RepositoryContents,
  type Retention,
  type RetentionRule,
} from "./retention.ts";

export interface TidyOptions {
  /** The rule of a repository; undefined keeps all its names. */
  readonly ruleOf: (repository: string) => RetentionRule | undefined;
  readonly needs: Needs;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What is younger stays: a push that is going on must not lose what it relies on. */
  readonly graceMs: number;
  readonly isDryRun: boolean;
}

export interface Tidied {
  /** Repositories from which names went. */
  readonly repositories: readonly (Retention & { readonly repository: string })[];
  readonly swept: Swept;
}

export async function tidyRegistry(layout: ImageLayout, options: TidyOptions): Promise<Tidied> {
  const repositories: (Retention & { repository: string })[] = [];
  const roots: string[] = [...options.needs.digests];
  for (const repository of await layout.repositories()) {
    const manifests = (await layout.manifests(repository)) ?? [];
    const contents = await contentsOf(layout, repository, manifests);
    const gone = outdated(contents, options.ruleOf(repository), options.needs, options);
    roots.push(
      ...manifests
        .map(({ descriptor }) => descriptor.digest)
        .filter((digest) => !gone.manifests.includes(digest)),
    );
    if (gone.tags.length + gone.manifests.length === 0) continue;
    repositories.push({ repository, ...gone });
    if (options.isDryRun) continue;
    for (const name of [...gone.tags, ...gone.manifests]) await layout.release(repository, name);
  }
  const swept = await collectGarbage(layout, {
    now: options.now,
    graceMs: options.graceMs,
    keep: roots,
    isDryRun: options.isDryRun,
    // Nothing was released in a dry run: what is reachable is what would stay.
    ...(options.isDryRun ? { roots } : {}),
  });
  return { repositories, swept };
}

async function contentsOf(
  layout: ImageLayout,
  repository: string,
  manifests: readonly HeldManifest[],
): Promise<RepositoryContents> {
  const children = new Map<string, readonly string[]>();
  const subjects = new Map<string, string>();
  for (const { descriptor } of manifests) {
    const { digest } = descriptor;
    if ((await layout.size(digest)) === undefined) continue;
    const content = await layout.readJson<Partial<ImageIndex & ImageManifest>>(digest);
    if (content.manifests !== undefined)
      children.set(
        digest,
        content.manifests.map((child) => child.digest),
      );
    if (content.subject !== undefined) subjects.set(digest, content.subject.digest);
  }
  return { repository, manifests, children, subjects };
}
