/** Checks on accounts, packages and certificates, which are all read from files: `t.user`, `t.group`, `t.package`, … */
import type { PackageManager } from "../check.ts";
import { specError } from "../collect.ts";
import { showMatch } from "../text.ts";
import { isRange } from "../versions/range.ts";
import {
  type Context,
  Expectations,
  type Expected,
  options,
  textMatch,
  wholeNumber,
  wordList,
} from "./expect.ts";
import { account, fullPath, name as nameOf, text } from "./given.ts";

export class UserExpectations extends Expectations<"user"> {
  constructor(context: Context, name: string) {
    super(context, "user", `user ${name}`, { name: nameOf("user", name) });
  }

  exists(): this {
    return this.expect("exists", { matcher: "exists" });
  }
  /** Needs an /etc/passwd that could be read. */
  absent(): this {
    return this.expect("absent", { matcher: "absent" });
  }
  uid(expected: number): this {
    return this.expect(`uid ${expected}`, { matcher: "uid", id: wholeNumber("uid", expected) });
  }
  gid(expected: number): this {
    return this.expect(`gid ${expected}`, { matcher: "gid", id: wholeNumber("gid", expected) });
  }
  home(expected: string): this {
    return this.expect(`home ${expected}`, { matcher: "home", value: text("home", expected) });
  }
  shell(expected: string): this {
    return this.expect(`shell ${expected}`, { matcher: "shell", value: text("shell", expected) });
  }
  primaryGroup(expected: string): this {
    const value = account("primaryGroup", expected);
    return this.expect(`primary group ${expected}`, { matcher: "primaryGroup", value });
  }
  /** It is in each of these groups, as its primary one or as a member. */
  groups(...names: readonly string[]): this {
    return this.expect(`in ${names.join(", ")}`, { matcher: "groups", names: wordList("groups", names) });
  }
  /** Nobody can log in with a password: the field is `!…` or `*`, in /etc/shadow or /etc/passwd. */
  locked(): this {
    return this.expect("is locked", { matcher: "locked", isWanted: true });
  }
  notLocked(): this {
    return this.expect("is not locked", { matcher: "locked", isWanted: false });
  }
}

export class GroupExpectations extends Expectations<"group"> {
  constructor(context: Context, name: string) {
    super(context, "group", `group ${name}`, { name: nameOf("group", name) });
  }

  exists(): this {
    return this.expect("exists", { matcher: "exists" });
  }
  absent(): this {
    return this.expect("absent", { matcher: "absent" });
  }
  gid(expected: number): this {
    return this.expect(`gid ${expected}`, { matcher: "gid", id: wholeNumber("gid", expected) });
  }
  members(...names: readonly string[]): this {
    return this.expect(`members ${names.join(", ")}`, {
      matcher: "members",
      names: wordList("members", names),
    });
  }
}

export interface PackageOptions {
  /** Default: each database that the image has. npm is asked for only by name, because its names are another world. */
  readonly manager?: PackageManager;
}

export class PackageExpectations extends Expectations<"package"> {
  constructor(context: Context, name: string, given: PackageOptions) {
    const { manager } = options("package", given, { manager: true });
    if (manager !== undefined && !["dpkg", "apk", "npm", "rpm"].includes(manager)) {
      throw specError(`"${manager}" is not a package manager; there are dpkg, apk, npm and rpm`);
    }
    super(context, "package", `package ${name}`, { name: nameOf("package", name), manager });
  }

  installed(): this {
    return this.expect("is installed", { matcher: "installed" });
  }
  /** Needs a database that could be read to its end. */
  absent(): this {
    return this.expect("absent", { matcher: "absent" });
  }
  /** `"1.22.1"`, `">=1.22 <2"`, `"^1.2 || 3"` (npm): compared as the package's own manager compares. */
  version(range: string): this {
    if (!isRange(range)) throw specError(`"${range}" is not a range of versions, like ">=1.22 <2"`);
    return this.expect(`version ${range}`, { matcher: "version", range });
  }
}

/** An X.509 certificate in PEM or DER; of several in one file, the first. */
export class CertificateExpectations extends Expectations<"certificate"> {
  constructor(context: Context, path: string) {
    super(context, "certificate", `certificate ${path}`, { path: fullPath("a certificate", path) });
  }

  /** Valid now, and still in so many days. */
  validFor(days: number): this {
    return this.expect(`valid for ${days} days`, {
      matcher: "validFor",
      days: wholeNumber("validFor", days),
    });
  }
  /** `CN=shop.example` is a part of it. */
  subject(expected: Expected): this {
    const match = textMatch("subject", expected, "containing", "value");
    return this.expect(`subject ${showMatch(match)}`, { matcher: "subject", match });
  }
  issuer(expected: Expected): this {
    const match = textMatch("issuer", expected, "containing", "value");
    return this.expect(`issuer ${showMatch(match)}`, { matcher: "issuer", match });
  }
  /** It is for each of these names (or addresses), wildcards included. */
  names(...names: readonly string[]): this {
    return this.expect(`is for ${names.join(", ")}`, { matcher: "names", names: wordList("names", names) });
  }
  matchesKey(keyPath: string): this {
    const path = fullPath("a key", keyPath);
    return this.expect(`matches the key ${path}`, { matcher: "matchesKey", keyPath: path });
  }
  /** RSA: bits of the modulus; elliptic curves: bits of the curve. */
  keyBits(atLeast: number): this {
    return this.expect(`key of at least ${atLeast} bits`, {
      matcher: "keyBits",
      atLeast: wholeNumber("keyBits", atLeast, 1),
    });
  }
}
