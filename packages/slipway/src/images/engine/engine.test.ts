import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import type { ImageLayout } from "../layout.ts";
import { hostPlatform } from "../oci.ts";
import { buildCommand, buildWithEngine, type EngineBuild } from "./build.ts";
import { type Ask, type Builder, type Engine, findEngine } from "./engine.ts";

/** A machine as what its programs answer. */
const machine =
  (answers: Readonly<Record<string, string>>): Ask =>
  ([program, ...args]) =>
    Promise.resolve(answers[[program, args[0] === "buildx" ? "buildx" : ""].filter(Boolean).join(" ")]);

const CLASSIC = machine({ docker: "28.2.2 20.10.24" });
const BUILT_IN = machine({ docker: "20.10.24 20.10.24" });
const BUILDX = machine({ docker: "28.2.2 28.2.2", "docker buildx": "v0.20" });
const PODMAN = machine({ podman: "4.3.1" });
const BOTH = machine({ docker: "28.2.2 20.10.24", podman: "4.3.1" });
const NOTHING = machine({});

/** [builder, machine, what is taken: kind, and "classic"; undefined: Slipway's own; a text: what does not answer] */
const CHOICES: readonly (readonly [Builder, Ask, string | undefined | RegExp])[] = [
  ["auto", NOTHING, undefined],
  ["auto", CLASSIC, "docker classic"],
  ["auto", BUILT_IN, "docker"],
  ["auto", BUILDX, "buildx"],
  ["auto", PODMAN, "podman"],
  ["auto", BOTH, "docker classic"],
  ["slipway", BUILDX, undefined],
  ["docker", BUILDX, "docker"],
  ["docker", PODMAN, /docker does not answer/],
  ["buildx", CLASSIC, /buildx does not answer.*docker buildx version.*docker\.io/],
  ["buildx", NOTHING, /buildx does not answer/],
  ["podman", BOTH, "podman"],
  ["podman", CLASSIC, /podman does not answer/],
];

for (const [builder, ask, expected] of CHOICES) {
  test(`--builder ${builder} → ${expected}`, async () => {
    const finding = findEngine(builder, ask);
    if (expected instanceof RegExp)
      return assert.rejects(finding, (error: Error & { hint: string }) =>
        expected.test(`${error.message}; ${error.hint}`),
      );
    const engine = await finding;
    assert.equal(engine && `${engine.kind}${engine.isClassic ? " classic" : ""}`, expected);
  });
}

const engine = (kind: Engine["kind"], isClassic = false): Engine => ({
  kind,
  name: `${kind} 1`,
  isClassic,
  env: {},
});

const build = (over: Partial<EngineBuild>): EngineBuild => ({
  engine: engine("docker"),
  image: "web",
  from: {
    kind: "context",
    context: "/src/web",
    dockerfile: "/src/web/Dockerfile",
    args: { A: "1 2" },
    target: "run",
    network: "none",
    secrets: { token: { env: "TOKEN" }, npmrc: { file: "/src/.npmrc" } },
  },
  context: { what: "", hasExactModes: false } as EngineBuild["context"],
  labels: { "org.opencontainers.image.revision": "abc" },
  platform: hostPlatform(),
  layout: {} as ImageLayout,
  env: {},
  signal: undefined,
  modern: [],
  onOutput: () => {},
  ...over,
});

test("the words of a build: arguments, target, secrets, network, platform, output", () => {
  const shared = [
    ...["--file", "/src/web/Dockerfile", "--build-arg", "A=1 2"],
    ...["--label", "org.opencontainers.image.revision=abc", "--target", "run", "--network", "none"],
  ];
  const secrets = ["--secret", "id=token,env=TOKEN", "--secret", "id=npmrc,src=/src/.npmrc"];
  assert.deepEqual(buildCommand(build({}), "/ctx", "/out"), [
    ...["docker", "build", ...shared, ...secrets, "--iidfile", "/out/id", "/ctx"],
  ]);
  const foreign = { os: "linux", architecture: "riscv64" };
  assert.deepEqual(buildCommand(build({ engine: engine("buildx"), platform: foreign }), "/ctx", "/out"), [
    ...["docker", "buildx", "build", ...shared, "--platform", "linux/riscv64", ...secrets],
    ...["--load", "--tag", "slipway-build:out", "/ctx"],
  ]);
  const podman = build({ engine: engine("podman") });
  assert.deepEqual(buildCommand(podman, "/ctx", "/out").slice(0, 3), ["podman", "build", "--file"]);
  assert.deepEqual(buildCommand(podman, "/ctx", "/out", true).slice(0, 3), ["podman", "build", "--no-cache"]);
});

test("what the classic builder lacks is one error that names all of it, before anything runs", async () => {
  const wanted = build({
    engine: engine("docker", true),
    platform: { os: "linux", architecture: "riscv64" },
    modern: ["Dockerfile:3 RUN --mount"],
  });
  await assert.rejects(buildWithEngine(wanted), (error: unknown) => {
    assert.ok(error instanceof SlipwayError);
    assert.equal(error.code, "IMAGES_ENGINE_LACKS");
    for (const part of ["secrets", "linux/riscv64", "Dockerfile:3 RUN --mount"])
      assert.ok(error.message.includes(part), part);
    return true;
  });
});

for (const kind of ["docker", "buildx", "podman"] as const) {
  test(`${kind}: the command to try by hand names nothing that is gone after the build`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "slipway-fake-"));
    try {
      const program = join(folder, kind === "podman" ? "podman" : "docker");
      await writeFile(program, "#!/bin/sh\necho no such base >&2\nexit 3\n", { mode: 0o755 });
      const wanted = build({ engine: engine(kind), env: { PATH: `${folder}:/bin` } });
      await assert.rejects(buildWithEngine(wanted), (error: unknown) => {
        assert.ok(error instanceof SlipwayError);
        assert.match(error.message, /exited 3:\n {2}no such base/);
        assert.match(error.hint ?? "", /^Run it yourself: (?:docker|podman) .* \/src\/web$/);
        assert.doesNotMatch(error.hint ?? "", /slipway-|--iidfile|--label|--tag|bases/);
        return true;
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
}

test("an engine that does not reach the base's registry: what stands in for a base is named", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-fake-"));
  try {
    const said =
      'Error: pinging container registry r.test: Get "https://r.test/v2/": dial tcp: lookup r.test: no such host';
    await writeFile(join(folder, "podman"), `#!/bin/sh\necho '${said}' >&2\nexit 125\n`, { mode: 0o755 });
    const wanted = build({ engine: engine("podman"), env: { PATH: `${folder}:/bin` } });
    await assert.rejects(buildWithEngine(wanted), {
      hint: /^Run it yourself: .*\n.*bases: \{ "node:22-slim": "slipway\/node" \}/,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
