import assert from "node:assert/strict";
import { test } from "node:test";
import { recordOf } from "../testing.ts";
import { renderRecord } from "./record-text.ts";

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;

test("what a release holds is told by its name, as long as anything knows it", () => {
  const image = { name: "web", digest: digest("a"), reference: "registry.test/web" };
  const failed = recordOf(2, { images: [image], content: digest("c") });
  const by = { by: 1, at: 0, reason: "failed" } as const;
  const rollback = recordOf(3, {
    kind: "rollback",
    held: [digest("a"), digest("c"), digest("d"), digest("e")],
    heldBefore: [
      { ...by, what: digest("d"), name: "image jobs" },
      { ...by, what: digest("e") },
    ],
  });
  const lines = renderRecord(rollback, 0, [rollback, failed]).split("\n");
  assert.deepEqual(
    lines.filter((line) => line.startsWith("  holds")),
    [
      "  holds    image web (sha256:aaaaaaaaaaaa)",
      "  holds    release 2 as a whole (sha256:cccccccccccc)",
      "  holds    image jobs (sha256:dddddddddddd) (since release 1)",
      "  holds    sha256:eeeeeeeeeeee (since release 1)",
    ],
  );
});
