import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { exec } from "@slipway/base";
import { collectChecks } from "./load.ts";

let folder: string;
let spec: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-load-"));
  spec = join(folder, "web.ts");
});
after(() => rm(folder, { recursive: true, force: true }));

test("a spec file that ends the process, or never comes to its end, is no success", async () => {
  const load = JSON.stringify(pathToFileURL(join(import.meta.dirname, "load.ts")).href);
  const program = join(folder, "program.mjs");
  await writeFile(
    program,
    `import { collectChecks } from ${load};
await collectChecks({ files: [${JSON.stringify(spec)}], images: [] });
console.log("collected");
process.exit(0);
`,
  );
  const run = async (text: string) => {
    await writeFile(spec, text);
    return exec([process.execPath, "--disable-warning=ExperimentalWarning", program]);
  };
  for (const text of ["process.exit(0);", "process.exit();", "await new Promise(() => {});"]) {
    const { exitCode, stdout, stderr } = await run(text);
    assert.deepEqual([exitCode, stdout], [2, ""], text);
    assert.ok(stderr.includes(`slipway: ${spec}: does not come to its end`), stderr);
  }
  assert.deepEqual(await run("export {};"), { ...(await run("")), stdout: "collected\n", exitCode: 0 });
});

test("a file that cannot be found is told at the one that asks for it", async () => {
  await writeFile(spec, 'import "./none.ts";\n');
  await assert.rejects(collectChecks({ files: [spec], images: [] }), {
    code: "VERIFY_SPEC_INVALID",
    where: spec,
    message: /Cannot find module .*none\.ts/,
    hint: /with its extension/,
  });
});
