/** `slipway build --watch`: what the images are made from, as far as a change of it can be seen. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { Config, ImageSourceConfig } from "../config/types.ts";
import { parseIgnore } from "../images/dockerfile/patterns.ts";
import type { Watched } from "./folder-watch.ts";
import { headLog } from "./git.ts";

/** Rejects with BUILD_UNWATCHED: a program's inputs are not known, and what it writes would start the next build. */
export async function watchedSources(config: Config, env: NodeJS.ProcessEnv): Promise<readonly Watched[]> {
  const log = await headLog(config.root, env); // a commit is another version of the same files
  return [...config.images.flatMap(sourcesOf), ...(log === undefined ? [] : [{ path: log }])];
}

function sourcesOf({ name, from }: ImageSourceConfig): readonly Watched[] {
  switch (from.kind) {
    case "context": {
      const own = `${from.dockerfile}.dockerignore`;
      const isOut = ignoredIn([own, join(from.context, ".dockerignore")]);
      return [{ path: from.dockerfile }, { path: own }, { path: from.context, isOut }];
    }
    case "node":
      return [{ path: from.folder, isOut: ignoredIn([join(from.folder, ".dockerignore")]) }];
    case "archive":
      return [{ path: from.archive }];
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

/** By the first of the files that is there, as it was at the start. An exception may bring back what is in a folder: then all counts. */
function ignoredIn(files: readonly string[]): (path: string) => boolean {
  const rules = parseIgnore(firstOf(files) ?? "");
  return rules.hasExceptions ? () => false : (path) => rules.isIgnored(path);
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
