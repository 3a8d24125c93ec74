import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hasDockerCompose, loadWithDocker } from "./docker-config.ts";
import { loadProject } from "./load.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-compose-config-"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** A program in the plugin's place, which writes down how it was called. */
async function plugin(answer: string): Promise<NodeJS.ProcessEnv> {
  const program = join(folder, "docker");
  await writeFile(program, `#!/bin/sh\nprintf '%s\\n' "$@" > "$0.called"\n${answer}\n`);
  await chmod(program, 0o755);
  return { PATH: `${folder}:${process.env["PATH"]}` };
}
const called = async (): Promise<string> =>
  (await readFile(join(folder, "docker.called"), "utf8")).replaceAll("\n", " ").trim();

// As the plugin prints it: everything resolved, paths absolute, defaults spelt out.
const CONFIG = (directory: string) => ({
  name: "shop",
  networks: { default: { name: "shop_default", ipam: {} } },
  services: {
    front: {
      build: { context: `${directory}/front`, dockerfile: "Dockerfile" },
      command: null,
      depends_on: { back: { condition: "service_started", required: true } },
      entrypoint: null,
      environment: { MODE: "test" },
      expose: ["80"],
      networks: { default: null },
    },
    back: {
      build: { context: `${directory}/back`, dockerfile: "Dockerfile" },
      command: null,
      entrypoint: null,
      networks: { default: null },
    },
  },
});

test("what the plugin makes of a file is what our own loader makes of it", async () => {
  const env = await plugin(`cat <<'JSON'\n${JSON.stringify(CONFIG(folder))}\nJSON`);
  const file = join(folder, "compose.yaml");
  await writeFile(
    file,
    `name: shop\nservices:\n  front: { build: ./front, depends_on: [back], environment: [MODE=test], expose: ["80"] }\n  back: { build: ./back }\n`,
  );
  const theirs = await loadWithDocker({ cwd: folder, files: [file], profiles: ["debug"], env });
  assert.equal(await called(), `compose --file ${file} --profile debug config --format json`);
  const ours = await loadProject({ cwd: folder, files: [file], env: {} });
  const withoutPlaces = (loaded: typeof ours) => ({
    name: loaded.project.name,
    services: loaded.project.services
      .map(({ place: _, keys: __, ...service }) => service)
      .toSorted((a, b) => a.name.localeCompare(b.name)),
  });
  assert.deepEqual(withoutPlaces(theirs), withoutPlaces(ours));
  assert.equal(theirs.directory, folder);
});

test("its error is ours, in its words", async () => {
  const env = await plugin("echo 'services.front Additional property imgae is not allowed' >&2; exit 15");
  await assert.rejects(
    () => loadWithDocker({ cwd: folder, env }),
    (error: { code?: string; exitCode?: number; message: string }) =>
      error.code === "COMPOSE_INVALID" &&
      error.exitCode === 2 &&
      /property imgae is not allowed/.test(error.message),
  );
});

test("it is there, or not", async () => {
  assert.equal(await hasDockerCompose(await plugin("exit 0")), true);
  assert.equal(
    await hasDockerCompose(await plugin("echo \"docker: 'compose' is not a docker command.\" >&2; exit 1")),
    false,
  );
  assert.equal(await hasDockerCompose({ PATH: "/nowhere" }), false);
});
