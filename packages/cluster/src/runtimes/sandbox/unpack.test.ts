import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { readTar } from "./tar.ts";
import { type TestFile, tarOf } from "./testing.ts";
import { flatten, unpack, whiteoutsFile } from "./unpack.ts";

const directory = mkdtempSync(join(tmpdir(), "slipway-unpack-"));
after(() => rmSync(directory, { recursive: true, force: true }));

async function unpackFiles(
  name: string,
  files: readonly TestFile[],
  compress: (data: Buffer) => Buffer = (data) => data,
  mediaType = "application/vnd.oci.image.layer.v1.tar",
): Promise<string> {
  const tar = tarOf(files);
  const archive = join(directory, `${name}.archive`);
  writeFileSync(archive, compress(tar));
  const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
  await unpack({ do: "unpack", archive, mediaType, diffId, directory, name, owners: false });
  return join(directory, name);
}

test("files, folders, links and modes arrive as they were packed, whatever the compression", async () => {
  const long = `${"deep/".repeat(30)}file`;
  const files: TestFile[] = [
    { path: "./etc", type: "directory", mode: 0o555 },
    { path: "etc/hello", content: "hi", mode: 0o4755 },
    { path: "etc/link", type: "symlink", link: "hello" },
    { path: "etc/same", type: "hardlink", link: "etc/hello" },
    { path: long, content: "long" },
    { path: "empty" },
  ];
  const root = await unpackFiles("plain", files);
  await unpackFiles("gz", files, gzipSync, "application/vnd.docker.image.rootfs.diff.tar.gzip");
  await unpackFiles("zst", files, zstdCompressSync, "application/vnd.oci.image.layer.v1.tar+zstd");
  for (const other of [root, join(directory, "gz"), join(directory, "zst")]) {
    assert.equal(readFileSync(join(other, "etc/hello"), "utf8"), "hi");
    assert.equal(statSync(join(other, "etc/hello")).mode & 0o7777, 0o4755);
    assert.equal(statSync(join(other, "etc")).mode & 0o7777, 0o555);
    assert.equal(readlinkSync(join(other, "etc/link")), "hello");
    assert.equal(statSync(join(other, "etc/same")).ino, statSync(join(other, "etc/hello")).ino);
    assert.equal(readFileSync(join(other, long), "utf8"), "long");
    assert.equal(statSync(join(other, "empty")).size, 0);
  }
});

test("a layer that wants out of its folder is refused, by name and by link", async () => {
  await assert.rejects(unpackFiles("dots", [{ path: "../evil", content: "x" }]), /leaves the layer/);
  const inside = `${basename(directory)}-inside`; // nobody else's in /tmp
  const root = await unpackFiles("linked", [
    { path: "out", type: "symlink", link: "/tmp" },
    { path: "up", type: "symlink", link: "../../../.." },
    { path: `out/${inside}`, content: "x" },
    { path: "up/top", content: "y" },
  ]);
  assert.equal(
    readFileSync(join(root, "tmp", inside), "utf8"),
    "x",
    "as it would be for a process in the root",
  );
  assert.equal(readFileSync(join(root, "top"), "utf8"), "y");
  assert.ok(!existsSync(join("/tmp", inside)));
});

test("content that is not what the image says leaves nothing behind", async () => {
  const archive = join(directory, "wrong.archive");
  writeFileSync(archive, tarOf([{ path: "a", content: "x" }]));
  const job = { do: "unpack", archive, mediaType: "tar", directory, name: "wrong", owners: false } as const;
  await assert.rejects(unpack({ ...job, diffId: `sha256:${"0".repeat(64)}` }), /configuration says/);
  writeFileSync(archive, "this is no archive".repeat(100));
  await assert.rejects(unpack({ ...job, diffId: "" }), /no tar header at byte 0/);
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.includes("wrong")),
    ["wrong.archive"],
  );
});

