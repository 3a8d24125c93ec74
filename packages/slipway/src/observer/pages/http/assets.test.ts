import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { assetOf, encodingOf, readAssets } from "./assets.ts";

test("files by path, compressed, those with a hash in their name kept for ever", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-pages-"));
  try {
    await mkdir(join(folder, "assets"));
    const script = "console.log('x');\n".repeat(200);
    await writeFile(join(folder, "index.html"), "<!doctype html>");
    await writeFile(join(folder, "assets", "index-1a2b.js"), script);
    await symlink("/etc/passwd", join(folder, "assets", "passwd.txt"));
    const assets = await readAssets(folder);
    assert.deepEqual([...(assets?.keys() ?? [])].sort(), ["/", "/assets/index-1a2b.js", "/index.html"]);
    const page = assets?.get("/");
    assert.deepEqual([page?.type, page?.cacheControl], ["text/html; charset=utf-8", "no-cache"]);
    const asset = assets?.get("/assets/index-1a2b.js");
    assert.match(asset?.type ?? "", /javascript/);
    assert.match(asset?.cacheControl ?? "", /immutable/);
    assert.equal(brotliDecompressSync(asset?.bodies.br as Buffer).toString(), script);
    assert.equal(gunzipSync(asset?.bodies.gzip as Buffer).toString(), script);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("without a page there are none", async () => {
  assert.equal(await readAssets("/nowhere/at/all"), undefined);
});

test("the encoding is one that both know", async () => {
  const asset = await assetOf("/a.js", Buffer.from("x".repeat(1000)));
  const cases: readonly [string | undefined, string][] = [
    ["gzip, deflate, br", "br"],
    ["gzip, br;q=0", "gzip"],
    ["gzip;q=0.5, br;q=0.0", "gzip"],
    ["br;q=0.1", "br"],
    ["gzip;q=0,br;q=0", "identity"],
    ["brotli, xgzip", "identity"],
    ["", "identity"],
    [undefined, "identity"],
  ];
  for (const [accepted, encoding] of cases) assert.equal(encodingOf(accepted, asset), encoding, accepted);
  assert.equal(encodingOf("br", await assetOf("/a.png", Buffer.alloc(1000))), "identity");
});
