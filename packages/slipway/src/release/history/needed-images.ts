/**
 * Which images a registry must keep for the clusters: those of every release that is in the history of any of them, so that
 * each can be gone back to, and those of every pod that is there now, whoever made it.
 */
import { SlipwayError } from "@slipway/base";
import type { KubeClient, Pod, Secret } from "@slipway/kube";
import { SERVICE_LABEL } from "../manifests/render.ts";
import { RECORD_LABEL, readShelf } from "./records.ts";

/** References as manifests write them: `host/repository:tag@sha256:…`, `redis:7`. Rejects when any part is unknown. */
export async function neededImages(clients: readonly KubeClient[]): Promise<ReadonlySet<string>> {
  const references = new Set<string>();
  for (const client of clients) {
    for (const { record, cluster } of await recordsOf(client)) {
      if (record === undefined) throw damaged(cluster);
      for (const image of record.images) references.add(image.reference);
      collectImages(record.objects, references);
      collectImages(record.hooks, references);
    }
    collectImages((await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, {})).items, references);
  }
  return references;
}

type ShelfRecord = Awaited<ReturnType<typeof readShelf>>["records"][number];

/** The records of every service in every namespace; undefined stands for those that cannot be read. */
async function recordsOf(
  client: KubeClient,
): Promise<readonly { readonly record: ShelfRecord | undefined; readonly cluster: string }[]> {
  const { items } = await client.list<Secret>(
    { apiVersion: "v1", kind: "Secret" },
    { labelSelector: RECORD_LABEL },
  );
  const places = new Map(
    items.map(({ metadata }) => {
      const service = metadata.labels?.[SERVICE_LABEL] ?? "";
      const namespace = metadata.namespace ?? "default";
      return [`${namespace}/${service}`, { service, namespace }];
    }),
  );
  const all: { record: ShelfRecord | undefined; cluster: string }[] = [];
  for (const place of places.values()) {
    const shelf = await readShelf(client, place);
    const cluster = `${client.name}/${place.namespace}/${place.service}`;
    all.push(...shelf.records.map((record) => ({ record, cluster })));
    all.push(...shelf.damaged.map(() => ({ record: undefined, cluster })));
  }
  return all;
}

/** Every `image: …` in there, at any depth: containers, init containers, templates of jobs, volumes of images. */
export function collectImages(value: unknown, into: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collectImages(item, into);
  else if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (key === "image" && typeof inner === "string" && inner !== "") into.add(inner);
      else collectImages(inner, into);
    }
  }
}

function damaged(cluster: string): SlipwayError {
  return new SlipwayError({
    code: "HISTORY_DAMAGED",
    where: cluster,
    message: "a release record cannot be read, so nobody knows which images it needs",
    hint: "See `slipway status`; a rollback or deploy repairs records that another cluster still has.",
    exitCode: 3,
  });
}
