/**
 * Runs the guides: blocks with `file=NAME` become files, `sh run` and `ts run` are run in order in one empty folder.
 * What the guides say therefore works, or this fails.
 */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { exec } from "@slipway/base";

const root = join(import.meta.dirname, "..", "..");
const bin = join(root, "packages/slipway/bin");

interface Block {
  readonly info: string;
  readonly text: string;
}

function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```([^\n]+)\n([\s\S]*?)^```$/gm)].map(([, info = "", text = ""]) => ({
    info,
    text,
  }));
}

for (const guide of globSync("*.md", { cwd: import.meta.dirname }).sort()) {
  const blocks = blocksOf(await readFile(join(import.meta.dirname, guide), "utf8"));
  if (!blocks.some(({ info }) => info.endsWith(" run"))) continue;
  test(`the guide ${guide} works as it is written`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "slipway-guide-"));
    try {
      await symlink(join(root, "node_modules"), join(folder, "node_modules"));
      await writeFile(join(folder, ".gitignore"), "node_modules\n");
      let script = "set -eu\n";
      for (const [index, { info, text }] of blocks.entries()) {
        const file = /\bfile=(\S+)/.exec(info)?.[1] ?? (info === "ts run" ? `block-${index}.ts` : undefined);
        if (file !== undefined) {
          await mkdir(dirname(join(folder, file)), { recursive: true });
          await writeFile(join(folder, file), text);
        }
        if (info === "ts run") script += `node ${file}\n`;
        if (info === "sh run") script += text;
      }
      const env = { ...process.env, PATH: `${bin}:${dirname(process.execPath)}:${process.env["PATH"]}` };
      const result = await exec(["sh", "-c", script], { cwd: folder, env });
      assert.equal(result.exitCode, 0, result.stdout + result.stderr);
    } finally {
      await exec([join(bin, "slipway"), "local", "down", "--delete"], { cwd: folder });
      await rm(folder, { recursive: true, force: true });
    }
  });
}
