import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import type { AnyObject, Deployment } from "@slipway/kube";
import type { RenderedRelease } from "../model.ts";
import { image, rendered, webManifest } from "../testing.ts";
import { loadManifests, parseManifest, refuseDuplicates } from "./manifests.ts";
import { renderObjects } from "./render.ts";

function render(manifest: string, patches = "", images = [image("web", "v1")]): RenderedRelease {
  return renderObjects({
    service: "shop",
    namespace: "prod",
    loaded: parseManifest(manifest, "k8s/web.yaml"),
    patches: patches === "" ? [] : parseManifest(patches, "k8s/local/web.yaml"),
    images,
    version: { commit: "abc", message: "", author: "", dirty: false },
  });
}

function find<T = AnyObject>(of: RenderedRelease, kind: string): T {
  const found = of.objects.find((object) => object.kind === kind);
  assert.ok(found, `no ${kind} was rendered`);
  return found as T;
}

function refusal(work: () => unknown): SlipwayError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof SlipwayError, String(error));
    return error;
  }
  assert.fail("nothing was refused");
}

test("YAML that does not parse is told with file, line and column", () => {
  const error = refusal(() => parseManifest("kind: Service\nmetadata:\n  name: [web\n", "k8s/web.yaml"));
  assert.equal(error.code, "MANIFEST_INVALID_YAML");
  assert.match(error.where ?? "", /^k8s\/web\.yaml:\d+:\d+$/);
  assert.equal(error.exitCode, 2);
});

test("a key that is written twice is told with its line", () => {
  const error = refusal(() => parseManifest("kind: Service\nkind: Pod\n", "a.yaml"));
  assert.equal(error.where, "a.yaml:2:1");
});

test("an object without a name is told with its line in a file of several documents", () => {
  const text = `${webManifest()}---\napiVersion: v1\nkind: Service\nmetadata:\n  labels: {}\n`;
  const error = refusal(() => parseManifest(text, "k8s/web.yaml"));
  assert.equal(error.code, "MANIFEST_INVALID");
  const line = text.split("\n").findLastIndex((one) => one.includes("labels: {}")) + 1;
  assert.equal(error.where, `k8s/web.yaml:${line}:3`);
});

test("YAML is read as Kubernetes reads it: 0644 is octal, dates stay text", () => {
  const [loaded] = parseManifest(
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\nmode: 0644\nday: 2026-01-02\ntime: 12:30:45\nyes: yes\n",
    "a.yaml",
  );
  assert.ok(loaded);
  const { mode, day, time } = loaded.object;
  assert.deepEqual({ mode, day, time }, { mode: 0o644, day: "2026-01-02", time: "12:30:45" });
});

test("a List is its items", () => {
  const items = parseManifest(
    "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n",
    "a.yaml",
  );
  assert.deepEqual(
    items.map((item) => [item.object.metadata.name, item.locate(["metadata", "name"])]),
    [
      ["a", "a.yaml:4:54"],
      ["b", "a.yaml:5:54"],
    ],
  );
});

test("an empty namespace is none, as kubectl has it, and one that is not text is refused", () => {
  const inNamespace = (text: string) =>
    parseManifest(`{ apiVersion: v1, kind: ConfigMap, metadata: { name: a, namespace: ${text} } }`, "a.yaml");
  for (const text of ['""', "null"]) {
    assert.deepEqual(inNamespace(text)[0]?.object.metadata, { name: "a" });
  }
  assert.throws(() => inNamespace("7"), {
    where: "a.yaml:1:68",
    message: 'ConfigMap "a": metadata.namespace is not text',
  });
});

test("lists are opened, of any kind and in each other; a name ends that", () => {
  const nested = `apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMapList
    metadata: { resourceVersion: "7" }
    items:
      - { metadata: { name: a } }
      - { apiVersion: v1, kind: ConfigMap, metadata: { name: b } }
  - apiVersion: v1
    kind: List
    items: [{ apiVersion: v1, kind: Secret, metadata: { name: c } }]
  - { apiVersion: example.com/v1, kind: AllowList, metadata: { name: d }, items: [x] }
`;
  assert.deepEqual(
    parseManifest(nested, "a.yaml").map(({ object, locate }) => [
      `${object.apiVersion} ${object.kind} ${object.metadata.name}`,
      locate(["metadata", "name"]),
    ]),
    [
      ["v1 ConfigMap a", "a.yaml:8:29"],
      ["v1 ConfigMap b", "a.yaml:9:62"],
      ["v1 Secret c", "a.yaml:12:63"],
      ["example.com/v1 AllowList d", "a.yaml:13:70"],
    ],
  );
  assert.throws(() => parseManifest("apiVersion: v1\nkind: ConfigMapList\nitems: [a]\n", "a.yaml"), {
    code: "MANIFEST_INVALID",
    where: "a.yaml:3:9",
  });
});

