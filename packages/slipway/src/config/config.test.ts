import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { context } from "./define.ts";
import { loadConfig, parseConfig } from "./load.ts";
import { resolveConfig } from "./resolve.ts";
import { configSchema } from "./schema.ts";
import { redact, renderConfig } from "./show.ts";

const good = {
  name: "shop",
  images: { web: { context: "web" } },
  manifests: ["k8s/"],
  environments: { local: { clusters: { tokyo: { kind: "local" }, osaka: { kind: "local" } } } },
};

function problemOf(change: object): string {
  try {
    parseConfig("slipway.config.ts", { ...good, ...change });
  } catch (error) {
    assert.ok(error instanceof SlipwayError);
    assert.equal(error.exitCode, 2);
    return `${error.code} ${error.where}: ${error.message}${error.hint === undefined ? "" : ` | ${error.hint}`}`;
  }
  return "none";
}

describe("a wrong configuration", () => {
  const cases: readonly (readonly [string, object, string])[] = [
    [
      "a misspelt key at the top",
      { manifest: [] },
      'CONFIG_UNKNOWN_KEY slipway.config.ts: unknown key "manifest" | Did you mean "manifests"?',
    ],
    [
      "a misspelt key of an image",
      { images: { web: { context: "web", dockerFile: "x" } } },
      'CONFIG_UNKNOWN_KEY slipway.config.ts/images/web: unknown key "dockerFile" | Did you mean "dockerfile"?',
    ],
    [
      "a misspelt key in an environment",
      { environments: { local: { clusters: good.environments.local.clusters, patch: [] } } },
      'CONFIG_UNKNOWN_KEY slipway.config.ts/environments/local: unknown key "patch" | Did you mean "patches"?',
    ],
    [
      "a text where a list belongs",
      { manifests: "k8s/" },
      'CONFIG_WRONG_TYPE slipway.config.ts/manifests: should be a list, got "k8s/"',
    ],
    [
      "a number where a duration belongs",
      { release: { bake: 60 } },
      "CONFIG_WRONG_TYPE slipway.config.ts/release/bake: should be a duration like 300ms, 2s, 1m30s or 1h, got 60",
    ],
    [
      "a duration without a unit",
      { release: { bake: "60" } },
      'CONFIG_INVALID slipway.config.ts/release/bake: should be a duration like 300ms, 2s, 1m30s or 1h, got "60"',
    ],
    [
      "no clusters",
      { environments: { local: { clusters: {} } } },
      "CONFIG_INVALID slipway.config.ts/environments/local/clusters: should name at least one cluster",
    ],
    [
      "a policy that does not exist",
      { release: { onFailure: "panic" } },
      'CONFIG_INVALID slipway.config.ts/release/onFailure: should be "rollback-all" or "rollback-wave" or "halt", got "panic"',
    ],
    [
      "a port out of range",
      { edge: { routes: {}, port: 70000 } },
      "CONFIG_INVALID slipway.config.ts/edge/port: should be at most 65535, got 70000",
    ],
    [
      "a route that is no path",
      { edge: { routes: { "static/*": { kind: "bucket", name: "assets", from: "public" } } } },
      'CONFIG_INVALID slipway.config.ts/edge/routes: the name "static/*" should be a path like "/healthz" or a prefix like "/static/*"',
    ],
    [
      "an image that comes from nowhere",
      { images: { web: {} } },
      "CONFIG_INVALID slipway.config.ts/images/web: should be one of { context }, { node }, { ref }, { archive } or { command }",
    ],
    [
      "a misspelt key that would say where an image comes from",
      { images: { web: { contxt: "web" } } },
      'CONFIG_INVALID slipway.config.ts/images/web: should be one of { context }, { node }, { ref }, { archive } or { command }, got { contxt } | Did you mean "context"?',
    ],
    [
      "a name that no label can hold",
      { name: "x".repeat(64) },
      `CONFIG_INVALID slipway.config.ts/name: should have at most 63 characters, got "${"x".repeat(64)}"`,
    ],
    [
      "two misspelt keys",
      { manifest: [], imagez: {} },
      'CONFIG_UNKNOWN_KEY slipway.config.ts: unknown key "manifest" (Did you mean "manifests"?)\nslipway.config.ts: unknown key "imagez" (Did you mean "images"?)',
    ],
    [
      "a missing key",
      { manifests: undefined },
      "CONFIG_MISSING_KEY slipway.config.ts/manifests: is missing; it should be a list",
    ],
    [
      "a source of manifests that is none",
      { manifests: [{ kustomise: "overlays/prod" }] },
      'CONFIG_INVALID slipway.config.ts/manifests/0: should be a path, { kustomize } or { helm }, got { kustomise } | Did you mean "kustomize"?',
    ],
    [
      "a key that a chart does not have",
      { manifests: [{ helm: { chart: "charts/web", vals: [] } }] },
      'CONFIG_UNKNOWN_KEY slipway.config.ts/manifests/0/helm: unknown key "vals" | Did you mean "values"?',
    ],
  ];
  for (const [what, change, expected] of cases) {
    test(`${what} is one clear error`, () => assert.equal(problemOf(change), expected));
  }
});

