/**
 * A cluster's collector, from outside: through the API server to its pod (`pods/portforward`), and inside of that over
 * TLS, with the token for reading. What it takes to be allowed is in docs/guide/rights.md.
 */
import { request } from "node:https";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { connect } from "node:tls";
import { SlipwayError } from "@slipway/base";
import type { KubeClient, Pod } from "@slipway/kube";
import type { QueryAnswer, QueryLimits, QueryParameters } from "../observe/warehouse/warehouse.ts";
import type { AskedCluster } from "./alerts/clusters.ts";
import { PORT } from "./collector/input.ts";
import { selectorOf } from "./install/manifests.ts";
import { findSecrets } from "./install/secrets.ts";

export interface CollectorClient {
  /** Of the cluster. */
  readonly name: string;
  query(sql: string, parameters?: QueryParameters, limits?: QueryLimits): Promise<QueryAnswer>;
  figures(): Promise<unknown>;
  /** What `answers.ts` and `alerts/answers.ts` answer, by name. */
  ask<T>(name: string, body?: unknown): Promise<T>;
}

interface CollectorPlace {
  readonly namespace: string;
  readonly service: string;
}

const ANSWERS_MS = 60_000;
const QUERY_MS = 30_000;
/** So that the collector can say by itself that it took too long. */
const MARGIN_MS = 5_000;

/** Undefined when none is installed there. */
export async function reachCollector(
  cluster: string,
  client: KubeClient,
  { namespace, service }: CollectorPlace,
): Promise<CollectorClient | undefined> {
  const { "ca.crt": ca, "read-token": token } = await findSecrets(client, namespace, service);
  if (ca === undefined || token === undefined) return undefined;
  const where = `${cluster}/collector`;
  const ask = async <T>(name: string, body?: unknown, ms = ANSWERS_MS, signal?: AbortSignal): Promise<T> => {
    signal?.throwIfAborted();
    const pod = await readyPod(client, namespace, service, where);
    const way = await client.portForward({ namespace, name: pod }, PORT);
    try {
      const late = AbortSignal.timeout(ms);
      const ending = signal === undefined ? late : AbortSignal.any([signal, late]);
      return await post<T>(way, ca, token, { name, body, where, signal: ending });
    } catch (error) {
      if (signal?.aborted !== true) throw error;
      throw new SlipwayError({ code: "INTERRUPTED", message: "interrupted", cause: error, exitCode: 130 });
    } finally {
      way.destroy();
    }
  };
  return {
    name: cluster,
    query: (sql, parameters, { maxRows, timeoutMs = QUERY_MS, signal } = {}) =>
      ask("query", { sql, parameters, maxRows, timeoutMs }, timeoutMs + MARGIN_MS, signal),
    figures: () => ask("figures"),
    ask: (name, body) => ask(name, body),
  };
}

/** One of an environment's clusters, whose collector is looked for at each question: it may come and go. */
export function collectorIn(cluster: string, client: KubeClient, place: CollectorPlace): AskedCluster {
  return {
    name: cluster,
    async ask<T>(name: string, body?: unknown) {
      const collector = await reachCollector(cluster, client, place);
      if (collector !== undefined) return collector.ask<T>(name, body);
      throw new SlipwayError({
        code: "COLLECTOR_NONE",
        where: `${cluster}/collector`,
        message: "no collector is installed",
        hint: "slipway observe install puts it there.",
        exitCode: 3,
      });
    },
  };
}

async function readyPod(
  client: KubeClient,
  namespace: string,
  service: string,
  where: string,
): Promise<string> {
  const labelSelector = Object.entries(selectorOf(service, "collector"))
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
  const { items } = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace, labelSelector });
  const ready = items.find(({ status }) =>
    status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
  );
  if (ready !== undefined) return ready.metadata.name;
  throw new SlipwayError({
    code: "COLLECTOR_NOT_READY",
    where,
    message: items.length === 0 ? "has no pod" : "its pod is not ready",
    hint: "See `slipway observe status`.",
    exitCode: 3,
  });
}

interface Question {
  readonly name: string;
  readonly body: unknown;
  readonly where: string;
  readonly signal: AbortSignal;
}

function post<T>(
  way: Duplex,
  ca: string,
  token: string,
  { name, body, where, signal }: Question,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(
        new SlipwayError({
          code: "COLLECTOR_UNREACHABLE",
          where,
          message: cause.message,
          cause,
          exitCode: 3,
        }),
      );
    way.on("error", fail);
    const sent = body === undefined ? "" : JSON.stringify(body);
    const outgoing = request({
      // The authority has signed this one certificate, whose name is the same wherever it runs.
      createConnection: () => connect({ socket: way, ca, servername: "localhost" }),
      method: "POST",
      path: `/${name}`,
      signal,
      headers: {
        host: "localhost",
        connection: "close",
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "content-length": Buffer.byteLength(sent),
      },
    });
    outgoing.on("error", fail);
    outgoing.on("response", (response) => {
      text(response)
        .then((answer) => resolve(resultIn<T>(answer, response.statusCode, name, where)))
        .catch((error: unknown) => (error instanceof SlipwayError ? reject(error) : fail(error as Error)));
    });
    outgoing.end(sent);
  });
}

/** Throws what the collector says is wrong. Whoever answers otherwise is of another version. */
function resultIn<T>(answer: string, status: number | undefined, name: string, where: string): T {
  const said = parsed(answer) as
    | {
        readonly result?: T;
        readonly error?: { code: string; message: string; hint?: string; exitCode?: number };
      }
    | undefined;
  if (said?.error !== undefined) throw new SlipwayError({ exitCode: 3, ...said.error, where });
  if (said !== undefined && "result" in said) return said.result as T;
  throw new SlipwayError({
    code: "COLLECTOR_OTHER",
    where,
    message:
      status === 404
        ? `does not know the question "${name}"`
        : `answers "${name}" with ${status} and no JSON`,
    hint: "It may be of an earlier version: slipway observe install brings it up to date.",
    exitCode: 3,
  });
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