const sameObject: readonly [isSame: boolean, first: string, second: string][] = [
  [
    true,
    "v1, kind: ConfigMap, metadata: { name: a, namespace: shop }",
    "v1, kind: ConfigMap, metadata: { name: a }",
  ],
  [
    false,
    "v1, kind: ConfigMap, metadata: { name: a, namespace: x }",
    "v1, kind: ConfigMap, metadata: { name: a }",
  ],
  [
    true,
    "v1, kind: Namespace, metadata: { name: a, namespace: x }",
    "v1, kind: Namespace, metadata: { name: a }",
  ],
  [
    true,
    "policy/v1, kind: PodDisruptionBudget, metadata: { name: a }",
    "policy/v1beta1, kind: PodDisruptionBudget, metadata: { name: a }",
  ],
  [
    false,
    "v1, kind: Service, metadata: { name: a }",
    "serving.knative.dev/v1, kind: Service, metadata: { name: a }",
  ],
];
for (const [isSame, first, second] of sameObject) {
  test(`{ ${first} } and { ${second} } are ${isSame ? "one object" : "two objects"} of namespace shop`, () => {
    const loaded = parseManifest(`--- { apiVersion: ${first} }\n--- { apiVersion: ${second} }\n`, "a.yaml");
    const refuse = (): void => refuseDuplicates(loaded, "shop");
    if (isSame) assert.throws(refuse, { code: "MANIFEST_DUPLICATE" });
    else refuse();
  });
}

test("folders are read without their subfolders, and the same object twice is refused with both places", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "slipway-manifests-"));
  t.after(() => rm(root, { recursive: true }));
  const object = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n";
  await writeFile(join(root, "a.yaml"), object);
  await writeFile(join(root, "note.txt"), "not a manifest");
  assert.equal((await loadManifests([root], root)).length, 1);
  await writeFile(join(root, "b.yml"), object);
  await assert.rejects(loadManifests([root], root), (error: SlipwayError) => {
    assert.equal(error.code, "MANIFEST_DUPLICATE");
    assert.match(
      `${error.where}: ${error.message}`,
      /^b\.yml:3:19: ConfigMap "a" is already at a\.yaml:3:19$/,
    );
    return true;
  });
});

test("a declared image is replaced by its digest, whatever tag the manifest carries", () => {
  for (const written of ["web", "web:latest", "web:1.2@sha256:aa", "registry.test/web:old"]) {
    const release = render(webManifest().replace("image: web", `image: ${written}`));
    const deployment = find<Deployment>(release, "Deployment");
    assert.equal(deployment.spec.template.spec.containers[0]?.image, image("web", "v1").reference);
  }
});

const refusedImages: readonly [image: string, message: RegExp, hint: RegExp][] = [
  ["wbe", /^image "wbe" is not declared under `images` and names no registry$/, /^Did you mean "web"\?$/],
  ["nginx:1.25", /names no registry/, /Add it under `images`/],
  ["registry.example.com/tool", /has no fixed tag or digest/, /write it in full/],
  ["registry.example.com/tool:latest", /has no fixed tag or digest/, /write it in full/],
];
for (const [written, message, hint] of refusedImages) {
  test(`image: ${written} is refused with its place`, () => {
    const error = refusal(() => render(webManifest().replace("image: web", `image: ${written}`)));
    assert.equal(error.code, "MANIFEST_UNKNOWN_IMAGE");
    const line =
      webManifest()
        .split("\n")
        .findIndex((one) => one.includes("image: web")) + 1;
    assert.equal(error.where, `k8s/web.yaml:${line}:18`);
    assert.match(error.message, message);
    assert.match(error.hint ?? "", hint);
  });
}

test("a foreign image with its registry and a fixed tag passes as it is", () => {
  const release = render(webManifest().replace("image: web", "image: registry.example.com/tool:1.2"), "", []);
  const deployment = find<Deployment>(release, "Deployment");
  assert.equal(deployment.spec.template.spec.containers[0]?.image, "registry.example.com/tool:1.2");
});

test("a declared image that no manifest names is a warning", () => {
  const release = render(webManifest(), "", [image("web", "v1"), image("job", "v1")]);
  assert.match(release.warnings[0] ?? "", /^images\/job: no manifest names it/);
});

test("a patch merges by kind and name, lists by their keys", () => {
  const release = render(
    webManifest(),
    `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 5
  template:
    spec:
      containers:
        - name: web
          readinessProbe: { httpGet: { path: /, port: 80 }, periodSeconds: 1 }
`,
  );
  const deployment = find<Deployment>(release, "Deployment");
  assert.equal(deployment.spec.replicas, 5);
  const [container] = deployment.spec.template.spec.containers;
  assert.equal(container?.readinessProbe?.periodSeconds, 1);
  assert.equal(container?.image, image("web", "v1").reference);
});

