import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ImageLayout } from "../../images/layout.ts";
import type { RegistryClient } from "../../images/registry/client.ts";
import { buildProject, checkHealthchecks, imageSources } from "./images.ts";
import { loadProject } from "./load.ts";

async function sourcesOf(text: string): Promise<readonly string[]> {
  const { project } = await loadProject({
    cwd: "/work/My_Shop",
    env: {},
    readText: async (path) => (path.endsWith("/compose.yaml") ? text : undefined),
  });
  const { sources, nameOf } = imageSources(project);
  const shown = sources.map(({ name, from }) =>
    from.kind === "context"
      ? `${name} from ${from.dockerfile}`
      : `${name} as ${"ref" in from ? from.ref : ""}`,
  );
  return [...shown, ...[...nameOf].map(([service, name]) => `${service}: ${name}`)];
}

test("services with the same build or the same reference share an image", async () => {
  const text =
    "services:\n  a: { build: x }\n  b: { build: { context: ./x } }\n  c: { build: { context: x, args: [N=1] } }\n  d: { image: db:1 }\n  e: { image: db:1 }\n";
  assert.deepEqual(await sourcesOf(text), [
    "my_shop/a from /work/My_Shop/x/Dockerfile",
    "my_shop/c from /work/My_Shop/x/Dockerfile",
    "my_shop/d as db:1",
    "a: my_shop/a",
    "b: my_shop/a",
    "c: my_shop/c",
    "d: my_shop/d",
    "e: my_shop/d",
  ]);
});

test("a reference that another service's build is named by is that build", async () => {
  const text = "services:\n  job: { image: shop/web }\n  web: { image: shop/web, build: web }\n";
  assert.deepEqual(await sourcesOf(text), [
    "my_shop/job from /work/My_Shop/web/Dockerfile",
    "job: my_shop/job",
    "web: my_shop/job",
  ]);
});

test("a service's name is made one that a repository may have", async () => {
  const text = "services:\n  Web__Api_: { image: x }\n";
  assert.deepEqual((await sourcesOf(text)).at(-1), "Web__Api_: my_shop/web-api");
});

test("stages of one Dockerfile are images of their own", async () => {
  const text = `services:
  web: { build: { context: x, target: runtime } }
  tests: { build: { context: x, target: tests } }
  again: { build: { context: x, target: runtime } }
`;
  const sources = await sourcesOf(text);
  assert.deepEqual(sources.slice(-3), ["web: my_shop/web", "tests: my_shop/tests", "again: my_shop/web"]);
});

test("what a build needs and is not there is told with the line of the Compose file", async () => {
  const root = await mkdtemp(join(tmpdir(), "slipway-compose-images-"));
  const layout = await ImageLayout.open(join(root, "layout"));
  const registry = {} as RegistryClient;
  const build = { layout, registry, root, commitTimeMs: 0, isLocal: true, allowHostBases: [] };
  try {
    await mkdir(join(root, "empty"));
    const table: readonly (readonly [context: string, message: string])[] = [
      ["nodir", "services/web/build: there is no folder nodir"],
      ["empty", "services/web/build: there is no empty/Dockerfile"],
    ];
    for (const [context, message] of table) {
      await writeFile(join(root, "compose.yaml"), `services:\n  web:\n    build: ${context}\n`);
      const { project } = await loadProject({ cwd: root, env: {} });
      await assert.rejects(buildProject(project, build), { message, where: "compose.yaml:3", exitCode: 2 });
    }
  } finally {
    await rm(root, { recursive: true });
  }
});

test("waiting for a service to be healthy that has no healthcheck is told with its line", async () => {
  const text = (more: string): string =>
    `services:\n  db: { image: db${more} }\n  web:\n    image: web\n    depends_on: { db: { condition: service_healthy } }\n`;
  const check = async (more: string, test: readonly string[] | undefined): Promise<void> => {
    const { project } = await loadProject({
      cwd: "/work/shop",
      env: {},
      readText: async (path) => (path.endsWith("/compose.yaml") ? text(more) : undefined),
    });
    checkHealthchecks(project, new Map([["db", test === undefined ? {} : { Healthcheck: { Test: test } }]]));
  };
  await check("", ["CMD", "ready"]);
  await check(", healthcheck: { test: ready }", undefined);
  const refused = {
    where: "compose.yaml:5",
    message: /waits for db to be healthy, and db has no healthcheck/,
  };
  await assert.rejects(check("", undefined), refused);
  await assert.rejects(check("", ["NONE"]), refused);
  await assert.rejects(check(", healthcheck: { disable: true }", ["CMD", "ready"]), refused);
});
