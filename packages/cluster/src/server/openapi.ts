/**
 * OpenAPI v3 documents, one per group version, made from the schema table: what kubectl validates, explains and
 * computes its patches with. Of v2, which kubectl asks about kinds that v3 does not have, there is only the frame.
 *
 * Each document is made when it is first asked for and then kept. Its URL in the index carries the hash of its
 * content, so a client may keep it for ever.
 */
import { createHash } from "node:crypto";
import {
  apiVersionOf,
  type Definition,
  type Property,
  type ResourceType,
  resourceTypes,
  schemaTable,
} from "@slipway/kube";
import { groupVersions } from "./discovery.ts";

interface Document {
  readonly text: string;
  readonly hash: string;
}

type Json = Record<string, unknown>;

export interface OpenApi {
  /** The body of `/openapi/v3`. */
  index(): string;
  /** `apps/v1` → its document; undefined for a group version that is not served. */
  document(groupVersion: string): Document | undefined;
}

/**
 * An OpenAPI v2 document that names no path and no type, as the protobuf message that client-go asks for
 * (`openapi.v2.Document`: field 1 swagger, 2 info { 1 title, 2 version }, 8 paths). With it kubectl finds out by itself
 * that a kind is not served, and says so; without it, it stops at the missing document.
 */
export function emptyOpenApiV2(version: string): Buffer {
  const info = Buffer.concat([lengthDelimited(1, "Kubernetes"), lengthDelimited(2, version)]);
  return Buffer.concat([lengthDelimited(1, "2.0"), lengthDelimited(2, info), lengthDelimited(8, "")]);
}

/** A protobuf field of at most 127 bytes: its length then is one byte. */
function lengthDelimited(field: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([Buffer.from([(field << 3) | 2, bytes.length]), bytes]);
}

/** Asked for with `@v1.0`; answered with a dot, because client-go cannot read its own name for it. */
export const OPENAPI_V2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

export function createOpenApi(version: string): OpenApi {
  const documents = new Map<string, Document>();
  const document = (groupVersion: string): Document | undefined => {
    if (!groupVersions.includes(groupVersion)) return undefined;
    const known = documents.get(groupVersion);
    if (known !== undefined) return known;
    const text = JSON.stringify(makeDocument(groupVersion, version));
    const hash = createHash("sha256").update(text).digest("hex").toUpperCase();
    const made = { text, hash };
    documents.set(groupVersion, made);
    return made;
  };
  return {
    document,
    index: () => {
      const paths = Object.fromEntries(
        groupVersions.map((groupVersion) => {
          const path = rootPath(groupVersion).slice(1);
          return [
            path,
            { serverRelativeURL: `/openapi/v3/${path}?hash=${document(groupVersion)?.hash ?? ""}` },
          ];
        }),
      );
      return JSON.stringify({ paths });
    },
  };
}

function rootPath(groupVersion: string): string {
  return groupVersion.includes("/") ? `/apis/${groupVersion}` : `/api/${groupVersion}`;
}

function makeDocument(groupVersion: string, version: string): Json {
  const types = resourceTypes.filter((type) => apiVersionOf(type) === groupVersion);
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version },
    paths: Object.fromEntries(types.flatMap(pathsOf)),
    components: { schemas: schemasOf(groupVersion) },
  };
}

const DRY_RUN = "Runs the whole request and stores nothing. The one value is All.";
const FIELD_MANAGER = "Who is named as the owner of the fields that change.";
const FIELD_VALIDATION = "What happens to unknown fields: Ignore, Warn (the default) or Strict.";

/** kubectl looks for `dryRun` and `fieldValidation` among the parameters of these operations before it uses them. */
const WRITE_PARAMETERS = [
  queryParameter("dryRun", DRY_RUN),
  queryParameter("fieldManager", FIELD_MANAGER),
  queryParameter("fieldValidation", FIELD_VALIDATION),
];

function queryParameter(name: string, description: string): Json {
  return { name, in: "query", description, schema: { type: "string", uniqueItems: true } };
}

