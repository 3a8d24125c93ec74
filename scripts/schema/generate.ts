/**
 * Makes the schema table of `@slipway/kube` from the OpenAPI v2 document of a Kubernetes release:
 *
 *     node scripts/schema/generate.ts PATH/TO/kubernetes-swagger-1.20.json.gz
 *
 * Takes the transitive closure of the kinds Slipway serves, without descriptions, and then adds what newer
 * releases added (`additions.ts`), so that strict validation never refuses a manifest that a current cluster takes.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type {
  Definition,
  GroupVersionKind,
  Property,
  SchemaTable,
} from "../../packages/kube/src/schema/types.ts";
import { applyAdditions } from "./additions.ts";

interface SwaggerNode {
  type?: Property["type"];
  format?: string;
  $ref?: string;
  items?: SwaggerNode;
  additionalProperties?: SwaggerNode;
  properties?: Record<string, SwaggerNode>;
  required?: string[];
  "x-kubernetes-patch-strategy"?: string;
  "x-kubernetes-patch-merge-key"?: string;
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-map-type"?: "atomic" | "granular";
  "x-kubernetes-group-version-kind"?: GroupVersionKind[];
}

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const withList = (prefix: string, kinds: string[]): string[] =>
  kinds.flatMap((kind) => [prefix + kind, `${prefix}${kind}List`]);

const ROOTS = [
  ...withList("io.k8s.api.core.v1.", [
    "Namespace",
    "Node",
    "Pod",
    "Service",
    "Endpoints",
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "Event",
  ]),
  "io.k8s.api.core.v1.Binding",
  ...withList("io.k8s.api.apps.v1.", ["Deployment", "ReplicaSet"]),
  ...withList("io.k8s.api.batch.v1.", ["Job"]),
  "io.k8s.api.autoscaling.v1.Scale",
  "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
  ...withList("io.k8s.api.coordination.v1.", ["Lease"]),
  ...withList("io.k8s.api.discovery.v1beta1.", ["EndpointSlice"]),
  ...withList("io.k8s.api.policy.v1beta1.", ["PodDisruptionBudget"]),
  "io.k8s.api.policy.v1beta1.Eviction",
  ...["Status", "DeleteOptions", "WatchEvent", "Patch", "APIGroupList", "APIGroup", "APIResourceList"].map(
    (kind) => META + kind,
  ),
  "io.k8s.apimachinery.pkg.version.Info",
];

/** Names under which 1.20 keeps what has moved since: beta groups that became v1, and one renamed type. */
function currentName(name: string): string {
  return name
    .replace("io.k8s.api.discovery.v1beta1.", "io.k8s.api.discovery.v1.")
    .replace("io.k8s.api.policy.v1beta1.", "io.k8s.api.policy.v1.")
    .replace(/^io\.k8s\.api\.core\.v1\.Handler$/, "io.k8s.api.core.v1.LifecycleHandler");
}

const refName = (ref: string): string => ref.replace("#/definitions/", "");

function convertProperty(node: SwaggerNode): Property {
  const strategy = node["x-kubernetes-patch-strategy"]?.split(",");
  const mergeKey = node["x-kubernetes-patch-merge-key"];
  const listType = node["x-kubernetes-list-type"];
  const listKeys = node["x-kubernetes-list-map-keys"];
  return {
    ...(node.$ref === undefined ? { type: node.type ?? "object" } : { ref: currentName(refName(node.$ref)) }),
    ...(node.format === undefined ? {} : { format: node.format }),
    ...(node.items === undefined ? {} : { items: convertProperty(node.items) }),
    ...(node.additionalProperties === undefined ? {} : { map: convertProperty(node.additionalProperties) }),
    ...(strategy === undefined ? {} : { strategy }),
    ...(mergeKey === undefined ? {} : { mergeKey }),
    ...(listType === undefined ? {} : { listType }),
    ...(listKeys === undefined ? {} : { listKeys }),
  };
}

function convertDefinition(node: SwaggerNode): Definition {
  const gvk = node["x-kubernetes-group-version-kind"]
    // DeleteOptions and WatchEvent list every group of the server; the generic entry is enough to look them up.
    ?.filter((entry, _, all) => all.length < 5 || entry.group === "")
    .map(({ group, version, kind }) => ({ group, version: version.replace(/^v1beta1$/, "v1"), kind }));
  const mapType = node["x-kubernetes-map-type"];
  return {
    ...(gvk === undefined ? {} : { gvk }),
    type: node.type ?? "object",
    ...(node.format === undefined ? {} : { format: node.format }),
    ...(node.properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(node.properties).map(([name, child]) => [name, convertProperty(child)]),
          ),
        }),
    ...(node.required === undefined ? {} : { required: node.required }),
    ...(mapType === undefined ? {} : { mapType }),
  };
}

function refsOf(node: SwaggerNode): string[] {
  const children = [...Object.values(node.properties ?? {}), node.items, node.additionalProperties];
  return [
    ...(node.$ref === undefined ? [] : [refName(node.$ref)]),
    ...children.flatMap((child) => (child === undefined ? [] : refsOf(child))),
  ];
}

function closure(all: Record<string, SwaggerNode>): Record<string, Definition> {
  const found: Record<string, Definition> = {};
  const visit = (name: string): void => {
    if (currentName(name) in found) return;
    const node = all[name];
    if (node === undefined) throw new Error(`${name} is not in the document`);
    found[currentName(name)] = convertDefinition(node);
    for (const ref of refsOf(node)) visit(ref);
  };
  for (const root of ROOTS) visit(root);
  return found;
}

/** Every reference must lead somewhere; a dangling one would surface only when a client sends that field. */
function checkReferences(definitions: Readonly<Record<string, Definition>>): void {
  const check = (place: string, property: Property | undefined): void => {
    if (property === undefined) return;
    if (property.ref !== undefined && !(property.ref in definitions)) {
      throw new Error(`${place} refers to ${property.ref}, which the table does not have`);
    }
    check(`${place}[]`, property.items);
    check(`${place}{}`, property.map);
  };
  for (const [name, definition] of Object.entries(definitions)) {
    for (const [key, property] of Object.entries(definition.properties ?? {}))
      check(`${name}.${key}`, property);
  }
}

/** One definition per line keeps diffs readable and the file small. */
function render(table: SchemaTable): string {
  const lines = Object.entries(table.definitions)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, definition]) => `${JSON.stringify(name)}: ${JSON.stringify(definition)}`);
  return `{"definitions": {\n${lines.join(",\n")}\n}}\n`;
}

const [input] = process.argv.slice(2);
if (input === undefined) throw new Error("usage: node scripts/schema/generate.ts SWAGGER.json.gz");
const bytes = readFileSync(input);
const text = (input.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
const swagger = JSON.parse(text) as { definitions: Record<string, SwaggerNode> };
const definitions = applyAdditions(closure(swagger.definitions));
checkReferences(definitions);
const output = new URL("../../packages/kube/src/schema/table.json", import.meta.url);
writeFileSync(output, render({ definitions }));
console.log(`${Object.keys(definitions).length} definitions -> ${output.pathname}`);
