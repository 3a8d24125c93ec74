/** What an environment lets stand in for a base does so wherever the project's Dockerfiles are built, in a Compose file, too. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { exec } from "@slipway/base";

const slipway = join(import.meta.dirname, "../../bin/slipway");
const FILES: Readonly<Record<string, string>> = {
  "slipway.config.ts": `import { defineConfig, local } from "slipway";
export default defineConfig({
  name: "page",
  images: { web: { context: "web" } },
  manifests: ["k8s/"],
  verify: ["spec/"],
  environments: { local: { clusters: { tokyo: local() }, bases: { "registry.test/busybox:1": "slipway/host/busybox" } } },
});
`,
  "compose.yaml": "services:\n  web: { build: web }\n",
  "web/Dockerfile":
    'FROM registry.test/busybox:1\nCOPY page /www/index.html\nEXPOSE 8080\nENTRYPOINT ["busybox"]\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n',
  "k8s/settings.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\n",
  "web/page": "the page\n",
  "spec/together.ts": `import { describeCompose, stack } from "slipway/verify";
describeCompose("../compose.yaml", stack("page", (t) => t.in("web").port(8080).listening()));
`,
};

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-verify-bases-"));
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
});
after(() => rm(folder, { recursive: true, force: true }));

test("a Compose file's build stands on the environment's base", async () => {
  const built = await exec([slipway, "build", "--builder", "slipway"], { cwd: folder });
  assert.equal(built.exitCode, 0, built.stderr);
  const words = ["verify", "--only", "compose", "--engine", "sandbox"];
  const { exitCode, stdout, stderr } = await exec([slipway, ...words], { cwd: folder });
  assert.equal(exitCode, 0, stdout + stderr);
  assert.match(stdout, /1 of 1 passed/);
});
