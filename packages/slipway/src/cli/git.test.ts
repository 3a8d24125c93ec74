import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exec } from "@slipway/base";
import {
  changedSince,
  headLog,
  lastCommitOf,
  publicAddress,
  readVersion,
  sourceOf,
  stayWithGit,
} from "./git.ts";

for (const [remote, address] of [
  ["git@github.com:team/web.git", "https://github.com/team/web"],
  ["https://user:secret@example.com/team/web.git", "https://example.com/team/web"],
  ["ssh://git@example.com:2222/team/web", "https://example.com/team/web"],
  ["example.com:team/web", "https://example.com/team/web"],
  ["/srv/git/web.git", undefined],
  ["../web", undefined],
  ["", undefined],
] as const) {
  test(`the source's address: ${remote}`, () => assert.equal(publicAddress(remote), address));
}

test("git answers what is asked in one go: each question its own, whatever stands in names and messages", async () => {
  const root = await mkdtemp(join(tmpdir(), "slipway it's $HOME `git` "));
  const { env } = process;
  const git = async (...args: string[]): Promise<void> => {
    const who = ["-c", "user.name=Ann 0", "-c", "user.email=ann@example.com"];
    const { exitCode, stderr } = await exec(["git", "-C", root, ...who, ...args], { env });
    assert.equal(exitCode, 0, stderr);
  };
  try {
    await git("init", "-q");
    await writeFile(join(root, "a b'c.txt"), "1");
    await git("add", "-A");
    await git("commit", "-qm", "ends with 0");
    await git("remote", "add", "origin", "git@example.com:team/web.git");
    const asked = await Promise.all([
      readVersion(root, env),
      lastCommitOf(root, [join(root, "a b'c.txt")], env),
      lastCommitOf(root, [join(root, "none")], env),
      sourceOf(root, env),
      readVersion(join(root, "no such folder"), env),
    ]);
    const [version, last, none, source, nowhere] = asked;
    assert.deepEqual(
      [version.message, version.author, version.email, version.dirty],
      ["ends with 0", "Ann 0", "ann@example.com", false],
    );
    assert.deepEqual(last, { commit: version.commit, timeMs: version.timeMs, isCutOff: false });
    assert.equal(none, undefined);
    assert.equal(source, "https://example.com/team/web");
    assert.equal(nowhere.commit, undefined);

    const cut = join(root, "cut");
    await git("commit", "-qm", "nothing", "--allow-empty");
    await git("clone", "-q", "--depth", "1", `file://${root}`, cut);
    assert.equal((await lastCommitOf(cut, [cut], env))?.isCutOff, true);
    await rm(cut, { recursive: true });

    await writeFile(join(root, "a b'c.txt"), "2");
    await writeFile(join(root, "new\n0"), "");
    assert.equal((await readVersion(root, env)).dirty, true);
    await git("config", "status.showUntrackedFiles", "no");
    await writeFile(join(root, "größe.txt"), "");
    assert.deepEqual((await readVersion(root, env)).changed, ["a b'c.txt", "größe.txt", "new\n0"]);
    assert.deepEqual(await changedSince(root, version.commit ?? "", ["."], [], env), [
      "a b'c.txt",
      "größe.txt",
      "new\n0",
    ]);
    assert.equal(await sourceOf(root, { ...env, PATH: "/nowhere" }), undefined);

    await git("config", "status.showUntrackedFiles", "normal");
    await git("add", "-A");
    await git("commit", "-qm", "all");
    assert.equal((await readVersion(root, env)).dirty, false);
    await writeFile(join(root, ".git", "index"), "broken");
    assert.equal((await readVersion(root, env)).dirty, true, "what git cannot say is not taken for clean");
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test("of a signed commit the signature is not taken for its facts", async () => {
  const root = await mkdtemp(join(tmpdir(), "slipway-git-"));
  const { env } = process;
  const program = join(root, "gpg");
  const signs = `#!/bin/sh
case "$*" in *--verify*) echo "gpg: Good signature" >&2; exit 0 ;; esac
cat >/dev/null
printf '\\n[GNUPG:] SIG_CREATED D\\n' >&2
printf '%s\\n' '-----BEGIN PGP SIGNATURE-----' '' 'x' '-----END PGP SIGNATURE-----'
`;
  const git = async (...args: string[]): Promise<void> => {
    const who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
    const { exitCode, stderr } = await exec(["git", "-C", root, ...who, ...args], { env });
    assert.equal(exitCode, 0, stderr);
  };
  try {
    await git("init", "-q");
    await writeFile(program, signs, { mode: 0o755 });
    await git("config", "gpg.program", program);
    await git("config", "gpg.format", "openpgp");
    await git("config", "log.showSignature", "true");
    await git("add", "-A");
    await git("commit", "-q", "-S", "-m", "signed");
    const { stdout } = await exec(["git", "-C", root, "log", "-1", "--format=%s"], { env });
    assert.match(stdout, /Good signature/, "else nothing is tested here");
    const [version, last] = await Promise.all([readVersion(root, env), lastCommitOf(root, [root], env)]);
    assert.deepEqual([version.message, version.author], ["signed", "Ann"]);
    assert.equal(last?.commit, version.commit);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test("a repository that git does not read is not taken for a folder without one", async () => {
  const root = await mkdtemp(join(tmpdir(), "slipway-git-"));
  const env = { ...process.env, GIT_TEST_ASSUME_DIFFERENT_OWNER: "1", LC_ALL: "de_DE.UTF-8" };
  try {
    assert.equal((await readVersion(root, env)).commit, undefined);
    await exec(["git", "-C", root, "init", "-q"], { env: process.env });
    await assert.rejects(readVersion(root, env), { code: "GIT_NOT_TRUSTED", where: root, exitCode: 3 });
    assert.equal((await readVersion(root, process.env)).commit, undefined);
    assert.equal((await readVersion(root, { ...env, PATH: "/nowhere" })).commit, undefined);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});

test("kept answers are asked for once, until there is another commit or remote; what is not committed always is", async () => {
  const root = await mkdtemp(join(tmpdir(), "slipway-kept-"));
  const asked = join(root, ".git", "asked");
  const real = (await exec(["sh", "-c", "command -v git"], {})).stdout.trim();
  const git = async (...args: string[]): Promise<void> => {
    const who = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    const { exitCode, stderr } = await exec([real, "-C", root, ...who, ...args], {});
    assert.equal(exitCode, 0, stderr);
  };
  const ask = async () => {
    await writeFile(asked, "");
    const [{ commit, changed = [] }, last, source] = await Promise.all([
      readVersion(root, env),
      lastCommitOf(root, [join(root, "file")], env),
      sourceOf(root, env),
    ]);
    assert.equal(last?.commit, commit);
    return { commit, changed, source, asked: (await readFile(asked, "utf8")).trim().split("\n").sort() };
  };
  const folder = await mkdtemp(join(tmpdir(), "slipway-git-"));
  const env = { ...process.env, PATH: `${folder}:${process.env["PATH"]}` };
  let staying: { close(): void } | undefined;
  try {
    await git("init", "-q");
    await writeFile(join(root, "file"), "1");
    await git("add", "-A");
    await git("commit", "-qm", "1");
    await writeFile(join(folder, "git"), `#!/bin/sh\necho "$3" >>${asked}\nexec ${real} "$@"\n`);
    await chmod(join(folder, "git"), 0o755);
    staying = await stayWithGit(root, env);
    const first = await ask();
    assert.deepEqual(first.asked, ["config", "log", "log", "status"]);
    assert.deepEqual(first.changed, []);

    await writeFile(join(root, "file"), "2");
    assert.deepEqual(await ask(), { ...first, changed: ["file"], asked: ["status"] });

    await git("commit", "-qam", "2");
    const second = await ask();
    assert.notEqual(second.commit, first.commit);
    assert.deepEqual([second.changed, second.asked], [[], first.asked]);

    await git("remote", "add", "origin", "git@example.com:team/web.git");
    assert.deepEqual(await ask(), { ...second, source: "https://example.com/team/web" });
    assert.deepEqual((await ask()).asked, ["status"]);

    await git("commit", "-q", "--amend", "-m", "3");
    assert.notEqual((await ask()).commit, second.commit);
  } finally {
    staying?.close();
    for (const one of [root, folder]) await rm(one, { recursive: true, force: true });
  }
});

test("kept answers are as git would give them, also where it does not note that HEAD went elsewhere, and failures are not kept", async () => {
  const top = await mkdtemp(join(tmpdir(), "slipway\nkept-"));
  const broken = join(top, "broken");
  const real = (await exec(["sh", "-c", "command -v git"], {})).stdout.trim();
  const env = { ...process.env, PATH: `${join(top, "bin")}:${process.env["PATH"]}` };
  const main = join(top, "main");
  const root = join(top, "linked", "app"); // git's folder is elsewhere, and its paths are absolute
  const gitIn = async (folder: string, ...args: string[]): Promise<string> => {
    const who = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    const { exitCode, stderr, stdout } = await exec([real, "-C", folder, ...who, ...args], {});
    assert.equal(exitCode, 0, stderr);
    return stdout.trim();
  };
  const git = (...args: string[]): Promise<string> => gitIn(root, ...args);
  let staying: { close(): void } | undefined;
  const isAsGitSays = async (): Promise<void> => {
    assert.equal((await readVersion(root, env)).commit, await git("rev-parse", "HEAD"));
  };
  try {
    await mkdir(join(top, "bin"));
    const program = `#!/bin/sh\n[ -e '${broken}' ] && exit 1\nexec ${real} "$@"\n`;
    await writeFile(join(top, "bin", "git"), program, { mode: 0o755 });
    await gitIn(top, "init", "-q", "-b", "main", main);
    await mkdir(join(main, "app"));
    await writeFile(join(main, "app", "file"), "1");
    await gitIn(main, "add", "-A");
    await gitIn(main, "commit", "-qm", "1");
    await gitIn(main, "worktree", "add", "-q", "-b", "topic", join(top, "linked"));
    assert.equal(await headLog(root, env), await git("rev-parse", "--git-path", "logs/HEAD"));
    staying = await stayWithGit(root, env);

    await isAsGitSays();
    await writeFile(broken, "");
    assert.equal(await sourceOf(root, env), undefined); // it is asked
    await git("commit", "-q", "--allow-empty", "-m", "2");
    assert.equal((await readVersion(root, env)).commit, undefined);
    await rm(broken);
    await isAsGitSays();
    for (const args of [
      ["commit", "-q", "--allow-empty", "-m", "3"],
      ["reset", "-q", "--hard", "HEAD^"],
      ["checkout", "-q", "-b", "other", "HEAD^"],
      ["checkout", "-q", "--detach", "topic"],
      ["symbolic-ref", "HEAD", "refs/heads/other"],
      ["pack-refs", "--all"],
    ]) {
      await git(...args);
      await isAsGitSays();
    }
    // Some that write commits note nothing.
    const place = await git("rev-parse", "--git-path", "refs/heads/other");
    await writeFile(place, `${await git("rev-parse", "topic")}\n`);
    await isAsGitSays();

    await git("config", "extensions.worktreeConfig", "true");
    assert.equal(await sourceOf(root, env), undefined);
    await git("config", "--worktree", "remote.origin.url", "git@example.com:team/web.git");
    assert.equal(await sourceOf(root, env), "https://example.com/team/web");
  } finally {
    staying?.close();
    await rm(top, { recursive: true, force: true });
  }
});
