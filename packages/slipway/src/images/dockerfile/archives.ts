/** ADD unpacks local archives in Docker; doing something else here without a word would be wrong. */
import { open } from "node:fs/promises";
import { matchSources, type SourceTree } from "./tree.ts";

/** The first of the sources that Docker would unpack. */
export async function archiveAmong(
  tree: SourceTree,
  sources: readonly string[],
): Promise<string | undefined> {
  for (const source of sources) {
    for (const path of await matchSources(tree, source)) {
      const node = await tree.get(path, true);
      if (node?.content?.kind === "path" && (await isArchive(node.content.path))) return path;
    }
  }
  return undefined;
}

/** Docker goes by content, whatever the name: a tar, plain or packed with gzip, bzip2, xz or zstd. */
async function isArchive(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
    const head = buffer.toString("latin1", 0, bytesRead);
    const isPacked = ["\x1f\x8b", "BZh", "\xfd7zXZ\0", "\x28\xb5\x2f\xfd"].some((magic) =>
      head.startsWith(magic),
    );
    return isPacked || head.slice(257, 262) === "ustar";
  } finally {
    await file.close();
  }
}
