/** What the work tree says about the version being shipped. */
import { exec } from "@slipway/base";

export interface Version {
  /** Full commit, or undefined outside a git repository or before the first commit. */
  readonly commit: string | undefined;
  readonly dirty: boolean;
  readonly message: string;
  readonly author: string;
  /** The author's mail address. */
  readonly email?: string | undefined;
  /** ms since the epoch: the commit's time, which dates the image layers. 0 without a commit. */
  readonly timeMs: number;
}

export async function readVersion(root: string, env: NodeJS.ProcessEnv): Promise<Version> {
  const git = async (...args: string[]): Promise<string | undefined> => {
    const result = await exec(["git", "-C", root, ...args], { env }).catch(() => undefined);
    return result?.exitCode === 0 ? result.stdout : undefined;
  };
  const [log, status = ""] = await Promise.all([
    git("log", "-1", "--format=%H%n%ct%n%an%n%ae%n%s"),
    git("status", "--porcelain", "--", "."),
  ]);
  if (log === undefined)
    return { commit: undefined, dirty: true, message: "", author: env["USER"] ?? "", timeMs: 0 };
  const [commit = "", seconds = "0", author = "", email = "", message = ""] = log.split("\n");
  return {
    commit,
    dirty: status.trim() !== "",
    message,
    author,
    ...(email === "" ? {} : { email }),
    timeMs: Number(seconds) * 1000,
  };
}

/** The commit that last touched any of these paths; undefined when none did, or outside a git repository. */
export async function lastCommitOf(
  root: string,
  paths: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly commit: string; readonly timeMs: number } | undefined> {
  const command = ["git", "-C", root, "log", "-1", "--format=%H %ct", "--", ...paths];
  const result = await exec(command, { env }).catch(() => undefined);
  const [commit, seconds] = result?.exitCode === 0 ? result.stdout.trim().split(" ") : [];
  return commit && seconds ? { commit, timeMs: Number(seconds) * 1000 } : undefined;
}

/**
 * Files under `paths` that are not as in that commit, untracked ones too, without those under `except`; relative to
 * `root`, sorted. Undefined outside a git repository, and for a commit that is not there.
 */
export async function changedSince(
  root: string,
  commit: string,
  paths: readonly string[],
  except: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<readonly string[] | undefined> {
  const git = async (...args: string[]): Promise<string[] | undefined> => {
    const command = ["git", "-C", root, ...args, "-z", "--", ...paths, ...except.map(excluded)];
    const result = await exec(command, { env }).catch(() => undefined);
    return result?.exitCode === 0 ? result.stdout.split("\0").filter((name) => name !== "") : undefined;
  };
  const tracked = await git("diff", "--name-only", "--relative", "--no-renames", commit);
  const others = await git("ls-files", "--others", "--exclude-standard");
  return tracked === undefined || others === undefined ? undefined : [...tracked, ...others].sort();
}

const excluded = (path: string): string => `:(exclude,literal)${path.replace(/\/$/, "")}`;

/** Where the sources are, as an address for people: the remote `origin`, without user and password. */
export async function sourceOf(root: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const command = ["git", "-C", root, "config", "--get", "remote.origin.url"];
  const result = await exec(command, { env }).catch(() => undefined);
  return result?.exitCode === 0 ? publicAddress(result.stdout.trim()) : undefined;
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

/** `3f2a91b`, `3f2a91b-dirty`, or `uncommitted`: the tag of the images and the name people see. */
export function versionTag(version: Version): string {
  if (version.commit === undefined) return "uncommitted";
  return `${version.commit.slice(0, 12)}${version.dirty ? "-dirty" : ""}`;
}
