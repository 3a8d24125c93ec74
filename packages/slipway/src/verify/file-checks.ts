/** Checks on the files, users and groups of an image, read from its layers: `t.file`, `t.files`, `t.user`. */
import { createHash } from "node:crypto";
import { globToRegExp } from "../images/dockerfile/patterns.ts";
import { parseGroup, parsePasswd } from "../images/host/accounts.ts";
import type { FileNode, Lookup } from "../images/layers.ts";
import {
  type Expected,
  fail,
  type ImageView,
  type Judgement,
  matches,
  pass,
  showExpected,
  unknown,
  withoutState,
} from "./check.ts";
import { placeOfCaller, specError } from "./collect.ts";
import { type AddImageCheck, parseSize, readIfThere, showMode } from "./image-checks.ts";

/** Expectations of one path. Links are followed, except by `isSymlink` and `linkedTo`. */
export class FileExpectations {
  readonly #add: AddImageCheck;
  readonly #path: string;

  constructor(add: AddImageCheck, path: string) {
    if (!path.startsWith("/")) throw specError(`a file is named by its full path, got "${path}"`);
    this.#add = add;
    this.#path = path;
  }

  exists(): this {
    return this.#expect("exists", () => pass());
  }

  /** Passes only when every layer was read and none has it: "could not look" is unknown. */
  absent(): this {
    return this.#lookup("absent", true, (found) => {
      if (found.kind === "unknown") return unknown(found.why);
      return found.kind === "absent" ? pass(found.why) : fail(`it is a ${found.node.kind}`);
    });
  }

  isFile(): this {
    return this.#kind("file");
  }
  isDirectory(): this {
    return this.#kind("directory");
  }
  isSymlink(): this {
    return this.#lookup("is a symlink", true, (found) =>
      judgeFound(found, (node) => kindIs(node, "symlink")),
    );
  }

  /** `"0644"`, or the number 0o644. */
  mode(expected: string | number): this {
    const wanted = typeof expected === "number" ? expected : Number.parseInt(expected, 8);
    if (!Number.isInteger(wanted) || wanted < 0 || wanted > 0o7777)
      throw specError(`"${expected}" is not a mode, like "0644"`);
    return this.#expect(`mode ${showMode(wanted)}`, (node) =>
      node.mode === wanted ? pass() : fail(`mode ${showMode(node.mode)}`),
    );
  }

  /** `"root"`, `"node:node"`, `"1000:1000"`. Names are looked up in the image. */
  ownedBy(expected: string): this {
    const [user, group] = expected.split(":") as [string, string?];
    this.#add({
      subject: `file ${this.#path}`,
      expectation: `owned by ${expected}`,
      source: "layers",
      place: placeOfCaller(),
      judge: async (view) => {
        const found = view.files.lookup(this.#path);
        if (found.kind !== "found") return notFound(found);
        const uid = await idOf(view, "/etc/passwd", user);
        const gid = group === undefined ? found.node.gid : await idOf(view, "/etc/group", group);
        if (uid === undefined || gid === undefined) {
          return unknown(`the image's accounts do not know ${uid === undefined ? user : group}`);
        }
        const isSame = found.node.uid === uid && found.node.gid === gid;
        return isSame ? pass() : fail(`owned by ${found.node.uid}:${found.node.gid}`);
      },
    });
    return this;
  }

  linkedTo(target: string): this {
    return this.#lookup(`linked to ${target}`, true, (found) =>
      judgeFound(found, (node) => {
        if (node.kind !== "symlink") return fail(`it is a ${node.kind}`);
        return node.link === target ? pass() : fail(`linked to ${node.link}`);
      }),
    );
  }

  /** Anyone who runs the image may execute it: any executable bit. */
  executable(): this {
    return this.#expect("is executable", (node) =>
      node.kind === "file" && (node.mode & 0o111) !== 0
        ? pass()
        : fail(`${node.kind}, mode ${showMode(node.mode)}`),
    );
  }

  maxSize(limit: string | number): this {
    const bytes = parseSize(limit);
    return this.#expect(`at most ${limit}`, (node) =>
      node.size <= bytes ? pass() : fail(`${node.size} bytes`),
    );
  }

  sha256(expected: string): this {
    return this.#content(`sha256 ${expected}`, (content) => {
      const actual = createHash("sha256").update(content).digest("hex");
      return actual === expected.replace(/^sha256:/, "") ? pass() : fail(`sha256 ${actual}`);
    });
  }

  /** A string anywhere in it, or an expression. */
  contains(expected: Expected): this {
    const wanted = this.#searched("contains", expected);
    return this.#content(`contains ${showExpected(wanted)}`, (content) => {
      const text = content.toString("utf8");
      return includes(text, wanted)
        ? pass()
        : fail(`not in its ${text.split("\n").length} lines, which begin: ${text.slice(0, 200)}`);
    });
  }

  /** The file must be there and readable: a missing file proves nothing about its content. */
  lacks(unwanted: Expected): this {
    const wanted = this.#searched("lacks", unwanted);
    return this.#content(`lacks ${showExpected(wanted)}`, (content) => {
      const lines = content.toString("utf8").split("\n");
      const at = lines.findIndex((line) => includes(line, wanted));
      if (at >= 0) return fail(`line ${at + 1} has it`);
      return includes(lines.join("\n"), wanted) ? fail("it is there, over several lines") : pass();
    });
  }

  #searched(what: string, expected: Expected): Expected {
    if (expected === "" || (typeof expected !== "string" && !(expected instanceof RegExp))) {
      throw specError(`${what} expects a string or an expression; an empty one says nothing`);
    }
    return withoutState(expected);
  }

  #kind(kind: FileNode["kind"]): this {
    return this.#expect(`is a ${kind}`, (node) => kindIs(node, kind));
  }

  #expect(expectation: string, judge: (node: FileNode) => Judgement): this {
    return this.#lookup(expectation, false, (found) => judgeFound(found, judge));
  }

  #lookup(expectation: string, isLinkKept: boolean, judge: (found: Lookup) => Judgement): this {
    this.#add({
      subject: `file ${this.#path}`,
      expectation,
      source: "layers",
      place: placeOfCaller(),
      judge: (view) => judge(view.files.lookup(this.#path, { isLinkKept })),
    });
    return this;
  }

  #content(expectation: string, judge: (content: Buffer) => Judgement): this {
    this.#add({
      subject: `file ${this.#path}`,
      expectation,
      source: "layers",
      place: placeOfCaller(),
      judge: async (view) => {
        const found = view.files.lookup(this.#path);
        if (found.kind !== "found") return notFound(found);
        if (found.node.kind !== "file") return fail(`it is a ${found.node.kind}`);
        return judge(await view.files.read(found.node));
      },
    });
    return this;
  }
}

