/**
 * How kustomize and helm are called and what is made of their answers and failures. The programs here are small ones
 * that note how they were called; the real kustomize runs in `manifest-programs.local.test.ts`.
 */
import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { SlipwayError } from "@slipway/base";
import type { Config, ManifestSource } from "../../config/types.ts";
import type { RenderedRelease } from "../model.ts";
import { programRunner } from "./manifest-programs.ts";
import { renderRelease } from "./render.ts";

const digest = `sha256:${"a".repeat(64)}`;

interface Bench {
  readonly root: string;
  /** Puts a program on the only PATH there is; it notes its arguments, one a line, in `called`. */
  program(name: string, script: string): Promise<void>;
  called(): Promise<readonly string[]>;
  render(...manifests: readonly ManifestSource[]): Promise<RenderedRelease>;
}

async function bench(t: TestContext): Promise<Bench> {
  const root = await mkdtemp(join(tmpdir(), "slipway-programs-"));
  t.after(() => rm(root, { recursive: true }));
  await mkdir(join(root, "bin"));
  await mkdir(join(root, "overlays/prod"), { recursive: true });
  await writeFile(join(root, "overlays/prod/kustomization.yaml"), "resources: []\n");
  return {
    root,
    program: async (name, script) => {
      const file = join(root, "bin", name);
      await writeFile(file, `#!/bin/sh\nprintf '%s\\n' "$0" "$@" >> ${root}/called\n${script}`);
      await chmod(file, 0o755);
    },
    called: async () =>
      (await readFile(join(root, "called"), "utf8").catch(() => ""))
        .trim()
        .replaceAll(`${root}/bin/`, "")
        .split("\n"),
    render: (...manifests) =>
      renderRelease({
        config: {
          name: "shop",
          namespace: "default",
          root,
          manifests,
          patches: [],
          release: {},
        } as unknown as Config,
        images: [{ name: "web", digest, reference: `registry.test/web:v1@${digest}`, layout: "" }],
        version: { commit: "", message: "", author: "", dirty: false },
        run: programRunner({ PATH: join(root, "bin") }),
      }),
  };
}

const heredoc = (text: string): string =>
  `while IFS= read -r line; do printf '%s\\n' "$line"; done <<'EOF'\n${text}\nEOF\n`;

const deployment = (image: string, extra = ""): string => `apiVersion: apps/v1
kind: Deployment
metadata: { name: web${extra} }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: web, image: "${image}" }] }`;

const failure = async (work: Promise<unknown>): Promise<SlipwayError> => {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof SlipwayError, String(error));
  return error;
};

const imageIn = (release: RenderedRelease): unknown =>
  (
    release.objects.find(({ kind }) => kind === "Deployment") as never as {
      spec: { template: { spec: object } };
    }
  ).spec.template.spec;

test("a kustomization is built by kustomize, and its images are replaced whatever tag or digest they carry", async (t) => {
  const { program, render, called, root } = await bench(t);
  await program("kustomize", heredoc(deployment(`web:1.2@sha256:${"b".repeat(64)}`)));
  const release = await render({ kustomize: join(root, "overlays/prod") });
  assert.deepEqual(await called(), ["kustomize", "build", "overlays/prod"]);
  assert.deepEqual(imageIn(release), {
    containers: [{ name: "web", image: `registry.test/web:v1@${digest}` }],
  });
});

test("without kustomize, kubectl builds it; a folder with a kustomization is recognised", async (t) => {
  const { program, render, called, root } = await bench(t);
  await program("kubectl", `${heredoc(deployment("web"))}echo "# Warning: 'bases' is deprecated." >&2\n`);
  const release = await render(join(root, "overlays/prod"));
  assert.deepEqual(await called(), ["kubectl", "kustomize", "overlays/prod"]);
  assert.deepEqual(release.warnings, ["kustomize overlays/prod: # Warning: 'bases' is deprecated."]);
});

test("with neither of them it says what to install", async (t) => {
  const { render, root } = await bench(t);
  const error = await failure(render({ kustomize: join(root, "overlays/prod") }));
  assert.equal(error.code, "MANIFEST_PROGRAM_MISSING");
  assert.equal(error.where, "kustomize overlays/prod");
  assert.equal(error.message, "there is neither kustomize nor kubectl on PATH");
  assert.match(error.hint ?? "", /^Install kustomize, or a kubectl/);
});

test("a program that fails is told with its exit code, its last lines and the line to paste", async (t) => {
  const { program, render, root } = await bench(t);
  await program("kustomize", "i=1; while [ $i -le 20 ]; do echo line $i >&2; i=$((i+1)); done; exit 3");
  const error = await failure(render({ kustomize: join(root, "overlays/prod") }));
  assert.equal(error.code, "MANIFEST_PROGRAM_FAILED");
  assert.equal(error.where, "kustomize overlays/prod");
  assert.match(error.message, /^exit code 3\n {2}\| line 13\n[\s\S]* {2}\| line 20$/);
  assert.equal(error.hint, `To see it alone: cd ${root} && kustomize build overlays/prod`);
});

