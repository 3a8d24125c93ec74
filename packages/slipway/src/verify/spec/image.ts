/** Checks on an image's configuration: `t.image…`. Each word adds one check and returns the same object. */
import { specError } from "../collect.ts";
import { showMatch } from "../text.ts";
import {
  type Context,
  Expectations,
  type Expected,
  options,
  parseSize,
  textMatch,
  wholeNumber,
  wordList,
} from "./expect.ts";
import { name as nameOf, text } from "./given.ts";

export class ImageExpectations extends Expectations<"image"> {
  constructor(context: Context) {
    super(context, "image", "image", {});
  }

  /** The USER of the image, exactly as written (`node`, `1000`, `1000:1000`). */
  user(expected: string): this {
    return this.expect(`user ${expected}`, { matcher: "user", value: text("user", expected) });
  }

  /** USER is set and is not root, also when /etc/passwd gives its name the id 0. */
  runsAsNonRoot(): this {
    return this.expect("runs as non-root", { matcher: "nonRoot" });
  }

  /** `8080`, `"8080/tcp"`, `"53/udp"`. */
  exposes(port: number | string): this {
    const wanted = exposedPort(port);
    return this.expect(`exposes ${wanted}`, { matcher: "exposes", port: wanted });
  }
  exposesNot(port: number | string): this {
    const wanted = exposedPort(port);
    return this.expect(`does not expose ${wanted}`, { matcher: "exposesNot", port: wanted });
  }

  /** CMD in exec form, every word. */
  cmd(expected: readonly string[]): this {
    const words = wordList("cmd", expected);
    return this.expect(`cmd ${JSON.stringify(words)}`, { matcher: "cmd", words });
  }
  entrypoint(expected: readonly string[]): this {
    const words = wordList("entrypoint", expected);
    return this.expect(`entrypoint ${JSON.stringify(words)}`, { matcher: "entrypoint", words });
  }
  /** The ONBUILD instructions, every one. */
  onbuild(expected: readonly string[]): this {
    const words = wordList("onbuild", expected);
    return this.expect(`onbuild ${JSON.stringify(words)}`, { matcher: "onbuild", words });
  }

  /** The variable is set; with a value, to that value (string: exactly, expression: search). */
  env(name: string, expected?: Expected): this {
    const match = expected === undefined ? undefined : textMatch("env", expected, "exactly", "value");
    const says = match === undefined ? `env ${name} is set` : `env ${name} is ${showMatch(match)}`;
    return this.expect(says, { matcher: "env", name: nameOf("env", name), match });
  }
  envUnset(name: string): this {
    return this.expect(`env ${name} is not set`, { matcher: "envUnset", name: nameOf("envUnset", name) });
  }

  label(name: string, expected?: Expected): this {
    const match = expected === undefined ? undefined : textMatch("label", expected, "exactly", "value");
    const says = match === undefined ? `label ${name} is set` : `label ${name} is ${showMatch(match)}`;
    return this.expect(says, { matcher: "label", name: nameOf("label", name), match });
  }
  labelUnset(name: string): this {
    return this.expect(`label ${name} is not set`, {
      matcher: "labelUnset",
      name: nameOf("labelUnset", name),
    });
  }

  workdir(expected: string): this {
    return this.expect(`workdir ${expected}`, { matcher: "workdir", value: text("workdir", expected) });
  }
  stopSignal(expected: string): this {
    return this.expect(`stop signal ${expected}`, {
      matcher: "stopSignal",
      value: text("stopSignal", expected),
    });
  }
  volume(path: string): this {
    return this.expect(`volume ${path}`, { matcher: "volume", path: nameOf("volume", path) });
  }
  volumeUnset(path: string): this {
    return this.expect(`no volume ${path}`, { matcher: "volumeNot", path: nameOf("volumeUnset", path) });
  }

