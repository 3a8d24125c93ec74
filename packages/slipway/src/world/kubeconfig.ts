/** One kubeconfig for all local clusters, each with a context of its name. */
import { stringify } from "yaml";
import type { ClusterState } from "./state.ts";

export function mergeKubeconfigs(
  clusters: readonly Pick<ClusterState, "name" | "url" | "token" | "ca">[],
): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: clusters.map(({ name, url, ca }) => ({
      name,
      cluster: { server: url, "certificate-authority-data": Buffer.from(ca).toString("base64") },
    })),
    users: clusters.map(({ name, token }) => ({ name, user: { token } })),
    contexts: clusters.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
    "current-context": clusters[0]?.name ?? "",
  });
}
