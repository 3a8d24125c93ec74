import assert from "node:assert/strict";
import { test } from "node:test";
import { keepReferences } from "./steps.ts";

const built = (digest: string, reference: string | undefined) => ({
  name: "web",
  digest,
  reference,
  layout: "",
});

test("an image that is the same as in an earlier release keeps the reference it had there", () => {
  const releases = [
    { images: [{ digest: "sha256:b", reference: "localhost:5000/shop/web:two@sha256:b" }] },
    { images: [{ digest: "sha256:a", reference: "localhost:5000/shop/web:one@sha256:a" }] },
  ];
  const table: readonly (readonly [string, string | undefined, string | undefined])[] = [
    // digest, reference of this build, reference that is deployed
    ["sha256:a", "localhost:5000/shop/web:three@sha256:a", "localhost:5000/shop/web:one@sha256:a"],
    ["sha256:c", "localhost:5000/shop/web:three@sha256:c", "localhost:5000/shop/web:three@sha256:c"],
    // Another registry, or another port of the local one: the earlier reference may lead nowhere.
    ["sha256:a", "localhost:5001/shop/web:three@sha256:a", "localhost:5001/shop/web:three@sha256:a"],
    ["sha256:a", undefined, undefined],
  ];
  for (const [digest, reference, expected] of table) {
    assert.equal(keepReferences([built(digest, reference)], releases)[0]?.reference, expected);
  }
});
