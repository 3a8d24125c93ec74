/** Requests made up from a seed, for tests and benchmarks of what comes after the parser. */
import { type Random, seededRandom } from "@slipway/base";
import { AccessBatch, type LineBatch, NO_TIME } from "../access/batch.ts";
import type { SourceLabels } from "../access/source.ts";
import type { Warehouse } from "./warehouse.ts";

export function sampleLabels(labels: Partial<SourceLabels> = {}): SourceLabels {
  return {
    origin: "pod",
    cluster: "osaka",
    namespace: "default",
    node: "node-1",
    pod: "web-1",
    container: "nginx",
    service: "web",
    release: 1,
    commit: "abc1234",
    ...labels,
  };
}

export interface Sample {
  readonly count: number;
  readonly source: number;
  /** Of the first request, ms; the others follow every `everyMs`. */
  readonly fromMs: number;
  readonly everyMs?: number;
  readonly random?: Random;
  readonly status?: number;
  readonly timeMs?: number;
  readonly userAgent?: string;
}

const STATUSES = [200, 200, 200, 200, 200, 304, 302, 404, 499, 502];

export function fillSample(
  batch: AccessBatch,
  warehouse: Pick<Warehouse, "dictionaries">,
  sample: Sample,
): AccessBatch {
  const { count, source, fromMs, everyMs = 10, random = seededRandom(1) } = sample;
  const { referer, route, userAgent } = warehouse.dictionaries;
  for (let index = 0; index < count; index += 1) {
    const row = batch.length;
    const time = random.ratio(1, 50) ? NO_TIME : Math.floor(5 * 200 ** (random.int(1000) / 1000));
    const item = random.int(100_000);
    batch.ts[row] = fromMs + index * everyMs;
    batch.source[row] = source;
    batch.ip.set(
      row,
      index % 20 === 0 ? `2001:db8::${item.toString(16)}` : `10.${item % 250}.${index % 250}.7`,
    );
    batch.method[row] = 1 + (index % 3);
    batch.path.set(row, `/recipes/${item}?q=${index % 7 === 0 ? "größe" : "pasta"}`);
    batch.protocol[row] = 4;
    batch.status[row] = sample.status ?? random.pick(STATUSES);
    batch.bytes[row] = random.int(50_000);
    batch.referer[row] = referer.idOf(`https://example.com/${item % 50}`);
    batch.userAgent[row] = userAgent.idOf(sample.userAgent ?? `agent/${item % 40}`);
    batch.route[row] = route.idOf(item % 2 === 0 ? "/recipes/:id" : "/recipes");
    batch.time[row] = sample.timeMs ?? time;
    batch.upstreamTime[row] = sample.timeMs ?? time;
    batch.attempts[row] = 1;
    batch.length += 1;
  }
  return batch;
}

export function sampleLines(
  warehouse: Pick<Warehouse, "dictionaries">,
  ...samples: readonly Sample[]
): LineBatch {
  const batch = new AccessBatch(samples.reduce((sum, { count }) => sum + count, 0));
  for (const sample of samples) fillSample(batch, warehouse, sample);
  return { access: batch, logs: [], quarantine: [] };
}