/** Every file of the image whose path matches: a glob from the root, in which `**` crosses folders. */
export class FilesExpectations {
  readonly #add: AddImageCheck;
  readonly #glob: string;
  readonly #except: readonly RegExp[];

  constructor(add: AddImageCheck, glob: string, except: readonly string[] = []) {
    if (glob === "") throw specError('files expects a glob, like "**/*.pem"');
    this.#add = add;
    this.#glob = glob;
    this.#except = except.map((one) => expressionOf(one));
  }

  /** Leaves these globs out. */
  except(...globs: readonly string[]): FilesExpectations {
    return new FilesExpectations(this.#add, this.#glob, globs);
  }

  none(): this {
    return this.#expect("none", (paths) => (paths.length === 0 ? pass() : fail(some(paths))));
  }

  count(expected: number): this {
    return this.#expect(`count ${expected}`, (paths) =>
      paths.length === expected ? pass() : fail(`${paths.length}: ${some(paths)}`),
    );
  }

  /** No match may be written by everyone (sticky folders like /tmp apart); no match at all is unknown. */
  notWritableByOthers(): this {
    return this.#expect("not writable by others", (_, nodes) => {
      const open = nodes.filter(
        ({ node }) => node.kind !== "symlink" && (node.mode & 0o002) !== 0 && (node.mode & 0o1000) === 0,
      );
      if (nodes.length === 0) return unknown("no file matches, so nothing was looked at");
      return open.length === 0 ? pass(`${nodes.length} files`) : fail(some(open.map(({ path }) => path)));
    });
  }

  #expect(
    expectation: string,
    judge: (paths: readonly string[], nodes: readonly { path: string; node: FileNode }[]) => Judgement,
  ): this {
    const expression = expressionOf(this.#glob);
    this.#add({
      subject: `files ${this.#glob}`,
      expectation,
      source: "layers",
      place: placeOfCaller(),
      judge: (view) => {
        const found = [...view.files.entries()].filter(
          ({ path }) => expression.test(path) && !this.#except.some((one) => one.test(path)),
        );
        return judge(
          found.map(({ path }) => path),
          found,
        );
      },
    });
    return this;
  }
}

