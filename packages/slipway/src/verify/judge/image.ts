/** What is expected of an image's configuration, decided from its JSON and, where names mean something, its files. */
import { posix } from "node:path";
import { type CheckOf, fail, type ImageExpectation, type Judgement, pass, unknown } from "../check.ts";
import type { ContainerFiles } from "../engines/engine.ts";
import type { ImageView } from "../observe/image-view.ts";
import { secretInHistory, secretInVariable } from "../secrets.ts";
import { showMode } from "../spec/expect.ts";
import { fits, judgeText, showMatch } from "../text.ts";
import type { TextMatch } from "../text-match.ts";
import { accountsOf } from "./accounts.ts";
import { judgeSecretsInFiles } from "./secret-files.ts";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export async function judgeImage(
  { expectation }: Pick<CheckOf<"image">, "expectation">,
  view: ImageView,
): Promise<Judgement> {
  switch (expectation.matcher) {
    case "nonRoot":
      return judgeNonRoot(view);
    case "commandExists":
      return judgeCommand(view);
    case "noShell":
      return judgeNoShell(view);
    case "noSecretInFiles":
      return judgeSecretsInFiles(view);
    default:
      return judgeConfig(expectation, view);
  }
}

type ConfigExpectation = Exclude<
  ImageExpectation,
  { matcher: "nonRoot" | "commandExists" | "noShell" | "noSecretInFiles" }
>;

function judgeConfig(expectation: ConfigExpectation, { config: file, manifest }: ImageView): Judgement {
  const config = file.config;
  const labels = config.Labels ?? {};
  switch (expectation.matcher) {
    case "user":
      return same(config.User ?? "", expectation.value);
    case "workdir":
      return same(config.WorkingDir || "/", expectation.value);
    case "stopSignal":
      return same(config.StopSignal || "SIGTERM", expectation.value);
    case "arch":
      return same(file.architecture, expectation.value);
    case "os":
      return same(file.os, expectation.value);
    case "author":
      return same(file.author ?? "", expectation.value);
    case "cmd":
      return sameWords(config.Cmd, expectation.words);
    case "entrypoint":
      return sameWords(config.Entrypoint, expectation.words);
    case "onbuild":
      return sameWords((config as { OnBuild?: readonly string[] | null }).OnBuild, expectation.words);
    case "env":
      return judgeEnv(envOf(config.Env, expectation.name), expectation.name, expectation.match);
    case "envUnset":
      return envOf(config.Env, expectation.name) === undefined ? pass() : fail(`${expectation.name} is set`);
    case "label":
      return judgeLabel(labels, expectation.name, expectation.match);
    case "labelUnset": {
      const value = labelOf(labels, expectation.name);
      return value === undefined ? pass() : fail(`${expectation.name}=${value}`);
    }
    case "exposes":
    case "exposesNot": {
      const ports = Object.keys(config.ExposedPorts ?? {}).map((one) =>
        one.includes("/") ? one : `${one}/tcp`,
      );
      // Without a protocol, any will do.
      const isThere = ports.some((one) => one === expectation.port || one.split("/")[0] === expectation.port);
      const isSame = isThere === (expectation.matcher === "exposes");
      return isSame ? pass() : fail(`exposes ${ports.join(", ") || "nothing"}`);
    }
    case "volume":
    case "volumeNot": {
      const volumes = Object.keys(config.Volumes ?? {});
      const isThere = volumes.some((one) => plainPath(one) === plainPath(expectation.path));
      const isSame = isThere === (expectation.matcher === "volume");
      return isSame ? pass() : fail(`volumes: ${volumes.join(", ") || "none"}`);
    }
    case "healthcheck":
    case "healthcheckNot":
      return judgeHealthcheck(config.Healthcheck?.Test ?? [], expectation);
    case "maxSize": {
      const size = manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
      return size <= expectation.limit ? pass(showSize(size)) : fail(`the layers have ${showSize(size)}`);
    }
    case "maxLayers":
      return manifest.layers.length <= expectation.limit ? pass() : fail(`${manifest.layers.length} layers`);
    case "created":
      if (file.created === undefined) return fail("the image does not say when it was made");
      return Date.parse(file.created) > expectation.afterMs ? pass() : fail(`created ${file.created}`);
    case "history":
      return judgeHistory(file.history ?? [], expectation.match, expectation.isWanted);
    case "base":
      return judgeBase(labels, expectation.name, expectation.digest);
    case "digestPinned":
      return judgePinned(labels);
    case "noSecretInEnvOrHistory":
      return judgeSecrets(config.Env ?? [], file.history ?? []);
  }
}

