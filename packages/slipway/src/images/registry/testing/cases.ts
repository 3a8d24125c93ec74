/**
 * What a registry must do, request by request, from the table of end points of the OCI distribution specification 1.1:
 * one suite for the embedded registry and for others. A registry's `lacks` names the cases that it is known to fail, with
 * the reason; such a case must fail, so that the list stays true.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { MEDIA } from "../../oci.ts";

export interface RegistryUnderTest {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  close(): Promise<void>;
}

export function registryCases(
  open: () => Promise<RegistryUnderTest>,
  lacks: Readonly<Record<string, string>> = {},
): void {
  let opened: Promise<RegistryUnderTest> | undefined;
  const call: Call = async (path, init) => {
    opened ??= open();
    const { url } = await opened;
    return fetch(path.startsWith("http") ? path : `${url}${path}`, { redirect: "manual", ...init });
  };
  for (const unknown of Object.keys(lacks).filter((name) => !(name in cases))) {
    throw new Error(`no such case: ${unknown}`);
  }
  for (const [position, [name, run]] of Object.entries(cases).entries()) {
    // Each case has a repository of its own; nothing one leaves behind is seen by another.
    const speak = new Speaker(call, `suite/case${position}`);
    const reason = lacks[name];
    test(reason === undefined ? name : `${name} (known not to: ${reason})`, async () => {
      if (reason === undefined) return run(speak);
      await assert.rejects(() => run(speak), `this registry does it by now: take "${name}" off the list`);
    });
  }
  test("the registry of the suite ends", async () => (await opened)?.close());
}

type Call = (path: string, init?: RequestInit) => Promise<Response>;

/** The requests of the specification, for one repository. */
class Speaker {
  readonly call: Call;
  readonly repository: string;

  constructor(call: Call, repository: string) {
    this.call = call;
    this.repository = repository;
  }

  at(rest: string): string {
    return `/v2/${this.repository}/${rest}`;
  }

  /** A request that must be answered with one of `statuses`. */
  async expect(statuses: number | readonly number[], path: string, init?: RequestInit): Promise<Response> {
    const response = await this.call(path, init);
    const wanted = [statuses].flat();
    if (!wanted.includes(response.status)) {
      const text = await response.text();
      assert.fail(
        `${init?.method ?? "GET"} ${path}: ${response.status}, not ${wanted.join(" or ")}: ${text}`,
      );
    }
    return response;
  }

  /** The same, for an error: checks its body too. */
  async refused(
    statuses: number | readonly number[],
    code: string | readonly string[],
    path: string,
    init?: RequestInit,
  ): Promise<Response> {
    const response = await this.expect(statuses, path, init);
    const body = (await response.json()) as { errors?: { code?: string; message?: string }[] };
    assert.ok([code].flat().includes(body.errors?.[0]?.code ?? ""), `${path}: ${JSON.stringify(body)}`);
    assert.equal(typeof body.errors?.[0]?.message, "string");
    return response;
  }

  async startUpload(): Promise<string> {
    return locationOf(await this.expect(202, this.at("blobs/uploads/"), { method: "POST" }));
  }

  async putBlob(data: Uint8Array | string): Promise<string> {
    const digest = sha256(data);
    const location = withDigest(await this.startUpload(), digest);
    await this.expect(201, location, { method: "PUT", body: bytes(data), headers: OCTETS });
    return digest;
  }

  patch(location: string, data: Uint8Array, start?: number): Promise<Response> {
    const range = start === undefined ? {} : { "content-range": `${start}-${start + data.length - 1}` };
    return this.call(location, { method: "PATCH", body: bytes(data), headers: { ...OCTETS, ...range } });
  }

  /** A manifest whose blobs are there. */
  async manifest(text: string, extra: object = {}): Promise<string> {
    const config = await this.putBlob(`{"of":${JSON.stringify(text)}}`);
    const layer = await this.putBlob(`layer of ${text}`);
    return JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: {
        mediaType: MEDIA.config,
        digest: config,
        size: Buffer.byteLength(`{"of":${JSON.stringify(text)}}`),
      },
      layers: [{ mediaType: MEDIA.layer, digest: layer, size: Buffer.byteLength(`layer of ${text}`) }],
      ...extra,
    });
  }

  putManifest(reference: string, body: string, type: string = MEDIA.manifest): Promise<Response> {
    return this.call(this.at(`manifests/${reference}`), {
      method: "PUT",
      body,
      headers: { "content-type": type },
    });
  }

  async stored(reference: string, body: string, type?: string): Promise<Response> {
    const response = await this.putManifest(reference, body, type);
    assert.equal(response.status, 201, response.status === 201 ? "" : await response.text());
    return response;
  }

  getManifest(reference: string, method = "GET"): Promise<Response> {
    return this.call(this.at(`manifests/${reference}`), { method, headers: { accept: ACCEPT } });
  }
}

