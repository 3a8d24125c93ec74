/** The file of `plan --out` and `deploy --plan`: readable by its owner alone, because it holds the data of Secrets. */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { readTextIfExists, SlipwayError, systemCode, writeAtomic } from "@slipway/base";
import { type FrozenPlan, parseFrozenPlan, stale } from "../release/plan/frozen-plan.ts";
import { type CliContext, type CommandInput, isSet, rebindOf } from "./command.ts";
import type { Project } from "./project.ts";
import type { StepOutput } from "./steps.ts";

const OWNER_ONLY = 0o600;

export async function writePlanFile(
  context: CliContext,
  file: string,
  frozen: FrozenPlan,
  output: StepOutput,
): Promise<void> {
  const text = `${JSON.stringify(frozen, undefined, 1)}\n`;
  await writeAtomic(resolve(context.cwd, file), text, OWNER_ONLY).catch((error: unknown) => {
    throw unwritable(file, `cannot be written: ${systemCode(error) ?? String(error)}`);
  });
  output.emit({ step: "plan", kind: "frozen", file, digest: frozen.digest });
  const secrets = frozen.rendered.objects.filter(({ kind }) => kind === "Secret").length;
  const holds = secrets === 0 ? "" : ` It holds the data of ${secrets} Secret${secrets === 1 ? "" : "s"}:`;
  output.say(
    `\nwrote ${file} (mode 0600).${holds}${secrets === 0 ? " What is in the clusters is in it:" : ""} keep it like one.\ncarry it out: slipway deploy --plan ${file}`,
  );
}

/** Before a plan is made that could not be kept. Makes no folders: a name that is misspelt is no wish for one. */
export async function checkPlanFile(context: CliContext, file: string): Promise<void> {
  const path = resolve(context.cwd, file);
  const isFolder = (at: string): Promise<boolean | undefined> =>
    stat(at).then(
      (info) => info.isDirectory(),
      () => undefined,
    );
  if ((await isFolder(path)) === true) throw unwritable(file, "is a folder");
  if ((await isFolder(dirname(path))) !== true) throw unwritable(file, "is in a folder that does not exist");
}

function unwritable(file: string, message: string): SlipwayError {
  const hint = "Name a file in a folder that exists: slipway plan --out FILE.";
  return new SlipwayError({ code: "USAGE_OUT", where: `--out ${file}`, message, hint, exitCode: 2 });
}

/** What decides whether a release may begin stands in its plan: said beside it, it would be passed over in silence. */
export function refuseBesidePlan(
  input: CommandInput,
  file: string,
  { options }: Pick<FrozenPlan, "options">,
): void {
  const strange = (rebindOf(input) ?? []).filter((name) => options.rebind?.includes(name) !== true);
  const [added] = [
    ...(isSet(input, "allowHeld") && options.allowHeld !== true ? ["--allow-held"] : []),
    ...(isSet(input, "skipUnreachable") && options.skipUnreachable !== true ? ["--skip-unreachable"] : []),
    ...(strange.length > 0 ? [`--rebind ${strange.join(",")}`] : []),
  ];
  if (added === undefined) return;
  throw new SlipwayError({
    code: "USAGE_PLAN",
    where: `deploy --plan ${file} ${added}`,
    message: "the plan was made without it, and is carried out as it was made",
    hint: `Plan again with it, and look at it again: slipway plan --out ${file} ${added}`,
    exitCode: 2,
  });
}

export async function readPlanFile(context: CliContext, file: string): Promise<FrozenPlan> {
  const fail = (message: string): SlipwayError =>
    new SlipwayError({
      code: "PLAN_UNREADABLE",
      where: file,
      message,
      hint: "Make one: slipway plan --out FILE.",
      exitCode: 2,
    });
  const text = await readTextIfExists(resolve(context.cwd, file)).catch((error: unknown) => {
    const code = systemCode(error);
    throw fail(code === "EISDIR" ? "is a folder" : `cannot be read: ${code ?? String(error)}`);
  });
  if (text === undefined) throw fail("no such file");
  return parseFrozenPlan(text, file);
}

/** The static files that a deploy would publish, each bucket as one digest over names and contents. */
export async function bucketDigests({ config }: Project): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const { target } of config.edge?.routes ?? []) {
    if (target.kind !== "bucket") continue;
    const hash = createHash("sha256");
    for (const file of await filesIn(target.from)) {
      hash.update(`${file}\0`).update(
        createHash("sha256")
          .update(await readFile(join(target.from, file)))
          .digest(),
      );
    }
    digests[target.name] = `sha256:${hash.digest("hex")}`;
  }
  return digests;
}

export async function staleBuckets(project: Project, frozen: FrozenPlan): Promise<readonly SlipwayError[]> {
  const now = await bucketDigests(project);
  return [...new Set([...Object.keys(now), ...Object.keys(frozen.buckets)])]
    .filter((name) => now[name] !== frozen.buckets[name])
    .map((name) => stale(`edge/routes/bucket(${name})`, "its files changed since the plan was made"));
}

/** Paths below the folder, sorted; a folder that is not there has none. */
async function filesIn(folder: string, below = ""): Promise<readonly string[]> {
  const names = await readdir(join(folder, below)).catch(() => []);
  const files: string[] = [];
  for (const name of names.sort()) {
    const path = join(below, name);
    const info = await stat(join(folder, path));
    if (info.isDirectory()) files.push(...(await filesIn(folder, path)));
    else if (info.isFile()) files.push(path);
  }
  return files;
}
