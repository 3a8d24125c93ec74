/** What refers to a manifest. */
import assert from "node:assert/strict";
import { MEDIA } from "../../oci.ts";
import { type Cases, sha256 } from "./speaker.ts";

export const referrerCases: Cases = {
  "a manifest with a subject is listed as its referrer": async (speak) => {
    const image = await speak.manifest("image");
    await speak.stored("v1", image);
    const subject = { mediaType: MEDIA.manifest, digest: sha256(image), size: image.length };
    const sbom = await speak.manifest("sbom", {
      artifactType: "application/vnd.cyclonedx+json",
      subject,
      annotations: { "org.opencontainers.image.created": "2026-01-01T00:00:00Z" },
    });
    const signature = await speak.manifest("signature", { subject });
    const first = await speak.stored(sha256(sbom), sbom);
    assert.equal(first.headers.get("oci-subject"), subject.digest);
    await speak.stored(sha256(signature), signature);
    const list = async (query: string) => {
      const response = await speak.expect(200, speak.at(`referrers/${subject.digest}${query}`));
      assert.equal(response.headers.get("content-type"), MEDIA.index);
      const index = (await response.json()) as {
        schemaVersion: number;
        manifests: Record<string, unknown>[];
      };
      assert.equal(index.schemaVersion, 2);
      return { manifests: index.manifests, applied: response.headers.get("oci-filters-applied") };
    };
    const all = await list("");
    assert.equal(all.applied, null);
    assert.deepEqual(
      new Set(all.manifests.map(({ digest }) => digest)),
      new Set([sha256(sbom), sha256(signature)]),
    );
    const filtered = await list("?artifactType=application/vnd.cyclonedx%2Bjson");
    assert.equal(filtered.applied, "artifactType");
    assert.deepEqual(filtered.manifests, [
      {
        mediaType: MEDIA.manifest,
        digest: sha256(sbom),
        size: sbom.length,
        artifactType: "application/vnd.cyclonedx+json",
        annotations: { "org.opencontainers.image.created": "2026-01-01T00:00:00Z" },
      },
    ]);
    // Without an artifactType of its own, a manifest has the type of its config.
    const byConfig = await list(`?artifactType=${encodeURIComponent(MEDIA.config)}`);
    assert.deepEqual(
      byConfig.manifests.map(({ digest }) => digest),
      [sha256(signature)],
    );
    assert.deepEqual((await list("?artifactType=other/type")).manifests, []);
    await speak.expect(202, speak.at(`manifests/${sha256(sbom)}`), { method: "DELETE" });
    assert.deepEqual(
      (await list("")).manifests.map(({ digest }) => digest),
      [sha256(signature)],
    );
  },

  "a referrer may come before its subject": async (speak) => {
    const subject = { mediaType: MEDIA.manifest, digest: sha256("to come"), size: 7 };
    const early = await speak.manifest("early", { subject });
    await speak.stored(sha256(early), early);
    const response = await speak.expect(200, speak.at(`referrers/${subject.digest}`));
    const { manifests } = (await response.json()) as { manifests: { digest: string }[] };
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [sha256(early)],
    );
  },

  "an index may be a referrer": async (speak) => {
    const subject = { mediaType: MEDIA.manifest, digest: sha256("the image"), size: 9 };
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.index,
      artifactType: "application/vnd.example.set",
      manifests: [],
      subject,
    });
    await speak.stored(sha256(index), index, MEDIA.index);
    const path = speak.at(`referrers/${subject.digest}?artifactType=application/vnd.example.set`);
    const { manifests } = (await (await speak.expect(200, path)).json()) as {
      manifests: { digest: string }[];
    };
    assert.deepEqual(
      manifests.map(({ digest }) => digest),
      [sha256(index)],
    );
  },

  "referrers of what nothing refers to": async (speak) => {
    const response = await speak.expect(200, speak.at(`referrers/${sha256("alone")}`));
    assert.equal(response.headers.get("content-type"), MEDIA.index);
    assert.deepEqual(((await response.json()) as { manifests: unknown }).manifests, []);
  },

  "referrers of what is no digest": async (speak) => {
    await speak.refused(400, "DIGEST_INVALID", speak.at("referrers/sha256:zz"));
  },
};
