/**
 * Runs the guides: blocks with `file=NAME` become files, `sh run` and `ts run` are run in order in one empty folder.
 * What the guides say therefore works, or this fails.
 */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
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

const guides: { readonly name: string; readonly blocks: readonly Block[] }[] = [];
for (const name of globSync("*.md", { cwd: import.meta.dirname }).sort()) {
  const blocks = blocksOf(await readFile(join(import.meta.dirname, name), "utf8"));
  if (blocks.some(({ info }) => info.endsWith(" run"))) guides.push({ name, blocks });
}

/** Each guide has a folder and a world of its own, and mostly waits: for pods to be ready, for a bake to be over. */
const AT_A_TIME = 4;

describe("the guides", { concurrency: AT_A_TIME }, () => {
  for (const { name, blocks } of guides) test(`${name} works as it is written`, () => runGuide(blocks));
});

async function runGuide(blocks: readonly Block[]): Promise<void> {
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
      // What a guide says is refused must be: `set -e` passes over a line that begins with `!`.
      if (info === "sh run")
        script += text.replaceAll(/^! (.+)$/gm, "if $1\nthen echo 'this should fail' >&2; exit 1; fi");
    }
    // As for its reader: the program in one piece that `npm ci` has made, where the sources are still those.
    const { SLIPWAY_SOURCES: _, ...rest } = process.env;
    const env = { ...rest, PATH: `${bin}:${dirname(process.execPath)}:${process.env["PATH"]}` };
    const result = await exec(["sh", "-c", script], { cwd: folder, env });
    assert.equal(result.exitCode, 0, result.stdout + result.stderr);
  } finally {
    await exec([join(bin, "slipway"), "local", "down", "--delete"], { cwd: folder });
    await rm(folder, { recursive: true, force: true });
  }
}
