/**
 * What every living namespace holds: the ServiceAccount `default` (serviceaccount-controller) and the ConfigMap
 * `kube-root-ca.crt` (root-ca-certificate-publisher), whose content is copied from kube-system.
 */
import type { ConfigMap, ServiceAccount } from "@slipway/kube";
import type { Command, Controller, Decision, Key, Snapshot } from "../controller.ts";

const ROOT_CA = "kube-root-ca.crt";

export const namespaceContentsController: Controller = {
  name: "root-ca-certificate-publisher-controller",
  watches: [
    { kind: "Namespace", keys: ({ metadata }) => [metadata.name] },
    {
      kind: "ServiceAccount",
      keys: ({ metadata }) => (metadata.name === "default" ? [metadata.namespace ?? ""] : []),
    },
    {
      kind: "ConfigMap",
      keys: ({ metadata }, _previous, snapshot) => {
        if (metadata.name !== ROOT_CA) return [];
        if (metadata.namespace !== "kube-system") return [metadata.namespace ?? ""];
        return snapshot.list("Namespace").map((namespace) => namespace.metadata.name);
      },
    },
  ],
  decide,
};

function decide(snapshot: Snapshot, key: Key): Decision {
  const namespace = snapshot.get("Namespace", "", key);
  if (namespace === undefined || namespace.metadata.deletionTimestamp !== undefined) return { commands: [] };
  const commands: Command[] = [];
  if (snapshot.get("ServiceAccount", key, "default") === undefined) {
    const object: ServiceAccount = {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "default", namespace: key },
    };
    commands.push({ do: "create", object });
  }
  const source = snapshot.get("ConfigMap", "kube-system", ROOT_CA)?.data;
  const own = snapshot.get("ConfigMap", key, ROOT_CA);
  if (source === undefined || own?.data?.["ca.crt"] === source["ca.crt"]) return { commands };
  if (own === undefined) {
    const object: ConfigMap = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        name: ROOT_CA,
        namespace: key,
        annotations: {
          "kubernetes.io/description":
            "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
        },
      },
      data: source,
    };
    commands.push({ do: "create", object });
  } else {
    commands.push({ do: "update", object: { ...own, data: source } as ConfigMap });
  }
  return { commands };
}
