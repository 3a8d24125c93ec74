import assert from "node:assert/strict";
import { test } from "node:test";
import { renderError, SlipwayError, systemCode } from "./error.ts";
import { nearest, renderTable } from "./table.ts";

test("an error reads place, fact, and on the next line what to do", () => {
  const error = new SlipwayError({
    code: "X",
    where: "k8s/web.yaml:3:7",
    message: "does not parse",
    hint: "Mend it.",
  });
  assert.equal(renderError(error), "k8s/web.yaml:3:7: does not parse\n  Mend it.");
  assert.deepEqual(error.toJSON(), {
    code: "X",
    where: "k8s/web.yaml:3:7",
    message: "does not parse",
    hint: "Mend it.",
  });
  assert.equal(systemCode(Object.assign(new Error("x"), { code: "ENOENT" })), "ENOENT");
  assert.equal(systemCode("ENOENT"), undefined);
});

test("a table is aligned and leaves no blanks at the end", () => {
  assert.equal(
    renderTable([
      ["NAME", "READY", "X"],
      ["web-ü", "1/1", ""],
    ]),
    "NAME   READY  X\nweb-ü  1/1",
  );
});

test("the nearest known word is suggested, if it is near", () => {
  const known = ["manifests", "images", "environments"];
  assert.deepEqual(
    ["manifest", "imges", "enviroments", "zzz"].map((word) => nearest(word, known)),
    ["manifests", "images", "environments", undefined],
  );
});
