/**
 * What the pods of each ReplicaSet have answered, from the collectors of an environment's clusters: what the gate
 * `errorRatio` compares where no edge of Slipway counts. Errors and response times are counted as the edge does
 * (`edge/load-balancer/totals.ts`); the kubelet's probes, which never pass an edge, are left out.
 *
 * It is one span of time for a whole release, so that counts only grow: lines that arrive late are in the next answer.
 */
import type { Clock } from "@slipway/base";
import type { QueryAnswer } from "../observe/warehouse/warehouse.ts";
import type { CountedRequests, MissingCluster, RequestCounter, ServedCount } from "../release/gates/gate.ts";
import { BUCKET } from "./pages/answers/figures.ts";
import { numberOf, sentenceOf, textOf } from "./pages/rows.ts";
import type { CollectorClient } from "./reach-collector.ts";

export interface CountingCluster {
  readonly name: string;
  /** Undefined where no collector is installed. */
  reach(): Promise<Pick<CollectorClient, "query"> | undefined>;
}

/** How far before the release it begins: the release before needs traffic to be compared with. */
const EARLIER_MS = 3_600_000;
/** A cluster that is silent is not waited for longer: the others have an answer. */
const ANSWERS_MS = 15_000;
/** So that the collector can say by itself that it took too long. */
const QUERY_MS = 13_000;
/** A ReplicaSet has two for each bucket of time at most. */
const MAX_ROWS = 100_000;

/** Letters and digits that Kubernetes makes names of (apimachinery `util/rand`): no vowel, nothing that looks like another. */
const NAMED = "[bcdfghjklmnpqrstvwxz2456789]";
/**
 * `web-5d9c7b4f6` made `web-5d9c7b4f6-x2x7q`; `db-0` of a StatefulSet, and a pod of a DaemonSet, has none. (A name above 57
 * characters is cut before the pod's own five: such a pod is nobody's either, and the gate has too little traffic.)
 */
const REPLICA_SET = `'^(.+-${NAMED}{1,10})-${NAMED}{5}$'`;

const moment = (name: string): string => `make_timestamp_ms(CAST($${name} AS BIGINT))`;

/** By pod first, so that names are taken apart once for each pod, and not for each request. */
const SQL = `WITH counted AS (
  SELECT service, pod, ts < ${moment("started")} AS earlier, ${BUCKET} AS bucket, count(*) AS n,
    count(*) FILTER (status >= 500) AS failed
  FROM requests WHERE origin <> 'import' AND ts >= ${moment("since")} GROUP BY ALL)
SELECT service, regexp_extract(pod, ${REPLICA_SET}, 1) AS replica_set, earlier, bucket,
  CAST(sum(n) AS DOUBLE) AS requests, CAST(sum(failed) AS DOUBLE) AS errors
FROM counted GROUP BY ALL`;

export async function countServed(
  clusters: readonly CountingCluster[],
  clock: Clock,
  question: Parameters<RequestCounter["count"]>[0],
): Promise<CountedRequests> {
  const answers = await Promise.all(clusters.map((cluster) => countIn(cluster, clock, question)));
  question.signal.throwIfAborted();
  const counted = answers.flatMap((one) => ("reason" in one ? [] : [one]));
  return {
    counts: counted.flatMap(({ counts }) => counts),
    before: counted.flatMap(({ before }) => before),
    missing: answers.flatMap((one) => ("reason" in one ? [one] : [])),
  };
}

type Counts = Required<Pick<CountedRequests, "counts">> & { readonly before: readonly ServedCount[] };

/** What a cluster has served, or why that is not known. */
async function countIn(
  { name, reach }: CountingCluster,
  clock: Clock,
  { startedAt, signal }: Parameters<RequestCounter["count"]>[0],
): Promise<Counts | MissingCluster> {
  const missing = (reason: string, isInstalled = true): MissingCluster => ({
    cluster: name,
    isInstalled,
    reason,
  });
  const over = new AbortController();
  const ending = AbortSignal.any([signal, over.signal]);
  const ask = async (): Promise<Counts | MissingCluster> => {
    const collector = await reach();
    if (collector === undefined)
      return missing("no collector is installed: slipway observe install puts it there", false);
    const span = { since: startedAt - EARLIER_MS, started: startedAt };
    const answer = await collector.query(SQL, span, {
      maxRows: MAX_ROWS,
      timeoutMs: QUERY_MS,
      signal: ending,
    });
    return answer.isTruncated
      ? missing("more has been served there than can be counted")
      : countsOf(name, answer);
  };
  const asked = ask().catch((error: unknown) => missing(`its collector: ${sentenceOf(error)}`));
  const silent = clock.sleep(ANSWERS_MS, ending).then(
    () => missing(`its collector did not answer within ${ANSWERS_MS / 1000} s`),
    () => missing("interrupted"),
  );
  try {
    return await Promise.race([asked, silent]);
  } finally {
    over.abort();
  }
}

function countsOf(cluster: string, { columns, rows }: QueryAnswer): Counts {
  const place = new Map(columns.map(({ name }, index) => [name, index]));
  const sums = { counts: new Map<string, Sum>(), before: new Map<string, Sum>() };
  for (const row of rows) {
    const cell = (name: string) => row[place.get(name) ?? -1];
    const [service, replicaSet] = [textOf(cell("service")), textOf(cell("replica_set"))];
    const counted = { requests: numberOf(cell("requests")), errors: numberOf(cell("errors")) };
    const bucket = numberOf(cell("bucket"));
    for (const side of cell("earlier") === true ? [sums.counts, sums.before] : [sums.counts]) {
      const key = `${service}/${replicaSet}`;
      const sum = side.get(key) ?? { cluster, service, replicaSet, requests: 0, errors: 0, times: [] };
      side.set(key, sum);
      sum.requests += counted.requests;
      sum.errors += counted.errors;
      // Not every format of a log has the time.
      if (bucket < 0) continue;
      while (sum.times.length <= bucket) sum.times.push(0);
      sum.times[bucket] = (sum.times[bucket] as number) + counted.requests;
    }
  }
  return { counts: [...sums.counts.values()], before: [...sums.before.values()] };
}

interface Sum extends ServedCount {
  requests: number;
  errors: number;
  readonly times: number[];
}
