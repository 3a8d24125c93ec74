/** Checks on the files of an image or a container: `t.file`, `t.files`. */
import { asCapabilities } from "../capabilities.ts";
import type { FileKind, Json } from "../check.ts";
import { specError } from "../collect.ts";
import { globProblem } from "../glob.ts";
import { showMatch } from "../text.ts";
import {
  type Context,
  documentAt,
  Expectations,
  type Expected,
  options,
  parseMode,
  parseOwner,
  parseSize,
  section,
  showDocument,
  showMode,
  textMatch,
  wholeNumber,
} from "./expect.ts";
import { account, fullPath, name } from "./given.ts";

/** Where in a text to look: from the first line with `from` to the next with `to`, both included. */
export interface SectionOptions {
  readonly from?: Expected;
  readonly to?: Expected;
}

/** Expectations of one path. Links are followed, except by `isSymlink`, `linkedTo` and `absent`. */
export class FileExpectations extends Expectations<"file"> {
  constructor(context: Context, path: string) {
    super(context, "file", `file ${path}`, { path: fullPath("a file", path) });
  }

  exists(): this {
    return this.expect("exists", { matcher: "exists" });
  }
  /** Passes only when every layer was read and none has it: "could not look" is unknown. */
  absent(): this {
    return this.expect("absent", { matcher: "absent" });
  }

  isFile(): this {
    return this.#kind("file", "is a file");
  }
  isDirectory(): this {
    return this.#kind("directory", "is a directory");
  }
  isSymlink(): this {
    return this.#kind("symlink", "is a symlink");
  }
  isSocket(): this {
    return this.#kind("socket", "is a socket");
  }
  isPipe(): this {
    return this.#kind("fifo", "is a pipe");
  }
  isCharacterDevice(): this {
    return this.#kind("character", "is a character device");
  }
  isBlockDevice(): this {
    return this.#kind("block", "is a block device");
  }

  /** `"0644"`, or the number 0o644. */
  mode(expected: string | number): this {
    const mode = parseMode(expected);
    return this.expect(`mode ${showMode(mode)}`, { matcher: "mode", mode });
  }

  /** `"root"`, `"node:node"`, `"1000:1000"`. Names are looked up in the image. */
  ownedBy(expected: string): this {
    const [user, group] = parseOwner(expected);
    return this.expect(`owned by ${expected}`, { matcher: "ownedBy", user, group });
  }
  group(expected: string): this {
    if (typeof expected !== "string" || expected === "")
      throw specError(`${JSON.stringify(expected)} is not a group, like "staff" or "50"`);
    return this.expect(`group ${expected}`, { matcher: "ownedBy", user: undefined, group: expected });
  }

  /** The target as written in the link. */
  linkedTo(target: string): this {
    name("linkedTo", target);
    return this.expect(`linked to ${target}`, { matcher: "linkedTo", target, isResolved: false });
  }
  /** Where the link ends, through all further links. */
  resolvesTo(target: string): this {
    name("resolvesTo", target);
    return this.expect(`resolves to ${target}`, { matcher: "linkedTo", target, isResolved: true });
  }

  /** Anyone who runs the image may execute it: any executable bit. */
  executable(): this {
    return this.expect("is executable", { matcher: "executable" });
  }
  /** By mode and owner of it and of the folders above it, with the user's groups as /etc/group has them; root may all. */
  readableBy(user: string): this {
    return this.#allows("readable", "read", user);
  }
  writableBy(user: string): this {
    return this.#allows("writable", "write", user);
  }
  executableBy(user: string): this {
    return this.#allows("executable", "execute", user);
  }

  setuid(): this {
    return this.expect("has setuid or setgid", { matcher: "setuid", isWanted: true });
  }
  notSetuid(): this {
    return this.expect("has neither setuid nor setgid", { matcher: "setuid", isWanted: false });
  }

  /** What it gives to whoever runs it, as `getcap` writes it: `cap_net_raw=ep`. Only an image's layers say it. */
  capabilities(expected: string): this {
    const text = asCapabilities(expected);
    if (text === undefined)
      throw specError(`${JSON.stringify(expected)} is no text of getcap, like "cap_net_raw=ep"`);
    return this.expect(`capabilities ${text}`, { matcher: "capabilities", text });
  }
  noCapabilities(): this {
    return this.expect("no capabilities", { matcher: "capabilities", text: "" });
  }

  size(bytes: number): this {
    return this.expect(`${bytes} bytes`, { matcher: "size", bytes: wholeNumber("size", bytes) });
  }
  maxSize(limit: string | number): this {
    return this.expect(`at most ${limit}`, { matcher: "maxSize", bytes: parseSize(limit) });
  }

