/**
 * Images made in code for the corpus of broken images: a base as data, and what was done to it. Nothing is run for it, so
 * that it is the same everywhere.
 */
import type { BuiltImage } from "../../images/image.ts";
import { bytesEntry, directoryEntry, type LayerEntry, symlinkEntry } from "../../images/layer-entry.ts";
import { writeLayer } from "../../images/layer-writer.ts";
import type { ImageLayout } from "../../images/layout.ts";
import {
  encodeDocument,
  hostPlatform,
  type ImageConfigFile,
  type ImageManifest,
  MEDIA,
} from "../../images/oci.ts";

export interface Put {
  readonly path: string;
  /** Undefined: a directory. */
  readonly text?: string | Uint8Array;
  /** A symbolic link to it. */
  readonly link?: string;
  /** A file of this machine. */
  readonly source?: { readonly path: string; readonly size: number };
  readonly mode?: number;
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
}

export type ImageConfigPatch = Partial<ImageConfigFile["config"]>;

export interface Base {
  readonly name: string;
  readonly files: readonly Put[];
  readonly config: ImageConfigFile["config"];
  readonly history: readonly string[];
}

/** What was done to a base. `above` is a layer of its own on top. */
export interface Damage {
  readonly remove?: readonly string[];
  readonly put?: readonly Put[];
  readonly above?: Damage;
  /** Replaces whole keys of the configuration; undefined removes one. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Lines of history that are added. */
  readonly history?: readonly string[];
}

export async function buildImage(
  base: Base,
  damage: Damage | undefined,
  layout: ImageLayout,
): Promise<BuiltImage> {
  const layers = [base.files.map(entryOf)];
  for (let one = damage; one !== undefined; one = one.above) {
    const entries = [...(one.remove ?? []).map(whiteout), ...(one.put ?? []).map(entryOf)];
    if (entries.length > 0) layers.push(entries);
  }
  const written = [];
  for (const entries of layers)
    written.push(await writeLayer(layout, entries, { mtime: 0, compression: "none" }));
  const history = [...base.history, ...(damage?.history ?? [])];
  const config: ImageConfigFile = {
    created: new Date(0).toISOString(),
    ...hostPlatform(),
    config: { ...base.config, ...damage?.config },
    rootfs: { type: "layers", diff_ids: written.map(({ diffId }) => diffId) },
    history: history.map((line, at) => ({
      created_by: line,
      ...(at < written.length ? {} : { empty_layer: true }),
    })),
  };
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, ...(await layout.put(encodeDocument(config))) },
    layers: written.map(({ descriptor }) => descriptor),
  };
  const stored = await layout.put(encodeDocument(manifest));
  await layout.hold(base.name, { mediaType: MEDIA.manifest, ...stored });
  return { name: base.name, digest: stored.digest, reference: undefined, layout: layout.directory };
}

function entryOf({ path, text, link, source, mode, xattrs, uid = 0, gid = 0 }: Put): LayerEntry {
  if (link !== undefined) return symlinkEntry(path, link);
  if (source !== undefined) {
    const content = { kind: "path" as const, path: source.path };
    return { path, kind: "file", mode: mode ?? 0o755, uid, gid, size: source.size, link: "", content };
  }
  if (text === undefined) return directoryEntry(path, { mode: mode ?? 0o755, uid, gid });
  const entry = bytesEntry(path, text, { mode: mode ?? 0o644, uid, gid });
  return xattrs === undefined ? entry : { ...entry, xattrs };
}

function whiteout(path: string): LayerEntry {
  const slash = path.lastIndexOf("/");
  return bytesEntry(`${path.slice(0, slash + 1)}.wh.${path.slice(slash + 1)}`, "");
}
