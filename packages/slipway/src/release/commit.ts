/**
 * The commit of a release, as it is written and as people name it. A record has it as `3f2a91b0c4d5`, as
 * `3f2a91b0c4d5-dirty` when the work tree had changes, or as `uncommitted`. Pure.
 */
import type { VersionInfo } from "./model.ts";

/** `3f2a91b0c4d5 (dirty)`: without the mark, releases of different contents would look like one. */
export function showCommit({ commit, dirty }: Pick<VersionInfo, "commit" | "dirty">): string {
  if (commit === "uncommitted") return commit;
  return `${commit.slice(0, 12)}${dirty ? " (dirty)" : ""}`;
}

/** Without the mark of changes. */
export const cleanCommit = (recorded: string): string => recorded.replace(/-dirty$/, "");

/** Whether `wanted` names this commit: by its beginning, or whole, as git prints it, where the record has the beginning. */
export function isCommit(recorded: string, wanted: string): boolean {
  if (recorded.startsWith(wanted)) return true;
  const clean = cleanCommit(recorded);
  return clean.length >= 12 && /^[0-9a-f]+$/.test(wanted) && wanted.startsWith(clean);
}
