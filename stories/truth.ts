/** What is really in a cluster, asked of its API; no command line in between. */
import type { ConfigMap, Deployment, Lease, Pod, Secret } from "@slipway/kube";
import type { ReleaseRecord } from "../packages/slipway/src/release/model.ts";
import type { StatusReport } from "../packages/slipway/src/release/status/status.ts";
import type { Place, PlaceCluster } from "./place.ts";
import { isServing, tagOf } from "./pod-log.ts";
import type { CommandLine } from "./testing.ts";

/** Ready pods by their image's tag: `{ "3f2a91b0c4d5": 2 }`. */
export async function servingIn(
  { client }: PlaceCluster,
  namespace: string,
): Promise<Record<string, number>> {
  const { items } = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace });
  const counts: Record<string, number> = {};
  for (const pod of items.filter(isServing)) counts[tagOf(pod)] = (counts[tagOf(pod)] ?? 0) + 1;
  return counts;
}

/** The same, of every cluster. */
export async function serving(place: Place): Promise<Record<string, Record<string, number>>> {
  const all = await Promise.all(
    place.clusters.map(async (cluster) => [cluster.name, await servingIn(cluster, place.service)] as const),
  );
  return Object.fromEntries(all);
}

export function everywhere<T>(place: Place, value: T): Record<string, T> {
  return Object.fromEntries(place.clusters.map(({ name }) => [name, value]));
}

export async function podNames(place: Place): Promise<readonly string[]> {
  const lists = await Promise.all(
    place.clusters.map(({ client }) =>
      client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace: place.service }),
    ),
  );
  return lists.flatMap(({ items }) => items.filter(isServing).map((pod) => pod.metadata.uid ?? "")).sort();
}

/** What the pods of `web` really get, whatever the objects are called in this release. */
export async function configInUse(
  { client }: PlaceCluster,
  namespace: string,
): Promise<{ readonly settings: ConfigMap["data"]; readonly payment: Secret["data"] }> {
  const web = await client.get<Deployment>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    namespace,
    name: "web",
  });
  const { containers, volumes } = web.spec.template.spec;
  const settings = containers[0]?.envFrom?.[0]?.configMapRef?.name ?? "";
  const payment =
    (volumes?.[0] as { secret?: { secretName?: string } } | undefined)?.secret?.secretName ?? "";
  const map = await client.get<ConfigMap>({ apiVersion: "v1", kind: "ConfigMap", namespace, name: settings });
  const secret = await client.get<Secret>({ apiVersion: "v1", kind: "Secret", namespace, name: payment });
  return { settings: map.data, payment: secret.data };
}

export async function leaseOf({ client }: PlaceCluster, service: string): Promise<Lease> {
  const type = { apiVersion: "coordination.k8s.io/v1", kind: "Lease" };
  return client.get<Lease>({ ...type, namespace: service, name: `slipway.${service}` });
}

export async function historyOf(line: Pick<CommandLine, "ok">): Promise<readonly ReleaseRecord[]> {
  return JSON.parse((await line.ok("history", "--json")).stdout) as ReleaseRecord[];
}

export async function newestOf(line: Pick<CommandLine, "ok">): Promise<ReleaseRecord> {
  const [newest] = await historyOf(line);
  if (newest === undefined) throw new Error("nothing was released");
  return newest;
}

export async function statusOf(line: Pick<CommandLine, "ok">): Promise<StatusReport> {
  return JSON.parse((await line.ok("status", "--json")).stdout) as StatusReport;
}