function judgeEnv(value: string | undefined, name: string, match: TextMatch | undefined): Judgement {
  if (value === undefined) return fail(`${name} is not set`);
  if (match === undefined || fits(value, match)) return pass();
  return fail(secretInVariable(name, value) === undefined ? `${name}=${value}` : `${name} has another value`);
}

const labelOf = (labels: Readonly<Record<string, string>>, name: string): string | undefined =>
  Object.hasOwn(labels, name) ? labels[name] : undefined;

function judgeLabel(
  labels: Readonly<Record<string, string>>,
  name: string,
  match: TextMatch | undefined,
): Judgement {
  const value = labelOf(labels, name);
  if (value === undefined) return fail(`there is no label ${name}`);
  return match === undefined || fits(value, match) ? pass() : fail(`${name}=${value}`);
}

function judgeHealthcheck(
  test: readonly string[],
  expectation: Extract<ImageExpectation, { matcher: "healthcheck" | "healthcheckNot" }>,
): Judgement {
  const isThere = test.length > 0 && test[0] !== "NONE";
  if (expectation.matcher === "healthcheckNot") {
    return isThere ? fail(`healthcheck ${JSON.stringify(test)}`) : pass();
  }
  if (!isThere) return fail("it has no healthcheck");
  return "test" in expectation && expectation.test !== undefined ? sameWords(test, expectation.test) : pass();
}

function judgeHistory(
  history: readonly { readonly created_by?: string }[],
  match: TextMatch,
  isWanted: boolean,
): Judgement {
  const text = history.map((entry) => entry.created_by ?? "").join("\n");
  if (history.length === 0) {
    return isWanted
      ? fail("the image has no history")
      : unknown("the image has no history, so it shows nothing");
  }
  if (isWanted) return judgeText("history", text, match);
  return fits(text, match) ? fail(`history has ${showMatch(match)}`) : pass(`${history.length} lines`);
}

const BASE = "org.opencontainers.image.base";

function judgeBase(
  labels: Readonly<Record<string, string>>,
  name: string | undefined,
  digest: string | undefined,
): Judgement {
  const [hasName, hasDigest] = [labels[`${BASE}.name`], labels[`${BASE}.digest`]];
  if (hasName === undefined && hasDigest === undefined) {
    return unknown(`the image does not say what it was built from (labels ${BASE}.name and .digest)`);
  }
  const isSame = (name === undefined || name === hasName) && (digest === undefined || digest === hasDigest);
  return isSame ? pass() : fail(`base ${[hasName, hasDigest].filter((one) => one !== undefined).join("@")}`);
}

function judgePinned(labels: Readonly<Record<string, string>>): Judgement {
  const digest = labels[`${BASE}.digest`];
  if (digest !== undefined && digest !== "") return pass(digest);
  return labels[`${BASE}.name`] === undefined
    ? unknown(
        `the image does not say what it was built from (label ${BASE}.digest)`,
        "Build it with a base that is named by digest, or write the label.",
      )
    : fail("the image names its base without a digest");
}

function judgeSecrets(
  env: readonly string[],
  history: readonly { readonly created_by?: string }[],
): Judgement {
  const inEnv = env.flatMap((one) => {
    const equals = one.indexOf("=");
    return secretInVariable(one.slice(0, equals), one.slice(equals + 1)) ?? [];
  });
  const inHistory = history.flatMap((entry, position) => {
    const found = secretInHistory(entry.created_by ?? "");
    return found === undefined ? [] : [`history line ${position + 1}: ${found}`];
  });
  const found = [...inEnv, ...inHistory];
  return found.length === 0 ? pass() : fail(found.join("; "));
}

