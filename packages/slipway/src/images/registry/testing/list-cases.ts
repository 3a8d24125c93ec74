/** Lists of tags, repositories and referrers; names. */
import assert from "node:assert/strict";
import type { Cases } from "./speaker.ts";

export const listCases: Cases = {
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
