/**
 * RBAC in front of a cluster that has none: every call is looked up in Roles and ClusterRoles as an API server does it,
 * and forbidden when no rule names it. All roles that are given count as bound, Roles in their own namespace.
 */
import {
  type AnyObject,
  type KubeClient,
  type KubeObject,
  resourceTypeOf,
  StatusError,
  type TypeRef,
} from "@slipway/kube";
import { wellKnown } from "../packages/slipway/src/release/rights/resources.ts";
import type { Rule } from "../packages/slipway/src/release/rights/rules.ts";

export interface Call {
  readonly verb: string;
  readonly group: string;
  /** With its subresource: `pods/log`. */
  readonly resource: string;
  /** Undefined for all namespaces, and for what is in none. */
  readonly namespace: string | undefined;
  /** Undefined for a list, a watch and a create. */
  readonly name: string | undefined;
}

/** A rule that is limited to names allows nothing that has none: neither list nor create. */
export function isAllowed(roles: readonly AnyObject[], call: Call): boolean {
  return roles.some((role) => {
    if (role.kind !== "Role" && role.kind !== "ClusterRole") return false;
    if (role.kind === "Role" && role.metadata.namespace !== call.namespace) return false;
    return (role["rules"] as readonly Rule[]).some(
      ({ apiGroups, resources, resourceNames = [], verbs }) =>
        apiGroups.includes(call.group) &&
        resources.includes(call.resource) &&
        verbs.includes(call.verb) &&
        (resourceNames.length === 0 || resourceNames.includes(call.name ?? "")),
    );
  });
}

type Ref = TypeRef & { readonly namespace?: string | undefined; readonly name?: string | undefined };

export function authorizing(client: KubeClient, roles: readonly AnyObject[]): KubeClient {
  const check = (verb: string, ref: Ref, subresource?: string): void => {
    const group = ref.apiVersion.includes("/") ? (ref.apiVersion.split("/")[0] ?? "") : "";
    const type = resourceTypeOf(ref.kind) ?? wellKnown(group, ref.kind);
    if (type === undefined) throw new Error(`${ref.apiVersion} ${ref.kind}: its plural is not known here`);
    const resource = subresource === undefined ? type.plural : `${type.plural}/${subresource}`;
    const namespace = type.namespaced ? ref.namespace : undefined;
    if (!isAllowed(roles, { verb, group, resource, namespace, name: ref.name })) {
      throw forbidden(`cannot ${verb} ${resource} in ${namespace ?? "the cluster"}: ${ref.name ?? "all"}`);
    }
  };
  const refOf = ({ apiVersion, kind, metadata }: KubeObject): Ref & { readonly name: string } => ({
    ...{ apiVersion, kind, name: metadata.name, namespace: metadata.namespace },
  });
  return {
    ...client,
    get: async (ref) => {
      check("get", ref);
      return client.get(ref);
    },
    list: async (type, options) => {
      check("list", { ...type, namespace: options?.namespace });
      return client.list(type, options);
    },
    watch: async function* (type, options) {
      check("watch", { ...type, namespace: options?.namespace });
      yield* client.watch(type, options);
    } as KubeClient["watch"],
    create: async (object, options) => {
      check("create", { ...refOf(object), name: undefined });
      return client.create(object, options);
    },
    replace: async (object, options) => {
      check("update", refOf(object), options?.subresource);
      return client.replace(object, options);
    },
    patch: async (ref, type, body, options) => {
      check("patch", ref, options?.subresource);
      return client.patch(ref, type, body, options);
    },
    // Server-side apply is a patch, and a create as well where nothing is there; a dry run needs the same.
    apply: async (object, options) => {
      const ref = refOf(object);
      check("patch", ref);
      const isThere = await client.get(ref as Parameters<KubeClient["get"]>[0]).then(
        () => true,
        () => false,
      );
      if (!isThere) check("create", ref);
      return client.apply(object, options);
    },
    delete: async (ref, options) => {
      check("delete", ref);
      return client.delete(ref, options);
    },
    logs: async function* (pod, options) {
      check("get", { apiVersion: "v1", kind: "Pod", ...pod }, "log");
      yield* client.logs(pod, options);
    },
    exec: async (pod, options) => {
      check("create", { apiVersion: "v1", kind: "Pod", ...pod }, "exec");
      return client.exec(pod, options);
    },
  };
}

function forbidden(message: string): StatusError {
  return new StatusError({
    ...{ apiVersion: "v1", kind: "Status", metadata: {}, status: "Failure" },
    ...{ reason: "Forbidden", code: 403, message },
  });
}
