/**
 * The bill of materials of an image, from the one of the last image with the same packages: a change of code changes
 * only the image's digest and time in it, and making it anew takes longer than the rest of what is attached.
 */
import type { ImageLayout } from "../layout.ts";
import { digestOf } from "../oci.ts";
import { readRecord, writeRecord } from "../record.ts";
import { type BilledImage, inUrl, type PackageList } from "./packages.ts";

export const SBOM_TYPE = "application/vnd.cyclonedx+json";

/** Change when the bill is made in another way. */
const RECIPE = 1;
/** What stands in a kept bill for the image's own; no image has these. */
const ANY_DIGEST = `sha256:${"0".repeat(64)}`;
const ANY_TIME = "0001-01-01T00:00:00.000Z";

export async function billFor(layout: ImageLayout, image: BilledImage, list: PackageList): Promise<Buffer> {
  const created = image.created === undefined ? undefined : ANY_TIME;
  const key = digestOf(JSON.stringify([RECIPE, image.name, created ?? null, list])).slice(7);
  const kept = layout.cachePath("bills", `${key}.json`);
  let text = readRecord<string>(kept);
  if (text === undefined) {
    const { billOfMaterials } = await import("./sbom.ts");
    text = billOfMaterials({ name: image.name, digest: ANY_DIGEST, created }, list).toString("utf8");
    await writeRecord(kept, text);
  }
  const time = image.created === undefined ? "" : new Date(image.created).toISOString();
  return Buffer.from(
    text
      .replaceAll(ANY_DIGEST, image.digest)
      .replaceAll(inUrl(ANY_DIGEST), inUrl(image.digest))
      .replaceAll(ANY_TIME, time),
  );
}
