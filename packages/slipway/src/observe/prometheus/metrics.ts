/**
 * What a process says at `/metrics`: families that are read when somebody asks, written as Prometheus' text format by
 * prom-client. Nothing is counted twice: a family reads what its owner counts anyway.
 *
 * Names and units follow https://prometheus.io/docs/practices/naming/: seconds, bytes, ratios, `_total` for what only
 * grows. A family has at most MOST_SERIES series, whatever its labels come from.
 */
import { Counter, Gauge, type Metric, Registry } from "prom-client";

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Distribution {
  readonly labels: Readonly<Record<string, string>>;
  /** How many were up to each of the family's bounds and above the one before, and at the end those above all. */
  readonly counts: ArrayLike<number>;
  /** In the unit of the name. */
  readonly sum: number;
}

export type Family = {
  readonly name: string;
  /** A sentence. */
  readonly help: string;
} & (
  | {
      readonly type: "counter" | "gauge";
      readonly labels?: readonly string[];
      readonly read: () => Iterable<Sample> | Promise<Iterable<Sample>>;
    }
  | {
      readonly type: "histogram";
      /** Upper bounds, ascending. */
      readonly bounds: readonly number[];
      readonly read: () => Iterable<Distribution>;
    }
);

/** The text of a scrape; a reading that fails rejects, so that Prometheus shows the target as down. */
export type Exposition = () => Promise<string>;

export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;
const MOST_SERIES = 2000;

export function exposition(families: readonly Family[]): Exposition {
  const registry = new Registry();
  for (const family of families) register(registry, family);
  return () => registry.metrics();
}

function register(registry: Registry, family: Family): void {
  const { name, help } = family;
  if (family.type === "histogram") return registry.registerMetric(histogram(family));
  const common = { name, help, labelNames: [...(family.labels ?? [])], registers: [registry] };
  const { read } = family;
  if (family.type === "gauge") {
    new Gauge({
      ...common,
      async collect() {
        const samples = await read();
        this.reset();
        for (const { labels = {}, value } of atMost(samples)) this.set(labels, value);
      },
    });
  } else {
    new Counter({
      ...common,
      async collect() {
        const samples = await read();
        this.reset();
        for (const { labels = {}, value } of atMost(samples)) this.inc(labels, value);
      },
    });
  }
}

/** prom-client's own takes one observation at a time; these are counted elsewhere. */
function histogram({ name, help, bounds, read }: Extract<Family, { type: "histogram" }>): Metric {
  const values = function* (): Generator<{
    readonly metricName: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }> {
    for (const { labels, counts, sum } of atMost(read())) {
      let seen = 0;
      for (let index = 0; index <= bounds.length; index += 1) {
        seen += counts[index] ?? 0;
        const le = index === bounds.length ? "+Inf" : String(bounds[index]);
        yield { metricName: `${name}_bucket`, labels: { ...labels, le }, value: seen };
      }
      yield { metricName: `${name}_sum`, labels, value: sum };
      yield { metricName: `${name}_count`, labels, value: seen };
    }
  };
  // All that a registry needs of a metric.
  const metric = { name, help, get: async () => ({ name, help, type: "histogram", values: [...values()] }) };
  return metric as unknown as Metric;
}

function* atMost<T>(samples: Iterable<T>): Generator<T> {
  let left = MOST_SERIES;
  for (const sample of samples) {
    if (left-- <= 0) return;
    yield sample;
  }
}
