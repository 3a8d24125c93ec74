import assert from "node:assert/strict";
import { test } from "node:test";
import { renderStarter } from "./starter.ts";
import type { FoundDockerfile, FoundObject } from "./survey.ts";

const dockerfile = (context: string, change: Partial<FoundDockerfile> = {}): FoundDockerfile => ({
  context,
  dockerfile: "Dockerfile",
  bases: ["node:22-slim"],
  hasRun: false,
  ...change,
});
const deployment = (name: string, image: string): FoundObject => ({
  file: `k8s/${name}.yaml`,
  kind: "Deployment",
  name,
  namespace: undefined,
  value: { spec: { template: { spec: { containers: [{ name, image }] } } } },
});
const service = (name: string, port: number, type = "ClusterIP"): FoundObject => ({
  file: `k8s/${name}.yaml`,
  kind: "Service",
  name,
  namespace: undefined,
  value: { spec: { type, ports: [{ port }] } },
});

test("one Dockerfile and one image belong together, whatever they are called", () => {
  const { text, notes } = renderStarter({
    name: "hello",
    dockerfiles: [dockerfile(".")],
    nodeFolders: [],
    unlockedFolders: [],
    objects: [deployment("hello", "registry.example.com/team/hello:1.0"), service("hello", 80)],
  });
  assert.match(text, /"registry\.example\.com\/team\/hello": \{ context: "\." \}/);
  assert.match(text, /bases: \{ "node:22-slim": "slipway\/node" \}/);
  assert.match(text, /routes: \{ "\/\*": service\("hello", 80\) \}/);
  assert.deepEqual(
    notes.map((note) => note.split(":")[0]),
    ["local", "edge"],
  );
});

test("a Dockerfile with RUN is built like others, and what it needs is said", () => {
  const { text, notes } = renderStarter({
    name: "shop",
    dockerfiles: [dockerfile("web", { hasRun: true }), dockerfile("api")],
    nodeFolders: [],
    unlockedFolders: [],
    objects: [
      deployment("web", "web"),
      deployment("api", "api"),
      service("web", 80, "LoadBalancer"),
      service("api", 80),
    ],
  });
  assert.match(text, /web: \{ context: "web" \}/);
  assert.match(text, /api: \{ context: "api" \}/);
  assert.ok(notes.some((note) => note.startsWith("images: web/Dockerfile has RUN")));
  assert.ok(
    notes.some((note) => note.includes('bases: { "node:22-slim": "slipway/node" }')),
    notes.join("\n"),
  );
  assert.ok(notes.includes("edge: no route leads to api; add one for what people reach"), notes.join("\n"));
});

/** [image of the Deployment, folders with a lockfile, the line that is written for it, or the note that there is none] */
const WITHOUT_DOCKERFILE: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["hello", ["."], /\n {4}hello: \{ node: "\." \},\n/],
  ["web", ["api", "apps/web"], /\n {4}web: \{ node: "apps\/web" \},\n/],
  ["hello", ["api", "web"], /hello has no Dockerfile here and names no registry/],
  ["hello", [], /hello has no Dockerfile here and names no registry/],
  ["nginx:1.27", ["."], /nginx has no Dockerfile here; it must come from a registry/],
  ["registry.example.com/team/hello", ["."], /it must come from a registry/],
];
for (const [image, nodeFolders, expected] of WITHOUT_DOCKERFILE) {
  test(`${image} without a Dockerfile beside ${nodeFolders.join(" and ") || "nothing"}`, () => {
    const objects = [deployment("hello", image), service("hello", 80)];
    const { text, notes } = renderStarter({
      ...{ name: "hello", dockerfiles: [], unlockedFolders: [], objects },
      nodeFolders,
    });
    assert.match([text, ...notes].join("\n"), expected);
  });
}

test("a Node service without a lockfile is told that it needs nothing else", () => {
  const objects = [deployment("hello", "hello"), service("hello", 80)];
  for (const folder of ["hello", "."]) {
    const { notes } = renderStarter({
      ...{ name: "hello", dockerfiles: [], nodeFolders: [], objects },
      unlockedFolders: [folder],
    });
    assert.deepEqual(
      notes.filter((note) => note.startsWith("images:")),
      [
        `images: hello has no Dockerfile here, and needs none with a package-lock.json in ${folder}: npm install --package-lock-only makes one; then slipway init --force`,
      ],
    );
  }
});