  sha256(expected: string): this {
    const hex = expected.replace(/^sha256:/, "").toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(hex)) throw specError(`"${expected}" is not a sha256 in hex`);
    return this.expect(`sha256 ${hex}`, { matcher: "sha256", hex });
  }

  /** Modified after another file, or after a moment (ISO 8601). */
  newerThan(other: string): this {
    if (other.startsWith("/")) {
      return this.expect(`newer than ${other}`, { matcher: "newerThan", path: other, seconds: undefined });
    }
    const moment = Date.parse(other);
    if (Number.isNaN(moment)) throw specError(`"${other}" is neither a path nor a time`);
    return this.expect(`newer than ${other}`, {
      matcher: "newerThan",
      path: undefined,
      seconds: moment / 1000,
    });
  }

  /** A string anywhere in it, or an expression. */
  contains(expected: Expected, where: SectionOptions = {}): this {
    const match = textMatch("contains", expected, "containing");
    return this.expect(`contains ${showMatch(match)}`, {
      matcher: "contains",
      match,
      section: section("contains", where),
    });
  }
  /** The file must be there and readable: a missing file proves nothing about its content. */
  lacks(unwanted: Expected, where: SectionOptions = {}): this {
    const match = textMatch("lacks", unwanted, "containing");
    return this.expect(`lacks ${showMatch(match)}`, {
      matcher: "lacks",
      match,
      section: section("lacks", where),
    });
  }

  /** A value of the JSON document: `json("scripts.start", "node server.js")`. */
  json(path: string, expected: Json | RegExp): this {
    const document = documentAt(path, expected);
    return this.expect(showDocument("json", document), { matcher: "json", document });
  }
  yaml(path: string, expected: Json | RegExp): this {
    const document = documentAt(path, expected);
    return this.expect(showDocument("yaml", document), { matcher: "yaml", document });
  }

  #allows(says: string, right: "read" | "write" | "execute", user: string): this {
    const who = account(`${says}By`, user);
    return this.expect(`${says} by ${who}`, { matcher: "allows", right, user: who });
  }

  #kind(kind: FileKind, says: string): this {
    return this.expect(says, { matcher: "kind", kind });
  }
}

/** Every file whose path matches: a glob from the root, in which `**` crosses folders. */
export class FilesExpectations extends Expectations<"files"> {
  readonly #context: Context;
  readonly #glob: string;

  constructor(context: Context, glob: string, except: readonly string[] = []) {
    for (const one of [glob, ...except]) {
      const problem = typeof one === "string" ? globProblem(one) : "is no text";
      if (problem !== undefined) throw specError(`the glob "${one}" ${problem}`, 'Write "**/*.pem".');
    }
    super(context, "files", `files ${glob}`, { glob, except });
    this.#context = context;
    this.#glob = glob;
  }

  /** Leaves these globs out. */
  except(...globs: readonly string[]): FilesExpectations {
    this.replaced();
    return new FilesExpectations(this.#context, this.#glob, globs);
  }

  none(): this {
    return this.expect("none", { matcher: "none" });
  }
  count(expected: number): this {
    return this.expect(`count ${expected}`, { matcher: "count", count: wholeNumber("count", expected) });
  }
  /** No match may be written by everyone (sticky folders like /tmp apart); no match at all is unknown. */
  notWritableByOthers(): this {
    return this.expect("not writable by others", { matcher: "notWritableByOthers" });
  }
  /** No match has setuid or setgid; what may have it is left out with `except`. No match at all is unknown. */
  noSetuid(): this {
    return this.expect("no setuid or setgid", { matcher: "noSetuid" });
  }
  /** No match has file capabilities (`getcap`); no match at all is unknown, and so is a running container. */
  noCapabilities(): this {
    return this.expect("no capabilities", { matcher: "noCapabilities" });
  }
  /** Each match has this mode and owner; no match at all is a failure. */
  every(expected: { readonly mode?: string | number; readonly ownedBy?: string }): this {
    options("every", expected, { mode: true, ownedBy: true });
    const mode = expected.mode === undefined ? undefined : parseMode(expected.mode);
    const owner = expected.ownedBy;
    if (owner !== undefined) parseOwner(owner);
    if (mode === undefined && owner === undefined) throw specError("every expects a mode or ownedBy");
    const says = [
      mode === undefined ? [] : `mode ${showMode(mode)}`,
      owner === undefined ? [] : `owned by ${owner}`,
    ];
    return this.expect(`every ${says.flat().join(", ")}`, { matcher: "every", mode, owner });
  }
}