test("what is wrong in the output is told with the source and the object", async (t) => {
  const { program, render, root } = await bench(t);
  await program("kustomize", heredoc(deployment("nginx:latest")));
  const error = await failure(render({ kustomize: join(root, "overlays/prod") }));
  assert.equal(error.code, "MANIFEST_UNKNOWN_IMAGE");
  assert.equal(error.where, "kustomize overlays/prod: Deployment web/spec.template.spec.containers.0.image");
});

test("a folder without a kustomization is no kustomization", async (t) => {
  const { render, root } = await bench(t);
  const error = await failure(render({ kustomize: join(root, "bin") }));
  assert.equal(error.message, "no kustomization.yaml there");
});

const chart = `---
# Source: web/crds/crd.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: things.example.com }
---
# Source: web/templates/deployment.yaml
${deployment("web:9")}
---
# Source: web/templates/empty.yaml
---
# Source: web/templates/migrate.yaml
apiVersion: batch/v1
kind: Job
metadata: { name: migrate, annotations: { helm.sh/hook: "pre-upgrade,pre-install" } }
---
# Source: web/templates/config.yaml
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data:
  text: |
    one
    ---
    two
`;

test("a chart goes through helm template: CRDs included, hooks left out by name", async (t) => {
  const { program, render, called } = await bench(t);
  await program("helm", heredoc(chart));
  const release = await render({
    helm: {
      chart: "charts/web",
      values: ["values.yaml", "values.prod.yaml"],
      set: { "image.pullPolicy": "Always", replicas: 3, list: "{a,b}", path: "c:\\d" },
    },
  });
  assert.deepEqual(await called(), [
    ...["helm", "template", "shop", "charts/web", "--namespace", "default", "--include-crds"],
    ...["--values", "values.yaml", "--values", "values.prod.yaml"],
    ...["--set-string", "image.pullPolicy=Always", "--set", "replicas=3"],
    ...["--set-string", "list=\\{a\\,b\\}", "--set-string", "path=c:\\\\d"],
  ]);
  assert.deepEqual(
    release.objects.map(({ kind }) => kind),
    ["CustomResourceDefinition", "ConfigMap", "Deployment"],
  );
  assert.deepEqual(release.warnings, [
    "helm charts/web: hooks of the chart are left out: Job migrate (pre-upgrade,pre-install)",
  ]);
  assert.equal((release.objects[1] as never as { data: object }).data !== undefined, true);
});

test("a chart has a release name and a namespace of its own when it is given them", async (t) => {
  const { program, render, called } = await bench(t);
  await program("helm", heredoc(deployment("web")));
  const release = await render({ helm: { chart: "oci://r.test/web", release: "front", namespace: "edge" } });
  assert.deepEqual((await called()).slice(2, 6), ["front", "oci://r.test/web", "--namespace", "edge"]);
  assert.equal(release.objects[0]?.metadata.namespace, "edge");
});

test("places in a chart name the template", async (t) => {
  const { program, render } = await bench(t);
  await program("helm", heredoc(`# Source: web/templates/a.yaml\n${deployment("nginx")}`));
  const error = await failure(render({ helm: { chart: "charts/web" } }));
  assert.equal(
    error.where,
    "helm charts/web (web/templates/a.yaml): Deployment web/spec.template.spec.containers.0.image",
  );
});

test("without helm it says what to install, and a chart that fails says why", async (t) => {
  const { program, render } = await bench(t);
  assert.equal(
    (await failure(render({ helm: { chart: "charts/web" } }))).message,
    "there is no helm on PATH",
  );
  await program("helm", 'echo "Error: chart.metadata.version is required" >&2; exit 1');
  const error = await failure(render({ helm: { chart: "charts/web" } }));
  assert.equal(error.message, "exit code 1\n  | Error: chart.metadata.version is required");
  assert.match(error.hint ?? "", /&& helm template shop charts\/web --namespace default --include-crds$/);
});

test("the same object from two sources is refused with both places", async (t) => {
  const { program, render, root } = await bench(t);
  await program("kustomize", heredoc(deployment("web")));
  await writeFile(join(root, "web.yaml"), deployment("web"));
  const error = await failure(render({ kustomize: join(root, "overlays/prod") }, join(root, "web.yaml")));
  assert.equal(error.code, "MANIFEST_DUPLICATE");
  assert.match(error.message, /is already at kustomize overlays\/prod: Deployment web/);
});
