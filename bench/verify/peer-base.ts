/**
 * The server of the corpus with the tools that Serverspec asks: Debian's own from this machine, with their libraries,
 * instead of busybox's. Its checks, and what is done to it, are those of the corpus.
 */
import { execFileSync } from "node:child_process";
import { realpathSync, statSync } from "node:fs";
import { webBase } from "../../packages/slipway/src/verify/mutations/bases.ts";
import type { Base, Damage, Put } from "../../packages/slipway/src/verify/mutations/build.ts";

/** By the name in /bin: the program here when it is called otherwise. */
const TOOLS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["cat", "id", "ls", "ps", "netstat", "ss", "grep", "stat", "readlink", "test", "[", "sha256sum", "uname"]
      .concat(["wc", "head", "tail", "cut", "tr", "getent", "dpkg-query", "sleep", "sed"])
      .map((name) => [name, name]),
  ),
  sh: "dash",
  awk: "mawk",
};

/** Undefined where one of the tools is not installed. */
export function peerBase(busybox: string): Base | undefined {
  const base = webBase(busybox);
  const programs = Object.entries(TOOLS).map(([name, program]) => ({ name, path: which(program) }));
  if (programs.some(({ path }) => path === undefined)) return undefined;
  const fileAt = (path: string, source: string): Put => ({
    path,
    source: { path: realpathSync(source), size: statSync(source).size },
    mode: 0o755,
  });
  const libraries = new Set(programs.flatMap(({ path }) => librariesOf(path as string)));
  const own = base.files.filter(({ path }) => !programs.some(({ name }) => path === `bin/${name}`));
  return {
    ...base,
    files: [
      ...own,
      ...programs.map(({ name, path }) => fileAt(`bin/${name}`, path as string)),
      ...[...libraries].map((path) => fileAt(path.slice(1), path)),
      // By these it knows a Debian, which makes it ask `ss` for ports and dpkg-query for packages.
      { path: "etc/debian_version", text: "12.0\n" },
    ],
  };
}

/** What asks for ports there is `ss`, so it goes where netstat goes. */
export const forPeer = (damage: Damage): Damage =>
  damage.remove?.includes("bin/netstat") === true
    ? { ...damage, remove: [...damage.remove, "bin/ss"] }
    : damage;

function which(program: string): string | undefined {
  for (const folder of ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]) {
    const found = statSync(`${folder}/${program}`, { throwIfNoEntry: false });
    if (found !== undefined) return `${folder}/${program}`;
  }
  return undefined;
}

const librariesOf = (path: string): readonly string[] =>
  [...execFileSync("ldd", [path], { encoding: "utf8" }).matchAll(/(\/\S+)(?= \(0x)/g)].map(
    ([library]) => library,
  );