export class UserExpectations {
  readonly #add: AddImageCheck;
  readonly #name: string;

  constructor(add: AddImageCheck, name: string) {
    this.#add = add;
    this.#name = name;
  }

  exists(): this {
    return this.#expect("exists", () => pass());
  }

  absent(): this {
    this.#add({
      subject: `user ${this.#name}`,
      expectation: "absent",
      source: "layers",
      place: placeOfCaller(),
      judge: async (view) => {
        const passwd = await readIfThere(view.files, "/etc/passwd");
        if (passwd === undefined) return unknown("the image has no /etc/passwd");
        const account = parsePasswd(passwd).find((one) => one.name === this.#name);
        return account === undefined ? pass() : fail(`it has the id ${account.uid}`);
      },
    });
    return this;
  }

  uid(expected: number): this {
    return this.#expect(`uid ${expected}`, ({ uid }) => (uid === expected ? pass() : fail(`uid ${uid}`)));
  }
  gid(expected: number): this {
    return this.#expect(`gid ${expected}`, ({ gid }) => (gid === expected ? pass() : fail(`gid ${gid}`)));
  }
  home(expected: string): this {
    return this.#expect(`home ${expected}`, ({ home }) =>
      home === expected ? pass() : fail(`home ${home}`),
    );
  }
  shell(expected: string): this {
    return this.#expect(`shell ${expected}`, ({ shell }) =>
      shell === expected ? pass() : fail(`shell ${shell}`),
    );
  }

  #expect(
    expectation: string,
    judge: (account: { uid: number; gid: number; home: string; shell: string }) => Judgement,
  ): this {
    this.#add({
      subject: `user ${this.#name}`,
      expectation,
      source: "layers",
      place: placeOfCaller(),
      judge: async (view) => {
        const passwd = await readIfThere(view.files, "/etc/passwd");
        if (passwd === undefined) return fail("the image has no /etc/passwd");
        const account = parsePasswd(passwd).find((one) => one.name === this.#name);
        return account === undefined ? fail("/etc/passwd does not know it") : judge(account);
      },
    });
    return this;
  }
}

/** A glob without a slash in front is meant from the root: `etc/*` and `/etc/*` are the same. */
const expressionOf = (glob: string): RegExp => {
  const pattern = glob.replace(/^\//, "");
  // `**/{a,b}` is written by everyone and costs one line.
  const alternatives = expandBraces(pattern).map((one) =>
    globToRegExp(one, { isDeep: true }).source.slice(1, -1),
  );
  return new RegExp(`^/(?:${alternatives.join("|")})$`, "su");
};

function expandBraces(glob: string): readonly string[] {
  const match = /^(.*?)\{([^{}]*)\}(.*)$/s.exec(glob);
  if (match === null) return [glob];
  const [, before, inside, after] = match as unknown as [string, string, string, string];
  return inside.split(",").flatMap((one) => expandBraces(`${before}${one}${after}`));
}

const kindIs = (node: FileNode, kind: FileNode["kind"]): Judgement =>
  node.kind === kind ? pass() : fail(`it is a ${node.kind}`);

function judgeFound(found: Lookup, judge: (node: FileNode) => Judgement): Judgement {
  return found.kind === "found" ? judge(found.node) : notFound(found);
}

const notFound = (found: Exclude<Lookup, { kind: "found" }>): Judgement =>
  found.kind === "absent" ? fail(found.why) : unknown(found.why);

async function idOf(view: ImageView, file: string, name: string): Promise<number | undefined> {
  if (/^\d+$/.test(name)) return Number(name);
  if (name === "root") return 0;
  const text = await readIfThere(view.files, file);
  if (text === undefined) return undefined;
  return file === "/etc/passwd"
    ? parsePasswd(text).find((one) => one.name === name)?.uid
    : parseGroup(text).find((one) => one.name === name)?.gid;
}

const includes = (text: string, wanted: Expected): boolean =>
  typeof wanted === "string" ? text.includes(wanted) : matches(text, wanted);

const some = (paths: readonly string[]): string =>
  paths.slice(0, 5).join(", ") + (paths.length > 5 ? ` and ${paths.length - 5} more` : "");