test("a patch without an object is refused with its place and the near name", () => {
  const error = refusal(() =>
    render(webManifest(), "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: wbe }\n"),
  );
  assert.equal(error.code, "PATCH_NO_OBJECT");
  assert.equal(error.where, "k8s/local/web.yaml:3:19");
  assert.equal(error.hint, 'Did you mean "web"?');
});

test("what pods are admitted, placed and stored by comes before them", () => {
  const kinds = [
    ["apps/v1", "Deployment"],
    ["networking.k8s.io/v1", "NetworkPolicy"],
    ["v1", "PersistentVolumeClaim"],
    ["v1", "LimitRange"],
    ["v1", "PersistentVolume"],
    ["storage.k8s.io/v1", "StorageClass"],
    ["v1", "ResourceQuota"],
    ["networking.k8s.io/v1", "Ingress"],
    ["networking.k8s.io/v1", "IngressClass"],
    ["example.com/v1", "Widget"],
    ["v1", "Namespace"],
  ];
  const documents = kinds.map(([apiVersion, kind]) =>
    kind === "Deployment"
      ? webManifest().split("---\n").at(-1)
      : `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: one }\n`,
  );
  const { objects } = rendered("v1", { manifest: documents.join("\n---\n") });
  assert.deepEqual(
    objects.map(({ kind }) => kind),
    [
      "Namespace",
      "ResourceQuota",
      "LimitRange",
      "NetworkPolicy",
      "StorageClass",
      "PersistentVolume",
      "PersistentVolumeClaim",
      "Deployment",
      "IngressClass",
      "Ingress",
      "Widget",
    ],
  );
});

test("objects get the namespace, labels and port protocols, and come in the order they are needed", () => {
  const release = render(webManifest());
  assert.deepEqual(
    release.objects.map((object) => object.kind),
    ["ConfigMap", "Service", "Deployment"],
  );
  for (const { metadata } of release.objects) {
    assert.equal(metadata.namespace, "prod");
    assert.equal(metadata.labels?.["slipway.dev/service"], "shop");
  }
  const deployment = find<Deployment>(release, "Deployment");
  assert.equal(deployment.spec.template.spec.containers[0]?.ports?.[0]?.protocol, "TCP");
  // A label on the pod template would replace all pods for nothing.
  assert.deepEqual(deployment.spec.template.metadata?.labels, { app: "web" });
});

test("a changed ConfigMap gets another name, and its references follow", () => {
  const before = rendered("v1", { setting: "hello" });
  const after = rendered("v1", { setting: "good day" });
  const nameOf = (of: RenderedRelease): string => find(of, "ConfigMap").metadata.name;
  assert.match(nameOf(before), /^settings-[a-z0-9]{10}$/);
  assert.notEqual(nameOf(before), nameOf(after));
  assert.equal(nameOf(before), nameOf(rendered("v2", { setting: "hello" })));
  for (const release of [before, after]) {
    const [container] = find<Deployment>(release, "Deployment").spec.template.spec.containers;
    assert.equal(container?.envFrom?.[0]?.configMapRef?.name, nameOf(release));
  }
  assert.notEqual(before.content, after.content);
  assert.equal(before.content, rendered("v1", { setting: "hello" }).content);
});

for (const [kind, hint] of [
  ["Pod", /Make it a Deployment/],
  ["ReplicaSet", /Make it a Deployment/],
  ["Job", /Make it a hook/],
] as const)
  test(`a ${kind}, which nothing would judge, is refused`, () => {
    const error = refusal(() => render(`apiVersion: v1\nkind: ${kind}\nmetadata: { name: db }\nspec: {}\n`));
    assert.equal(error.code, "MANIFEST_KIND_NOT_JUDGED");
    assert.equal(error.where, "k8s/web.yaml:2:7");
    assert.match(error.hint ?? "", hint);
  });

test("replicas are left to a HorizontalPodAutoscaler of the release", () => {
  const release = render(`${webManifest()}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: web }
spec: { scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web }, maxReplicas: 9 }
`);
  assert.equal("replicas" in find<Deployment>(release, "Deployment").spec, false);
});

test("the autoscaler of a StatefulSet is not that of a Deployment of the same name", () => {
  const release = render(`${webManifest()}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: web }
spec: { replicas: 2, template: { spec: { containers: [{ name: web, image: web }] } } }
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: web }
spec: { scaleTargetRef: { apiVersion: apps/v1, kind: StatefulSet, name: web }, maxReplicas: 9 }
`);
  assert.equal("replicas" in find<Deployment>(release, "Deployment").spec, true);
  assert.equal("replicas" in find<Deployment>(release, "StatefulSet").spec, false);
});
