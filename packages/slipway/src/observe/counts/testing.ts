/** Requests for tests and benchmarks of what counts them. */
import { AccessBatch, type Dictionaries, METHODS, NO_TIME } from "../access/batch.ts";
import { Dictionary } from "../access/dictionary.ts";
import type { SourceLabels } from "../access/source.ts";
import { Counts, type CountsOptions } from "./counts.ts";

export interface WrittenRequest {
  readonly at: number;
  readonly source?: number;
  readonly status?: number;
  readonly ms?: number | undefined;
  readonly path?: string;
  readonly agent?: string;
}

export function dictionariesForTests(): Dictionaries {
  return {
    referer: new Dictionary("referer", 1000),
    userAgent: new Dictionary("ua", 1000),
    route: new Dictionary("route", 1000),
  };
}

export function labelsForTests(labels: Partial<SourceLabels> = {}): SourceLabels {
  return {
    origin: "pod",
    cluster: "tokyo",
    namespace: "shop",
    node: "node-1",
    pod: "web-1",
    container: "web",
    service: "web",
    release: 1,
    commit: "3f2a91b",
    ...labels,
  };
}

export function batchOf(requests: readonly WrittenRequest[], dictionaries: Dictionaries): AccessBatch {
  const batch = new AccessBatch(Math.max(1, requests.length));
  for (const [
    line,
    { at, source = 1, status = 200, ms = 20, path = "/", agent = "curl/8" },
  ] of requests.entries()) {
    batch.ts[line] = at;
    batch.source[line] = source;
    batch.status[line] = status;
    batch.time[line] = ms ?? NO_TIME;
    batch.path.set(line, path);
    batch.method[line] = METHODS.indexOf("GET");
    batch.userAgent[line] = dictionaries.userAgent.idOf(agent);
    batch.route[line] = dictionaries.route.idOf(path.replace(/\?.*/, ""));
  }
  batch.length = requests.length;
  return batch;
}

/** Counts with what belongs to them; source 1 is pod web-1 of release 1 in tokyo. */
export function countsForTests(options: Partial<CountsOptions> = {}): {
  readonly counts: Counts;
  readonly dictionaries: Dictionaries;
  readonly add: (requests: readonly WrittenRequest[], now: number) => void;
} {
  const dictionaries = dictionariesForTests();
  const counts = new Counts({ dictionaries, accessLog: "auto", targetMs: () => 300, ...options });
  counts.label(1, labelsForTests(), 0);
  return { counts, dictionaries, add: (requests, now) => counts.add(batchOf(requests, dictionaries), now) };
}
