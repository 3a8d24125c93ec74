import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { configJsonSchema, renderConfigReference } from "./reference.ts";

const page = join(import.meta.dirname, "../../../../docs/reference/config.md");

test("the reference page is what the schema says (UPDATE=1 writes it again)", async () => {
  const text = renderConfigReference();
  if (process.env["UPDATE"] === "1") await writeFile(page, text);
  assert.equal(await readFile(page, "utf8"), text);
});

test("the JSON Schema refuses unknown keys, as the validator does", () => {
  const schema = configJsonSchema() as { additionalProperties?: unknown; required?: readonly string[] };
  assert.equal(schema.additionalProperties, false);
  assert.deepEqual(schema.required, ["name", "manifests", "environments"]);
});
