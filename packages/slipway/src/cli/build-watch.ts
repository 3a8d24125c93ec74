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
        .concat({ path: from.context, ...ignoredIn(ignores) });
    }
    case "node": {
      const ignore = join(from.folder, ".dockerignore");
      return [...asFile(ignore), { path: from.folder, ...ignoredIn([ignore]) }];
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
function ignoredIn(files: readonly string[]): Omit<Watched, "path"> {
  const text = firstOf(files) ?? "";
  const rules = parseIgnore(text);
  return {
    isOut: (path, isFolder) => !(isFolder && rules.hasExceptions) && rules.isIgnored(path),
    rules: text,
  };
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

/** The configuration as it is now counts as long as the command runs. */
export function sameConfig(
  root: string,
  file: string,
): {
  readonly path: string;
  /** Throws CONFIG_CHANGED when it is another. */
  check(): void;
  /** Why it may be another to a command that starts now; undefined where it is the same. */
  readonly whyOther: () => string | undefined;
} {
  const path = join(root, file);
  const started = firstOf([path]);
  const isOther = (): boolean => firstOf([path]) !== started;
  return {
    path,
    check() {
      if (!isOther()) return;
      throw new SlipwayError({
        code: "CONFIG_CHANGED",
        where: file,
        message: "has changed, and what counts is what it was when this began",
        hint: "End this with Ctrl-C, and start it again.",
        exitCode: 2,
      });
    },
    whyOther() {
      if (isOther()) return `${file} has changed`;
      return standsAlone(started ?? "") ? undefined : `what ${file} reads may have changed`;
    },
  };
}

/** Whether a configuration, by its text, is all there is of it: it loads Slipway's own parts only. */
export function standsAlone(text: string): boolean {
  const others = text.replaceAll(/\bimport\b[\w\s{},*$]*["']slipway(\/[\w/-]+)?["']/g, "");
  return !/\b(import|require|eval|Function|getBuiltinModule|loadEnvFile|fetch|export\s*(\*|\{[^}]*\})[^;]*from)\b/.test(
    others,
  );
}
