import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, globSync, readFileSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
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

test("two that find the pages missing at the same time both get them", async () => {
  await rm(join(await builtPages(), "made-of"));
  const program = join(import.meta.dirname, "pages.ts");
  const runs = [1, 2].map(() => promisify(execFile)(process.execPath, [program]));
  for (const { stdout } of await Promise.all(runs)) assert.ok(existsSync(join(stdout.trim(), "index.html")));
});

test("pages that are built are not built again", async () => {
  const made = (folder: string): Promise<number> => stat(join(folder, "made-of")).then(({ ino }) => ino);
  const first = await made(await builtPages());
  assert.equal(await made(await builtPages()), first);
});