function pathsOf(type: ResourceType): [string, Json][] {
  const base = `${rootPath(apiVersionOf(type))}${type.namespaced ? "/namespaces/{namespace}" : ""}/${type.plural}`;
  const gvk = { group: type.group, version: type.version, kind: type.kind };
  const operation = (action: string, contentTypes: readonly string[] = []): Json => ({
    tags: [type.group === "" ? "core_v1" : `${type.group.split(".")[0]}_${type.version}`],
    description: `${action} ${type.plural}`,
    operationId: `${action}${type.namespaced ? "Namespaced" : ""}${type.kind}`,
    ...(contentTypes.length === 0
      ? {}
      : {
          parameters: WRITE_PARAMETERS,
          requestBody: {
            required: true,
            content: Object.fromEntries(contentTypes.map((each) => [each, { schema: { type: "object" } }])),
          },
        }),
    responses: { "200": { description: "OK" }, "401": { description: "Unauthorized" } },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": gvk,
  });
  const bodies = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
  const patches = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
  ];
  const pathParameters = [
    ...(type.namespaced ? [pathParameter("namespace", "The object's namespace.")] : []),
  ];
  return [
    [
      base,
      {
        get: operation("list"),
        post: operation("post", bodies),
        delete: { ...operation("deletecollection"), parameters: WRITE_PARAMETERS },
        parameters: pathParameters,
      },
    ],
    [
      `${base}/{name}`,
      {
        get: operation("get"),
        put: operation("put", bodies),
        patch: operation("patch", patches),
        delete: { ...operation("delete"), parameters: WRITE_PARAMETERS },
        parameters: [pathParameter("name", "The object's name."), ...pathParameters],
      },
    ],
  ];
}

function pathParameter(name: string, description: string): Json {
  return { name, in: "path", description, required: true, schema: { type: "string", uniqueItems: true } };
}

const META = "io.k8s.apimachinery.pkg.apis.meta.v1";

/** Every definition that is a kind of this group version, and all that they refer to. */
function schemasOf(groupVersion: string): Json {
  const open = Object.entries(schemaTable.definitions)
    .filter(([, definition]) => definition.gvk?.some((gvk) => apiVersionOf(gvk) === groupVersion))
    .map(([name]) => name);
  open.push(`${META}.Status`, `${META}.DeleteOptions`);
  const schemas: Json = {};
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const definition = schemaTable.definitions[name];
    if (name in schemas || definition === undefined) continue;
    schemas[name] = definitionSchema(name, definition);
    for (const property of Object.values(definition.properties ?? {})) open.push(...referencesOf(property));
  }
  return Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function referencesOf(property: Property): string[] {
  if (property.ref !== undefined) return [property.ref];
  const inner = property.items ?? property.map;
  return inner === undefined ? [] : referencesOf(inner);
}

function definitionSchema(name: string, definition: Definition): Json {
  if (name.endsWith(".resource.Quantity")) return { oneOf: [{ type: "string" }, { type: "number" }] };
  if (name.endsWith(".intstr.IntOrString")) {
    return { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] };
  }
  const properties = Object.entries(definition.properties ?? {});
  return {
    type: definition.type,
    ...(definition.format === undefined ? {} : { format: definition.format }),
    ...(properties.length === 0
      ? {}
      : {
          properties: Object.fromEntries(properties.map(([key, each]) => [key, propertySchema(each)])),
        }),
    ...(definition.required === undefined ? {} : { required: definition.required }),
    ...(definition.mapType === undefined ? {} : { "x-kubernetes-map-type": definition.mapType }),
    ...(definition.gvk === undefined ? {} : { "x-kubernetes-group-version-kind": definition.gvk }),
  };
}

function propertySchema(property: Property): Json {
  const extensions = {
    ...(property.listType === undefined ? {} : { "x-kubernetes-list-type": property.listType }),
    ...(property.listKeys === undefined ? {} : { "x-kubernetes-list-map-keys": property.listKeys }),
    ...(property.mapType === undefined ? {} : { "x-kubernetes-map-type": property.mapType }),
    ...(property.strategy === undefined
      ? {}
      : { "x-kubernetes-patch-strategy": property.strategy.join(",") }),
    ...(property.mergeKey === undefined ? {} : { "x-kubernetes-patch-merge-key": property.mergeKey }),
    ...(property.default === undefined ? {} : { default: property.default }),
  };
  // `allOf` and not a bare `$ref`: beside a `$ref` everything else is ignored, the patch strategy too.
  if (property.ref !== undefined) {
    return { allOf: [{ $ref: `#/components/schemas/${property.ref}` }], ...extensions };
  }
  return {
    type: property.type,
    ...(property.format === undefined ? {} : { format: property.format }),
    ...(property.items === undefined ? {} : { items: propertySchema(property.items) }),
    ...(property.map === undefined ? {} : { additionalProperties: propertySchema(property.map) }),
    ...extensions,
  };
}
