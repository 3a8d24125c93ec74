import assert from "node:assert/strict";
import { test } from "node:test";
import type { BuiltImage } from "../../images/image.ts";
import { defaultName, projectSpec, readProject } from "./project.ts";
import { treeOf } from "./tree.ts";

const place = { file: "docker compose config", line: undefined, directory: "/work/shop" };
const choice = { profiles: [], name: "other" };
/** As Compose 2 prints it. */
const printed = {
  name: "shop",
  services: {
    web: {
      build: { context: "/work/shop/web", dockerfile: "Dockerfile", args: { A: "1" } },
      command: null,
      depends_on: { db: { condition: "service_started", required: true } },
      entrypoint: null,
      environment: { A: "1", B: null },
      networks: { default: null },
      ports: [{ mode: "ingress", target: 80, published: "8080", protocol: "tcp" }],
      volumes: [
        { type: "bind", source: "/work/shop/html", target: "/www", bind: { create_host_path: true } },
      ],
    },
    db: { command: ["serve"], entrypoint: null, image: "db:1", networks: { default: null } },
  },
  networks: { default: { name: "shop_default", ipam: {} } },
};

test("what docker compose prints is read as our own files are", () => {
  const project = readProject(treeOf(printed, place), choice);
  assert.equal(project.name, "shop");
  const [web, db] = project.services;
  assert.deepEqual(web?.build?.dockerfile, "/work/shop/web/Dockerfile");
  assert.deepEqual(web?.environment, { A: "1" });
  assert.deepEqual(web?.published, [{ port: 80, protocol: "tcp", hostPort: 8080, hostIp: "127.0.0.1" }]);
  assert.deepEqual(db?.command, ["serve"]);
});

test("an engine gets images, and ports of the image and the file once each", () => {
  const project = readProject(treeOf(printed, place), choice);
  const image = (name: string): BuiltImage => ({
    name,
    digest: "sha256:0",
    reference: undefined,
    layout: "/l",
  });
  const spec = projectSpec(
    project,
    (service) => image(service.name),
    () => [
      { port: 80, protocol: "tcp" },
      { port: 81, protocol: "tcp" },
    ],
  );
  const [web] = spec.services;
  assert.equal(web?.image.name, "web");
  assert.deepEqual(
    web?.exposed.map(({ port }) => port),
    [80, 81],
  );
  assert.equal("build" in (web ?? {}), false);
});

const names: readonly (readonly [string, string])[] = [
  ["/work/My Shop.v2", "myshopv2"],
  ["/work/_x", "x"],
  ["/", "default"],
];
for (const [folder, expected] of names)
  test(`a project in ${folder} is called ${expected}`, () => assert.equal(defaultName(folder), expected));
