import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { collectGarbage } from "../garbage.ts";
import { MEDIA } from "../oci.ts";
import { parseRange } from "./blobs.ts";
import { type Registry, startRegistry } from "./registry.ts";

let folder: string;
let registry: Registry;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-registry-"));
  registry = await startRegistry({ directory: folder, port: 0 });
});
after(async () => {
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

const sha256 = (data: Uint8Array | string): string =>
  `sha256:${createHash("sha256").update(data).digest("hex")}`;
const call = (path: string, init?: RequestInit): Promise<Response> => fetch(`${registry.url}${path}`, init);

async function errorCode(response: Response): Promise<string> {
  const { errors } = (await response.json()) as { errors: { code: string }[] };
  return errors[0]?.code ?? "";
}

async function startUpload(name = "shop/web"): Promise<string> {
  const response = await call(`/v2/${name}/blobs/uploads/`, { method: "POST" });
  assert.equal(response.status, 202);
  return response.headers.get("location") as string;
}

async function putBlob(data: Uint8Array | string, name = "shop/web"): Promise<string> {
  const digest = sha256(data);
  const response = await call(`/v2/${name}/blobs/uploads/?digest=${digest}`, {
    method: "POST",
    body: Buffer.from(data),
  });
  assert.equal(response.status, 201);
  return digest;
}

async function manifestOf(text: string): Promise<string> {
  const config = await putBlob(text);
  const layer = await putBlob(`layer of ${text}`);
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, digest: config, size: text.length },
    layers: [{ mediaType: MEDIA.layer, digest: layer, size: `layer of ${text}`.length }],
  });
}

const putManifest = (
  name: string,
  reference: string,
  body: string,
  type: string = MEDIA.manifest,
): Promise<Response> =>
  call(`/v2/${name}/manifests/${reference}`, { method: "PUT", body, headers: { "content-type": type } });

test("the base answers, so that clients know the API", async () => {
  const response = await call("/v2/");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("docker-distribution-api-version"), "registry/2.0");
});

