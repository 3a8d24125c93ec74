import assert from "node:assert/strict";
import { test } from "node:test";
import { isSameSecret, newSecret } from "./secret.ts";

test("a secret is the same as itself alone, whatever is shown instead", () => {
  const secret = newSecret();
  assert.notEqual(secret, newSecret());
  assert.equal(isSameSecret(secret, secret), true);
  for (const given of ["", secret.slice(1), `${secret}=`, `${secret.slice(0, -1)}é`, secret.toUpperCase()])
    assert.equal(isSameSecret(given, secret), false, given);
});
