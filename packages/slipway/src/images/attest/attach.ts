/**
 * What an image carries beside its layers: documents about it, each a small artifact that names the image as its
 * subject, so that a registry lists them as referrers (OCI image specification 1.1, "subject"; distribution
 * specification 1.1, "Listing Referrers").
 */
import { ImageFiles } from "../layers.ts";
import type { ImageLayout } from "../layout.ts";
import {
  type Descriptor,
  digestOf,
  encodeDocument,
  type ImageConfigFile,
  type ImageIndex,
  type ImageManifest,
  MEDIA,
} from "../oci.ts";
import { readRecord, writeRecord } from "../record.ts";
import { billFor, SBOM_TYPE } from "./bill.ts";
import { listPackages } from "./packages.ts";
import { PROVENANCE_TYPE, type ProvenanceFacts, provenance } from "./provenance.ts";

/** Change when the documents are made in another way. */
const RECIPE = 1;

/** The empty configuration that every artifact shares. */
const EMPTY = { mediaType: "application/vnd.oci.empty.v1+json", body: Buffer.from("{}") };

/** Makes the documents of an image in the layout, once for each image and set of facts; whoever holds the image holds them. */
export async function makeDocuments(
  layout: ImageLayout,
  image: Descriptor,
  facts: Omit<ProvenanceFacts, "digest">,
): Promise<readonly Descriptor[]> {
  const statement = provenance({ ...facts, digest: image.digest });
  const key = digestOf(JSON.stringify([RECIPE, image.digest, facts.image, statement.toString("utf8")])).slice(
    7,
  );
  const record = layout.cachePath("attached", `${key}.json`);
  let made = readRecord<readonly Descriptor[]>(record);
  if (
    made === undefined ||
    (await Promise.all(made.map(({ digest }) => layout.size(digest)))).includes(undefined)
  ) {
    const manifest = await layout.readJson<ImageManifest>(image.digest);
    const config = await layout.readJson<ImageConfigFile>(manifest.config.digest);
    const list = await listPackages(await ImageFiles.open(layout, manifest));
    const billed = { name: facts.image, digest: image.digest, created: config.created };
    const bom = await billFor(layout, billed, list);
    made = await Promise.all([
      attach(layout, image, SBOM_TYPE, bom, config.created),
      attach(layout, image, PROVENANCE_TYPE, statement, config.created),
    ]);
    await writeRecord(record, made);
  }
  return made;
}

async function attach(
  layout: ImageLayout,
  subject: Descriptor,
  artifactType: string,
  body: Buffer,
  created: string | undefined,
): Promise<Descriptor> {
  const { mediaType, digest, size } = subject;
  const [empty, document] = await Promise.all([layout.put(EMPTY.body), layout.put(body)]);
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    artifactType,
    config: { mediaType: EMPTY.mediaType, ...empty },
    layers: [{ mediaType: artifactType, ...document }],
    subject: { mediaType, digest, size },
    ...(created === undefined ? {} : { annotations: { "org.opencontainers.image.created": created } }),
  };
  return { mediaType: MEDIA.manifest, ...(await layout.put(encodeDocument(manifest))), artifactType };
}

/** The artifacts of a repository that have this image as their subject, or one of the images that an index names. */
export async function attachedTo(
  layout: ImageLayout,
  repository: string,
  digest: string,
): Promise<readonly Descriptor[]> {
  const found: Descriptor[] = [];
  const { manifests = [] } = await layout.readJson<Partial<ImageIndex>>(digest);
  const about = new Set([digest, ...manifests.map((one) => one.digest)]);
  for (const { descriptor, subject: known } of (await layout.manifests(repository)) ?? []) {
    if (descriptor.mediaType !== MEDIA.manifest || (known !== undefined && !about.has(known))) continue;
    const { subject, artifactType } = await layout.readJson<ImageManifest>(descriptor.digest);
    if (subject !== undefined && about.has(subject.digest) && artifactType !== undefined)
      found.push({ ...descriptor, artifactType });
  }
  return found;
}