test("a blob goes in whole and comes out the same, whole, as head and in ranges", async () => {
  const data = randomBytes(10_000);
  const digest = await putBlob(data);
  const whole = await call(`/v2/shop/web/blobs/${digest}`);
  assert.equal(whole.headers.get("docker-content-digest"), digest);
  assert.deepEqual(Buffer.from(await whole.arrayBuffer()), data);
  const head = await call(`/v2/shop/web/blobs/${digest}`, { method: "HEAD" });
  assert.equal(head.headers.get("content-length"), "10000");
  const part = await call(`/v2/shop/web/blobs/${digest}`, { headers: { range: "bytes=100-199" } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("content-range"), "bytes 100-199/10000");
  assert.deepEqual(Buffer.from(await part.arrayBuffer()), data.subarray(100, 200));
  const beyond = await call(`/v2/shop/web/blobs/${digest}`, { headers: { range: "bytes=10000-" } });
  assert.equal(beyond.status, 416);
});

test("byte ranges", () => {
  const table: [string | undefined, unknown][] = [
    [undefined, undefined],
    ["bytes=0-", { start: 0, end: 9 }],
    ["bytes=3-5", { start: 3, end: 5 }],
    ["bytes=3-99", { start: 3, end: 9 }],
    ["bytes=-4", { start: 6, end: 9 }],
    ["bytes=-99", { start: 0, end: 9 }],
    ["bytes=10-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=5-3", undefined],
    ["bytes=0-1,4-5", undefined],
    ["lines=0-1", undefined],
  ];
  for (const [header, expected] of table) assert.deepEqual(parseRange(header, 10), expected, String(header));
});

test("a blob whose content is not its digest is refused and leaves nothing", async () => {
  const wrong = sha256("something else");
  const response = await call(`/v2/shop/web/blobs/uploads/?digest=${wrong}`, {
    method: "POST",
    body: "content",
  });
  assert.equal(response.status, 400);
  assert.equal(await errorCode(response), "DIGEST_INVALID");
  assert.equal((await call(`/v2/shop/web/blobs/${wrong}`)).status, 404);
  assert.deepEqual(await readdir(join(folder, "slipway", "incoming")), []);
});

test("a chunked upload is counted, refuses gaps, and ends with its digest", async () => {
  const data = randomBytes(3000);
  const location = await startUpload();
  const patch = (start: number, end: number): Promise<Response> =>
    call(location, {
      method: "PATCH",
      body: data.subarray(start, end),
      headers: { "content-range": `${start}-${end - 1}` },
    });
  const first = await patch(0, 1000);
  assert.equal(first.status, 202);
  assert.equal(first.headers.get("range"), "0-999");
  const gap = await patch(2000, 3000);
  assert.equal(gap.status, 416);
  assert.equal(gap.headers.get("range"), "0-999");
  const status = await call(location);
  assert.equal(status.status, 204);
  assert.equal(status.headers.get("range"), "0-999");
  assert.equal((await patch(1000, 2000)).status, 202);
  const digest = sha256(data);
  const end = await call(`${location}?digest=${digest}`, { method: "PUT", body: data.subarray(2000) });
  assert.equal(end.status, 201);
  assert.equal(end.headers.get("location"), `/v2/shop/web/blobs/${digest}`);
  assert.equal((await call(location)).status, 404);
});

test("an upload that was cut off goes on from where it stands", async () => {
  const data = randomBytes(200_000);
  const location = await startUpload();
  const socket = connect(registry.port, "127.0.0.1");
  socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${data.length}\r\n\r\n`);
  socket.write(data.subarray(0, 120_000));
  await until("bytes have arrived", async () => {
    const [name] = await readdir(join(folder, "slipway", "incoming"));
    return (
      name !== undefined && (await readFile(join(folder, "slipway", "incoming", name))).length >= 120_000
    );
  });
  socket.destroy();
  const status = await call(location);
  const stands = Number((status.headers.get("range") as string).slice(2)) + 1;
  assert.equal(stands, 120_000);
  const digest = sha256(data);
  const end = await call(`${location}?digest=${digest}`, { method: "PUT", body: data.subarray(stands) });
  assert.equal(end.status, 201);
  assert.deepEqual(Buffer.from(await (await call(`/v2/shop/web/blobs/${digest}`)).arrayBuffer()), data);
});

test("an upload can be given up", async () => {
  const location = await startUpload();
  assert.equal((await call(location, { method: "DELETE" })).status, 204);
  const response = await call(location, { method: "PATCH", body: "x" });
  assert.equal(response.status, 404);
  assert.equal(await errorCode(response), "BLOB_UPLOAD_UNKNOWN");
});

test("a known blob is mounted, an unknown one starts an upload", async () => {
  const digest = await putBlob("shared");
  const mount = (wanted: string): Promise<Response> =>
    call(`/v2/other/app/blobs/uploads/?mount=${wanted}&from=shop/web`, { method: "POST" });
  assert.equal((await mount(digest)).status, 201);
  assert.equal((await mount(sha256("unknown"))).status, 202);
});

test("a manifest is kept byte for byte, by tag and by digest, with its type", async () => {
  const body = `${await manifestOf("m1")}\n  `;
  const response = await putManifest("shop/web", "v1", body);
  assert.equal(response.status, 201);
  const digest = sha256(body);
  assert.equal(response.headers.get("docker-content-digest"), digest);
  for (const reference of ["v1", digest]) {
    const got = await call(`/v2/shop/web/manifests/${reference}`);
    assert.equal(got.headers.get("content-type"), MEDIA.manifest);
    assert.equal(await got.text(), body);
    const head = await call(`/v2/shop/web/manifests/${reference}`, { method: "HEAD" });
    assert.equal(head.headers.get("docker-content-digest"), digest);
  }
  assert.equal((await call("/v2/another/name/manifests/v1")).status, 404);
});

test("Docker's schema 2 manifests are accepted as they are", async () => {
  const body = (await manifestOf("docker")).replaceAll(MEDIA.manifest, MEDIA.dockerManifest);
  assert.equal((await putManifest("shop/docker", "v1", body, MEDIA.dockerManifest)).status, 201);
  const got = await call("/v2/shop/docker/manifests/v1");
  assert.equal(got.headers.get("content-type"), MEDIA.dockerManifest);
});

test("a tag moves in one step, and what it pointed at stays by digest", async () => {
  const one = await manifestOf("t1");
  const two = await manifestOf("t2");
  await putManifest("shop/moving", "live", one);
  await putManifest("shop/moving", "live", two);
  assert.equal(await (await call("/v2/shop/moving/manifests/live")).text(), two);
  assert.equal(await (await call(`/v2/shop/moving/manifests/${sha256(one)}`)).text(), one);
});

test("a manifest that cannot be right is refused with the reason", async () => {
  const good = await manifestOf("bad");
  const table: [string, string, string, number, string][] = [
    ["not json", "v1", MEDIA.manifest, 400, "MANIFEST_INVALID"],
    ["[]", "v1", MEDIA.manifest, 400, "MANIFEST_INVALID"],
    [good.replace('"schemaVersion":2', '"schemaVersion":1'), "v1", MEDIA.manifest, 400, "MANIFEST_INVALID"],
    [good, "v1", MEDIA.index, 400, "MANIFEST_INVALID"],
    [good, sha256("other"), MEDIA.manifest, 400, "DIGEST_INVALID"],
    [good, ".bad-tag", MEDIA.manifest, 400, "MANIFEST_INVALID"],
    [good.replace(sha256("bad"), sha256("missing")), "v1", MEDIA.manifest, 404, "MANIFEST_BLOB_UNKNOWN"],
    [good.replace(`"size":${"bad".length}`, '"size":99'), "v1", MEDIA.manifest, 400, "SIZE_INVALID"],
    [JSON.stringify({ ...JSON.parse(good), layers: 3 }), "v1", MEDIA.manifest, 400, "MANIFEST_INVALID"],
    [JSON.stringify({ ...JSON.parse(good), layers: [null] }), "v1", MEDIA.manifest, 400, "MANIFEST_INVALID"],
    [JSON.stringify({ ...JSON.parse(good), config: null }), "v1", MEDIA.manifest, 400, "MANIFEST_INVALID"],
    [JSON.stringify({ ...JSON.parse(good), subject: null }), "v1", MEDIA.manifest, 400, "MANIFEST_INVALID"],
    [" ".repeat(9 * 1024 * 1024), "v1", MEDIA.manifest, 413, "SIZE_INVALID"],
  ];
  for (const [body, reference, type, status, code] of table) {
    const response = await putManifest("shop/bad", reference, body, type);
    assert.deepEqual([response.status, await errorCode(response)], [status, code], body.slice(0, 60));
  }
  assert.equal((await call("/v2/shop/bad/tags/list")).status, 404);
});

test("tags are listed sorted and in pages", async () => {
  const body = await manifestOf("tags");
  for (const tag of ["c", "a", "b"]) await putManifest("shop/tags", tag, body);
  const all = await (await call("/v2/shop/tags/tags/list")).json();
  assert.deepEqual(all, { name: "shop/tags", tags: ["a", "b", "c"] });
  const page = await call("/v2/shop/tags/tags/list?n=2");
  assert.deepEqual(((await page.json()) as { tags: string[] }).tags, ["a", "b"]);
  assert.equal(page.headers.get("link"), '</v2/shop/tags/tags/list?n=2&last=b>; rel="next"');
  const rest = await call("/v2/shop/tags/tags/list?n=2&last=b");
  assert.deepEqual(((await rest.json()) as { tags: string[] }).tags, ["c"]);
  assert.equal(rest.headers.get("link"), null);
});

test("deleting a tag leaves the manifest, deleting the digest takes the tags along", async () => {
  const body = await manifestOf("delete");
  const digest = sha256(body);
  await putManifest("shop/delete", "one", body);
  await putManifest("shop/delete", "two", body);
  const remove = (reference: string): Promise<Response> =>
    call(`/v2/shop/delete/manifests/${reference}`, { method: "DELETE" });
  assert.equal((await remove("one")).status, 202);
  assert.equal((await call("/v2/shop/delete/manifests/one")).status, 404);
  assert.equal((await call(`/v2/shop/delete/manifests/${digest}`)).status, 200);
  assert.equal((await remove(digest)).status, 202);
  assert.equal((await call("/v2/shop/delete/manifests/two")).status, 404);
  assert.equal((await remove("two")).status, 404);
});

test("referrers are found by their subject and filtered by type", async () => {
  const image = await manifestOf("subject");
  await putManifest("shop/ref", "v1", image);
  const subject = { mediaType: MEDIA.manifest, digest: sha256(image), size: image.length };
  const sbom = JSON.stringify({
    ...JSON.parse(await manifestOf("sbom")),
    artifactType: "application/sbom",
    subject,
  });
  const response = await putManifest("shop/ref", sha256(sbom), sbom);
  assert.equal(response.headers.get("oci-subject"), subject.digest);
  const list = async (query: string): Promise<string[]> => {
    const body = (await (await call(`/v2/shop/ref/referrers/${subject.digest}${query}`)).json()) as {
      manifests: { digest: string }[];
    };
    return body.manifests.map((one) => one.digest);
  };
  assert.deepEqual(await list(""), [sha256(sbom)]);
  assert.deepEqual(await list("?artifactType=application/sbom"), [sha256(sbom)]);
  assert.deepEqual(await list("?artifactType=other"), []);
});

test("names and digests that could leave the folder are refused", async () => {
  for (const path of [
    "/v2/..%2f..%2fetc/blobs/sha256:aa",
    "/v2/UPPER/manifests/v1",
    "/v2/shop/web/blobs/sha256:..%2f..%2f..%2fetc%2fpasswd",
    "/v2/shop/web/blobs/md5:0123",
    "/v2/shop/web/manifests/sha256:zz",
    "/v2/%zz/manifests/v1",
  ]) {
    const { status } = await call(path);
    assert.ok(status === 400 || status === 404, `${path} gave ${status}`);
  }
});

test("a taken port is one clear error", async () => {
  await assert.rejects(startRegistry({ directory: folder, port: registry.port }), {
    code: "REGISTRY_PORT_TAKEN",
    exitCode: 3,
  });
});

test("what a registry is sent in its first moment is not taken for what the one before left half-written", async () => {
  const directory = await mkdtemp(join(tmpdir(), "slipway-first-"));
  const incoming = join(directory, "slipway", "incoming");
  await mkdir(incoming, { recursive: true });
  // So many that it is sent more before they are gone.
  for (let left = 0; left < 1_000; left += 1) writeFileSync(join(incoming, `left-${left}`), "");
  const port = 21_000 + (process.pid % 9_000); // the system gives it to nobody
  const starting = startRegistry({ directory, port });
  starting.catch(() => {}); // told below
  const at = `http://127.0.0.1:${port}`;
  try {
    const begin = (): Promise<Response | undefined> =>
      fetch(`${at}/v2/shop/web/blobs/uploads/`, { method: "POST" }).catch(() => undefined);
    const begun = await until("it to listen", begin, { everyMs: 1 });
    await starting;
    const location = begun.headers.get("location");
    const ended = await fetch(`${at}${location}?digest=${sha256("first")}`, { method: "PUT", body: "first" });
    assert.equal(ended.status, 201);
    assert.deepEqual(await readdir(incoming), []);
  } finally {
    await (await starting.catch(() => undefined))?.close();
    await rm(directory, { recursive: true, force: true });
  }
});

test("what was pushed is there after a restart, and garbage goes after its grace", async () => {
  const directory = await mkdtemp(join(tmpdir(), "slipway-restart-"));
  try {
    const kept = registry;
    registry = await startRegistry({ directory, port: 0 });
    const body = await manifestOf("kept");
    await putManifest("shop/kept", "v1", body);
    const orphan = await putBlob("orphan");
    await registry.close();
    registry = await startRegistry({ directory, port: 0 });
    assert.equal(await (await call("/v2/shop/kept/manifests/v1")).text(), body);
    const later = (await import("node:fs/promises"))
      .stat(registry.layout.blobPath(orphan))
      .then((facts) => facts.mtimeMs + 2000);
    const swept = await collectGarbage(registry.layout, { now: await later, graceMs: 60_000 });
    assert.deepEqual(swept, { blobs: [], freedBytes: 0 });
    const { blobs } = await collectGarbage(registry.layout, { now: await later, graceMs: 1000 });
    assert.deepEqual(
      blobs.map(({ digest }) => digest),
      [orphan],
    );
    assert.equal((await call(`/v2/shop/kept/blobs/${orphan}`)).status, 404);
    assert.equal(await (await call("/v2/shop/kept/manifests/v1")).text(), body);
    await registry.close();
    registry = kept;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
