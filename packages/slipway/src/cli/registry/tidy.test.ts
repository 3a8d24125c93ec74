import assert from "node:assert/strict";
import { test } from "node:test";
import { asNeeds, tidiedText } from "./tidy.ts";

const digest = `sha256:${"a".repeat(64)}`;

test("a reference with a digest needs that, one without whatever its tag stands for", () => {
  const needs = asNeeds([
    `127.0.0.1:5000/shop/web:v1@${digest}`,
    "redis:7",
    "ghcr.io/team/web",
    "Not An Image",
  ]);
  assert.deepEqual([...needs.digests], [digest]);
  assert.deepEqual([...needs.names], ["library/redis:7", "team/web:latest"]);
});

test("what was deleted, in words", () => {
  const needs = asNeeds([`127.0.0.1:5000/shop/web:v1@${digest}`]);
  const tidied = {
    repositories: [
      { repository: "shop/web", tags: ["v1", "v2"], manifests: [digest] },
      { repository: "shop/api", tags: [], manifests: [digest, digest] },
    ],
    swept: { blobs: [{ digest, size: 2_345_678 }], freedBytes: 2_345_678 },
  };
  assert.equal(
    tidiedText(tidied, needs, true),
    [
      "would drop shop/web: tags v1, v2; 1 image",
      "would drop shop/api: 2 images",
      "would free 2.3 MB, 1 blob",
      "releases and pods need 1 image, which stay",
    ].join("\n"),
  );
  assert.match(
    tidiedText({ repositories: [], swept: { blobs: [], freedBytes: 0 } }, needs, false),
    /^freed 0.0 MB, 0 blobs\n/,
  );
});
