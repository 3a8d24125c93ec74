import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { exec } from "@slipway/base";

const url = (path: string): string => JSON.stringify(pathToFileURL(join(import.meta.dirname, path)).href);

const FILES: Readonly<Record<string, string>> = {
  "compose.yaml": "services:\n  web: { build: . }\n",
  Dockerfile: 'FROM slipway/node\nCOPY server.mjs /\nEXPOSE 8080\nCMD ["node", "/server.mjs"]\n',
  "server.mjs":
    'import { createServer } from "node:http";\ncreateServer((_, response) => response.end("hello")).listen(8080);\n',
  "shop.test.mjs": `import { describe, test } from "node:test";
import { checks } from ${url("node-test.ts")};
import { describeCompose } from ${url("../verify.ts")};
checks({ describe, test, images: [], engine: "sandbox" }, () => {
  describeCompose(".", (t) => {
    t.in("web").port(8080).listening();
    t.in("web").http("http://127.0.0.1:8080/").status(200).body("hello");
    t.in("web").once().port(9).listening();
  });
});
`,
};

test("in tests of node:test containers run as they do for slipway verify, and nothing is left of them", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-node-test-"));
  try {
    for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text);
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const command = [process.execPath, "--test", "--test-reporter=spec", "shop.test.mjs"];
    const result = await exec(command, { cwd: folder, env });
    assert.equal(result.exitCode, 1, result.stdout + result.stderr);
    assert.match(result.stdout, /✔ port 8080 › listening/);
    assert.match(result.stdout, /✔ GET http:\/\/127\.0\.0\.1:8080\/ › body "hello"/);
    assert.match(result.stdout, /✖ port 9 › listening/);
    assert.match(result.stdout, /listening: \[::\]:8080/);
    assert.deepEqual(await readdir(join(folder, ".slipway", "verify")), []);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