const OCTETS = { "content-type": "application/octet-stream" };
const ACCEPT = [MEDIA.manifest, MEDIA.index, MEDIA.dockerManifest, MEDIA.dockerList].join(", ");
const bytes = (data: Uint8Array | string): Buffer<ArrayBuffer> => Buffer.from(data as string);
const digestBy = (algorithm: string, data: Uint8Array | string): string =>
  `${algorithm}:${createHash(algorithm).update(data).digest("hex")}`;
const sha256 = (data: Uint8Array | string): string => digestBy("sha256", data);
const withDigest = (location: string, digest: string): string =>
  `${location}${location.includes("?") ? "&" : "?"}digest=${digest}`;

function locationOf(response: Response): string {
  const location = response.headers.get("location");
  assert.ok(location !== null, "no Location");
  return location;
}

const range = (response: Response): string | null => response.headers.get("range");
const data = Buffer.from(Array.from({ length: 3000 }, (_, at) => (at * 7) % 251));

/** The cases by name. */
const cases: Readonly<Record<string, (speak: Speaker) => Promise<void>>> = {
  "GET /v2/ says that the API is here": async (speak) => {
    const response = await speak.expect(200, "/v2/");
    assert.equal(response.headers.get("docker-distribution-api-version"), "registry/2.0");
  },

  // Blobs

  "GET and HEAD of a blob": async (speak) => {
    const digest = await speak.putBlob(data);
    const got = await speak.expect(200, speak.at(`blobs/${digest}`));
    assert.deepEqual(Buffer.from(await got.arrayBuffer()), data);
    assert.equal(got.headers.get("docker-content-digest"), digest);
    const head = await speak.expect(200, speak.at(`blobs/${digest}`), { method: "HEAD" });
    assert.equal(head.headers.get("content-length"), "3000");
    assert.equal(await head.text(), "");
  },

  "GET of a part of a blob": async (speak) => {
    const path = speak.at(`blobs/${await speak.putBlob(data)}`);
    const table: readonly [header: string, start: number, end: number][] = [
      ["bytes=0-99", 0, 100],
      ["bytes=100-", 100, 3000],
      ["bytes=-10", 2990, 3000],
      ["bytes=2990-9999", 2990, 3000],
    ];
    for (const [header, start, end] of table) {
      const part = await speak.expect(206, path, { headers: { range: header } });
      assert.equal(part.headers.get("content-range"), `bytes ${start}-${end - 1}/3000`);
      assert.deepEqual(Buffer.from(await part.arrayBuffer()), data.subarray(start, end), header);
    }
  },

  "GET of a part beyond the end": async (speak) => {
    const path = speak.at(`blobs/${await speak.putBlob(data)}`);
    await (await speak.expect(416, path, { headers: { range: "bytes=3000-" } })).text();
  },

  "a blob that is not there": async (speak) => {
    const path = speak.at(`blobs/${sha256("nowhere")}`);
    await speak.refused(404, "BLOB_UNKNOWN", path);
    assert.equal(await (await speak.expect(404, path, { method: "HEAD" })).text(), "");
  },

  "a blob by what is no digest": async (speak) => {
    await speak.refused([400, 404], ["DIGEST_INVALID", "BLOB_UNKNOWN"], speak.at("blobs/sha256:zz"));
  },

  "an empty blob": async (speak) => {
    const digest = await speak.putBlob("");
    const got = await speak.expect(200, speak.at(`blobs/${digest}`));
    assert.equal((await got.arrayBuffer()).byteLength, 0);
  },

  "a blob by POST and PUT": async (speak) => {
    const digest = sha256(data);
    const response = await speak.expect(201, withDigest(await speak.startUpload(), digest), {
      method: "PUT",
      body: data,
      headers: OCTETS,
    });
    const got = await speak.expect(200, locationOf(response));
    assert.deepEqual(Buffer.from(await got.arrayBuffer()), data);
  },

  "a blob by a single POST": async (speak) => {
    const digest = sha256("single");
    const response = await speak.expect(201, speak.at(`blobs/uploads/?digest=${digest}`), {
      method: "POST",
      body: "single",
      headers: OCTETS,
    });
    await speak.expect(200, locationOf(response));
  },

  "a blob in chunks, the last in the PUT": async (speak) => {
    let location = await speak.startUpload();
    for (const start of [0, 1000]) {
      const response = await speak.patch(location, data.subarray(start, start + 1000), start);
      assert.equal(response.status, 202);
      assert.equal(range(response), `0-${start + 999}`);
      location = locationOf(response);
    }
    const digest = sha256(data);
    await speak.expect(201, withDigest(location, digest), {
      method: "PUT",
      body: data.subarray(2000),
      headers: { ...OCTETS, "content-range": "2000-2999" },
    });
    const got = await speak.expect(200, speak.at(`blobs/${digest}`));
    assert.deepEqual(Buffer.from(await got.arrayBuffer()), data);
  },

  "a blob as a stream, closed by an empty PUT": async (speak) => {
    const response = await speak.patch(await speak.startUpload(), data);
    assert.equal(response.status, 202);
    const digest = sha256(data);
    await speak.expect(201, withDigest(locationOf(response), digest), { method: "PUT" });
    await speak.expect(200, speak.at(`blobs/${digest}`), { method: "HEAD" });
  },

  "GET of an upload says where it stands": async (speak) => {
    const response = await speak.patch(await speak.startUpload(), data.subarray(0, 500), 0);
    const status = await speak.expect(204, locationOf(response));
    assert.equal(range(status), "0-499");
    const next = await speak.patch(locationOf(status), data.subarray(500, 600), 500);
    assert.equal(range(next), "0-599");
  },

  "a chunk out of order is refused with the position": async (speak) => {
    const first = await speak.patch(await speak.startUpload(), data.subarray(0, 100), 0);
    const gap = await speak.patch(locationOf(first), data.subarray(200, 300), 200);
    assert.equal(gap.status, 416);
    assert.equal(range(gap), "0-99");
    const repeated = await speak.patch(locationOf(first), data.subarray(50, 100), 50);
    assert.equal(repeated.status, 416);
    const next = await speak.patch(locationOf(first), data.subarray(100, 300), 100);
    assert.equal(next.status, 202);
    assert.equal(range(next), "0-299");
  },

  "a closing PUT out of order is refused": async (speak) => {
    const first = await speak.patch(await speak.startUpload(), data.subarray(0, 100), 0);
    await speak.expect(416, withDigest(locationOf(first), sha256(data)), {
      method: "PUT",
      body: data.subarray(200),
      headers: { ...OCTETS, "content-range": "200-2999" },
    });
  },

  "a chunk whose length is not its range's": async (speak) => {
    const response = await speak.call(await speak.startUpload(), {
      method: "PATCH",
      body: data.subarray(0, 100),
      headers: { ...OCTETS, "content-range": "0-499" },
    });
    assert.ok([400, 416].includes(response.status), String(response.status));
  },

  "an upload that is given up is gone": async (speak) => {
    const location = await speak.startUpload();
    await speak.expect(204, location, { method: "DELETE" });
    await speak.refused(404, "BLOB_UPLOAD_UNKNOWN", location);
  },

  "an upload that never was": async (speak) => {
    const location = await speak.startUpload();
    await speak.expect(204, location, { method: "DELETE" });
    for (const method of ["GET", "DELETE", "PATCH", "PUT"]) {
      const path = method === "PUT" ? withDigest(location, sha256("x")) : location;
      const body = method === "PATCH" || method === "PUT" ? { body: "x", headers: OCTETS } : {};
      await speak.refused(404, "BLOB_UPLOAD_UNKNOWN", path, { method, ...body });
    }
  },

  "a PUT without a digest": async (speak) => {
    const location = await speak.startUpload();
    await speak.refused(400, "DIGEST_INVALID", location, { method: "PUT", body: "x", headers: OCTETS });
  },

  "content that is not its digest": async (speak) => {
    const wrong = sha256("something else");
    const location = withDigest(await speak.startUpload(), wrong);
    await speak.refused(400, "DIGEST_INVALID", location, { method: "PUT", body: "content", headers: OCTETS });
    await speak.expect(404, speak.at(`blobs/${wrong}`), { method: "HEAD" });
  },

  "a mount from another repository": async (speak) => {
    const digest = await speak.putBlob("to be mounted");
    const response = await speak.expect(
      201,
      `/v2/${speak.repository}/other/blobs/uploads/?mount=${digest}&from=${speak.repository}`,
      { method: "POST" },
    );
    await speak.expect(200, locationOf(response));
  },

  "a mount that names no repository": async (speak) => {
    const digest = await speak.putBlob("to be mounted by anybody");
    const response = await speak.expect(201, `/v2/${speak.repository}/other/blobs/uploads/?mount=${digest}`, {
      method: "POST",
    });
    await speak.expect(200, locationOf(response));
  },

  "a mount of what is nowhere starts an upload": async (speak) => {
    const digest = sha256("late");
    const path = speak.at(`blobs/uploads/?mount=${digest}&from=suite/nowhere`);
    const response = await speak.expect(202, path, { method: "POST" });
    const location = withDigest(locationOf(response), digest);
    await speak.expect(201, location, { method: "PUT", body: "late", headers: OCTETS });
  },

  "DELETE of a blob": async (speak) => {
    const digest = await speak.putBlob(`to be deleted from ${speak.repository}`);
    await speak.expect(202, speak.at(`blobs/${digest}`), { method: "DELETE" });
    await speak.expect(404, speak.at(`blobs/${digest}`), { method: "HEAD" });
    await speak.refused(404, "BLOB_UNKNOWN", speak.at(`blobs/${digest}`), { method: "DELETE" });
  },

  "a blob by sha512": async (speak) => {
    const digest = digestBy("sha512", data);
    const location = withDigest(await speak.startUpload(), digest);
    const response = await speak.expect(201, location, { method: "PUT", body: data, headers: OCTETS });
    assert.equal(response.headers.get("docker-content-digest"), digest);
    const got = await speak.expect(200, speak.at(`blobs/${digest}`));
    assert.deepEqual(Buffer.from(await got.arrayBuffer()), data);
  },

  // Manifests

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

  // Lists

  "tags are listed in order and in pages": async (speak) => {
    const body = await speak.manifest("tags");
    for (const tag of ["c", "a", "b", "10", "9"]) await speak.stored(tag, body);
    const list = async (path: string): Promise<{ tags: string[]; next: string | undefined }> => {
      const response = await speak.expect(200, path);
      const { name, tags } = (await response.json()) as { name: string; tags: string[] };
      assert.equal(name, speak.repository);
      const next = /^<([^>]+)>; ?rel="?next"?$/.exec(response.headers.get("link") ?? "")?.[1];
      return { tags, next };
    };
    assert.deepEqual((await list(speak.at("tags/list"))).tags, ["10", "9", "a", "b", "c"]);
    const pages: string[][] = [];
    for (let path: string | undefined = speak.at("tags/list?n=2"); path !== undefined; ) {
      const { tags, next } = await list(path);
      pages.push(tags);
      path = next;
    }
    assert.deepEqual(pages, [["10", "9"], ["a", "b"], ["c"]]);
    assert.deepEqual((await list(speak.at("tags/list?n=2&last=aa"))).tags, ["b", "c"]);
  },

  "tags are ordered without regard to case": async (speak) => {
    const body = await speak.manifest("mixed");
    for (const tag of ["b", "A", "B", "a"]) await speak.stored(tag, body);
    const { tags } = (await (await speak.expect(200, speak.at("tags/list"))).json()) as { tags: string[] };
    assert.deepEqual(tags, ["A", "a", "B", "b"]);
  },

  "a page of no tags": async (speak) => {
    await speak.stored("v1", await speak.manifest("none"));
    const response = await speak.expect(200, speak.at("tags/list?n=0"));
    const { tags } = (await response.json()) as { tags: string[] | null };
    assert.deepEqual(tags ?? [], []);
    assert.equal(response.headers.get("link"), null);
  },

  "tags of a repository that is not there": async (speak) => {
    await speak.refused(404, "NAME_UNKNOWN", speak.at("never/tags/list"));
  },

  "repositories are listed in pages": async (speak) => {
    await speak.stored("v1", await speak.manifest("catalog"));
    const { repositories } = (await (await speak.expect(200, "/v2/_catalog")).json()) as {
      repositories: string[];
    };
    assert.ok(repositories.includes(speak.repository));
    const page = await speak.expect(200, "/v2/_catalog?n=1");
    assert.equal(((await page.json()) as { repositories: string[] }).repositories.length, 1);
    assert.match(page.headers.get("link") ?? "", /rel="next"/);
  },

  // Referrers

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

  // Names

  "names that are none": async (speak) => {
    for (const path of ["/v2/UPPER/tags/list", "/v2/a//b/tags/list", "/v2/-a/tags/list"]) {
      const { status } = await speak.call(path);
      assert.ok(status === 400 || status === 404 || status === 301, `${path}: ${status}`);
    }
    const { status } = await speak.putManifest(".bad-tag", await speak.manifest("bad tag"));
    assert.ok(status === 400 || status === 404, String(status));
  },

  "a method that is none": async (speak) => {
    const digest = await speak.putBlob("put it where it is");
    const response = await speak.call(speak.at(`blobs/${digest}`), { method: "PUT", body: "x" });
    assert.equal(response.status, 405);
  },
};
