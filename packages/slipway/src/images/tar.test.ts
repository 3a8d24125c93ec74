import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { normalPath, type PlacedEntry, padding, readTar, TAR_END, type TarEntry, tarHeader } from "./tar.ts";

const entry = (path: string, over: Partial<TarEntry> = {}): TarEntry => ({
  path,
  kind: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 1_700_000_000,
  link: "",
  ...over,
});

async function list(archive: Buffer): Promise<PlacedEntry[]> {
  const readAt = (offset: number, length: number): Promise<Buffer> =>
    Promise.resolve(archive.subarray(offset, offset + length));
  const entries: PlacedEntry[] = [];
  for await (const one of readTar(readAt, "test")) entries.push(one);
  return entries;
}

function archiveOf(entries: readonly [TarEntry, Buffer][]): Buffer {
  const parts = entries.flatMap(([head, body]) => [
    tarHeader(head),
    body,
    Buffer.alloc(padding(body.length)),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

test("what is written is read back, with the place of its content", async () => {
  const body = Buffer.from("hello");
  const archive = archiveOf([
    [entry("a", { kind: "directory", mode: 0o1777 }), Buffer.alloc(0)],
    [entry("a/b", { size: 5, uid: 1000, gid: 33, mode: 0o4755 }), body],
    [entry("a/c", { kind: "symlink", link: "../x", mode: 0o777 }), Buffer.alloc(0)],
    [entry("a/d", { kind: "link", link: "a/b" }), Buffer.alloc(0)],
  ]);
  const entries = await list(archive);
  assert.deepEqual(
    entries.map(({ path, kind, mode, uid, link }) => [path, kind, mode, uid, link]),
    [
      ["a", "directory", 0o1777, 0, ""],
      ["a/b", "file", 0o4755, 1000, ""],
      ["a/c", "symlink", 0o777, 0, "../x"],
      ["a/d", "link", 0o644, 0, "a/b"],
    ],
  );
  const file = entries[1] as PlacedEntry;
  assert.equal(archive.toString("utf8", file.offset, file.offset + file.size), "hello");
});

test("any name and link survives, whatever its length and script", async () => {
  const part = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 90 })
    .filter((text) => !/[/\0]/.test(text) && text !== "." && text !== "..");
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { minLength: 1, maxLength: 6 }),
      fc.array(part, { maxLength: 4 }),
      async (names, link) => {
        const written = entry(names.join("/"), { kind: "symlink", link: link.join("/") });
        const [read] = await list(archiveOf([[written, Buffer.alloc(0)]]));
        assert.equal(read?.path, written.path);
        assert.equal(read?.link, written.link);
      },
    ),
    { numRuns: 200, seed: 7 },
  );
});

test("GNU long names and base-256 sizes are understood", async () => {
  const name = "n".repeat(150);
  const longName = tarHeader(entry("././@LongLink", { size: name.length + 1 }));
  longName.write("L", 156, "latin1");
  fixChecksum(longName);
  const head = tarHeader(entry("short", { size: 3 }));
  head.fill(0, 124, 136);
  head[124] = 0x80;
  head[135] = 3;
  fixChecksum(head);
  const nameBody = Buffer.alloc(512);
  nameBody.write(name);
  const entries = await list(Buffer.concat([longName, nameBody, head, Buffer.alloc(512, "x"), TAR_END]));
  assert.deepEqual(
    entries.map(({ path, size }) => [path, size]),
    [[name, 3]],
  );
});

test("a flipped bit in a header is an error that says where", async () => {
  const archive = archiveOf([[entry("a"), Buffer.alloc(0)]]);
  archive[0] = 0x62;
  await assert.rejects(list(archive), { code: "IMAGE_ARCHIVE_DAMAGED" });
});

test("paths are made relative and cannot climb out", () => {
  const table: [string, string][] = [
    ["./a/b/", "a/b"],
    ["/etc/passwd", "etc/passwd"],
    ["../../etc", "etc"],
    ["a//./b/../c", "a/c"],
    [".", ""],
  ];
  for (const [path, expected] of table) assert.equal(normalPath(path), expected, path);
});

function fixChecksum(block: Buffer): void {
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block.subarray(0, 512)) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8, "latin1");
}
