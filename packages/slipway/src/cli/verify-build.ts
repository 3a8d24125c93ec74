/**
 * Which build `slipway verify` checks: the images as they were built. A changed spec file, a report or a manifest makes no
 * other image, so only a change of what an image is built from asks for a new build.
 */
import { type CliContext, type CommandInput, isSet } from "./command.ts";
import { readVersion, versionTag } from "./git.ts";
import { type Project, shippableVersion } from "./project.ts";
import { changedSources } from "./sources.ts";
import { type BuildRecord, readRecord, staleBuild } from "./steps.ts";

export interface VerifiableBuild {
  readonly record: BuildRecord;
  /** That the work tree has gone on since. */
  readonly warning?: string;
}

/**
 * `accepted`: the tag that a watch began with, whose images are checked whatever is edited meanwhile. `reports`: absolute
 * paths of files that the run itself writes. Rejects with BUILD_MISSING or GIT_DIRTY (exit code 2).
 */
export async function buildToVerify(
  context: CliContext,
  input: CommandInput,
  project: Project,
  { accepted, reports }: { readonly accepted?: string | undefined; readonly reports: readonly string[] },
): Promise<VerifiableBuild> {
  const { config } = project;
  const record = await readRecord(project);
  if (record.tag === accepted) return { record };
  const now = await readVersion(config.root, context.env);
  const tag = versionTag(now);
  const changed = (since: string): Promise<readonly string[] | undefined> =>
    changedSources(config, since, reports, context.env);
  const needsCommit = now.dirty && !config.isLocal && !isSet(input, "allowDirty");
  const isClean = !needsCommit || (now.commit !== undefined && (await changed("HEAD"))?.length === 0);
  if (!isClean) await shippableVersion(context, input, config);
  if (record.tag === tag) return { record };
  const since = await changed(record.tag.replace(/-dirty$/, ""));
  if (since === undefined) throw staleBuild(record, tag);
  if (since.length > 0) throw staleBuild(record, tag, since);
  return {
    record,
    warning: `the images were built from ${record.tag}, the work tree is at ${tag}; nothing that they are built from has changed since that commit`,
  };
}