test("what a layer deletes is noted and gone once the layers are flattened", async () => {
  await unpackFiles("low", [
    { path: "keep/a", content: "a" },
    { path: "keep/b", content: "b" },
    { path: "turned", content: "a file" },
    { path: "dir/old/x", content: "x" },
  ]);
  await unpackFiles("high", [
    { path: "keep/.wh.a" },
    { path: "dir/.wh..wh..opq" },
    { path: "dir/new", content: "n" },
    { path: "turned/now", content: "a folder" },
  ]);
  const whiteouts = JSON.parse(readFileSync(whiteoutsFile(directory, "high"), "utf8"));
  assert.deepEqual(whiteouts, { deleted: ["keep/a"], opaque: ["dir"], linked: [] });
  flatten(
    { do: "flatten", directory, name: "flat", lowers: ["low"], layer: "high", owners: false },
    whiteouts,
  );
  const flat = join(directory, "flat");
  assert.deepEqual(readdirSync(flat, { recursive: true }).sort(), [
    "dir",
    "dir/new",
    "keep",
    "keep/b",
    "turned",
    "turned/now",
  ]);
  assert.equal(
    statSync(join(flat, "keep/b")).ino,
    statSync(join(directory, "low/keep/b")).ino,
    "linked, not copied",
  );
  assert.ok(existsSync(join(directory, "low/keep/a")), "the lower layer itself is untouched");
});

test("what a layer deletes through a link is never deleted where the link leads", async () => {
  const outside = join(directory, "outside");
  mkdirSync(join(outside, "deep"), { recursive: true });
  writeFileSync(join(outside, "precious"), "x");
  await unpackFiles("leading", [
    { path: "via", type: "symlink", link: outside },
    { path: "opaque", type: "symlink", link: outside },
  ]);
  await unpackFiles("deleting", [
    { path: "via/.wh.precious" },
    { path: "via/deep/.wh.x" },
    { path: "opaque/.wh..wh..opq" },
  ]);
  const job = {
    do: "flatten",
    directory,
    name: "deleted",
    lowers: ["leading"],
    layer: "deleting",
    owners: false,
  } as const;
  flatten(job, JSON.parse(readFileSync(whiteoutsFile(directory, "deleting"), "utf8")));
  assert.equal(readFileSync(join(outside, "precious"), "utf8"), "x");
  await assert.rejects(unpackFiles("climbing", [{ path: "d/.wh..." }]), /leaves the layer/);
});

test("a hard link may lead to a layer below, if that has the file", async () => {
  await unpackFiles("below", [{ path: "d/a", content: "x" }]);
  await unpackFiles("above", [{ path: "b", type: "hardlink", link: "d/a" }]);
  const job = { do: "flatten", directory, lowers: ["below"], layer: "above", owners: false } as const;
  const whiteouts = JSON.parse(readFileSync(whiteoutsFile(directory, "above"), "utf8"));
  flatten({ ...job, name: "hard" }, whiteouts);
  assert.equal(statSync(join(directory, "hard/b")).ino, statSync(join(directory, "hard/d/a")).ino);
  assert.throws(() => flatten({ ...job, name: "none", lowers: [] }, whiteouts), /b is a hard link to d\/a/);
});

test("a tar that is cut short is refused, in pieces of any size", async () => {
  const tar = tarOf([{ path: "file", content: "x".repeat(2000) }]);
  const read = async (data: Buffer, pieceSize: number): Promise<number> => {
    let bytes = 0;
    async function* pieces(): AsyncGenerator<Buffer> {
      for (let at = 0; at < data.length; at += pieceSize) yield data.subarray(at, at + pieceSize);
    }
    await readTar(pieces(), {
      entry: () => {},
      data: (piece) => {
        bytes += piece.length;
      },
      end: () => {},
    });
    return bytes;
  };
  for (const size of [1, 100, 512, 10_000]) assert.equal(await read(tar, size), 2000);
  await assert.rejects(read(tar.subarray(0, 1500), 100), /cut short/);
});
