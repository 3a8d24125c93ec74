/**
 * `egress: { db: "localhost:5432" }`: a Service `db` in namespace `default` without a selector, whose connections
 * leave the cluster through the process that runs it. Services of earlier settings are removed.
 */
import { SlipwayError } from "@slipway/base";
import type { Api, Service } from "@slipway/kube";
import { EGRESS_ANNOTATION } from "./routes.ts";

const NAMESPACE = "default";

export function ensureEgressServices(api: Api, egress: Readonly<Record<string, string>>): void {
  const targets = Object.entries(egress).map(([name, target]) => ({
    name,
    target,
    port: portOf(name, target),
  }));
  for (const service of api.store.list("Service", NAMESPACE)) {
    const target = service.metadata.annotations?.[EGRESS_ANNOTATION];
    if (target === undefined || egress[service.metadata.name] === target) continue;
    api.delete({ apiVersion: "v1", kind: "Service", namespace: NAMESPACE, name: service.metadata.name });
  }
  for (const { name, target, port } of targets) {
    const existing = api.store.get("Service", NAMESPACE, name);
    if (existing?.metadata.annotations?.[EGRESS_ANNOTATION] === target) continue;
    if (existing !== undefined) {
      throw new SlipwayError({
        code: "CLUSTER_EGRESS_TAKEN",
        where: `local.egress/${name}`,
        message: `the cluster already has a Service "${name}" in namespace ${NAMESPACE}`,
        hint: "Give the egress another name, or delete the Service.",
        exitCode: 2,
      });
    }
    const service: Service = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: NAMESPACE, annotations: { [EGRESS_ANNOTATION]: target } },
      spec: { type: "ClusterIP", ports: [{ port, protocol: "TCP", targetPort: port }] },
    };
    api.create(service, { fieldManager: "slipway" });
  }
}

function portOf(name: string, target: string): number {
  const match = /^.+:(\d{1,5})$/.exec(target);
  const port = Number(match?.[1]);
  if (match !== null && port >= 1 && port <= 65_535) return port;
  throw new SlipwayError({
    code: "CLUSTER_EGRESS_INVALID",
    where: `local.egress/${name}`,
    message: `"${target}" is not an address`,
    hint: "Write host:port, like localhost:5432.",
    exitCode: 2,
  });
}
