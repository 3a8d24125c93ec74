/** A project with one image and a git repository of its own, for tests that run the command line. */
import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ExecResult, exec } from "@slipway/base";

export const HELLO_CONFIG = `import { defineConfig, local } from "slipway";
export default defineConfig({
  name: "hello",
  images: { web: { context: "web" } },
  manifests: ["k8s/"],
  environments: { local: { clusters: { tokyo: local() } } },
});
`;

export interface HelloProject {
  /** `path` is relative to the project. */
  write(path: string, text: string): Promise<void>;
  git(...words: readonly string[]): Promise<ExecResult>;
  /** All that is there. */
  commit(): Promise<void>;
}

/** In `folder`, which is made; with nothing committed yet. */
export async function makeHelloProject(folder: string): Promise<HelloProject> {
  const write = (path: string, text: string): Promise<void> => writeFile(join(folder, path), text);
  const git = (...words: readonly string[]): Promise<ExecResult> =>
    exec(["git", "-c", "user.name=you", "-c", "user.email=you@localhost", ...words], { cwd: folder });
  for (const name of ["web/src", "k8s"]) await mkdir(join(folder, name), { recursive: true });
  await symlink(join(import.meta.dirname, "../../../../node_modules"), join(folder, "node_modules"));
  await write("slipway.config.ts", HELLO_CONFIG);
  await write("web/Dockerfile", "FROM scratch\nCOPY src /src/\n");
  await write("web/src/a.txt", "a\n");
  await write("k8s/web.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: web }\n");
  await write(".gitignore", "node_modules\n.slipway\n");
  await git("init", "-q");
  return {
    write,
    git,
    async commit() {
      await git("add", "-A");
      const { exitCode, stderr } = await git("commit", "-q", "-m", "next");
      assert.equal(exitCode, 0, stderr);
    },
  };
}
