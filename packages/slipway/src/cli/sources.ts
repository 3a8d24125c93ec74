/** What images are built from, and what of it has changed since. */
import { isAbsolute, join } from "node:path";
import type { Config } from "../config/types.ts";
import { changedSince, type Version } from "./git.ts";

/** Files that images are built from, changed since that commit, without `except`; undefined when git cannot say. */
export async function changedSources(
  { root, images, verify }: Config,
  commit: string,
  except: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<readonly string[] | undefined> {
  const sources = images.flatMap(({ from }) => sourcesOf(from, root));
  if (sources.length === 0) return [];
  return changedSince(root, commit, sources, [...verify, ...except, join(root, ".slipway")], env);
}

/**
 * Whether the images of a clean commit are those of the tree as it is now: it has only got files that git does not know, and
 * no image is built from them, like the report of a check. `left`: what the build itself had left.
 */
export async function isOnlyLittered(
  config: Config,
  built: { readonly tag: string; readonly left?: readonly string[] | undefined },
  now: Version,
  env: NodeJS.ProcessEnv,
): Promise<boolean> {
  if (now.commit?.slice(0, 12) !== built.tag) return false;
  const [tracked, sources] = await Promise.all([
    changedSince(config.root, built.tag, ["."], [], env, "tracked"),
    changedSources(config, built.tag, built.left ?? [], env),
  ]);
  return tracked?.length === 0 && sources?.length === 0;
}

/** A command may read anything in the project. */
function sourcesOf(from: Config["images"][number]["from"], root: string): readonly string[] {
  switch (from.kind) {
    case "context":
      return [from.context, from.dockerfile];
    case "node":
      return [from.folder];
    case "archive":
      return [isAbsolute(from.archive) ? from.archive : join(root, from.archive)];
    case "command":
      return [root];
    case "ref":
      return [];
  }
}
