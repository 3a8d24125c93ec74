/**
 * Cases of layers over one another, with the file system that the OCI image specification says comes out of them
 * (layer.md: "Applying Changesets", "Whiteouts"; for links and devices, what tar says). Three suites use them: the
 * layer reader, the sandbox's unpacking, and a real engine's import.
 *
 * One line is one entry, in the order of the archive and of the result:
 *
 *     d/ 755 1:2      a folder with mode and owner (755 and 0:0 when left out)
 *     d/a 600 1:2: x  a file with content x (644, 0:0, empty)
 *     l -> ../t       a symbolic link
 *     h = d/a         a hard link
 *     p |             a named pipe
 *     c % 1,3         a character device
 */
import { padding, type ReadAt, readTar, TAR_END, type TarEntry, tarHeader } from "./tar.ts";

export interface LayerCase {
  readonly name: string;
  /** The lowest first. */
  readonly layers: readonly (readonly string[])[];
  readonly expected: readonly string[];
  /** Why an engine that unpacks into overlay's folders does something else. */
  readonly engineDiffers?: string;
  /** Needs a right that ordinary users have not. */
  readonly needsRoot?: true;
}

const LONG = "n".repeat(120);
const DEEP = Array.from({ length: 30 }, (_, index) => `folder-${index}`).join("/");
const deepFolders = DEEP.split("/").map((_, index, parts) => `${parts.slice(0, index + 1).join("/")}/`);

