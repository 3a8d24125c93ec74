/**
 * Where something can be mounted in a root that must not change: paths that are missing are made in a layer below
 * all others, so that the command sees them and the layer it makes does not.
 */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname, posix } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { RootView } from "@slipway/cluster/sandbox";

export interface Targets {
  /** Makes sure that a folder is there; its path without links. */
  folder(path: string): string;
  file(path: string): string;
}

/** `stubs`: the host folder of that lowest layer. */
export function targetsIn(view: RootView, stubs: string): Targets {
  const made = (path: string, kind: "directory" | "file"): string => {
    const { found, missing } = view.locate(path);
    const isFolder = found.kind === "directory";
    if (missing.length === 0 ? isFolder !== (kind === "directory") : !isFolder) {
      throw new SlipwayError({
        code: "BUILD_MOUNT_REFUSED",
        where: path,
        message: `the image has something else than a ${kind} there, so nothing can be mounted`,
        hint: "Mount at another path.",
        exitCode: 1,
      });
    }
    const target = posix.join(found.path, ...missing);
    if (missing.length === 0) return target;
    const umask = process.umask(0o022); // every user of the image goes through them
    try {
      mkdirSync(kind === "directory" ? stubs + target : dirname(stubs + target), { recursive: true });
      if (kind === "file") closeSync(openSync(stubs + target, "a"));
    } finally {
      process.umask(umask);
    }
    return target;
  };
  return { folder: (path) => made(path, "directory"), file: (path) => made(path, "file") };
}
