/** `slipway build --watch`: what the images are made from, as far as a change of it can be seen. */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { Config, ImageSourceConfig } from "../config/types.ts";
import { parseIgnore } from "../images/dockerfile/patterns.ts";
import type { Watched } from "./folder-watch.ts";

/**
 * `log`: git's, of HEAD; a commit is another version of the same files. Throws BUILD_UNWATCHED: a program's inputs are not known,
 * and what it writes would start the next build.
 */
export function watchedSources(images: Config["images"], log: string | undefined): readonly Watched[] {
  return [...images.flatMap(sourcesOf), ...(log === undefined ? [] : [{ path: log }])];
}

function sourcesOf({ name, from }: ImageSourceConfig): readonly Watched[] {
  switch (from.kind) {
    case "context": {
      const ignores = [`${from.dockerfile}.dockerignore`, join(from.context, ".dockerignore")];
      return [from.dockerfile, ...ignores]
        .flatMap(asFile) // also where they are out, as `*` says of them
        .concat({ path: from.context, isOut: ignoredIn(ignores) });
    }
    case "node": {
      const ignore = join(from.folder, ".dockerignore");
      return [...asFile(ignore), { path: from.folder, isOut: ignoredIn([ignore]) }];
    }
    case "archive":
      return asFile(from.archive);
    case "ref":
      return [];
    case "command":
      throw new SlipwayError({
        code: "BUILD_UNWATCHED",
        where: `images/${name}`,
        message: "is made by a command, and what that reads is not known",
        hint: "Build without --watch.",
        exitCode: 2,
      });
  }
}

/** With what it leads to, which may be anywhere, where it is a link. */
function asFile(path: string): readonly Watched[] {
  try {
    const real = realpathSync(path);
    return real === path ? [{ path }] : [{ path }, { path: real }];
  } catch {
    return [{ path }]; // it may come
  }
}

/**
 * git moves HEAD before it writes its index, which it holds a lock for until then: what it is asked in between looks like
 * changes that are not committed, and counts until the index is written.
 */
export function unfinishedIndex(index: string | undefined): readonly Watched[] {
  return index !== undefined && existsSync(`${index}.lock`) ? [{ path: index }] : [];
}

/** By the first of the files that is there. An exception may bring back what is in a folder. */
function ignoredIn(files: readonly string[]): NonNullable<Watched["isOut"]> {
  const rules = parseIgnore(firstOf(files) ?? "");
  return (path, isFolder) => !(isFolder && rules.hasExceptions) && rules.isIgnored(path);
}

function firstOf(files: readonly string[]): string | undefined {
  for (const file of files) {
    try {
      return readFileSync(file, "utf8");
    } catch {
      // the next, or none
    }
  }
  return undefined;
}

/** The configuration as it is now counts as long as the command runs. `check` throws CONFIG_CHANGED when it is another. */
export function sameConfig(root: string, file: string): { readonly path: string; check(): void } {
  const path = join(root, file);
  const started = firstOf([path]);
  return {
    path,
    check() {
      if (firstOf([path]) === started) return;
      throw new SlipwayError({
        code: "CONFIG_CHANGED",
        where: file,
        message: "has changed, and what counts is what it was when this began",
        hint: "End this with Ctrl-C, and start it again.",
        exitCode: 2,
      });
    },
  };
}