describe("resolving", () => {
  const resolve = (change: object, environment = "local", env: NodeJS.ProcessEnv = {}) =>
    resolveConfig(parseConfig("slipway.config.ts", { ...good, ...change }), {
      root: "/app",
      file: "slipway.config.ts",
      environment,
      env,
    });

  test("manifests are paths, kustomizations or charts, and an environment may have its own", () => {
    const helm = { chart: "charts/web", values: ["values.yaml"] };
    const manifests = ["k8s/", { kustomize: "overlays/prod" }, { helm }];
    const { config } = resolve({ manifests });
    assert.deepEqual(config.manifests, ["/app/k8s", { kustomize: "/app/overlays/prod" }, { helm }]);
    const own = { ...good.environments.local, manifests: [{ kustomize: "overlays/local" }] };
    const overlay = resolve({ manifests, environments: { local: own } });
    assert.deepEqual(overlay.config.manifests, [{ kustomize: "/app/overlays/local" }]);
    assert.equal(overlay.sources.get("manifests"), "slipway.config.ts (environments.local)");
  });

  test("each cluster is a wave by default, paths are absolute, and the source of each value is kept", () => {
    const { config, sources } = resolve({
      release: { bake: "5s" },
      environments: { local: { ...good.environments.local, release: { bake: "2s" } } },
    });
    assert.deepEqual(config.release, {
      waves: [["tokyo"], ["osaka"]],
      waveSettings: [{}, {}],
      bakeMs: 2000,
      gates: [],
      hooks: [],
      onFailure: "rollback-all",
      unreachable: "fail",
      unreachableAfterMs: 60_000,
      requeueForMs: 600_000,
      keep: 20,
    });
    assert.deepEqual(config.manifests, ["/app/k8s"]);
    assert.equal(sources.get("release.bake"), "slipway.config.ts (environments.local).release");
    assert.equal(sources.get("release.keep"), "default");
    assert.equal(config.isLocal, true);
  });

  test("waves of the top level are narrowed to the clusters of the environment", () => {
    const environments = {
      local: { clusters: { tokyo: { kind: "local" } } },
      production: {
        clusters: {
          tokyo: { kind: "context", context: "gke-tokyo" },
          osaka: { kind: "context", context: "gke-osaka" },
        },
        registry: "registry.example.com/shop",
      },
    };
    const release = { waves: [["osaka"], ["tokyo"]] };
    assert.deepEqual(resolve({ environments, release }).config.release.waves, [["tokyo"]]);
    assert.deepEqual(resolve({ environments, release }, "production").config.release.waves, [
      ["osaka"],
      ["tokyo"],
    ]);
  });

  test("a context may be pinned to one cluster, by a UID and nothing else", () => {
    const uid = "7f3a9c12-5b1e-4c55-9d0a-2f6f4f6f0b11";
    const environments = (pin: string) => ({
      production: {
        clusters: { tokyo: context("gke", { uid: pin }), osaka: context("o") },
        registry: "r.io/shop",
      },
    });
    const { config } = resolve({ environments: environments(uid) }, "production");
    assert.deepEqual(config.clusters, [
      { kind: "context", name: "tokyo", context: "gke", uid },
      { kind: "context", name: "osaka", context: "o" },
    ]);
    assert.match(
      problemOf({ environments: environments("gke") }),
      /clusters\/tokyo\/uid: should be the UID of the cluster's kube-system Namespace: kubectl get /,
    );
  });

  test("a gate compares requests where the edge or collectors count them, not where nothing is observed", () => {
    const environments = {
      local: good.environments.local,
      production: { clusters: { tokyo: context("gke") }, registry: "r.io/shop" },
    };
    const gates = [{ errorRatio: {} }];
    const unobserved = { environments, observe: false };
    assert.equal(resolve({ environments, release: { gates } }, "production").config.release.gates?.length, 1);
    assert.equal(resolve({ ...unobserved, release: { gates } }).config.release.gates?.length, 1);
    for (const release of [{ gates }, { waves: [{ clusters: ["tokyo"], gates }] }]) {
      assert.throws(() => resolve({ ...unobserved, release }, "production"), {
        code: "CONFIG_GATE_NO_EDGE",
        where: "slipway.config.ts/release/gates",
      });
    }
  });

  test("a wave may have a bake, a limit and gates of its own, which follow it", () => {
    const release = {
      waves: [{ clusters: ["osaka"], bake: "10m", maxParallel: 1, gates: [{ approval: {} }] }, ["tokyo"]],
      gates: [
        { http: { url: "https://shop.example.com/healthz", body: "ok" }, timeout: "30s" },
        { http: { url: "https://shop.example.com/" } },
        { prometheus: { url: "http://prometheus:9090", query: "errors", expect: "<= 0.01" } },
        { name: "smoke", command: ["npm", "run", "smoke"] },
      ],
    };
    const { config } = resolve({ release });
    assert.deepEqual(config.release.waves, [["osaka"], ["tokyo"]]);
    const [first, second] = config.release.waveSettings ?? [];
    assert.equal(first?.bakeMs, 600_000);
    assert.equal(first?.maxParallel, 1);
    assert.deepEqual(first?.gates, [{ kind: "approval", name: "approval", timeoutMs: 3_600_000 }]);
    assert.deepEqual(second, {});
    assert.deepEqual(
      config.release.gates?.map(({ name, kind, timeoutMs }) => [name, kind, timeoutMs]),
      [
        ["http", "http", 30_000],
        ["http 2", "http", 60_000],
        ["prometheus", "prometheus", 60_000],
        ["smoke", "command", 300_000],
      ],
    );
  });

  test("hooks know their file, their side and their program", () => {
    const release = {
      hooks: { before: [{ job: "hooks/migrate.yaml", in: "each" }], after: [{ command: ["./warm", "-x"] }] },
    };
    assert.deepEqual(resolve({ release }).config.release.hooks, [
      {
        when: "before",
        name: "migrate",
        timeoutMs: 600_000,
        onRollback: false,
        run: { kind: "job", file: "/app/hooks/migrate.yaml", in: "each", keep: 3 },
      },
      {
        when: "after",
        name: "warm",
        timeoutMs: 600_000,
        onRollback: false,
        run: { kind: "command", command: ["./warm", "-x"] },
      },
    ]);
  });

  test("two hooks of one name are told apart, as records know them by it", () => {
    const npm = (script: string): object => ({ command: ["npm", "run", script] });
    const release = { hooks: { before: [npm("a"), npm("b")], after: [npm("c")] } };
    assert.deepEqual(
      resolve({ release }).config.release.hooks?.map(({ when, name }) => [when, name]),
      [
        ["before", "npm"],
        ["before", "npm 2"],
        ["after", "npm"],
      ],
    );
  });

  test("a cluster in no wave, in two, or unknown is refused", () => {
    const code = (waves: (string[] | { clusters: string[] })[]): string => {
      try {
        resolve({ release: { waves } });
        return "none";
      } catch (error) {
        return (error as SlipwayError).message;
      }
    };
    assert.equal(code([["tokyo"]]), 'cluster "osaka" of environment local stands in no wave');
    assert.equal(code([["tokyo"], ["osaka", "tokyo"]]), 'cluster "tokyo" stands in the waves twice');
    assert.equal(
      code([{ clusters: ["tokyo", "osaka", "tokyo"] }]),
      'cluster "tokyo" stands in the waves twice',
    );
    assert.equal(code([["tokyo"], ["osaka"], ["kyoto"]]), 'no environment has a cluster "kyoto"');
  });

  test("routes are ordered by length, buckets resolved, and secrets redacted", () => {
    const { config, ...rest } = resolve(
      {
        edge: {
          routes: {
            "/*": { kind: "service", name: "web", port: 80 },
            "/static/*": { kind: "bucket", name: "assets", from: "public" },
          },
        },
      },
      "local",
      { SLACK_BOT_TOKEN: "xoxb-secret-value" },
    );
    assert.deepEqual(
      config.edge?.routes.map(({ path }) => path),
      ["/static/*", "/*"],
    );
    assert.deepEqual(config.edge?.routes[0]?.target, { kind: "bucket", name: "assets", from: "/app/public" });
    const shown = renderConfig({ config, ...rest });
    assert.match(shown, /^observe\.keepFor +30d +default$/m);
    assert.ok(!shown.includes("xoxb"), shown);
    assert.ok(!JSON.stringify(redact(config)).includes("xoxb"));
    assert.match(shown, /notify\.slack\.botToken +\(set\) +SLACK_BOT_TOKEN/);
  });

  test("what is set for Slack stays without a token, so that its absence can be told", () => {
    const notify = { slack: { channel: "#deploys" } };
    const kept = resolve(
      { notify, environments: { local: { clusters: { a: { kind: "local" } } } } },
      "local",
    );
    assert.deepEqual(kept.config.notify.slack, notify.slack);
    const none = resolve({ environments: { local: { clusters: { a: { kind: "local" } } } } }, "local");
    assert.equal(none.config.notify.slack, undefined);
  });

  test("clusters that are not local need a registry for the project's images, where it has any", () => {
    const environments = { production: { clusters: { a: { kind: "context", context: "a" } } } };
    const images = { web: { context: "web" } };
    assert.throws(() => resolve({ environments, images }, "production"), { code: "CONFIG_NO_REGISTRY" });
    assert.equal(resolve({ environments, images: {} }, "production").config.registry, undefined);
  });
});

