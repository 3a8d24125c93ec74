/** The file of `plan --out` and `deploy --plan`: readable by its owner alone, because it holds the data of Secrets. */
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { readTextIfExists, SlipwayError, writeAtomic } from "@slipway/base";
import { type FrozenPlan, parseFrozenPlan, stale } from "../release/plan/frozen-plan.ts";
import type { CliContext } from "./command.ts";
import type { Project } from "./project.ts";
import type { StepOutput } from "./steps.ts";

const OWNER_ONLY = 0o600;

export async function writePlanFile(
  context: CliContext,
  file: string,
  frozen: FrozenPlan,
  output: StepOutput,
): Promise<void> {
  await writeAtomic(resolve(context.cwd, file), `${JSON.stringify(frozen, undefined, 1)}\n`, OWNER_ONLY);
  output.emit({ step: "plan", kind: "frozen", file, digest: frozen.digest });
  const secrets = frozen.rendered.objects.filter(({ kind }) => kind === "Secret").length;
  const holds = secrets === 0 ? "" : ` It holds the data of ${secrets} Secret${secrets === 1 ? "" : "s"}:`;
  output.say(
    `\nwrote ${file} (mode 0600).${holds}${secrets === 0 ? " What is in the clusters is in it:" : ""} keep it like one.\ncarry it out: slipway deploy --plan ${file}`,
  );
}

export async function readPlanFile(context: CliContext, file: string): Promise<FrozenPlan> {
  const text = await readTextIfExists(resolve(context.cwd, file));
  if (text !== undefined) return parseFrozenPlan(text, file);
  throw new SlipwayError({
    code: "PLAN_UNREADABLE",
    where: file,
    message: "no such file",
    hint: "Make one: slipway plan --out FILE.",
    exitCode: 2,
  });
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