async function judgeNonRoot({ config, files }: ImageView): Promise<Judgement> {
  const user = (config.config.User ?? "").split(":")[0] ?? "";
  if (user === "") return fail("the image has no USER, so it runs as root");
  if (/^\d+$/.test(user)) return Number(user) === 0 ? fail("USER is 0, which is root") : pass(`USER ${user}`);
  const account = (await accountsOf(files)).users.find((one) => one.name === user);
  if (account === undefined) return fail(`USER is ${user}, which /etc/passwd of the image does not know`);
  return account.uid === 0
    ? fail(`USER ${user} has the id 0, which is root`)
    : pass(`USER ${user} is ${account.uid}`);
}

async function judgeCommand({ config, files }: ImageView): Promise<Judgement> {
  const { Entrypoint, Cmd, Env, WorkingDir } = config.config;
  const [program] = [...(Entrypoint ?? []), ...(Cmd ?? [])];
  if (program === undefined) return pass("no ENTRYPOINT and no CMD: the pod must name its command");
  const path = envOf(Env, "PATH") ?? PATH;
  const candidates = program.startsWith("/")
    ? [program]
    : program.includes("/")
      ? [`${WorkingDir || "/"}/${program}`]
      : path.split(":").map((folder) => `${folder}/${program}`);
  const seen: string[] = [];
  for (const candidate of candidates) {
    const found = await files.lookup(candidate);
    if (found.kind === "unknown") return unknown(found.why);
    if (found.kind === "absent") continue;
    if (found.file.kind !== "file") seen.push(`${candidate} is a ${found.file.kind}`);
    else if ((found.file.mode & 0o111) === 0)
      seen.push(`${candidate} may not be executed (mode ${showMode(found.file.mode)})`);
    else return judgeInterpreter(files, found.path);
  }
  return fail(
    seen.length > 0 ? seen.join("; ") : `${program} is not in the image (looked at ${candidates.join(", ")})`,
  );
}

/** `#!/bin/sh` in an image without a shell starts nothing, and the kernel's message names the wrong file. */
async function judgeInterpreter(files: ContainerFiles, path: string): Promise<Judgement> {
  const head = Buffer.from(await files.read(path, 256));
  if (head.subarray(0, ELF.length).equals(ELF)) return pass(path);
  // As the kernel reads it, for which the \r of a line from Windows is a part of the name.
  const interpreter = /^#![ \t]*([^ \t\n\0]+)/.exec(head.toString("utf8"))?.[1];
  if (interpreter === undefined)
    return fail(`${path} is neither a binary nor a script that begins with #!, so nothing can start it`);
  const found = await files.lookup(interpreter);
  if (found.kind === "unknown") return unknown(found.why);
  return found.kind === "found"
    ? pass(`${path}, run by ${interpreter}`)
    : fail(`${path} is a script for ${JSON.stringify(interpreter).slice(1, -1)}, which is not in the image`);
}

const ELF = Buffer.from("\u007fELF", "latin1");

const SHELLS = ["sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "busybox"];

async function judgeNoShell({ config, files }: ImageView): Promise<Judgement> {
  const path = envOf(config.config.Env, "PATH") ?? PATH;
  const folders = new Set([...path.split(":"), ...PATH.split(":")].filter((one) => one.startsWith("/")));
  let looked = 0;
  for (const folder of folders) {
    for (const shell of SHELLS) {
      const found = await files.lookup(`${folder}/${shell}`);
      if (found.kind === "unknown") return unknown(found.why);
      if (found.kind === "found") return fail(`${folder}/${shell} is there`);
      looked += 1;
    }
  }
  return pass(`${looked} paths looked at`);
}

/** `/data/` and `//data` are `/data`. */
const plainPath = (path: string): string => posix.normalize(`/${path}`).replace(/(.)\/$/, "$1");

const same = (actual: string, expected: string): Judgement =>
  actual === expected ? pass() : fail(actual === "" ? "it is not set" : `it is ${actual}`);

const sameWords = (actual: readonly string[] | null | undefined, expected: readonly string[]): Judgement => {
  const shown = JSON.stringify(actual ?? []);
  return shown === JSON.stringify(expected) ? pass() : fail(`it is ${shown}`);
};

export function envOf(env: readonly string[] | null | undefined, name: string): string | undefined {
  return env?.findLast((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
}

const showSize = (bytes: number): string => (bytes < 1e6 ? `${bytes} B` : `${(bytes / 1e6).toFixed(1)} MB`);
