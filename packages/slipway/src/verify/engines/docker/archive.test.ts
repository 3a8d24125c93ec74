import assert from "node:assert/strict";
import { once } from "node:events";
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readTar } from "../../../images/tar.ts";
import { fileArchive, folderArchive, kindOnThisMachine } from "./archive.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-archive-"));
});
after(() => rm(folder, { recursive: true, force: true }));

async function bytesOf(archive: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function entriesOf(archive: AsyncIterable<Uint8Array>): Promise<readonly string[]> {
  const bytes = await bytesOf(archive);
  assert.equal(bytes.length % 512, 0);
  const told: string[] = [];
  const read = async (at: number, length: number) => bytes.subarray(at, at + length);
  for await (const { path, kind, mode, mtime, size, link, offset } of readTar(read, "archive")) {
    const text = kind === "file" ? ` ${JSON.stringify(bytes.toString("utf8", offset, offset + size))}` : "";
    told.push(`${kind} ${path} ${mode.toString(8)} ${mtime}${text}${link === "" ? "" : ` -> ${link}`}`);
  }
  return told;
}

test("a folder goes with its modes, times and links as they are; a socket in it does not", async () => {
  const root = join(folder, "desk");
  const long = "n".repeat(120);
  await mkdir(join(root, "deep", long), { recursive: true });
  await writeFile(join(root, "deep", "run.sh"), "exit 0\n");
  await writeFile(join(root, "deep", long, "empty"), "");
  await symlink("deep/run.sh", join(root, "run"));
  const modes = {
    "deep/run.sh": 0o750,
    [`deep/${long}/empty`]: 0o600,
    [`deep/${long}`]: 0o755,
    deep: 0o711,
    "": 0o755,
  };
  for (const [path, mode] of Object.entries(modes)) await chmod(join(root, path), mode);
  const server = createServer().listen(join(root, "socket"));
  try {
    await once(server, "listening");
    for (const path of Object.keys(modes)) await utimes(join(root, path), 1_000, 1_000);
    const told = await entriesOf(folderArchive(root, "desk"));
    assert.deepEqual(
      told.map((line) => line.replace(/^(symlink \S+ \d+) \d+/, "$1")),
      [
        "directory desk 755 1000",
        "directory desk/deep 711 1000",
        `directory desk/deep/${long} 755 1000`,
        `file desk/deep/${long}/empty 600 1000 ""`,
        'file desk/deep/run.sh 750 1000 "exit 0\\n"',
        "symlink desk/run 777 -> deep/run.sh",
      ],
    );
    const [first = ""] = await entriesOf(folderArchive(root, ""));
    assert.equal(first, "directory deep 711 1000");
  } finally {
    server.close();
  }
});

test("a file that grows meanwhile is cut where it was; one that shrinks is an error", async () => {
  const path = join(folder, "log");
  await writeFile(path, "x".repeat(600));
  const growing = fileArchive(path, "var/log/app");
  const first = await growing.next();
  await appendFile(path, "y".repeat(600));
  const rest = await bytesOf(growing);
  const whole = Buffer.concat([first.value as Uint8Array, rest]);
  assert.equal(whole.subarray(512, 1112).toString(), "x".repeat(600));
  assert.equal(whole.length, 512 + 1024 + 1024);

  const shrinking = fileArchive(path, "var/log/app");
  await shrinking.next();
  await truncate(path, 10);
  await assert.rejects(bytesOf(shrinking), { code: "ENGINE_COPY_CHANGED", where: path });
});

test("a link counts as what it leads to", async () => {
  const root = join(folder, "kinds");
  await mkdir(root);
  await writeFile(join(root, "file"), "");
  await symlink("file", join(root, "to-file"));
  await symlink(".", join(root, "to-folder"));
  await symlink("nothing", join(root, "to-nothing"));
  const kinds = ["file", "to-file", "to-folder", "to-nothing", "nothing"].map((name) =>
    kindOnThisMachine(join(root, name)),
  );
  assert.deepEqual(kinds, ["file", "file", "folder", "absent", "absent"]);
  assert.equal(kindOnThisMachine("/dev/null"), "other");
});
