/** Checks on an image's configuration: `t.image…`. Each call adds one check and returns the same object. */
import { parsePasswd } from "../images/host/accounts.ts";
import type { ImageFiles } from "../images/layers.ts";
import {
  type Expected,
  fail,
  type ImageCheck,
  type ImageView,
  type Judgement,
  matches,
  pass,
  showExpected,
  unknown,
  withoutState,
} from "./check.ts";
import { placeOfCaller, specError } from "./collect.ts";
import { secretInHistory, secretInVariable } from "./secrets.ts";

export type AddImageCheck = (
  check: Omit<ImageCheck, "kind" | "image" | "place"> & { place?: string },
) => void;

export class ImageExpectations {
  readonly #add: AddImageCheck;

  constructor(add: AddImageCheck) {
    this.#add = add;
  }

  /** The USER of the image, exactly as written (`node`, `1000`, `1000:1000`). */
  user(expected: string): this {
    return this.#config(`user ${expected}`, ({ config }) => same(config.config.User ?? "", expected));
  }

  /** USER is set and is not root, also when /etc/passwd gives its name the id 0. */
  runsAsNonRoot(): this {
    this.#add({
      subject: "image",
      expectation: "runs as non-root",
      source: "layers",
      place: placeOfCaller(),
      judge: judgeNonRoot,
    });
    return this;
  }

  /** `8080`, `"8080/tcp"`, `"53/udp"`. */
  exposes(port: number | string): this {
    const wanted = /\//.test(String(port)) ? String(port) : `${port}/tcp`;
    if (!/^\d+\/(?:tcp|udp|sctp)$/.test(wanted))
      throw specError(`"${port}" is not a port, like 8080 or "53/udp"`);
    return this.#config(`exposes ${wanted}`, ({ config }) => {
      const ports = Object.keys(config.config.ExposedPorts ?? {}).map((one) =>
        one.includes("/") ? one : `${one}/tcp`,
      );
      return ports.includes(wanted) ? pass() : fail(`exposes ${ports.join(", ") || "nothing"}`);
    });
  }

  /** CMD in exec form, every word. */
  cmd(expected: readonly string[]): this {
    return this.#argv("cmd", expected, ({ config }) => config.config.Cmd);
  }

  entrypoint(expected: readonly string[]): this {
    return this.#argv("entrypoint", expected, ({ config }) => config.config.Entrypoint);
  }

  /** The variable is set; with a value, to that value (string: exactly, expression: search). */
  env(name: string, expected?: Expected): this {
    const wanted = expected === undefined ? undefined : withoutState(expected);
    const text = wanted === undefined ? `env ${name} is set` : `env ${name} is ${showExpected(wanted)}`;
    return this.#config(text, ({ config }) => {
      const value = envOf(config.config.Env, name);
      if (value === undefined) return fail(`${name} is not set`);
      if (wanted === undefined || matches(value, wanted)) return pass();
      return fail(
        secretInVariable(name, value) === undefined ? `${name}=${value}` : `${name} has another value`,
      );
    });
  }

  envUnset(name: string): this {
    return this.#config(`env ${name} is not set`, ({ config }) =>
      envOf(config.config.Env, name) === undefined ? pass() : fail(`${name} is set`),
    );
  }

  label(name: string, expected?: Expected): this {
    const wanted = expected === undefined ? undefined : withoutState(expected);
    const text = wanted === undefined ? `label ${name} is set` : `label ${name} is ${showExpected(wanted)}`;
    return this.#config(text, ({ config }) => {
      const value = config.config.Labels?.[name];
      if (value === undefined) return fail(`there is no label ${name}`);
      return wanted === undefined || matches(value, wanted) ? pass() : fail(`${name}=${value}`);
    });
  }

  workdir(expected: string): this {
    return this.#config(`workdir ${expected}`, ({ config }) =>
      same(config.config.WorkingDir || "/", expected),
    );
  }

  stopSignal(expected: string): this {
    return this.#config(`stop signal ${expected}`, ({ config }) =>
      same(config.config.StopSignal || "SIGTERM", expected),
    );
  }

  volume(path: string): this {
    return this.#config(`volume ${path}`, ({ config }) => {
      const volumes = Object.keys(config.config.Volumes ?? {});
      return volumes.includes(path) ? pass() : fail(`volumes: ${volumes.join(", ") || "none"}`);
    });
  }

  arch(expected: string): this {
    return this.#config(`architecture ${expected}`, ({ config }) => same(config.architecture, expected));
  }

  /** Sum of the layers as stored (usually compressed): `"250MB"`, `"1.5GiB"`, or bytes. */
  maxSize(limit: string | number): this {
    const bytes = parseSize(limit);
    return this.#config(`at most ${limit}`, ({ manifest }) => {
      const size = manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
      return size <= bytes ? pass(showSize(size)) : fail(`the layers have ${showSize(size)}`);
    });
  }

  maxLayers(limit: number): this {
    return this.#config(`at most ${limit} layers`, ({ manifest }) =>
      manifest.layers.length <= limit ? pass() : fail(`${manifest.layers.length} layers`),
    );
  }

  /** No variable and no line of history that looks like a secret. Evidence names it, never shows it. */
  noSecretInEnvOrHistory(): this {
    return this.#config("no secret in env or history", ({ config }) => {
      const inEnv = (config.config.Env ?? []).flatMap((one) => {
        const equals = one.indexOf("=");
        return secretInVariable(one.slice(0, equals), one.slice(equals + 1)) ?? [];
      });
      const inHistory = (config.history ?? []).flatMap((entry, position) => {
        const found = secretInHistory(entry.created_by ?? "");
        return found === undefined ? [] : [`history line ${position + 1}: ${found}`];
      });
      const found = [...inEnv, ...inHistory];
      return found.length === 0 ? pass() : fail(found.join("; "));
    });
  }

  /** The base image is recorded by digest, so that this build can be traced and repeated. */
  digestPinned(): this {
    return this.#config("base is pinned by digest", ({ config }) => {
      const digest = config.config.Labels?.["org.opencontainers.image.base.digest"];
      if (digest !== undefined && digest !== "") return pass(digest);
      const isScratch = config.config.Labels?.["org.opencontainers.image.base.name"] === undefined;
      return isScratch
        ? unknown(
            "the image does not say what it was built from (label org.opencontainers.image.base.digest)",
          )
        : fail("the image names its base without a digest");
    });
  }

  /** The first word of ENTRYPOINT or CMD is a program in the image that may be run, and so is its interpreter. */
  commandExists(): this {
    this.#add({
      subject: "image",
      expectation: "its command is a program in the image",
      source: "layers",
      place: placeOfCaller(),
      judge: judgeCommand,
    });
    return this;
  }

  #config(expectation: string, judge: (view: ImageView) => Judgement): this {
    this.#add({ subject: "image", expectation, source: "config", place: placeOfCaller(), judge });
    return this;
  }

  #argv(
    what: string,
    expected: readonly string[],
    read: (view: ImageView) => readonly string[] | undefined,
  ): this {
    if (!Array.isArray(expected) || expected.length === 0) {
      throw specError(`${what} expects a list of words, like ["node", "server.js"]`);
    }
    return this.#config(`${what} ${JSON.stringify(expected)}`, (view) =>
      same(JSON.stringify(read(view) ?? []), JSON.stringify(expected)),
    );
  }
}

