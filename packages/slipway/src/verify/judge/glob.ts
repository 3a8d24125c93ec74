/** What is expected of every file that a glob matches. */
import { type CheckOf, fail, type Judgement, pass, unknown } from "../check.ts";
import type { ContainerFiles, FileFacts } from "../engines/engine.ts";
import { formExpression, formsOf, literalForm } from "../glob.ts";
import { showMode } from "../spec/expect.ts";
import { accountsOf, idOfGroup, idOfUser } from "./accounts.ts";

/** The kernel knows, and Node cannot ask it. */
export const NO_ATTRIBUTES = unknown(
  "the capabilities of a running container's files cannot be seen",
  "Check the image: describeImage(…).",
);

interface Match {
  readonly path: string;
  readonly file: FileFacts;
}

/** No file that matches has the mode: true of nothing, and mostly a path that is not the image's. */
const NOTHING = unknown("no file matches, so nothing was looked at");

export async function judgeFiles(
  { resource, expectation }: Pick<CheckOf<"files">, "resource" | "expectation">,
  files: ContainerFiles,
): Promise<Judgement> {
  const all: Match[] = [];
  for await (const entry of files.entries()) all.push(entry);
  const looked = all.length;
  const links = all.filter(({ file }) => file.kind === "symlink").map(({ path }) => path);
  const wanted = formExpression(await formsIn(formsOf(resource.glob), links, files));
  const except = formExpression(await formsIn(resource.except.flatMap(formsOf), links, files));
  const isOut = ({ path }: Match): boolean => resource.except.length > 0 && except.test(path);
  const found = all.filter((match) => wanted.test(match.path) && !isOut(match));
  // An empty file system was not looked at but is missing: no negative expectation may hold by that.
  if (looked === 0) return unknown("the file system has no files at all");
  switch (expectation.matcher) {
    case "none":
      return found.length === 0 ? pass(`${looked} paths looked at`) : fail(some(found));
    case "count":
      return found.length === expectation.count ? pass() : fail(`${found.length}: ${some(found)}`);
    case "noSetuid":
      if (found.length === 0) return NOTHING;
      return without(found, ({ file }) => file.kind === "file" && (file.mode & 0o6000) !== 0);
    case "noCapabilities":
      if (found.length === 0) return NOTHING;
      if (found.some(({ file }) => file.capabilities === undefined)) return NO_ATTRIBUTES;
      return without(
        found.map(({ path, file }) => ({ path: `${path} (${file.capabilities})`, file })),
        ({ file }) => file.capabilities !== "",
      );
    case "notWritableByOthers":
      if (found.length === 0) return NOTHING;
      return without(
        found,
        ({ file }) => file.kind !== "symlink" && (file.mode & 0o002) !== 0 && (file.mode & 0o1000) === 0,
      );
    case "every":
      return judgeEvery(expectation.mode, expectation.owner, found, files);
  }
}

/**
 * The forms, and those that they are behind links: files are listed where they lie, so that `/bin/sh` would match nothing in
 * an image whose `/bin` is a link, and `none()` would hold. As in a shell, steps up to the first `**` go through links.
 */
async function formsIn(
  given: readonly string[],
  links: readonly string[],
  files: ContainerFiles,
): Promise<readonly string[]> {
  // With how many of its steps lead through no link: what stands for one has none in it. So what is left of a form gets
  // shorter each time, and is all that is looked at: with pnpm an image has thousands of links. Grows while it is walked.
  const forms = new Map(given.map((form) => [form, 0]));
  for (const [form, plain] of forms) {
    const steps = form.split("/");
    const deep = steps.findIndex((step) => step.includes("**"));
    for (let count = plain + 1; count <= (deep < 0 ? steps.length - 1 : deep); count += 1) {
      const folder = formExpression([steps.slice(0, count).join("/")]);
      for (const link of links.filter((path) => folder.test(path))) {
        const found = await files.lookup(link);
        if (found.kind !== "found" || found.file.kind !== "directory") continue;
        const real = literalForm(found.path);
        const behind = [real, ...steps.slice(count)].filter((part) => part !== "").join("/");
        if (!forms.has(behind)) forms.set(behind, real === "" ? 0 : real.split("/").length);
      }
    }
  }
  return [...forms.keys()];
}

function without(found: readonly Match[], isBad: (match: Match) => boolean): Judgement {
  const bad = found.filter(isBad);
  return bad.length === 0 ? pass(`${found.length} files`) : fail(some(bad));
}

async function judgeEvery(
  mode: number | undefined,
  owner: string | undefined,
  found: readonly Match[],
  files: ContainerFiles,
): Promise<Judgement> {
  if (found.length === 0) return fail("no file matches");
  const [user, group] = owner === undefined ? [] : (owner.split(":") as [string, string?]);
  const accounts = await accountsOf(files);
  const uid = user === undefined ? undefined : idOfUser(accounts, user);
  const gid = group === undefined ? undefined : idOfGroup(accounts, group);
  if ((user !== undefined && uid === undefined) || (group !== undefined && gid === undefined)) {
    return unknown(`the image's accounts do not know ${owner}`);
  }
  const bad = found.filter(
    ({ file }) =>
      (mode !== undefined && file.mode !== mode) ||
      (uid !== undefined && file.uid !== uid) ||
      (gid !== undefined && file.gid !== gid),
  );
  const shown = bad.map((match) => ({
    ...match,
    path: `${match.path} (${showMode(match.file.mode)}, ${match.file.uid}:${match.file.gid})`,
  }));
  return bad.length === 0 ? pass(`${found.length} files`) : fail(some(shown));
}

const some = (found: readonly Match[]): string =>
  found
    .slice(0, 5)
    .map(({ path }) => path)
    .join(", ") + (found.length > 5 ? ` and ${found.length - 5} more` : "");
