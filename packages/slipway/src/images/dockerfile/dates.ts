/**
 * How old a COPY's files say they are. One time for a whole image would be simpler, and then every commit would change every layer:
 * of a line of code, registry and nodes would get all of `node_modules` again. So each COPY is as old as the last commit that touched
 * what it takes.
 *
 * Never older: servers that tell browsers "not modified" by time and size (nginx's ETag is made of these two) would serve
 * what was there before. What git does not keep can change without a commit, so a COPY of it is as old as the image; but what a
 * package manager installed is what its lockfile says. What RUN makes is no COPY's: it is as old as the base until a later stage
 * takes it, because the time is part of what its cache goes by.
 */
import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import type { SourceTree } from "./tree.ts";

/** What is known of when sources changed. Paths are absolute. Nothing rejects. */
export interface SourceHistory {
  /** ms since the epoch: of the last commit that touched one of these. Undefined when none did, or it cannot be known. */
  lastChange(paths: readonly string[]): Promise<number | undefined>;
  /** This may be asked for next. */
  lookAhead(paths: readonly string[]): void;
  /** What is below `folder` and not kept, as git's ignored files; a folder stands for all in it. Undefined: not known. */
  ignored(folder: string): Promise<readonly string[] | undefined>;
}

/** What a stage asks. Seconds since the epoch; undefined: only the image's own time is safe. */
export interface SourceDates {
  /** Of paths of the context; "" is all of it. */
  readonly timeOf: (paths: readonly string[]) => Promise<number | undefined>;
  /** Of the Dockerfile: what RUN and heredocs make changes with it. */
  readonly ownTime: () => Promise<number | undefined>;
}

/** Git is asked once for the same files, of several stages, too. `tree`: what of the context can be copied. */
export function sourceDates(
  history: SourceHistory | undefined,
  {
    context,
    dockerfile,
    args,
  }: {
    readonly context: string;
    readonly dockerfile: string;
    readonly args: Readonly<Record<string, string>>;
  },
  tree: SourceTree,
): SourceDates {
  if (history === undefined) return { timeOf: async () => undefined, ownTime: async () => undefined };
  const known = new Map<string, Promise<number | undefined>>();
  const once = (key: string, ask: () => Promise<number | undefined>): Promise<number | undefined> => {
    const time = known.get(key) ?? ask().then((ms) => (ms === undefined ? ms : Math.floor(ms / 1000)));
    known.set(key, time);
    return time;
  };
  const lockfile = lockfileIn(context); // the one that counts, nearly always
  for (const path of [dockerfile, ...(lockfile === undefined ? [] : [lockfile])]) history.lookAhead([path]);
  return {
    timeOf: (paths) => once(paths.join("\0"), () => timeOfSources(history, context, tree, paths)),
    // Build arguments come from elsewhere.
    ownTime: () =>
      once("Dockerfile\0", async () =>
        Object.keys(args).length > 0 ? undefined : history.lastChange([dockerfile]),
      ),
  };
}

/** The first that is there counts: npm takes its shrinkwrap before its lockfile. */
const LOCKFILES = ["npm-shrinkwrap.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock"];

/** ms since the epoch. */
async function timeOfSources(
  history: SourceHistory,
  folder: string,
  tree: SourceTree,
  paths: readonly string[],
): Promise<number | undefined> {
  const sources = placesOf(folder, paths);
  // Asked at once, so that git answers side by side.
  const [ignored, touched] = await Promise.all([
    history.ignored(folder),
    history.lastChange(
      sources.flatMap(({ path, real }) => [...new Set([path, real])].map((one) => join(folder, one))),
    ),
  ]);
  if (ignored === undefined) return undefined;
  const lockfiles = new Set<string>();
  for (const unkept of ignored.map((path) => relative(folder, path))) {
    if (!(await isTaken(tree, sources, unkept))) continue;
    const lockfile = lockfileOf(folder, unkept);
    if (lockfile === undefined) return undefined;
    lockfiles.add(lockfile);
  }
  const times = await Promise.all([...lockfiles].map((path) => history.lastChange([path])));
  const all = touched === undefined ? times : [touched, ...times];
  return all.length === 0 || all.includes(undefined) ? undefined : Math.max(...(all as number[]));
}

interface Place {
  /** Of the context. */
  readonly path: string;
  /** The same without links on the way: a commit touches the one or the other. */
  readonly real: string;
}

function placesOf(folder: string, paths: readonly string[]): readonly Place[] {
  const root = realpathSync(folder);
  return paths.map((path) => {
    try {
      return { path, real: relative(root, realpathSync(join(root, path))) };
    } catch {
      return { path, real: path };
    }
  });
}

/** Whether something of `unkept` is copied: the .dockerignore can leave it out, and a link can lead to it. */
async function isTaken(tree: SourceTree, sources: readonly Place[], unkept: string): Promise<boolean> {
  for (const { path, real } of sources) {
    if (isWithin(real, unkept)) return true;
    if (!isWithin(unkept, real)) continue;
    // Under the name that it is copied by, to which the .dockerignore's rules are held.
    const below = real === "" ? unkept : unkept.slice(real.length + 1);
    if ((await tree.get(path === "" ? below : `${path}/${below}`, false)) !== undefined) return true;
  }
  return false;
}

/** Of what a package manager installed, the nearest above it; undefined for everything else. */
function lockfileOf(folder: string, path: string): string | undefined {
  const parts = path.split("/");
  const at = parts.indexOf("node_modules");
  if (at < 0) return undefined;
  for (let place = join(folder, ...parts.slice(0, at)); ; place = dirname(place)) {
    const lockfile = lockfileIn(place);
    if (lockfile !== undefined) return lockfile;
    if (place === dirname(place)) return undefined;
  }
}

function lockfileIn(folder: string): string | undefined {
  const name = LOCKFILES.find((one) => existsSync(join(folder, one)));
  return name === undefined ? undefined : join(folder, name);
}

const isWithin = (path: string, folder: string): boolean =>
  folder === "" || path === folder || path.startsWith(`${folder}/`);
