// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables in Dockerfiles look like template strings
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ImageSourceConfig } from "../config/types.ts";
import { taggedBases } from "./tagged-bases.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-bases-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const DIGEST = `sha256:${"a".repeat(64)}`;

for (const [dockerfile, expected] of [
  ["FROM example.com/node:24\n", ["example.com/node:24"]],
  ["FROM alpine AS a\nFROM a\nCOPY --from=a /x /x\n", ["alpine"]],
  ["FROM alpine AS a\nFROM debian AS b\nFROM a\n", ["alpine"]], // b is not needed
  ["ARG TAG=3\nFROM alpine:${TAG}\n", ["alpine:5"]],
  [`FROM example.com/node@${DIGEST}\n`, []],
  ["FROM scratch\n", []],
  ["FROM slipway/node\n", []],
  ["FROM company/base\n", ["mirror.example.com/base:1"]],
  ["FROM other\n", []], // an image of the same configuration
  ["FROM alpine AS a\nFROM a AS b\n", ["alpine"]],
  ["FROM constructor\n", ["constructor"]], // nobody's stand-in
  ["ARG constructor\nFROM alpine:${constructor:-3}\n", ["alpine:3"]],
  ["FROM\n", []],
  ["RUN oops\n", []],
] as const) {
  test(`asked for of ${JSON.stringify(dockerfile)}`, async () => {
    const path = join(folder, "Dockerfile");
    await writeFile(path, dockerfile);
    const images: readonly ImageSourceConfig[] = [
      { name: "web", from: { kind: "context", context: folder, dockerfile: path, args: { TAG: "5" } } },
      { name: "other", from: { kind: "archive", archive: "other.tar" } },
    ];
    assert.deepEqual(await taggedBases(images, { "company/base": "mirror.example.com/base:1" }), expected);
  });
}

test("what has no Dockerfile names its bases itself, each is asked for once, and a missing Dockerfile is nothing", async () => {
  const gone = join(folder, "gone");
  const images: readonly ImageSourceConfig[] = [
    { name: "a", from: { kind: "ref", ref: "example.com/cache:7" } },
    { name: "b", from: { kind: "ref", ref: "example.com/cache:7" } },
    { name: "c", from: { kind: "ref", ref: `example.com/cache@${DIGEST}` } },
    { name: "d", from: { kind: "context", context: folder, dockerfile: gone, args: {} } },
  ];
  assert.deepEqual(await taggedBases(images), ["example.com/cache:7"]);
  // A command may push what the others stand on.
  const command: ImageSourceConfig = { name: "e", from: { kind: "command", command: ["true"] } };
  assert.deepEqual(await taggedBases([...images, command]), []);
});
