/** Uploads: whole, in chunks, mounted, given up, refused. */
import assert from "node:assert/strict";
import { type Cases, data, digestBy, locationOf, OCTETS, range, sha256, withDigest } from "./speaker.ts";

export const uploadCases: Cases = {
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
};
