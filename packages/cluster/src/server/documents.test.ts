import assert from "node:assert/strict";
import { test } from "node:test";
import { resourceTypes } from "@slipway/kube";
import { discoveryForm, resourceForm } from "./accept.ts";
import { aggregatedDiscovery, groupVersions, legacyDiscovery } from "./discovery.ts";
import { createOpenApi, emptyOpenApiV2 } from "./openapi.ts";

interface Aggregated {
  readonly apiVersion: string;
  readonly items: readonly {
    readonly metadata: { readonly name?: string };
    readonly versions: readonly {
      readonly version: string;
      readonly resources: readonly {
        readonly resource: string;
        readonly subresources?: readonly { readonly subresource: string; readonly responseKind: unknown }[];
      }[];
    }[];
  }[];
}

test("the aggregated discovery names every kind of the table in its group", () => {
  const core = aggregatedDiscovery("v2", "core") as Aggregated;
  const groups = aggregatedDiscovery("v2beta1", "groups") as Aggregated;
  assert.equal(core.apiVersion, "apidiscovery.k8s.io/v2");
  assert.equal(groups.apiVersion, "apidiscovery.k8s.io/v2beta1");
  const found = [...core.items, ...groups.items].flatMap(({ metadata, versions }) =>
    versions.flatMap(({ resources }) =>
      resources.map(({ resource }) => `${metadata.name ?? ""}/${resource}`),
    ),
  );
  for (const { group, plural } of resourceTypes) assert.ok(found.includes(`${group}/${plural}`), plural);
  const deployments = groups.items[0]?.versions[0]?.resources.find(
    ({ resource }) => resource === "deployments",
  );
  assert.deepEqual(
    deployments?.subresources?.find(({ subresource }) => subresource === "scale")?.responseKind,
    { group: "autoscaling", version: "v1", kind: "Scale" },
  );
});

test("the legacy documents lead from /apis to the resources", () => {
  const groups = legacyDiscovery("/apis", "x") as {
    groups: { name: string; preferredVersion: { groupVersion: string } }[];
  };
  for (const { preferredVersion } of groups.groups) {
    const list = legacyDiscovery(`/apis/${preferredVersion.groupVersion}`, "x") as { resources: unknown[] };
    assert.ok(list.resources.length > 0);
  }
  assert.equal(legacyDiscovery("/apis/nope", "x"), undefined);
  assert.equal(legacyDiscovery("/apis/apps/v2", "x"), undefined);
  assert.equal(legacyDiscovery("/api/v2", "x"), undefined);
});

test("every OpenAPI document is whole: each reference leads to a schema in it", () => {
  const openApi = createOpenApi("v1.33.1");
  for (const groupVersion of groupVersions) {
    const document = openApi.document(groupVersion);
    assert.ok(document !== undefined);
    const schemas = Object.keys(JSON.parse(document.text).components.schemas);
    for (const [, name] of document.text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      assert.ok(schemas.includes(name as string), `${groupVersion}: ${name}`);
    }
    assert.ok(openApi.index().includes(document.hash));
  }
  assert.equal(openApi.document("apps/v9"), undefined);
});

test("the frame of OpenAPI v2 is a protobuf Document with a version, a title and no paths", () => {
  const hex = emptyOpenApiV2("v1.33.1").toString("hex");
  assert.equal(hex, "0a03322e30" + "1215" + "0a0a4b756265726e65746573" + "120776312e33332e31" + "4200");
});

test("OpenAPI tells kubectl how lists merge, and that dry runs and strict fields are there", () => {
  const { paths, components } = JSON.parse(createOpenApi("v1").document("apps/v1")?.text ?? "{}");
  const containers = components.schemas["io.k8s.api.core.v1.PodSpec"].properties.containers;
  assert.equal(containers["x-kubernetes-patch-merge-key"], "name");
  assert.equal(containers["x-kubernetes-patch-strategy"], "merge");
  const { strategy } = components.schemas["io.k8s.api.apps.v1.DeploymentSpec"].properties;
  assert.equal(strategy["x-kubernetes-patch-strategy"], "retainKeys");
  const operation = paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"].patch;
  assert.deepEqual(
    operation.parameters.map((parameter: { name: string }) => parameter.name),
    ["dryRun", "fieldManager", "fieldValidation"],
  );
  assert.equal(operation["x-kubernetes-group-version-kind"].kind, "Deployment");
});

test("the form of an answer is the first that the client asks for and the server has", () => {
  const kubectl =
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
  assert.deepEqual(resourceForm(kubectl), { kind: "table", version: "v1" });
  assert.deepEqual(resourceForm("application/vnd.kubernetes.protobuf,application/json"), { kind: "object" });
  assert.deepEqual(
    resourceForm(
      "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
    ),
    { kind: "metadata", version: "v1" },
  );
  assert.deepEqual(resourceForm(undefined), { kind: "object" });
  assert.throws(() => resourceForm("text/csv"), /media types/);
  const discovery =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
  assert.equal(discoveryForm(discovery), "v2");
  assert.equal(discoveryForm(discovery.slice(discovery.indexOf(",") + 1)), "v2beta1");
  assert.equal(discoveryForm("application/json"), "legacy");
});
