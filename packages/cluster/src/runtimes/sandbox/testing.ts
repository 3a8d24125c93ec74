/**
 * Images for tests, made from this machine's own programs and the libraries they link to, so that the sandbox can
 * be tried without a registry. Real images come from above, through the same `ImageSource`.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { ContainerStartError, type ImageConfig, type ImageSource, type ResolvedImage } from "../runtime.ts";
import { findTool } from "./system.ts";

export interface TestFile {
  readonly path: string;
  readonly type?: "file" | "directory" | "symlink" | "hardlink";
  readonly content?: Uint8Array | string;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface TestImage {
  readonly layers: readonly { readonly files: readonly TestFile[]; readonly compression?: "gzip" | "zstd" }[];
  readonly config: ImageConfig;
}

export class TestImages implements ImageSource {
  readonly #images = new Map<string, { resolved: ResolvedImage; blobs: Map<string, Buffer> }>();
  /** How often each reference was resolved. */
  readonly resolved: string[] = [];

  add(reference: string, image: TestImage): this {
    const blobs = new Map<string, Buffer>();
    const layers = image.layers.map(({ files, compression }) => {
      const tar = tarOf(files);
      const blob =
        compression === "gzip"
          ? gzipSync(tar, { level: 1 })
          : compression === "zstd"
            ? zstdCompressSync(tar)
            : tar;
      const digest = digestOf(blob);
      blobs.set(digest, blob);
      const suffix = compression === undefined ? "" : `+${compression}`;
      return {
        digest,
        mediaType: `application/vnd.oci.image.layer.v1.tar${suffix}`,
        size: blob.length,
        diffId: digestOf(tar),
      };
    });
    const id = `${reference}@${digestOf(Buffer.from(JSON.stringify({ layers, config: image.config })))}`;
    this.#images.set(reference, { resolved: { id, reference, layers, config: image.config }, blobs });
    return this;
  }

  resolve(reference: string): Promise<ResolvedImage> {
    this.resolved.push(reference);
    const image = this.#images.get(reference);
    if (image !== undefined) return Promise.resolve(image.resolved);
    return Promise.reject(
      new ContainerStartError("ErrImagePull", `failed to resolve reference "${reference}": not found`),
    );
  }

  openLayer(image: ResolvedImage, layerDigest: string): Promise<Readable> {
    const blob = this.#images.get(image.reference)?.blobs.get(layerDigest);
    if (blob === undefined) return Promise.reject(new Error(`no layer ${layerDigest}`));
    return Promise.resolve(Readable.from([blob]));
  }
}

function digestOf(data: Uint8Array): string {
  return `sha256:${createHash("sha256").update(data).digest("hex")}`;
}

/** A ustar archive; long names go into pax headers. */
export function tarOf(files: readonly TestFile[]): Buffer {
  const parts: Buffer[] = [];
  for (const file of files) {
    const content = Buffer.from(file.content ?? "");
    if (Buffer.byteLength(file.path) > 100 || Buffer.byteLength(file.link ?? "") > 100) {
      const pax = Buffer.from(paxRecord("path", file.path) + paxRecord("linkpath", file.link ?? ""));
      parts.push(header("pax", "x", pax.length, {}), pax, padding(pax.length));
    }
    const type = { file: "0", hardlink: "1", symlink: "2", directory: "5" }[file.type ?? "file"];
    parts.push(header(file.path.slice(0, 100), type, content.length, file), content, padding(content.length));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(body) + 1;
  while (String(length).length + Buffer.byteLength(body) !== length) length += 1;
  return `${length}${body}`;
}

function padding(size: number): Buffer {
  return Buffer.alloc((512 - (size % 512)) % 512);
}

function header(path: string, type: string, size: number, file: Partial<TestFile>): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, width: number): void =>
    void block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  block.write(path, 0, 100, "utf8");
  octal(file.mode ?? (type === "5" ? 0o755 : 0o644), 100, 8);
  octal(file.uid ?? 0, 108, 8);
  octal(file.gid ?? 0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  block.write("        ", 148, "latin1");
  block.write(type, 156, "latin1");
  block.write((file.link ?? "").slice(0, 100), 157, 100, "utf8");
  block.write("ustar\0" + "00", 257, "latin1");
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** `node` and a few POSIX programs, each at its path on this machine, with the libraries they link to. */
export function hostLayer(programs: readonly string[], options: { node?: boolean } = {}): TestFile[] {
  const files = new Map<string, TestFile>();
  const add = (path: string, from = path): void => {
    if (files.has(path)) return;
    files.set(path, { path: path.slice(1), content: readFileSync(realpathSync(from)), mode: 0o755 });
    for (const library of librariesOf(realpathSync(from))) add(library);
  };
  for (const program of programs) {
    const path = findTool(program);
    if (path === undefined) throw new Error(`this machine has no ${program}`);
    add(`/usr/bin/${program}`, path);
  }
  if (options.node === true) add("/usr/local/bin/node", process.execPath);
  return [
    { path: "tmp", type: "directory", mode: 0o1777 },
    { path: "bin", type: "symlink", link: "usr/bin" },
    ...[...files.values()],
    {
      path: "etc/passwd",
      content:
        "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n",
    },
    { path: "etc/group", content: "root:x:0:\nwww-data:x:33:\napp:x:1000:\nextra:x:44:app\n" },
    { path: "etc/nsswitch.conf", content: "hosts: files dns\n" },
  ];
}

function librariesOf(program: string): string[] {
  let text: string;
  try {
    text = execFileSync("ldd", [program], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return []; // linked statically
  }
  return text
    .split("\n")
    .map((line) => /(\/\S+) \(0x/.exec(line)?.[1])
    .filter((path) => path !== undefined);
}

/** A folder of this machine, as files of a layer. */
export function hostTree(path: string): TestFile[] {
  return readdirSync(path).flatMap((name): TestFile[] => {
    const full = join(path, name);
    const entry = lstatSync(full);
    if (entry.isDirectory()) return hostTree(full);
    if (entry.isSymbolicLink()) {
      const link = readlinkSync(full);
      return [
        {
          path: full.slice(1),
          type: "symlink",
          link: link.startsWith("/") ? link : join(dirname(full), link),
        },
      ];
    }
    return entry.isFile()
      ? [{ path: full.slice(1), content: readFileSync(full), mode: entry.mode & 0o7777 }]
      : [];
  });
}
