/** What people read of a plan, whole: several clusters against real APIs in this process. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeClient } from "@slipway/kube";
import { statusError } from "@slipway/kube";
import { applyObjects } from "../apply/apply.ts";
import { writeRecord } from "../history/records.ts";
import type { ReleaseRecord, RenderedRelease } from "../model.ts";
import { apiClient, contextOf, rendered } from "../testing.ts";
import { planRelease } from "./plan.ts";
import { renderPlan } from "./plan-text.ts";

const { clock } = contextOf([]);

/** A cluster where `of` was released and is healthy. */
async function running(of: RenderedRelease, name: string): Promise<KubeClient> {
  const client = apiClient(name);
  await applyObjects(client, of.objects, { clock });
  await writeRecord(client, recordOf(of));
  return client;
}

function recordOf(of: RenderedRelease): ReleaseRecord {
  return {
    number: 1,
    service: "shop",
    namespace: "default",
    environment: "test",
    kind: "deploy",
    outcome: "healthy",
    version: of.version,
    images: of.images,
    objects: of.objects,
    content: of.content,
    waves: [["tokyo", "osaka", "paris"]],
    clusters: Object.fromEntries(
      ["tokyo", "osaka", "paris"].map((name) => [
        name,
        { verdict: "healthy", step: "done", runs: 1 } as const,
      ]),
    ),
    who: "aki",
    from: "test",
    startedAt: 0,
    held: [],
    evidence: [],
    fence: 1,
    revision: 1,
  };
}

const web = (greeting: string, tls: string, replicas = 2): string => `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data:
  greeting: "${greeting}"
  app.conf: |
    listen 80
    workers 4
    greeting ${greeting}
    log on
---
apiVersion: v1
kind: Secret
metadata: { name: keys }
stringData: { tls: "${tls}" }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: web
          envFrom: [{ configMapRef: { name: settings } }, { secretRef: { name: keys } }]
`;
const service = (name: string): string => `---
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
`;
const account = `---
apiVersion: v1
kind: ServiceAccount
metadata: { name: robot }
`;

const release = (manifest: string): RenderedRelease => rendered("v1", { manifest });

test("clusters that are identical are folded; content, secrets, creation and pruning are told", async () => {
  const before = release(web("hello", "hunter2") + service("old"));
  const after = release(web("good day", "correct horse") + service("api"));
  const clients = await Promise.all(["tokyo", "osaka", "paris"].map((name) => running(before, name)));
  const ref = { apiVersion: "apps/v1", kind: "Deployment", namespace: "default", name: "web" };
  await clients[2]?.patch(ref, "merge", { spec: { replicas: 7 } });
  const targets = clients.map((client) => ({ name: client.name, client }));
  const plan = await planRelease(contextOf(targets), after);
  const common = `  ~ ConfigMap settings as settings-7nmc5jfnb7
      ~ data.greeting: hello -> good day
      ~ data[app.conf]:
            workers 4
          - greeting hello
          + greeting good day
            log on
  ~ Secret keys as keys-2l87nbxcmr
      ~ stringData.tls: (secret, changed)
  + Service api
  ~ Deployment web
`;
  const pods = `      ~ new content of ConfigMap settings
      ~ new content of Secret keys
  - Service old: pruned once the release is verified
`;
  assert.equal(
    renderPlan(plan),
    `tokyo, osaka (2 clusters, identical):
${common}${pods}paris:
${common}      ~ spec.replicas: 7 -> 2
${pods}order: tokyo, then osaka, then paris; bake 50 ms each
on failure: every cluster that was begun goes back to release 1
warning: paris/Deployment web/spec.replicas: is 7 in the cluster and 2 in the manifest: 5 of 7 pods go at once (REPLICAS_DROP)`,
  );
  const whole = JSON.stringify(plan);
  assert.doesNotMatch(whole, /hunter2|correct horse|aHVudGVyMg|Y29ycmVjdCBob3JzZQ/);
});

test("what holds data stays and is told, unless it says that it may go", async () => {
  const namespace = (name: string): string =>
    `---\napiVersion: v1\nkind: Namespace\nmetadata: { name: ${name} }\n`;
  const client = await running(release(service("api") + namespace("plain") + namespace("told")), "tokyo");
  const told = { apiVersion: "v1", kind: "Namespace", name: "told" };
  await client.patch(told, "merge", { metadata: { annotations: { "slipway.dev/prune": "allow" } } });
  const plan = await planRelease(contextOf([{ name: "tokyo", client }]), release(service("api")));
  assert.equal(
    renderPlan({ ...plan, warnings: [] }),
    `tokyo:
  - Namespace told: pruned WITH ITS DATA once the release is verified (annotated slipway.dev/prune: allow)
  ! Namespace plain: not in the release any more, stays because it holds data
  = 1 unchanged
order: tokyo; bake 50 ms
on failure: every cluster that was begun goes back to release 1`,
  );
});

