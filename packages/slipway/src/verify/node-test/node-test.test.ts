import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { exec } from "@slipway/base";
import type { BuiltImage } from "../../images/image.ts";
import { ImageLayout } from "../../images/layout.ts";
import { webBase } from "../mutations/bases.ts";
import { buildImage } from "../mutations/build.ts";
import { describeImage } from "../verify.ts";
import { checks } from "./node-test.ts";

let folder: string;
let image: BuiltImage;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-node-test-"));
  image = await buildImage(webBase(undefined), undefined, await ImageLayout.open(folder));
});
after(() => rm(folder, { recursive: true, force: true }));

const url = (path: string): string => JSON.stringify(pathToFileURL(join(import.meta.dirname, path)).href);

test("each check is a test of node:test, and one that does not pass says what was found and where", async () => {
  const file = join(folder, "spec.test.mjs");
  await writeFile(
    file,
    `import { describe, test } from "node:test";
import { checks } from ${url("node-test.ts")};
import { describeImage } from ${url("../verify.ts")};
checks({ describe, test, engine: "none", images: ${JSON.stringify([image])} }, () => {
  describeImage("web", (t) => {
    t.image.exposes(8080);
    t.file("/app/server.conf").mode("0600");
    t.port(8080).listening();
  });
});
`,
  );
  const env = { ...process.env };
  delete env["NODE_TEST_CONTEXT"];
  const result = await exec([process.execPath, "--test", "--test-reporter=spec", file], { env });
  assert.equal(result.exitCode, 1, result.stdout);
  assert.match(result.stdout, /▶ image web/);
  assert.match(result.stdout, /✔ image › exposes 8080\/tcp/);
  assert.match(result.stdout, /✖ file \/app\/server\.conf › mode 0600/);
  assert.match(result.stdout, /found {5}mode 0644/);
  assert.match(result.stdout, /unknown: port 8080 › listening/);
  assert.match(result.stdout, /spec\.test\.mjs:7:32\n/); // no command of slipway finds it
});

test("each check is a test of vitest too, with the line of the spec", async () => {
  const project = await mkdtemp(join(folder, "vitest-"));
  const modules = join(import.meta.dirname, "../../../../../node_modules");
  // A project with a node_modules of its own: vitest keeps its caches there.
  await mkdir(join(project, "node_modules"));
  for (const name of ["vitest", "slipway"])
    await symlink(await realpath(join(modules, name)), join(project, "node_modules", name));
  await writeFile(join(project, "package.json"), '{ "type": "module" }\n');
  await writeFile(
    join(project, "web.test.ts"),
    `import { describe, test } from "vitest";
import { describeImage, type ImageTarget } from "slipway/verify";
import { checks } from "slipway/verify/node-test";

const web = (t: ImageTarget) => {
  t.image.exposes(8080);
  t.file("/app/server.conf").mode("0600");
  t.port(8080).listening();
};
checks({ describe, test, engine: "none", images: ${JSON.stringify([image])} }, () => describeImage("web", web));
`,
  );
  const env = { ...process.env, NO_COLOR: "1", CI: "true" };
  const vitest = join(modules, "vitest", "vitest.mjs");
  const report = join(project, "report.json");
  // vitest's own limit, of 5 s otherwise, is not for checks: they take what their deadlines give them.
  const words = ["run", "--root", project, "--reporter=json", `--outputFile=${report}`, "--testTimeout=1"];
  const result = await exec([process.execPath, vitest, ...words], { env });
  assert.equal(result.exitCode, 1, result.stdout + result.stderr);
  const { testResults } = JSON.parse(await readFile(report, "utf8")) as {
    testResults: readonly VitestFile[];
  };
  const told = testResults.flatMap(({ assertionResults }) => assertionResults);
  assert.deepEqual(
    told.map(({ fullName, status }) => [fullName, status]),
    [
      ["image web image › exposes 8080/tcp", "passed"],
      ["image web file /app/server.conf › mode 0600", "failed"],
      ["image web port 8080 › listening", "failed"],
    ],
  );
  assert.match(told[1]?.failureMessages[0] ?? "", /found {5}mode 0644[\s\S]*web\.test\.ts:7:30/);
  assert.match(told[2]?.failureMessages[0] ?? "", /unknown: port 8080 › listening/);
});

interface VitestFile {
  readonly assertionResults: readonly {
    readonly fullName: string;
    readonly status: string;
    readonly failureMessages: readonly string[];
  }[];
}

test("any runner with describe and test will do, and no checks are a mistake", async () => {
  const ran: [string, () => unknown][] = [];
  const runner = {
    describe: (_: string, body: () => void) => body(),
    test: (name: string, body: () => unknown) => ran.push([name, body]),
  };
  checks({ ...runner, images: [image] }, () => {
    describeImage("web", (t) => t.image.user("app").user("root"));
  });
  assert.deepEqual(
    ran.map(([name]) => name),
    ["image › user app", "image › user root"],
  );
  await ran[0]?.[1]();
  await assert.rejects(async () => ran[1]?.[1](), {
    code: "ERR_ASSERTION",
    expected: "user root",
    actual: "it is app",
  });
  assert.throws(() => checks({ ...runner, images: [image] }, () => {}), { code: "VERIFY_SPEC_INVALID" });
});
