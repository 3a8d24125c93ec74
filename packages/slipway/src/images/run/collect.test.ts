/** From overlay's upper folder, as GNU tar packs it, to a layer: each form once. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bytesEntry, directoryEntry, type LayerEntry } from "../layer-entry.ts";
import { writeLayer } from "../layer-writer.ts";
import { ImageFiles } from "../layers.ts";
import { ImageLayout } from "../layout.ts";
import { padding, readTar, TAR_END, type TarEntry, tarHeader } from "../tar.ts";
import { knownRun, rememberRun, runKey } from "./cache.ts";
import { changedEntries } from "./collect.ts";

let folder: string;
let layout: ImageLayout;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-collect-test-"));
  layout = await ImageLayout.open(join(folder, "layout"));
});
after(() => rm(folder, { recursive: true, force: true }));

const entry = (path: string, kind: TarEntry["kind"], more: Partial<TarEntry> = {}): TarEntry => ({
  path,
  kind,
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 1_234_567,
  link: "",
  ...more,
});

const CAPABILITY = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";

test("deleted, opaque, linked, capable and unchanged", async () => {
  const lowerLayer = await writeLayer(
    layout,
    [directoryEntry("etc"), directoryEntry("same"), directoryEntry("opaque"), bytesEntry("etc/old", "old")],
    { mtime: 0, compression: "none" },
  );
  const archive = join(folder, "upper.tar");
  const upper: readonly (readonly [TarEntry, string])[] = [
    [entry("etc", "directory", { mode: 0o755 }), ""],
    [entry("etc/old", "character", { device: [0, 0] }), ""],
    [entry("same", "directory", { mode: 0o755 }), ""],
    [entry("opaque", "directory", { mode: 0o755, xattrs: { "trusted.overlay.opaque": "y" } }), ""],
    [
      entry("opaque/ping", "file", {
        size: 4,
        uid: 7,
        gid: 3_000_000,
        xattrs: { "security.capability": CAPABILITY, "user.note": "é" },
      }),
      "body",
    ],
    [entry("opaque/hard", "link", { link: "./opaque/ping" }), ""],
    [entry("opaque/soft", "symlink", { link: "../etc", mode: 0o777 }), ""],
    [entry("tty", "character", { device: [5, 1] }), ""],
  ];
  await writeFile(
    archive,
    Buffer.concat([
      ...upper.flatMap(([one, body]) => [
        tarHeader(one),
        Buffer.from(body),
        Buffer.alloc(padding(body.length)),
      ]),
      TAR_END,
    ]),
  );
  const lower = await ImageFiles.open(layout, { layers: [lowerLayer.descriptor] });
  const entries = await changedEntries(archive, lower);
  const layer = await writeLayer(layout, entries, { mtime: 42, compression: "none" });
  const bytes = await layout.read(layer.descriptor.digest);
  const read: LayerEntry[] = [];
  for await (const one of readTar(
    (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
    "layer",
  ))
    read.push({ ...one, content: undefined });
  assert.deepEqual(
    read.map(({ path, kind, mode, uid, gid, link }) =>
      [path, kind, mode.toString(8), uid, gid, link].join(" "),
    ),
    [
      "etc directory 755 0 0 ",
      "etc/.wh.old file 0 0 0 ",
      "opaque directory 755 0 0 ",
      "opaque/.wh..wh..opq file 0 0 0 ",
      "opaque/ping file 644 7 3000000 ",
      "opaque/soft symlink 777 0 0 ../etc",
      "tty character 644 0 0 ",
      "opaque/hard link 644 0 0 opaque/ping",
    ],
  );
  const ping = read.find(({ path }) => path === "opaque/ping");
  assert.deepEqual(ping?.xattrs, { "security.capability": CAPABILITY, "user.note": "é" });
  assert.deepEqual(read.find(({ path }) => path === "opaque")?.xattrs, undefined);
  assert.deepEqual(read.find(({ path }) => path === "tty")?.device, [5, 1]);
  assert.ok((read as unknown as TarEntry[]).every(({ mtime }) => mtime === 42));
});

test("the key of a command changes with everything that it sees, and with nothing else", async () => {
  const facts = {
    contents: ["sha256:a"],
    argv: ["sh", "-c", "x"],
    env: ["A=1"],
    user: "",
    workingDir: "/",
    network: "host" as const,
    mounts: [],
    ids: "all" as const,
    architecture: "amd64",
    mtime: 0,
  };
  const secret = (content: string) =>
    ({
      kind: "secret",
      id: "s",
      target: "/s",
      content: Buffer.from(content),
      mode: 0o400,
      uid: 0,
      gid: 0,
    }) as const;
  const bound = (diffId: string) =>
    ({
      kind: "bind",
      target: "/b",
      path: "/tree",
      diffId,
      layer: { mediaType: "", digest: "", size: 0 },
    }) as const;
  const others = [
    facts,
    { ...facts, contents: ["sha256:b"] },
    { ...facts, argv: ["sh", "-c", "y"] },
    { ...facts, env: ["A=2"] },
    { ...facts, user: "node" },
    { ...facts, workingDir: "/app" },
    { ...facts, network: "none" as const },
    { ...facts, ids: "one-uid" as const },
    { ...facts, architecture: "arm64" },
    { ...facts, mtime: 1 },
    { ...facts, mounts: [secret("1")] },
    { ...facts, mounts: [bound("1")] },
    { ...facts, mounts: [bound("2")] },
  ].map(runKey);
  assert.equal(new Set(others).size, others.length);
  assert.equal(runKey({ ...facts, mounts: [secret("1")] }), runKey({ ...facts, mounts: [secret("2")] }));

  await rememberRun(layout, "k", {
    descriptor: { mediaType: "", digest: `sha256:${"0".repeat(64)}`, size: 1 },
    diffId: "",
  });
  assert.equal(await knownRun(layout, "k"), undefined, "a layer that is gone is not known");
  await rememberRun(layout, "k", "empty");
  assert.equal(await knownRun(layout, "k"), "empty");
});
