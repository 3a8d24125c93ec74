/** What goes when a release no longer has it, and what stays because deleting it deletes data. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type AnyObject, isReason, type KubeClient, type KubeObject, type ObjectRef } from "@slipway/kube";
import { SERVICE_LABEL } from "../manifests/render.ts";
import { pruneRefs } from "../plan/prune-plan.ts";
import { apiClient, contextOf, recordOf } from "../testing.ts";
import { isDataToDelete, PRUNE_ANNOTATION, prune, refOf, toPrune } from "./prune.ts";

const object = (kind: string, name: string, rest: Partial<KubeObject["metadata"]> = {}): AnyObject => ({
  apiVersion: kind === "Deployment" ? "apps/v1" : "v1",
  kind,
  metadata: {
    name,
    ...(kind === "Namespace" ? {} : { namespace: "default" }),
    labels: { [SERVICE_LABEL]: "shop" },
    ...rest,
  },
});
const allowed = { annotations: { [PRUNE_ANNOTATION]: "allow" } };

const names = (refs: readonly ObjectRef[]): readonly string[] =>
  refs.map(({ kind, name }) => `${kind} ${name}`);

test("what the release before had and this one has not goes, the last one first", () => {
  const before = [object("Service", "web"), object("ServiceAccount", "old"), object("Service", "old")];
  const refs = toPrune({ before, after: [object("Service", "web")], kept: [] });
  assert.deepEqual(names(refs), ["Service old", "ServiceAccount old"]);
});

test("an object that moved to another API group is the same object", () => {
  const ingress = { ...object("Ingress", "web"), apiVersion: "extensions/v1beta1" };
  const moved = { ...ingress, apiVersion: "networking.k8s.io/v1" };
  assert.deepEqual(toPrune({ before: [ingress], after: [moved], kept: [] }), []);
});

test("ConfigMaps and Secrets stay as long as a kept release names them", () => {
  const settings = object("ConfigMap", "settings-bbbbbbbbbb");
  assert.deepEqual(toPrune({ before: [settings], after: [], kept: [settings] }), []);
  assert.deepEqual(names(toPrune({ before: [settings, settings], after: [], kept: [] })), [
    "ConfigMap settings-bbbbbbbbbb",
  ]);
});

const podOf = (spec: object): AnyObject => ({ ...object("Pod", "web"), spec: { containers: [], ...spec } });

test("what the new release refers to stays, whatever else went of the release before", () => {
  const before = [
    object("ServiceAccount", "web"),
    object("ServiceAccount", "other"),
    object("ConfigMap", "settings"),
    object("Secret", "tuning"),
  ];
  const after = [
    podOf({
      serviceAccountName: "web",
      containers: [
        {
          name: "web",
          envFrom: [
            { configMapRef: { name: "settings" } },
            { secretRef: { name: "tuning", optional: true } },
          ],
        },
      ],
    }),
  ];
  // An optional reference says that its pods can do without.
  assert.deepEqual(names(toPrune({ before, after, kept: [] })), ["Secret tuning", "ServiceAccount other"]);
});

test("config that leaves the history stays as long as the release that runs refers to it", () => {
  const settings = object("ConfigMap", "settings");
  const context = contextOf([{ name: "tokyo", client: apiClient() }]);
  const release = { ...context.release, keep: 1 };
  const pod = podOf({ volumes: [{ name: "v", configMap: { name: "settings" } }] });
  const records = (objects: readonly AnyObject[]) => [
    recordOf(3, { objects, content: "c" }),
    recordOf(2, { objects, content: "b" }),
    recordOf(1, { objects: [settings], content: "a" }),
  ];
  const refs = (objects: readonly AnyObject[]) =>
    names(pruneRefs({ ...context, release }, records(objects), "tokyo"));
  assert.deepEqual(refs([]), ["ConfigMap settings"]);
  assert.deepEqual(refs([pod]), []);
});

const data: readonly (readonly [what: string, live: AnyObject, expected: boolean | undefined])[] = [
  ["a Service holds no data", object("Service", "web"), undefined],
  ["a claim stays", object("PersistentVolumeClaim", "db"), false],
  ["a claim that says so goes", object("PersistentVolumeClaim", "db", allowed), true],
  ["a namespace that says so goes", object("Namespace", "scratch", allowed), true],
  [
    "the namespace with the release's history stays, whatever it says",
    object("Namespace", "default", allowed),
    false,
  ],
  [
    "another word than allow is none",
    object("PersistentVolumeClaim", "db", { annotations: { [PRUNE_ANNOTATION]: "true" } }),
    false,
  ],
];

for (const [what, live, expected] of data) {
  test(what, () => assert.equal(isDataToDelete(live, "default"), expected));
}

async function isThere(client: KubeClient, ref: ObjectRef): Promise<boolean> {
  return client.get(ref).then(
    (found) => found.metadata.deletionTimestamp === undefined,
    (error: unknown) => {
      if (isReason(error, "NotFound")) return false;
      throw error;
    },
  );
}

test("data goes only where the live object says so, only after a verified release, and never what is not ours", async () => {
  const client = apiClient();
  const [plain, told, foreign] = [
    object("Namespace", "plain"),
    object("Namespace", "told", allowed),
    object("Namespace", "foreign", { ...allowed, labels: { [SERVICE_LABEL]: "other" } }),
  ];
  const service = { ...object("Service", "old"), spec: { ports: [{ port: 80 }] } };
  const objects = [plain, told, foreign, service];
  for (const one of objects) await client.create(one);
  const refs = objects.map(refOf);

  // As going back to an earlier release does it.
  assert.deepEqual((await prune(client, refs, "shop")).deleted, ["Service old"]);
  assert.equal(await isThere(client, refOf(told)), true);

  assert.deepEqual((await prune(client, refs, "shop", "default")).deleted, ["Namespace told"]);
  assert.deepEqual(await Promise.all([plain, told, foreign].map((one) => isThere(client, refOf(one)))), [
    true,
    false,
    true,
  ]);
});
