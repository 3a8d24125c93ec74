/**
 * The collectors of an environment's clusters, looked for again and again: one may be installed, or come back, while the
 * pages are open. Needs the rights to get the collector's Secret, to list its Pod and to forward to it; without them, or
 * without a collector, the pages show clusters and releases all the same and say what is missing.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import { isReason, type Pod, type Secret } from "@slipway/kube";
import { isTrue } from "../../release/judge/finding.ts";
import type { Target } from "../../release/model.ts";
import { COLLECTOR } from "../collector-place.ts";
import { atMost } from "./at-most.ts";
import { collectorRows } from "./collector-rows.ts";
import { type Rows, sentenceOf } from "./rows.ts";

const LOOK_EVERY_MS = 15_000;
const LOOK_AT_MOST_MS = 5_000;

export interface Collectors {
  /** Those that were found, and why the others were not. */
  rows(): { readonly sources: readonly Rows[]; readonly nothing: string };
  close(): void;
}

/** Resolves when each cluster was looked at once, or took too long. */
export async function findCollectors(targets: readonly Target[], clock: Clock): Promise<Collectors> {
  const closing = new AbortController();
  const found = new Map<string, ReturnType<typeof collectorRows>>();
  const missing = new Map<string, string>();

  const look = async (target: Target): Promise<void> => {
    try {
      const token = await tokenOf(target);
      await podOf(target);
      missing.delete(target.name);
      if (found.has(target.name) || closing.signal.aborted) return;
      const connect = async (): ReturnType<Target["client"]["portForward"]> =>
        target.client.portForward(await podOf(target), COLLECTOR.port);
      found.set(target.name, collectorRows({ name: target.name, connect, token, clock }));
    } catch (error) {
      missing.set(target.name, sentenceOf(error));
      found.get(target.name)?.close();
      found.delete(target.name);
    }
  };
  const lookAtAll = async (): Promise<void> => {
    const looks = targets.map((target) => atMost(clock, LOOK_AT_MOST_MS, look(target), () => undefined));
    await Promise.all(looks);
  };
  await lookAtAll();
  void (async () => {
    while (!closing.signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, closing.signal).catch(() => undefined);
      if (!closing.signal.aborted) await lookAtAll();
    }
  })();

  return {
    rows: () => ({
      sources: targets.flatMap(({ name }) => found.get(name) ?? []),
      nothing: [...missing].map(([cluster, reason]) => `${cluster}: ${reason}`).join("; "),
    }),
    close() {
      closing.abort();
      for (const rows of found.values()) rows.close();
    },
  };
}

async function tokenOf({ client, name }: Target): Promise<string> {
  const { namespace, secret } = COLLECTOR;
  const ref = { apiVersion: "v1", kind: "Secret", namespace, name: secret.name };
  const found = await client.get<Secret>(ref).catch((error: unknown) => {
    throw isReason(error, "NotFound") ? notInstalled(name) : error;
  });
  const token = Buffer.from(found.data?.[secret.key] ?? "", "base64").toString("utf8");
  if (token === "") throw notInstalled(name);
  return token;
}

async function podOf({
  client,
  name,
}: Target): Promise<{ readonly namespace: string; readonly name: string }> {
  const { namespace, labels } = COLLECTOR;
  const labelSelector = Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
  const { items } = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace, labelSelector });
  const pod = items.find((one) => one.metadata.deletionTimestamp === undefined && isTrue(one, "Ready"));
  if (pod === undefined) {
    throw new SlipwayError({
      code: "COLLECTOR_NOT_READY",
      where: `clusters/${name}`,
      message: items.length === 0 ? "its collector has no pod" : "its collector is not ready",
      hint: `Look at the pods of namespace ${namespace}.`,
    });
  }
  return { namespace, name: pod.metadata.name };
}

function notInstalled(cluster: string): SlipwayError {
  return new SlipwayError({
    code: "COLLECTOR_ABSENT",
    where: `clusters/${cluster}`,
    message: "no collector is installed",
    hint: "Install it with `slipway observe install`.",
  });
}
