import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { renderPreflightReference } from "./preflight-reference.ts";
import { configError } from "./problems.ts";
import { configSchema } from "./schema.ts";

const page = join(import.meta.dirname, "../../../../docs/reference/preflight.md");

test("the page of preflight is what the checks say (UPDATE=1 writes it again)", async () => {
  const text = renderPreflightReference();
  if (process.env["UPDATE"] === "1") await writeFile(page, text);
  assert.equal(await readFile(page, "utf8"), text);
});

const config = (preflight: object) => ({
  name: "shop",
  manifests: ["k8s"],
  environments: { local: { clusters: { tokyo: { kind: "local" } } } },
  preflight,
});

test("a misspelt code is refused with the right one, a wrong severity with the right ones", () => {
  const misspelt = configSchema.safeParse(config({ SPREAD_MISING: "off" }));
  assert.equal(misspelt.success, false);
  assert.equal(configError("slipway.config.ts", misspelt.error).hint, 'Did you mean "SPREAD_MISSING"?');
  const wrong = configSchema.safeParse(config({ SPREAD_MISSING: "warn" }));
  assert.equal(wrong.success, false);
  assert.match(
    configError("slipway.config.ts", wrong.error).message,
    /should be "error" or "warning" or "off"/,
  );
});
