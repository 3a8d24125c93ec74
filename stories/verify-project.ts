/** The shop in a folder of its own, committed and built, with the Compose example beside it: what `slipway verify` is run in. */
import assert from "node:assert/strict";
import { cp, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exec } from "@slipway/base";

const root = join(import.meta.dirname, "..");
const bin = join(root, "packages/slipway/bin/slipway");

export interface VerifyProject {
  readonly folder: string;
  /** `slipway WORDS…` in it. */
  slipway(...words: readonly string[]): ReturnType<typeof exec>;
  /** The argument vector, variables and folder of the same, for who wants the process itself. */
  command(...words: readonly string[]): { readonly argv: readonly string[]; readonly env: NodeJS.ProcessEnv };
}

/** `specs`: files under `spec/`, by name; `spec/stack.ts` and `spec/wrong.ts` may be written later without a commit. */
export async function makeVerifyProject(
  folder: string,
  specs: Readonly<Record<string, string>>,
): Promise<VerifyProject> {
  await cp(join(root, "examples/shop"), folder, {
    recursive: true,
    filter: (path) => !path.includes(".slipway"),
  });
  await cp(join(root, "examples/compose-nginx"), join(folder, "compose"), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await writeFile(
    join(folder, ".gitignore"),
    "node_modules\n.slipway\nout.xml\nstructure.yaml\nspec/wrong.ts\nspec/stack.ts\ncompose/\n",
  );
  await rm(join(folder, "spec/service.ts"));
  for (const [name, text] of Object.entries(specs)) await writeFile(join(folder, "spec", name), text);
  for (const words of [
    ["init", "-q"],
    ["add", "-A"],
    ["commit", "-q", "-m", "first"],
  ]) {
    const result = await exec(["git", "-c", "user.name=you", "-c", "user.email=you@localhost", ...words], {
      cwd: folder,
    });
    assert.equal(result.exitCode, 0, result.stderr);
  }
  const command: VerifyProject["command"] = (...words) => ({
    argv: [bin, ...words],
    env: { ...process.env, GITHUB_ACTIONS: "" },
  });
  const slipway: VerifyProject["slipway"] = (...words) => {
    const { argv, env } = command(...words);
    return exec(argv, { cwd: folder, env });
  };
  const built = await slipway("build", "--builder", "slipway");
  assert.equal(built.exitCode, 0, built.stdout + built.stderr);
  return { folder, slipway, command };
}

/** Checks that need a container of the shop's backend. */
export const RUNNING_SPEC = `import { describeImage } from "slipway/verify";
describeImage("backend1", (t) => {
  t.port(8080).listening();
  t.ports.onlyListening([8080]);
  t.process(1).running().user("node");
  t.http("http://127.0.0.1:8080/").status(200).json("service", "backend1");
  t.command(["node", "--version"]).stdout(/^v\\d+/);
  t.log.stderr.lacks(/Error/);
  t.container.stopsWithin("5s");
});
`;

/** The Compose example, with curl in its front. */
export const STACK_SPEC = `import { describeCompose, stack } from "slipway/verify";
const shop = stack("shop", (t) => {
  for (const path of ["/be1/", "/be2/"]) t.in("frontend").http("http://127.0.0.1" + path).status(200);
  for (const backend of ["backend1", "backend2"]) t.in(backend).port(8080).listening();
  t.in("frontend").file("/etc/nginx/nginx.conf").contains(/proxy_pass http:\\/\\/backend1/);
  t.in("frontend").dns("backend1").resolves();
  t.in("frontend").reach("backend2", 8080).open();
  t.in("frontend").log.stderr.lacks(/\\[emerg\\]/);
});
describeCompose(["../compose/compose.yaml", "../compose/compose.curl.yaml"], shop, (t) => {
  t.in("frontend").command("curl http://127.0.0.1/be1/ -v").stderr(/HTTP\\/1\\.1 200 OK/);
  t.in("frontend").command("curl http://127.0.0.1/be2/ -v").stderr(/HTTP\\/1\\.1 200 OK/);
});
`;
