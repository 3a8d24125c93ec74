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
  assert.ok(notes.includes("edge: no route leads to api; add one for what people reach"), notes.join("\n"));
});