async function judgeNonRoot({ config, files }: ImageView): Promise<Judgement> {
  const user = (config.config.User ?? "").split(":")[0] ?? "";
  if (user === "") return fail("the image has no USER, so it runs as root");
  if (/^\d+$/.test(user)) return Number(user) === 0 ? fail("USER is 0, which is root") : pass(`USER ${user}`);
  const passwd = await readIfThere(files, "/etc/passwd");
  const account = passwd === undefined ? undefined : parsePasswd(passwd).find((one) => one.name === user);
  if (account === undefined) return fail(`USER is ${user}, which /etc/passwd of the image does not know`);
  return account.uid === 0
    ? fail(`USER ${user} has the id 0, which is root`)
    : pass(`USER ${user} is ${account.uid}`);
}

async function judgeCommand({ config, files }: ImageView): Promise<Judgement> {
  const { Entrypoint, Cmd, Env, WorkingDir } = config.config;
  const [program] = [...(Entrypoint ?? []), ...(Cmd ?? [])];
  if (program === undefined) return pass("no ENTRYPOINT and no CMD: the pod must name its command");
  const path = envOf(Env, "PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const candidates = program.startsWith("/")
    ? [program]
    : program.includes("/")
      ? [`${WorkingDir || "/"}/${program}`]
      : path.split(":").map((folder) => `${folder}/${program}`);
  const seen: string[] = [];
  for (const candidate of candidates) {
    const found = files.lookup(candidate);
    if (found.kind === "unknown") return unknown(found.why);
    if (found.kind === "absent") continue;
    if (found.node.kind !== "file") seen.push(`${candidate} is a ${found.node.kind}`);
    else if ((found.node.mode & 0o111) === 0)
      seen.push(`${candidate} may not be executed (mode ${showMode(found.node.mode)})`);
    else return judgeInterpreter(files, found.path, await files.read(found.node, 256));
  }
  return fail(
    seen.length > 0 ? seen.join("; ") : `${program} is not in the image (looked at ${candidates.join(", ")})`,
  );
}

/** `#!/bin/sh` in an image without a shell starts nothing, and the kernel's message names the wrong file. */
function judgeInterpreter(files: ImageFiles, path: string, head: Buffer): Judgement {
  if (head[0] !== 0x23 || head[1] !== 0x21) return pass(path);
  const interpreter = head.toString("utf8", 2).split("\n")[0]?.trim().split(/\s+/)[0] ?? "";
  const found = files.lookup(interpreter);
  return found.kind === "found"
    ? pass(`${path}, run by ${interpreter}`)
    : fail(`${path} is a script for ${interpreter}, which is not in the image`);
}

export async function readIfThere(files: ImageFiles, path: string): Promise<string | undefined> {
  const found = files.lookup(path);
  return found.kind === "found" && found.node.kind === "file" ? files.readText(found.node) : undefined;
}

export const showMode = (mode: number): string => mode.toString(8).padStart(4, "0");

function same(actual: string, expected: string): Judgement {
  return actual === expected ? pass() : fail(actual === "" ? "it is not set" : `it is ${actual}`);
}

function envOf(env: readonly string[] | undefined, name: string): string | undefined {
  return env?.findLast((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
}

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
};

export function parseSize(text: string | number): number {
  if (typeof text === "number") return text;
  const match = /^(\d+(?:\.\d+)?)\s*([KMG]?i?B)$/i.exec(text);
  if (match === null) throw specError(`"${text}" is not a size, like "250MB" or "1GiB"`);
  return Number(match[1]) * (UNITS[(match[2] as string).toUpperCase()] as number);
}

const showSize = (bytes: number): string => (bytes < 1e6 ? `${bytes} B` : `${(bytes / 1e6).toFixed(1)} MB`);
