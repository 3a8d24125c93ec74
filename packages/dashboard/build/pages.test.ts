import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { builtPages } from "./pages.ts";

const mostBytes = 250_000;

test("the pages are at most 250 kB gzipped, in all", async () => {
  const folder = await builtPages();
  const sizes = globSync("**/*.{html,js,css,svg}", { cwd: folder }).map((file) => ({
    file,
    bytes: gzipSync(readFileSync(join(folder, file)), { level: 9 }).length,
  }));
  const all = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  assert.ok(all > 50_000, "there are pages");
  assert.ok(all <= mostBytes, `${all} bytes: ${JSON.stringify(sizes)}`);
});

test("nothing stands inline and nothing comes from elsewhere: a strict policy has to be enough", async () => {
  const html = readFileSync(join(await builtPages(), "index.html"), "utf8");
  assert.doesNotMatch(html, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?:/);
  for (const [, address] of html.matchAll(/(?:src|href)="([^"]+)"/g)) assert.match(address ?? "", /^\.\//);
});

test("two that find the pages missing at the same time both get them, and nothing is left over", async () => {
  const dist = await mkdtemp(join(tmpdir(), "slipway-dashboard-"));
  try {
    const [one, two] = await Promise.all([builtPages(dist), builtPages(dist)]);
    assert.equal(one, two);
    assert.ok(existsSync(join(one, "index.html")));
    assert.equal((await readdir(dist)).length, 1);
    const { ino } = await stat(one);
    assert.equal(await builtPages(dist), one);
    assert.equal((await stat(one)).ino, ino, "what is built is not built again");
  } finally {
    await rm(dist, { recursive: true });
  }
});