test("created objects are one line each, or with every field", async () => {
  const plan = await planRelease(
    contextOf([{ name: "tokyo", client: apiClient() }]),
    release(web("hello", "hunter2") + service("api")),
  );
  assert.equal(
    renderPlan(plan),
    `tokyo:
  + ConfigMap settings as settings-rfsfphc7zw
  + Secret keys as keys-n6xd5rfj78
  + Service api
  + Deployment web
order: tokyo; bake 50 ms
on failure: nothing goes back, there is no other release that was healthy`,
  );
  const full = renderPlan(plan, { full: true });
  assert.match(
    full,
    /^ {6}\+ spec\.template\.spec\.containers\[web\]\.envFrom\[0\]\.configMapRef\.name: settings-/m,
  );
  assert.match(full, /^ {6}\+ stringData\.tls: \(secret\)$/m);
  assert.doesNotMatch(full, /hunter2/);
});

test("marks have colours on a terminal", async () => {
  const plan = await planRelease(
    contextOf([{ name: "tokyo", client: apiClient() }]),
    release(service("api")),
  );
  assert.match(renderPlan(plan, { color: true }), /^ {2}\u001b\[32m\+\u001b\[39m Service api$/m);
});

test("a refusal stands at the end with what to do", async () => {
  const client = apiClient();
  const plan = await planRelease(
    contextOf([{ name: "tokyo", client }]),
    release(`${web("hello", "hunter2", -1)}${account}`),
  );
  assert.equal(
    renderPlan(plan),
    `tokyo:
  + ServiceAccount robot
  + ConfigMap settings as settings-rfsfphc7zw
  + Secret keys as keys-n6xd5rfj78
  + Deployment web
order: tokyo; bake 50 ms
on failure: nothing goes back, there is no other release that was healthy
refused: tokyo/Deployment web: Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0
  Correct the manifest; nothing was changed.`,
  );
});

test("what several clusters refuse or warn of alike is said once, with their names", async () => {
  const needing = web("hello", "a").replace(
    "containers:",
    "serviceAccountName: nobody\n      imagePullSecrets: [{ name: pull }]\n      containers:",
  );
  const targets = ["tokyo", "osaka", "kyoto"].map((name) => ({ name, client: apiClient(name) }));
  const [, osaka] = targets as [unknown, { client: KubeClient }];
  const account = {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "nobody", namespace: "default" },
  };
  await osaka.client.create(account);
  const plan = await planRelease(contextOf(targets), release(needing));
  const text = renderPlan(plan);
  assert.deepEqual(
    text.split("\n").filter((line) => /^(?:warning|refused): /.test(line) && line.includes("needs")),
    [
      'warning: tokyo, osaka, kyoto/Deployment web: needs Secret "pull", which is neither in the manifests nor in the cluster (PULL_SECRET_MISSING)',
      'refused: tokyo, kyoto/Deployment web: needs ServiceAccount "nobody", which is neither in the manifests nor in the cluster',
    ],
  );
});

test("a webhook that cannot take part in a dry run is no fault of the manifest", async () => {
  const client = apiClient();
  const before = release(web("hello", "a"));
  await applyObjects(client, before.objects, { clock });
  const refusing: KubeClient = {
    ...client,
    apply: async (object, options) => {
      if (options.dryRun === true && object.kind === "Deployment")
        throw statusError(400, "BadRequest", 'admission webhook "hook.example.com" does not support dry run');
      return client.apply(object, options);
    },
  };
  const plan = await planRelease(
    contextOf([{ name: "tokyo", client: refusing }]),
    release(web("hello", "a", 5)),
  );
  assert.equal(
    renderPlan(plan),
    `tokyo:
  ~ Deployment web
      ? cannot be tried: admission webhook "hook.example.com" does not support dry run
      ~ spec.replicas: 2 -> 5
  = 2 unchanged
order: tokyo; bake 50 ms
on failure: nothing goes back, there is no other release that was healthy
warning: tokyo/Deployment web: cannot be tried: admission webhook "hook.example.com" does not support dry run`,
  );
  assert.deepEqual(plan.refusals, []);
});

test("what an API server says of a Secret that it cannot read does not show its value", async () => {
  const client = apiClient();
  const refusing: KubeClient = {
    ...client,
    apply: async () => {
      throw statusError(
        400,
        "BadRequest",
        'v1.Secret.Data: illegal base64 data at input byte 7, error found in #10 byte of ...|:"hunter2!"}|...',
      );
    },
  };
  const manifest = "apiVersion: v1\nkind: Secret\nmetadata: { name: keys }\ndata: { a: hunter2! }\n";
  const plan = await planRelease(contextOf([{ name: "tokyo", client: refusing }]), release(manifest));
  assert.equal(plan.refusals[0]?.message, "v1.Secret.Data: illegal base64 data at input byte 7");
});