  /** There is a HEALTHCHECK; with words, exactly that test (`["CMD", "curl", …]`, `["CMD-SHELL", "…"]`). */
  healthcheck(test?: readonly string[]): this {
    const words = test === undefined ? undefined : wordList("healthcheck", test);
    return this.expect(words === undefined ? "has a healthcheck" : `healthcheck ${JSON.stringify(words)}`, {
      matcher: "healthcheck",
      test: words,
    });
  }
  healthcheckUnset(): this {
    return this.expect("has no healthcheck", { matcher: "healthcheckNot" });
  }

  arch(expected: string): this {
    return this.expect(`architecture ${expected}`, { matcher: "arch", value: text("arch", expected) });
  }
  os(expected: string): this {
    return this.expect(`os ${expected}`, { matcher: "os", value: text("os", expected) });
  }
  author(expected: string): this {
    return this.expect(`author ${expected}`, { matcher: "author", value: text("author", expected) });
  }

  /** Built after a moment (ISO 8601). */
  createdAfter(moment: string): this {
    const afterMs = Date.parse(moment);
    if (Number.isNaN(afterMs)) throw specError(`"${moment}" is not a time, like "2026-01-31"`);
    return this.expect(`created after ${moment}`, { matcher: "created", afterMs });
  }

  /** A line of the build's history. */
  history(expected: Expected): this {
    const match = textMatch("history", expected, "containing");
    return this.expect(`history has ${showMatch(match)}`, { matcher: "history", match, isWanted: true });
  }
  historyLacks(expected: Expected): this {
    const match = textMatch("historyLacks", expected, "containing");
    return this.expect(`history lacks ${showMatch(match)}`, { matcher: "history", match, isWanted: false });
  }

  /** What it was built from, by its labels org.opencontainers.image.base.name and .digest. */
  base(expected: { readonly name?: string; readonly digest?: string }): this {
    const { name, digest } = options("base", expected, { name: true, digest: true });
    if (name === undefined && digest === undefined) throw specError("base expects a name or a digest");
    const says = [name, digest].filter((one) => one !== undefined).join("@");
    return this.expect(`base ${says}`, { matcher: "base", name, digest });
  }

  /** Sum of the layers as stored (usually compressed): `"250MB"`, `"1.5GiB"`, or bytes. */
  maxSize(limit: string | number): this {
    return this.expect(`at most ${limit}`, { matcher: "maxSize", limit: parseSize(limit) });
  }
  maxLayers(limit: number): this {
    return this.expect(`at most ${limit} layers`, {
      matcher: "maxLayers",
      limit: wholeNumber("maxLayers", limit),
    });
  }

  /** No variable and no line of history that looks like a secret. Evidence names it, never shows it. */
  noSecretInEnvOrHistory(): this {
    return this.expect("no secret in env or history", { matcher: "noSecretInEnvOrHistory" });
  }

  /**
   * No file of any layer holds a private key, a token or a password in a known form: also one that a later layer
   * deletes, because whoever has the image still has the layer. Looked into are files of at most 256 KB outside the
   * distribution's own folders (/usr/lib, /usr/share, /var/lib/dpkg, …) and outside node_modules.
   */
  noSecretInFiles(): this {
    return this.expect("no secret in files", { matcher: "noSecretInFiles" });
  }

  /** The base image is recorded by digest, so that this build can be traced and repeated. */
  digestPinned(): this {
    return this.expect("base is pinned by digest", { matcher: "digestPinned" });
  }

  /** No sh, bash, dash, ash, zsh, ksh, csh, fish or busybox in any folder of programs. */
  noShell(): this {
    return this.expect("has no shell", { matcher: "noShell" });
  }

  /** The first word of ENTRYPOINT or CMD is a program in the image that may be run, and so is its interpreter. */
  commandExists(): this {
    return this.expect("its command is a program in the image", { matcher: "commandExists" });
  }
}

function exposedPort(port: number | string): string {
  const wanted = /\//.test(String(port)) ? String(port) : `${port}/tcp`;
  if (!/^\d+\/(?:tcp|udp|sctp)$/.test(wanted))
    throw specError(`"${port}" is not a port, like 8080 or "53/udp"`);
  return wanted;
}