describe("loading a file", () => {
  const folders: string[] = [];
  after(async () => {
    for (const folder of folders) await rm(folder, { recursive: true });
  });
  const project = async (text: string): Promise<string> => {
    const folder = await mkdtemp(join(tmpdir(), "slipway-config-"));
    folders.push(folder);
    await writeFile(join(folder, "slipway.config.ts"), text);
    return folder;
  };

  test("imports `slipway` without an installation in the project", async () => {
    const folder = await project(`
      import { defineConfig, local, service } from "slipway";
      export default defineConfig({ name: "shop", manifests: ["k8s"], environments: { local: { clusters: { tokyo: local() } } },
        edge: { routes: { "/*": service("web", 80) } } });`);
    const { config } = await loadConfig({ cwd: folder, env: {} });
    assert.equal(config.root, folder);
    assert.equal(config.edge?.routes[0]?.target.kind, "service");
  });

  test("a syntax error names file and line", async () => {
    const folder = await project('export default {\n  name: "shop",\n  manifests: [,,}\n};\n');
    await assert.rejects(loadConfig({ cwd: folder, env: {} }), (error: SlipwayError) => {
      assert.equal(error.code, "CONFIG_NOT_LOADED");
      assert.match(error.where ?? "", /^slipway\.config\.ts:3/);
      return true;
    });
  });

  test("no file, no default export and an unknown environment each say what to do", async () => {
    const empty = await mkdtemp(join(tmpdir(), "slipway-config-"));
    folders.push(empty);
    await assert.rejects(loadConfig({ cwd: empty, env: {} }), {
      code: "CONFIG_NOT_FOUND",
      hint: /slipway init/,
    });
    await assert.rejects(loadConfig({ cwd: empty, file: ".", env: {} }), {
      code: "CONFIG_NOT_FOUND",
      message: "is no file",
    });
    await assert.rejects(loadConfig({ cwd: await project("export const x = 1;"), env: {} }), {
      code: "CONFIG_NO_DEFAULT",
    });
    const folder = await project(`export default ${JSON.stringify(good)};`);
    await assert.rejects(loadConfig({ cwd: folder, env: {}, environment: "locale" }), {
      code: "CONFIG_NO_ENVIRONMENT",
      hint: /Did you mean "local"/,
    });
  });
});

test("every key of the configuration has a description", () => {
  const missing: string[] = [];
  const walk = (schema: unknown, path: string): void => {
    const { def, description } = schema as {
      def: {
        type: string;
        shape?: Record<string, unknown>;
        innerType?: unknown;
        options?: unknown[];
        valueType?: unknown;
        element?: unknown;
      };
      description?: string;
    };
    for (const [key, inner] of Object.entries(def.shape ?? {})) {
      const isTarget = path.includes("routes"); // targets are made by service() and bucket(), which are documented
      if ((inner as { description?: string }).description === undefined && !isTarget)
        missing.push(`${path}.${key}`);
      walk(inner, `${path}.${key}`);
    }
    for (const inner of [def.innerType, def.valueType, def.element, ...(def.options ?? [])])
      if (inner !== undefined) walk(inner, path);
    assert.ok(description !== "", path);
  };
  walk(configSchema, "");
  assert.deepEqual(
    missing.filter((path) => !path.endsWith(".kind")),
    [],
  );
});
