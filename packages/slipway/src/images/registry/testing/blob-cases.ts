/** Blobs as they are read, asked for and deleted. */
import assert from "node:assert/strict";
import { type Cases, data, sha256 } from "./speaker.ts";

export const blobCases: Cases = {
  "GET /v2/ says that the API is here": async (speak) => {
    const response = await speak.expect(200, "/v2/");
    assert.equal(response.headers.get("docker-distribution-api-version"), "registry/2.0");
  },

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
};