export const LAYER_CASES: readonly LayerCase[] = [
  { name: "a file", layers: [["a: 1"]], expected: ["a: 1"] },
  {
    name: "a later file covers an earlier one",
    layers: [["a: 1"], ["a 600 7:8: 2"]],
    expected: ["a 600 7:8: 2"],
  },
  {
    name: "a whiteout removes a file",
    layers: [
      ["d/", "d/a", "d/b"],
      ["d/", "d/.wh.a"],
    ],
    expected: ["d/", "d/b"],
  },
  {
    name: "a whiteout removes a folder with its content",
    layers: [
      ["d/", "d/e/", "d/e/f", "d/g"],
      ["d/", "d/.wh.e"],
    ],
    expected: ["d/", "d/g"],
  },
  { name: "a whiteout at the root", layers: [["a", "b"], [".wh.a"]], expected: ["b"] },
  {
    name: "a whiteout of what is not there",
    layers: [["a"], [".wh.zzz", "n/", "n/.wh.b"]],
    expected: ["a", "n/"],
  },
  { name: "a whiteout of a link leaves its target", layers: [["a", "l -> a"], [".wh.l"]], expected: ["a"] },
  {
    name: "removed, and back in a third layer with nothing of before",
    layers: [["d/", "d/old"], [".wh.d"], ["d/", "d/new"]],
    expected: ["d/", "d/new"],
  },
  {
    name: "a whiteout and a new file of one name",
    layers: [
      ["d/", "d/a: old"],
      ["d/", "d/.wh.a", "d/a: new"],
    ],
    expected: ["d/", "d/a: new"],
  },
  {
    name: "an opaque folder hides what was below",
    layers: [
      ["d/", "d/a", "d/e/", "d/e/f"],
      ["d/", "d/.wh..wh..opq", "d/new"],
    ],
    expected: ["d/", "d/new"],
  },
  {
    name: "an opaque mark after its folder's own content",
    layers: [
      ["d/", "d/a"],
      ["d/", "d/.first", "d/z", "d/.wh..wh..opq"],
    ],
    expected: ["d/", "d/.first", "d/z"],
  },
  {
    name: "an opaque folder in the middle, more above",
    layers: [
      ["d/", "d/a"],
      ["d/", "d/.wh..wh..opq", "d/b"],
      ["d/", "d/c"],
    ],
    expected: ["d/", "d/b", "d/c"],
  },
  {
    name: "an opaque folder deep in others",
    layers: [
      ["x/", "x/y/", "x/y/z/", "x/y/z/a", "x/k"],
      ["x/", "x/y/", "x/y/.wh..wh..opq"],
    ],
    expected: ["x/", "x/k", "x/y/"],
  },
  {
    name: "an opaque folder over a link",
    layers: [
      ["real/", "real/a", "via -> real"],
      ["via/", "via/.wh..wh..opq", "via/b"],
    ],
    expected: ["real/", "real/a", "via/", "via/b"],
  },
  {
    name: "a whiteout below a link does not reach its target",
    layers: [
      ["real/", "real/a", "via -> real"],
      ["via/", "via/.wh.a"],
    ],
    expected: ["real/", "real/a", "via/"],
  },
  {
    name: "an opaque mark at the root",
    layers: [
      ["a", "d/", "d/b"],
      [".wh..wh..opq", "c"],
    ],
    expected: ["c"],
    engineDiffers: "the kernel does not ask whether the root of a layer is opaque",
  },
  {
    name: "a folder covers a link",
    layers: [
      ["real/", "real/a", "via -> real"],
      ["via/", "via/b"],
    ],
    expected: ["real/", "real/a", "via/", "via/b"],
  },
  { name: "a folder becomes a file", layers: [["x/", "x/a"], ["x: file"]], expected: ["x: file"] },
  { name: "a file becomes a folder", layers: [["x: file"], ["x/", "x/a"]], expected: ["x/", "x/a"] },
  { name: "a folder becomes a link", layers: [["d/", "d/a", "e/"], ["d -> e"]], expected: ["d -> e", "e/"] },
  { name: "a link becomes a file", layers: [["t: t", "x -> t"], ["x: own"]], expected: ["t: t", "x: own"] },
  { name: "a file becomes a link", layers: [["t: t", "x: own"], ["x -> t"]], expected: ["t: t", "x -> t"] },
  {
    name: "folder, file, folder",
    layers: [["x/", "x/a"], ["x"], ["x/", "x/b"]],
    expected: ["x/", "x/b"],
  },
  {
    name: "a folder over a folder changes its mode and keeps the children",
    layers: [["x/ 755", "x/a"], ["x/ 700 5:6"]],
    expected: ["x/ 700 5:6", "x/a"],
  },
  {
    name: "one path twice in a layer: the later",
    layers: [["a: 1", "a 600: 2"]],
    expected: ["a 600: 2"],
    engineDiffers: "it refuses a layer that names a path twice",
  },
  {
    name: "a folder and then a file of its name",
    layers: [["x/", "x/a", "x: f"]],
    expected: ["x: f"],
    engineDiffers: "it refuses a layer that names a path twice",
  },
  {
    name: "names that begin with ./",
    layers: [
      ["./d/", "./d/a: 1"],
      ["./d/", "./d/.wh.a", "./d/b"],
    ],
    expected: ["d/", "d/b"],
  },
  {
    name: "hard links",
    layers: [["a: x", "b = a", "d/", "d/c = a"]],
    expected: ["a: x", "b = a", "d/", "d/c = a"],
  },
  {
    name: "a hard link stays when its target is removed above",
    layers: [["a: x", "b = a"], [".wh.a"]],
    expected: ["b: x"],
  },
  {
    name: "a hard link keeps the old content when its target is covered",
    layers: [["a: x", "b = a"], ["a: y"]],
    expected: ["a: y", "b: x"],
  },
  { name: "a hard link to a link", layers: [["t", "l -> t", "m = l"]], expected: ["l -> t", "m = l", "t"] },
  {
    name: "a hard link to a file of a lower layer",
    layers: [["d/", "d/a 640 3:4: x"], ["b = d/a"]],
    expected: ["b 640 3:4: x", "d/", "d/a = b"],
    engineDiffers: "it unpacks a layer without those below",
  },
  {
    name: "a file below a link of its own layer",
    layers: [["real/", "via -> real", "via/x: through"]],
    expected: ["real/", "real/x: through", "via -> real"],
  },
  {
    name: "links that lead nowhere, out of the root, and in a circle",
    layers: [["a -> none", "b -> ../../../b", "c -> /c", "d -> d"]],
    expected: ["a -> none", "b -> ../../../b", "c -> /c", "d -> d"],
  },
  {
    name: "modes: setuid, setgid, sticky, none",
    layers: [["s 4755", "g 2755", "t/ 1777", "n 0", "r/ 500"]],
    expected: ["g 2755", "n 0", "r/ 500", "s 4755", "t/ 1777"],
  },
  {
    name: "owners, also big ones",
    layers: [["a 644 1000:33", "b 644 65534:2097151", "c 644 2097152:3000000"]],
    expected: ["a 644 1000:33", "b 644 65534:2097151", "c 644 2097152:3000000"],
  },
  {
    name: "names and targets longer than a header holds",
    layers: [[`${LONG}: long`, ...deepFolders, `${DEEP}/x`, `l -> ${LONG}`, `h = ${LONG}`]],
    expected: [...deepFolders, `${DEEP}/x`, "h: long", `l -> ${LONG}`, `${LONG} = h`],
  },
  {
    name: "names beyond ASCII and with blanks",
    layers: [["é ü: 1", "日本"], [".wh.日本"]],
    expected: ["é ü: 1"],
  },
  { name: "a named pipe", layers: [["p |"]], expected: ["p |"] },
  { name: "a device", layers: [["c % 1,3"]], expected: ["c % 1,3"], needsRoot: true },
];

