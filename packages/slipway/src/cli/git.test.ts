import assert from "node:assert/strict";
import { test } from "node:test";
import { publicAddress } from "./git.ts";

for (const [remote, address] of [
  ["git@github.com:team/web.git", "https://github.com/team/web"],
  ["https://user:secret@example.com/team/web.git", "https://example.com/team/web"],
  ["ssh://git@example.com:2222/team/web", "https://example.com/team/web"],
  ["example.com:team/web", "https://example.com/team/web"],
  ["/srv/git/web.git", undefined],
  ["../web", undefined],
  ["", undefined],
] as const) {
  test(`the source's address: ${remote}`, () => assert.equal(publicAddress(remote), address));
}
