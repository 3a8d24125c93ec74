/** Names that are given for a plan's file, as people mistype them. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { CliContext, CommandInput } from "./command.ts";
import { checkPlanFile, readPlanFile, refuseBesidePlan } from "./frozen-plan-file.ts";

let context: CliContext;
before(async () => {
  const cwd = await mkdtemp(join(tmpdir(), "slipway-plan-file-"));
  context = { cwd } as CliContext;
  await writeFile(join(cwd, "there"), "{}");
});
after(() => rm(context.cwd, { recursive: true }));

const wrong = [
  [".", "is a folder"],
  ["nowhere/release.plan", "is in a folder that does not exist"],
  ["there/release.plan", "is in a folder that does not exist"],
] as const;
for (const [file, message] of wrong) {
  test(`plan --out ${file}: ${message}`, async () => {
    await assert.rejects(checkPlanFile(context, file), {
      code: "USAGE_OUT",
      where: `--out ${file}`,
      message,
      exitCode: 2,
    });
    assert.ok(!existsSync(join(context.cwd, "nowhere")));
  });
}

test("plan --out: a new file, or one to write over, in a folder that exists", async () => {
  for (const file of ["new", "there", join(context.cwd, "new")]) await checkPlanFile(context, file);
});

for (const [file, message] of [
  [".", "is a folder"],
  ["there/more", "cannot be read: ENOTDIR"],
  ["absent", "no such file"],
  ["there", "is not a plan of slipway"],
] as const) {
  test(`deploy --plan ${file}: ${message}`, async () => {
    const told = { code: "PLAN_UNREADABLE", where: file, message, exitCode: 2 };
    await assert.rejects(readPlanFile(context, file), told);
  });
}

const beside: readonly [options: CommandInput["options"], planned: object, refused: string | undefined][] = [
  [{}, {}, undefined],
  [{ wait: "5m", approveGates: true, dryRun: true }, {}, undefined],
  [{ allowHeld: true }, { allowHeld: false }, "--allow-held"],
  [{ allowHeld: true }, { allowHeld: true }, undefined],
  [{ skipUnreachable: true }, {}, "--skip-unreachable"],
  [{ rebind: "tokyo" }, { rebind: ["tokyo", "osaka"] }, undefined],
  [{ rebind: "tokyo, kyoto" }, { rebind: ["tokyo"] }, "--rebind kyoto"],
];
for (const [options, planned, refused] of beside) {
  test(`deploy --plan with ${JSON.stringify(options)}, planned with ${JSON.stringify(planned)}`, () => {
    const work = (): void =>
      refuseBesidePlan({ arguments: [], options }, "release.plan", { options: planned });
    if (refused === undefined) return work();
    assert.throws(work, {
      code: "USAGE_PLAN",
      where: `deploy --plan release.plan ${refused}`,
      message: "the plan was made without it, and is carried out as it was made",
      hint: `Plan again with it, and look at it again: slipway plan --out release.plan ${refused}`,
      exitCode: 2,
    });
  });
}