interface Line {
  readonly entry: TarEntry;
  readonly content: Buffer;
}

function parseLine(text: string): Line {
  const make = (path: string, kind: TarEntry["kind"], more: Partial<TarEntry>, content = ""): Line => ({
    entry: {
      path,
      kind,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 1,
      link: "",
      size: Buffer.byteLength(content),
      ...more,
    },
    content: Buffer.from(content),
  });
  const linked = /^(.+) (->|=) (.+)$/.exec(text);
  if (linked !== null) {
    const [, path = "", sign, link = ""] = linked;
    return sign === "=" ? make(path, "link", { link }) : make(path, "symlink", { link, mode: 0o777 });
  }
  const device = /^(.+) % (\d+),(\d+)$/.exec(text);
  if (device !== null) {
    return make(device[1] as string, "character", { device: [Number(device[2]), Number(device[3])] });
  }
  if (text.endsWith(" |")) return make(text.slice(0, -2), "fifo", {});
  const facts = /^(.+?)(\/)?(?: ([0-7]+)(?: (\d+):(\d+))?)?(?:: (.*))?$/.exec(text);
  const [, path = "", folder, mode, uid = "0", gid = "0", content = ""] = facts ?? [];
  const isFolder = folder !== undefined;
  return make(
    path,
    isFolder ? "directory" : "file",
    {
      mode: mode === undefined ? (isFolder ? 0o755 : 0o644) : Number.parseInt(mode, 8),
      uid: Number(uid),
      gid: Number(gid),
    },
    content,
  );
}

/** One layer of a case as a tar archive. */
export function layerTar(lines: readonly string[]): Buffer {
  const parts = lines
    .map(parseLine)
    .flatMap(({ entry, content }) => [tarHeader(entry), content, Buffer.alloc(padding(content.length))]);
  return Buffer.concat([...parts, TAR_END]);
}

/** A file system as lines that can be compared: complete, sorted, each set of hard links named by its first. */
export interface ViewedFile {
  readonly path: string;
  readonly kind: TarEntry["kind"];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly link: string;
  readonly content: Buffer;
  /** The same for all hard links to one file. */
  readonly identity: unknown;
}

export function showView(files: readonly ViewedFile[]): readonly string[] {
  const first = new Map<unknown, string>();
  return [...files]
    .sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
    .map(({ path, kind, mode, uid, gid, link, content, identity }) => {
      const other = kind === "directory" ? undefined : first.get(identity);
      if (other !== undefined) return `${path} = ${other}`;
      first.set(identity, path);
      const facts = `${mode.toString(8)} ${uid}:${gid}`;
      switch (kind) {
        case "symlink":
          return `${path} -> ${link}`;
        case "directory":
          return `${path}/ ${facts}`;
        case "fifo":
          return `${path} | ${facts}`;
        case "character":
        case "block":
          return `${path} % ${facts}`;
        default:
          return `${path} ${facts}: ${content.toString("utf8")}`;
      }
    });
}

/** What a case says comes out. */
export function expectedView({ expected }: LayerCase): readonly string[] {
  const lines = expected.map(parseLine);
  return showView(
    lines.map(({ entry, content }) => ({
      ...entry,
      content,
      identity: entry.kind === "link" ? entry.link : entry.path,
    })),
  );
}

/** The file system that an archive of a whole root holds, as `docker export` and `tar` write it. */
export async function viewOfTar(
  tar: Buffer,
  isLeftOut: (path: string) => boolean = () => false,
): Promise<readonly string[]> {
  const readAt: ReadAt = (offset, length) => Promise.resolve(tar.subarray(offset, offset + length));
  const byPath = new Map<string, ViewedFile>();
  for await (const entry of readTar(readAt, "archive")) {
    if (entry.path === "" || isLeftOut(entry.path)) continue;
    const target = entry.kind === "link" ? byPath.get(entry.link.replace(/^(?:\.?\/)+/, "")) : undefined;
    const content = tar.subarray(entry.offset, entry.offset + entry.size);
    byPath.set(
      entry.path,
      target === undefined ? { ...entry, content, identity: entry.path } : { ...target, path: entry.path },
    );
  }
  return showView([...byPath.values()]);
}
