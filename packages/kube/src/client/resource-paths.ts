/** Where each kind lives: the static table first, the server's own discovery for everything else. */
import { badRequest, resourceNotFound } from "../api/errors.ts";
import { apiVersionOf, resourceTypeOf } from "../resources/kinds.ts";
import type { KubeObject } from "../resources/meta.ts";
import type { ObjectRef, TypeRef } from "./client.ts";
import { StatusError } from "./status-error.ts";
import type { Transport } from "./transport.ts";

export class ResourcePaths {
  readonly #transport: Transport;
  readonly #discovered = new Map<string, Promise<ResourceList>>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async listPath(type: TypeRef, namespace: string | undefined): Promise<string> {
    const { plural, namespaced } = await this.#resource(type);
    const within =
      namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
    return `${groupPath(type.apiVersion)}${within}/${plural}`;
  }

  async createPath(object: KubeObject): Promise<string> {
    const { namespaced } = await this.#resource(object);
    if (namespaced && !object.metadata.namespace) {
      throw badRequest("an empty namespace may not be set during creation");
    }
    return this.listPath(object, object.metadata.namespace);
  }

  async objectPath(ref: ObjectRef, subresource?: string): Promise<string> {
    const { namespaced } = await this.#resource(ref);
    if (namespaced && !ref.namespace) {
      throw badRequest("an empty namespace may not be set when a resource name is provided");
    }
    const path = `${await this.listPath(ref, ref.namespace)}/${encodeURIComponent(ref.name)}`;
    return subresource === undefined ? path : `${path}/${subresource}`;
  }

  async #resource(type: TypeRef): Promise<{ plural: string; namespaced: boolean }> {
    const known = resourceTypeOf(type.kind);
    if (known !== undefined && apiVersionOf(known) === type.apiVersion) return known;
    const { resources } = await this.#discover(type.apiVersion);
    const found = resources.find(({ kind, name }) => kind === type.kind && !name.includes("/"));
    if (found === undefined) {
      // Its definition may be installed later.
      this.#discovered.delete(type.apiVersion);
      throw resourceNotFound();
    }
    return { plural: found.name, namespaced: found.namespaced };
  }

  async serves(type: TypeRef): Promise<boolean> {
    try {
      const { resources } = await this.#discover(type.apiVersion);
      return resources.some(({ kind, name }) => kind === type.kind && !name.includes("/"));
    } catch (error) {
      if (error instanceof StatusError && error.httpCode === 404) return false;
      throw error;
    }
  }

  #discover(apiVersion: string): Promise<ResourceList> {
    let list = this.#discovered.get(apiVersion);
    if (list === undefined) {
      list = this.#transport.json<ResourceList>({
        method: "GET",
        path: groupPath(apiVersion),
        repeatable: "idempotent",
      });
      this.#discovered.set(apiVersion, list);
      // A failure is not remembered; a kind may be installed later.
      list.catch(() => this.#discovered.delete(apiVersion));
    }
    return list;
  }
}

interface ResourceList {
  readonly resources: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
  }[];
}

function groupPath(apiVersion: string): string {
  return apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}
