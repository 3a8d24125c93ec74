/** What the work tree says about the version being shipped. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { exec, SlipwayError, shellLine } from "@slipway/base";
import type { SourceHistory } from "../images/dockerfile/dates.ts";
import { askGit, MAX_LINE_BYTES, stayShell } from "./git-shell.ts";

export interface Version {
  /** Full commit, or undefined outside a git repository or before the first commit. */
  readonly commit: string | undefined;
  readonly dirty: boolean;
  /** What makes it dirty, as git lists it: from the root of the repository, a folder that is new as a whole with a slash. Undefined: git does not say. */
  readonly changed?: readonly string[] | undefined;
  readonly message: string;
  readonly author: string;
  /** The author's mail address. */
  readonly email?: string | undefined;
  /** ms since the epoch: the commit's time, which dates the image layers. 0 without a commit. */
  readonly timeMs: number;
}

/** Rejects with GIT_NOT_TRUSTED: what is committed must not be shipped as if it were not. */
export async function readVersion(root: string, env: NodeJS.ProcessEnv): Promise<Version> {
  const [log, status] = await Promise.all([
    ask(root, ["log", "-1", "--no-show-signature", "--format=%H%n%ct%n%an%n%ae%n%s"], env),
    ask(root, ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal", "--", "."], env),
  ]);
  if (log === undefined) await refuseUntrusted(root, env);
  if (log === undefined)
    return { commit: undefined, dirty: true, message: "", author: env["USER"] ?? "", timeMs: 0 };
  const [commit = "", seconds = "0", author = "", email = "", message = ""] = log.split("\n");
  const changed = (status ?? "")
    .split("\0")
    .filter((line) => line !== "")
    .map((line) => line.slice(3));
  return {
    commit,
    dirty: status === undefined || changed.length > 0,
    ...(changed.length === 0 ? {} : { changed }),
    message,
    author,
    ...(email === "" ? {} : { email }),
    timeMs: Number(seconds) * 1000,
  };
}

/** A repository of another user, as in a container with a mounted checkout, is one that git does not read (git-config, safe.directory). */
async function refuseUntrusted(root: string, env: NodeJS.ProcessEnv): Promise<void> {
  const asked = exec(["git", "-C", root, "rev-parse", "--git-dir"], { env: { ...env, LC_ALL: "C" } });
  const { stderr } = await asked.catch(() => ({ stderr: "" })); // there is no git
  const folder = /detected dubious ownership in repository at '(.*)'/.exec(stderr)?.[1];
  if (folder === undefined) return;
  throw new SlipwayError({
    code: "GIT_NOT_TRUSTED",
    where: folder,
    message: "git does not read this repository, because it belongs to another user",
    hint: `If you trust it: ${shellLine(["git", "config", "--global", "--add", "safe.directory", folder])}`,
    exitCode: 3,
  });
}

export interface LastCommit {
  readonly commit: string;
  readonly timeMs: number;
  /** It is the oldest that a shallow clone has, to which git counts all that came before. */
  readonly isCutOff: boolean;
}

/** The commit that last touched any of these paths; undefined when none did, or outside a git repository. */
export async function lastCommitOf(
  root: string,
  paths: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<LastCommit | undefined> {
  const format = "--format=%H %ct %D";
  const one = ["log", "-1", "--no-show-signature", "--decorate=short", format];
  const log = await ask(root, [...one, "--", ...paths.map(literal)], env);
  const [, commit, seconds, names = ""] = /^(\w+) (\d+) ?(.*)$/.exec(log?.trim() ?? "") ?? [];
  if (commit === undefined) return undefined;
  return { commit, timeMs: Number(seconds) * 1000, isCutOff: names.split(", ").includes("grafted") };
}

/** What a build asks of when its sources changed. */
export interface GitHistory extends SourceHistory {
  /** Of something that was asked for, a shallow clone does not say it. */
  readonly isCutOff: boolean;
}

export function gitHistory(root: string, env: NodeJS.ProcessEnv): GitHistory {
  let isCutOff = false;
  const ignored = new Map<string, Promise<readonly string[] | undefined>>();
  const commits = new Map<string, Promise<readonly (LastCommit | undefined)[]>>();
  const commitsOf = (paths: readonly string[]): Promise<readonly (LastCommit | undefined)[]> => {
    const key = paths.join("\0");
    const asked =
      commits.get(key) ?? Promise.all(portions(paths).map((some) => lastCommitOf(root, some, env)));
    commits.set(key, asked);
    return asked;
  };
  const askIgnored = async (folder: string): Promise<readonly string[] | undefined> => {
    const which = ["--others", "--ignored", "--exclude-standard", "--directory"];
    const answer = await ask(root, ["ls-files", ...which, "-z", "--", literal(folder)], env);
    const submodules = await submodulesIn(root, folder, env);
    if (answer === undefined || submodules === undefined) return undefined;
    const paths = answer.split("\0").filter((path) => path !== "");
    return [...paths, ...submodules].map((path) => resolve(root, path)); // without the slash behind a folder
  };
  return {
    get isCutOff() {
      return isCutOff;
    },
    lastChange: async (paths) => {
      const found = await commitsOf(paths);
      isCutOff ||= found.some((last) => last?.isCutOff);
      const times = found.flatMap((last) => (last === undefined ? [] : [last.timeMs]));
      return times.length === 0 ? undefined : Math.max(...times);
    },
    lookAhead: (paths) => void commitsOf(paths),
    ignored: (folder) => {
      const asked = ignored.get(folder) ?? askIgnored(folder);
      ignored.set(folder, asked);
      return asked;
    },
  };
}

/** What git ignores in a submodule it does not list, and the commits in it are of another repository. */
async function submodulesIn(
  root: string,
  folder: string,
  env: NodeJS.ProcessEnv,
): Promise<readonly string[] | undefined> {
  if (!hasSubmodules(folder)) return []; // without another process, in almost all repositories
  const answer = await ask(root, ["ls-files", "--stage", "-z", "--", literal(folder)], env);
  return answer?.split("\0").flatMap((line) => {
    const [, path] = /^160000 [^\t]*\t(.*)$/s.exec(line) ?? [];
    return path === undefined ? [] : [path];
  });
}

function hasSubmodules(folder: string): boolean {
  for (let place = folder; ; place = dirname(place)) {
    if (existsSync(join(place, ".gitmodules"))) return true;
    if (existsSync(join(place, ".git")) || place === dirname(place)) return false;
  }
}

/** A pattern can name more files than fit into one line for a shell. */
function portions(paths: readonly string[]): readonly (readonly string[])[] {
  const all: string[][] = [];
  let bytes = MAX_LINE_BYTES;
  for (const path of paths) {
    const more = Buffer.byteLength(shellLine([literal(path)])) + 1;
    if (bytes + more > MAX_LINE_BYTES / 2) {
      all.push([]);
      bytes = 0;
    }
    all.at(-1)?.push(path);
    bytes += more;
  }
  return all;
}

/** For git, to which `[` in a path is a pattern. */
const literal = (path: string): string => `:(literal)${path}`;

/**
 * Files under `paths` that are not as in that commit, untracked ones too unless `which` says so, without those under `except`;
 * relative to `root`, sorted. Undefined outside a git repository, and for a commit that is not there.
 */
export async function changedSince(
  root: string,
  commit: string,
  paths: readonly string[],
  except: readonly string[],
  env: NodeJS.ProcessEnv,
  which: "all" | "tracked" | "untracked" = "all",
): Promise<readonly string[] | undefined> {
  // Of a path that is not in the repository git makes an error.
  const isOutside = (path: string): boolean => relative(root, resolve(root, path)).startsWith("..");
  const excludes = except.filter((path) => !isOutside(path)).map(excluded);
  const git = async (...args: string[]): Promise<string[] | undefined> => {
    const answer = await ask(root, [...args, "-z", "--", ...paths, ...excludes], env);
    return answer?.split("\0").filter((name) => name !== "");
  };
  const [tracked, others] = await Promise.all([
    which === "untracked" ? [] : git("diff", "--name-only", "--relative", "--no-renames", commit),
    which === "tracked" ? [] : git("ls-files", "--others", "--exclude-standard"),
  ]);
  return tracked === undefined || others === undefined ? undefined : [...tracked, ...others].sort();
}

const excluded = (path: string): string => `:(exclude,literal)${path.replace(/\/$/, "")}`;

/** Where the sources are, as an address for people: the remote `origin`, without user and password. */
export async function sourceOf(root: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const remote = await ask(root, ["config", "--get", "remote.origin.url"], env);
  return remote === undefined ? undefined : publicAddress(remote.trim());
}

/** `git@host:team/web.git` → `https://host/team/web`; undefined for a folder. */
export function publicAddress(remote: string): string | undefined {
  const short = /^(?:[\w.-]+@)?([\w.-]+):(?!\/)(.+)$/.exec(remote);
  const long = /^(?:https?|ssh|git):\/\/(?:[^@/]*@)?([^/:]+)(?::\d+)?\/(.+)$/.exec(remote);
  const [, host, path] = long ?? short ?? [];
  return host === undefined || path === undefined
    ? undefined
    : `https://${host}/${path.replace(/\.git\/?$/, "")}`;
}

/** `a.txt, b.txt, c.txt and 4 more`. */
export function listed(files: readonly string[]): string {
  const rest = files.length > 3 ? ` and ${files.length - 3} more` : "";
  return `${files.slice(0, 3).join(", ")}${rest}`;
}

/** `3f2a91b`, `3f2a91b-dirty`, or `uncommitted`: the tag of the images and the name people see. */
export function versionTag(version: Version): string {
  if (version.commit === undefined) return "uncommitted";
  return `${version.commit.slice(0, 12)}${version.dirty ? "-dirty" : ""}`;
}

/** The file in which git notes where HEAD went: a commit, a checkout, a reset. Undefined outside a git repository. */
export async function headLog(root: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return gitPath(root, "logs/HEAD", env);
}

/** The file of what is to be committed next. Undefined outside a git repository. */
export async function indexFile(root: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return gitPath(root, "index", env);
}

async function gitPath(root: string, name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const path = await ask(root, ["rev-parse", "--git-path", name], env);
  return path === undefined ? undefined : resolve(root, path.replace(/\n$/, ""));
}

interface Kept {
  /** What HEAD is, as far as files say, and what is set. */
  readonly stamp: () => string;
  /** Of which the answers are. */
  stamped: string;
  readonly answers: Map<string, Promise<string | undefined>>;
}

const keeping = new WeakMap<NodeJS.ProcessEnv, Kept>();

/**
 * For a process that asks again and again, in this environment: from now on a shell stays for git, and questions about commits
 * are asked once, until HEAD moves (where git notes that). To be closed.
 */
export async function stayWithGit(root: string, env: NodeJS.ProcessEnv): Promise<{ close(): void }> {
  const shell = stayShell(env);
  const names = ["HEAD", "refs", "logs/HEAD", "config", "config.worktree", "shallow"];
  const [head, refs, log, ...others] = await Promise.all(names.map((name) => gitPath(root, name, env)));
  if (head !== undefined && refs !== undefined && log !== undefined && existsSync(log)) {
    // git writes these anew, or longer. The log is written before what HEAD is, and programs other than git leave it out.
    const stamp = (): string =>
      [...headIn(head, dirname(refs)), ...[log, ...others].map((file) => stampOf(file as string))].join();
    keeping.set(env, { stamp, stamped: "", answers: new Map() });
  }
  return {
    close() {
      keeping.delete(env);
      shell.close();
    },
  };
}

const ABOUT_COMMITS: ReadonlySet<string> = new Set(["log", "config"]);

/** A commit, or a branch and what its file says: of one that is packed there is none, until it moves (gitrepository-layout). */
function headIn(head: string, folder: string): readonly (string | undefined)[] {
  const text = readIfThere(head);
  const branch = text?.startsWith("ref: ") ? text.slice("ref: ".length).trim() : undefined;
  return [text, branch === undefined ? undefined : readIfThere(join(folder, branch))];
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function stampOf(file: string): string {
  const { ino, size, mtimeNs } = statSync(file, { bigint: true, throwIfNoEntry: false }) ?? {};
  return `${ino} ${size} ${mtimeNs}`;
}

function ask(root: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const kept = keeping.get(env);
  if (kept === undefined || !ABOUT_COMMITS.has(args[0] as string)) return askGit(root, args, env);
  const { stamp, answers } = kept;
  const now = stamp();
  if (now !== kept.stamped) answers.clear();
  kept.stamped = now;
  const key = JSON.stringify([root, ...args]);
  const known = answers.get(key);
  if (known !== undefined) return known;
  const answer = askGit(root, args, env);
  answers.set(key, answer);
  // What is not set is no failure; that there are commits is known.
  if (args[0] === "log")
    void answer.then((text) => {
      if (text === undefined && answers.get(key) === answer) answers.delete(key);
    });
  return answer;
}
