/** The entries of a layout's index.json: which repository holds which manifest, under which tag, since when. Pure. */
import type { Descriptor } from "./oci.ts";

export const REF_NAME = "org.opencontainers.image.ref.name";
const REPOSITORY = "dev.slipway.repository";
/** When this name was last pushed, ISO 8601. */
const PUSHED_AT = "dev.slipway.pushed-at";
/** The digest of what the manifest is about; empty for one that is known to be about nothing. */
const SUBJECT = "dev.slipway.subject";

export function repositoryOf(entry: Descriptor): string | undefined {
  const named = entry.annotations?.[REPOSITORY];
  if (named !== undefined) return named;
  const name = entry.annotations?.[REF_NAME];
  return name?.includes(":") ? name.slice(0, name.lastIndexOf(":")) : undefined;
}

export function tagOf(entry: Descriptor): string | undefined {
  const name = entry.annotations?.[REF_NAME];
  return name?.includes(":") ? name.slice(name.lastIndexOf(":") + 1) : undefined;
}

export function bare(entry: Descriptor): Descriptor {
  return { mediaType: entry.mediaType, digest: entry.digest, size: entry.size };
}

/** An entry for a repository, under a tag or without one. */
export function entryFor(
  descriptor: Descriptor,
  repository: string,
  pushedAtMs: number,
  tag?: string,
  subject?: string,
): Descriptor {
  return {
    ...bare(descriptor),
    annotations: {
      ...(tag === undefined ? {} : { [REF_NAME]: `${repository}:${tag}` }),
      [REPOSITORY]: repository,
      [PUSHED_AT]: new Date(pushedAtMs).toISOString(),
      ...(subject === undefined ? {} : { [SUBJECT]: subject }),
    },
  };
}

/** The same entry without its tag. */
export function untagged(entry: Descriptor): Descriptor {
  const { [REF_NAME]: _tag, ...kept } = entry.annotations ?? {};
  return { ...bare(entry), annotations: { ...kept, [REPOSITORY]: repositoryOf(entry) ?? "" } };
}

/** Undefined where only the manifest itself knows. */
export function subjectOf(entry: Descriptor): string | undefined {
  return entry.annotations?.[SUBJECT];
}

/** Milliseconds since the epoch; undefined for entries of other programs. */
export function pushedAtOf(entry: Descriptor): number | undefined {
  const written = Date.parse(entry.annotations?.[PUSHED_AT] ?? "");
  return Number.isNaN(written) ? undefined : written;
}

/** An untagged entry is needed only while no tag of its repository points at the same manifest. */
export function withoutRedundant(entries: readonly Descriptor[]): readonly Descriptor[] {
  const key = (entry: Descriptor): string => `${repositoryOf(entry) ?? ""}@${entry.digest}`;
  const tagged = new Set(entries.filter((entry) => tagOf(entry) !== undefined).map(key));
  const seen = new Set<string>();
  return entries.filter((entry) => {
    const id = `${key(entry)} ${tagOf(entry) ?? ""}`;
    if (seen.has(id)) return false;
    seen.add(id);
    return tagOf(entry) !== undefined || repositoryOf(entry) === undefined || !tagged.has(key(entry));
  });
}
