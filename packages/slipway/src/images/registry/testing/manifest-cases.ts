/** Manifests and tags. */
import assert from "node:assert/strict";
import { MEDIA } from "../../oci.ts";
import { type Cases, digestBy, locationOf, sha256 } from "./speaker.ts";

export const manifestCases: Cases = {
  "a manifest by tag, kept byte for byte": async (speak) => {
    const body = `${await speak.manifest("tagged")}\n  `;
    const digest = sha256(body);
    const response = await speak.stored("v1", body);
    assert.equal(response.headers.get("docker-content-digest"), digest);
    assert.ok(locationOf(response).endsWith(`/manifests/${digest}`));
    for (const reference of ["v1", digest]) {
      const got = await speak.getManifest(reference);
      assert.equal(got.headers.get("content-type"), MEDIA.manifest);
      assert.equal(got.headers.get("docker-content-digest"), digest);
      assert.equal(await got.text(), body);
      const head = await speak.getManifest(reference, "HEAD");
      assert.equal(head.status, 200);
      assert.equal(head.headers.get("content-length"), String(Buffer.byteLength(body)));
    }
  },

  "a manifest by digest": async (speak) => {
    const body = await speak.manifest("by digest");
    await speak.stored(sha256(body), body);
    assert.equal(await (await speak.getManifest(sha256(body))).text(), body);
    const wrong = await speak.putManifest(sha256("other"), body);
    assert.equal(wrong.status, 400);
  },

  "a manifest by digest with several tags": async (speak) => {
    const body = await speak.manifest("several");
    const digest = sha256(body);
    const response = await speak.stored(`${digest}?tag=one&tag=two&tag=three`, body);
    const told = (response.headers.get("oci-tag") ?? "").split(",").map((tag) => tag.trim());
    assert.deepEqual(told, ["one", "two", "three"]);
    for (const tag of told) {
      assert.equal((await speak.getManifest(tag)).headers.get("docker-content-digest"), digest);
    }
  },

  "a manifest by sha512": async (speak) => {
    const body = await speak.manifest("long digest");
    const digest = digestBy("sha512", body);
    await speak.stored(digest, body);
    assert.equal(await (await speak.getManifest(digest)).text(), body);
  },

  "a manifest that is not there": async (speak) => {
    await speak.stored("v1", await speak.manifest("there"));
    for (const reference of ["v2", sha256("nowhere")]) {
      await speak.refused(404, "MANIFEST_UNKNOWN", speak.at(`manifests/${reference}`));
      await speak.expect(404, speak.at(`manifests/${reference}`), { method: "HEAD" });
    }
  },

  "a manifest whose blobs are missing": async (speak) => {
    const body = (await speak.manifest("gap")).replace(sha256("layer of gap"), sha256("missing"));
    const response = await speak.putManifest("v1", body);
    assert.ok([400, 404].includes(response.status), String(response.status));
    const { errors } = (await response.json()) as { errors: { code: string }[] };
    assert.equal(errors[0]?.code, "MANIFEST_BLOB_UNKNOWN");
  },

  "what is no manifest": async (speak) => {
    for (const body of ["not json", "[]", '{"schemaVersion":2'] as const) {
      const response = await speak.putManifest("v1", body);
      assert.equal(response.status, 400, body);
    }
  },

  "a manifest of 4 MB": async (speak) => {
    const annotations = { filler: "x".repeat(4_000_000 - 2000) };
    const body = await speak.manifest("big", { annotations });
    await speak.stored("big", body);
    assert.equal((await (await speak.getManifest("big")).text()).length, body.length);
  },

  "a manifest that is too big": async (speak) => {
    const body = await speak.manifest("huge", { annotations: { filler: "x".repeat(12_000_000) } });
    assert.equal((await speak.putManifest("huge", body)).status, 413);
  },

  "a tag that moves, and what it left": async (speak) => {
    const [one, two] = [await speak.manifest("one"), await speak.manifest("two")];
    await speak.stored("live", one);
    await speak.stored("live", two);
    assert.equal(await (await speak.getManifest("live")).text(), two);
    assert.equal(await (await speak.getManifest(sha256(one))).text(), one);
  },

  "Docker's schema 2, its list and its layers": async (speak) => {
    const body = (await speak.manifest("docker"))
      .replaceAll(MEDIA.manifest, MEDIA.dockerManifest)
      .replaceAll(MEDIA.config, MEDIA.dockerConfig)
      .replaceAll(MEDIA.layer, MEDIA.dockerLayerGzip);
    await speak.stored("v1", body, MEDIA.dockerManifest);
    const got = await speak.getManifest("v1");
    assert.equal(got.headers.get("content-type"), MEDIA.dockerManifest);
    assert.equal(await got.text(), body);
    const entry = { mediaType: MEDIA.dockerManifest, digest: sha256(body), size: body.length };
    const platform = { os: "linux", architecture: "amd64" };
    const list = JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.dockerList,
      manifests: [{ ...entry, platform }],
    });
    await speak.stored("list", list, MEDIA.dockerList);
    assert.equal((await speak.getManifest("list")).headers.get("content-type"), MEDIA.dockerList);
  },

  "an index of images with zstd layers": async (speak) => {
    const body = (await speak.manifest("zstd")).replace(MEDIA.layer, MEDIA.layerZstd);
    await speak.stored(sha256(body), body);
    const entry = { mediaType: MEDIA.manifest, digest: sha256(body), size: body.length };
    const index = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests: [entry] });
    await speak.stored("index", index, MEDIA.index);
    assert.equal(await (await speak.getManifest("index")).text(), index);
  },

  "DELETE of a tag leaves the manifest": async (speak) => {
    const body = await speak.manifest("tag goes");
    await speak.stored("one", body);
    await speak.stored("two", body);
    await speak.expect(202, speak.at("manifests/one"), { method: "DELETE" });
    assert.equal((await speak.getManifest("one")).status, 404);
    for (const reference of ["two", sha256(body)])
      assert.equal((await speak.getManifest(reference)).status, 200);
    await speak.refused(404, "MANIFEST_UNKNOWN", speak.at("manifests/one"), { method: "DELETE" });
  },

  "DELETE of a manifest takes its tags along": async (speak) => {
    const body = await speak.manifest("all goes");
    await speak.stored("one", body);
    await speak.stored("two", body);
    const path = speak.at(`manifests/${sha256(body)}`);
    await speak.expect(202, path, { method: "DELETE" });
    for (const reference of ["one", "two", sha256(body)]) {
      assert.equal((await speak.getManifest(reference)).status, 404, reference);
    }
    await speak.refused(404, "MANIFEST_UNKNOWN", path, { method: "DELETE" });
  },
};
