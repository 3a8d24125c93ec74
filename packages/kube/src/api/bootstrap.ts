/**
 * What a cluster holds before anyone uses it: the four namespaces (each with its default account and the
 * ConfigMap `kube-root-ca.crt`, which creating a namespace brings along) and the Service `kubernetes`.
 */
import type { Namespace } from "../resources/cluster.ts";
import type { KubeObject } from "../resources/meta.ts";
import type { Endpoints, Service } from "../resources/service.ts";
import type { Api } from "./api.ts";

export interface BootstrapOptions {
  /** Where pods reach the API server. Without it the Service `kubernetes` has no endpoints. */
  readonly endpoint?: { readonly ip: string; readonly port: number };
}

/** May be called again after a restart: what is there stays as it is. */
export function bootstrapCluster(api: Api, options: BootstrapOptions = {}): void {
  for (const name of ["default", "kube-node-lease", "kube-public", "kube-system"]) {
    ensure<Namespace>(api, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }
  const metadata = {
    name: "kubernetes",
    namespace: "default",
    labels: { component: "apiserver", provider: "kubernetes" },
  };
  ensure<Service>(api, {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    spec: {
      type: "ClusterIP",
      clusterIP: "10.96.0.1",
      ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: options.endpoint?.port ?? 6443 }],
    },
  });
  if (options.endpoint === undefined) return;
  const { ip, port } = options.endpoint;
  ensure<Endpoints>(api, {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { name: "kubernetes", namespace: "default" },
    subsets: [{ addresses: [{ ip }], ports: [{ name: "https", port, protocol: "TCP" }] }],
  });
}

/** Looks first: creating the Service anew would be refused for its address, before anyone looks at its name. */
function ensure<T extends KubeObject>(api: Api, object: T): void {
  const { namespace = "", name } = object.metadata;
  if (api.store.get(object.kind, namespace, name) !== undefined) return;
  api.create(object, { fieldManager: "kube-apiserver" });
}
