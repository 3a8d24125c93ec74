import assert from "node:assert/strict";
import { test } from "node:test";
import type { BuildEvent } from "./build.ts";
import { wholeLines } from "./whole-lines.ts";

test("pieces of output become lines, each image's own, and nothing is lost at the end or before another event", () => {
  const seen: string[] = [];
  const lines = wholeLines<BuildEvent>((event) =>
    seen.push(event.kind === "output" ? event.text : event.kind),
  );
  const output = (text: string, image = "web"): void => lines.emit({ kind: "output", image, text });
  output("unshare: ");
  output("failed\n  two\n\nth");
  output("other ", "api");
  output("ree\n");
  output("image\n", "api");
  output("no line end");
  lines.emit({ kind: "built", image: "web", digest: "", layers: 1 } satisfies BuildEvent);
  output("last");
  lines.end();
  assert.deepEqual(seen, [
    "unshare: failed\n",
    "  two\n",
    "\n",
    "three\n",
    "other image\n",
    "no line end\n",
    "built",
    "last\n",
  ]);
});
