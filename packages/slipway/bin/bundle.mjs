/**
 * The program in one piece, which `npm run bundle` makes in dist/: a start then reads a dozen files instead of hundreds.
 * Here it is only found, and in a checkout only when it was made from the sources as they are: each source has the size
 * and the times that it had then, as git's index asks it. The inode's own time (ctime) is among them, which no program can set.
 *
 * Plain JavaScript, because the first TypeScript file costs as much as the rest of a start.
 */
import { openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * What stays the same as long as a file's content does, as numbers that JSON keeps; undefined without a file.
 * Names under node_modules stand for what npm installed and may be hard links of other checkouts, whose ctime changes with each.
 *
 * @param {string} root of the checkout
 * @param {string} path from there
 */
export function stampOf(root, path) {
  const facts = statSync(`${root}/${path}`, { throwIfNoEntry: false });
  if (facts === undefined) return undefined;
  return [facts.size, facts.mtimeMs, path.startsWith("node_modules/") ? 0 : facts.ctimeMs];
}

/**
 * The folder of the bundle that may be run, undefined when there is none. It stays open as long as this process lives:
 * that is how a later bundle knows not to take it away.
 *
 * @param {string} dist
 * @param {string | undefined} root of the checkout that the bundle must be of; undefined in an installed package
 */
export function findBundle(dist, root) {
  try {
    const { folder, sources } = JSON.parse(readFileSync(join(dist, "current.json"), "utf8"));
    if (root !== undefined) {
      for (const [path, size, mtimeMs, ctimeMs] of sources) {
        const stamp = stampOf(root, path);
        if (stamp === undefined || stamp[0] !== size || stamp[1] !== mtimeMs || stamp[2] !== ctimeMs)
          return undefined;
      }
    }
    const bundle = join(dist, folder);
    openSync(bundle, "r");
    return bundle;
  } catch {
    return undefined; // none was made, or it is not whole
  }
}
