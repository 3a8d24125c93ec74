/** What a world and its observer say to Prometheus, read as Prometheus reads it and judged by its own promtool. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { exec } from "@slipway/base";
import { observeOf } from "../config/observe.ts";
import type { LineBatch } from "../observe/access/batch.ts";
import { newLineBatch } from "../observe/access/parser.ts";
import { Sources } from "../observe/collect/sources.ts";
import { memoryWarehouse } from "../observe/collect/testing.ts";
import { batchOf, countsForTests, labelsForTests } from "../observe/counts/testing.ts";
import { exposition } from "../observe/prometheus/metrics.ts";
import { processFamilies } from "../observe/prometheus/process.ts";
import type { ReleaseRecord } from "../release/model.ts";
import { serveFamilies } from "../server/metrics.ts";
import { worldFamilies } from "../world/metrics.ts";
import { agentFamilies } from "./agent/metrics.ts";
import { observerFamilies } from "./metrics.ts";

const NOW = Date.parse("2026-11-29T12:00:30Z");

async function judged(text: string): Promise<void> {
  const { exitCode, stderr, stdout } = await exec(["promtool", "check", "metrics"], { input: text });
  assert.equal(exitCode, 0, `${stdout}${stderr}\n${text}`);
  assert.equal(stderr.trim(), "", text);
}

const records = [
  {
    number: 7,
    kind: "deploy",
    outcome: "running",
    version: { commit: "3f2a91b" },
    startedAt: NOW - 60_000,
    clusters: { tokyo: { verdict: "healthy", step: "done" }, osaka: { verdict: "unknown", step: "judging" } },
  },
  {
    number: 6,
    kind: "deploy",
    outcome: "succeeded",
    version: { commit: "0000000" },
    startedAt: NOW - 900_000,
    finishedAt: NOW - 800_000,
    clusters: { tokyo: { verdict: "healthy", step: "done" } },
  },
] as unknown as readonly ReleaseRecord[];

test("an observer tells its reading, requests, promises, incidents and releases", async () => {
  const { counts, add } = countsForTests();
  const warehouse = memoryWarehouse();
  const sources = new Sources(warehouse);
  const source = sources.of(labelsForTests());
  const listeners: ((lines: LineBatch) => void)[] = [];
  let figures = { lines: 3, read: 4, unread: 512, logs: 2, gaps: 1, lagMs: 900 };
  const read = exposition([
    ...observerFamilies({
      observer: {
        warehouse,
        sources,
        figures: () => figures,
        releases: () => records,
        onLines: (listener) => void listeners.push(listener),
      },
      observe: {
        ...(observeOf({
          slo: { availability: 99.9, latency: { target: "300ms", ratio: 99 } },
        }) as NonNullable<ReturnType<typeof observeOf>>),
      },
      alerts: { counts, standing: () => ({ alerts: [], rules: [] }) },
      now: () => NOW,
    }),
    ...processFamilies(process, NOW),
  ]);
  const requests = [200, 200, 500].map((status) => ({ at: NOW - 4_000, source, status, ms: 300 }));
  add(requests, NOW);
  const lines: LineBatch = { ...newLineBatch(128), access: batchOf(requests, warehouse.dictionaries) };
  for (const listener of listeners) listener(lines);
  const text = await read();
  await judged(text);
  for (const expected of [
    'slipway_ingest_lines_total{kind="access"} 3',
    "slipway_ingest_gaps_total 1",
    "slipway_ingest_unread_bytes 512",
    "slipway_ingest_read_lines_total 4",
    "slipway_ingest_lag_seconds 4",
    'slipway_http_requests_total{service="web",release="1",cluster="tokyo",class="2xx"} 2',
    'slipway_http_requests_total{service="web",release="1",cluster="tokyo",class="5xx"} 1',
    'slipway_http_request_duration_seconds_bucket{service="web",release="1",cluster="tokyo",class="2xx",le="0.25"} 0',
    'slipway_http_request_duration_seconds_bucket{service="web",release="1",cluster="tokyo",class="2xx",le="0.3"} 2',
    'slipway_http_request_duration_seconds_bucket{service="web",release="1",cluster="tokyo",class="5xx",le="+Inf"} 1',
    'slipway_http_request_duration_seconds_count{service="web",release="1",cluster="tokyo",class="2xx"} 2',
    'slipway_slo_objective_ratio{service="web",slo="latency"} 0.99',
    'slipway_incidents_open{severity="page"} 0',
    'slipway_release_info{number="7",commit="3f2a91b",outcome="running",kind="deploy"} 1',
    'slipway_release_clusters{verdict="unknown"} 1',
    "slipway_rollouts_running 1",
  ]) {
    assert.ok(text.includes(`${expected}\n`), `${expected}\n\n${text}`);
  }
  // A collector has no files that wait; its agents' lines say how late they come.
  figures = { ...figures, unread: 0, lagMs: 7_000 };
  assert.match(await read(), /^slipway_ingest_lag_seconds 7$/m);
  const burn = Number(
    /slipway_slo_burn_rate\{service="web",slo="availability",window="5m"\} (\S+)/.exec(text)?.[1],
  );
  assert.ok(Math.abs(burn - 333.33) < 0.01, String(burn));
});

test("a world tells its clusters, its edge and its observer", async () => {
  const text = await exposition([
    ...worldFamilies({
      edge: () => ({
        services: [
          {
            name: "web",
            endpoints: [
              { id: "1", pod: "web-1", state: "healthy", reason: undefined, inFlight: 2 },
              { id: "2", pod: "web-2", state: "ejected", reason: "503", inFlight: 0 },
            ],
          },
        ],
        counters: { "tokyo 2xx": 12, "edge 5xx": 1 },
        served: [],
      }),
      clusters: () => [
        { name: "tokyo", isLost: false, pods: [] },
        { name: "osaka", isLost: true, pods: [] },
      ],
      observer: () => undefined,
      registryPort: () => 5000,
    }),
    ...processFamilies(process, NOW),
  ])();
  await judged(text);
  for (const expected of [
    'slipway_cluster_up{cluster="osaka"} 0',
    'slipway_edge_requests_total{cluster="tokyo",class="2xx"} 12',
    'slipway_edge_endpoints{service="web",state="ejected"} 1',
    'slipway_edge_requests_in_flight{service="web"} 2',
  ]) {
    assert.ok(text.includes(`${expected}\n`), `${expected}\n\n${text}`);
  }
});

test("an agent tells what it follows, sends and has to send again", async () => {
  const failures = { busy: 1, refused: 0, unreachable: 4 };
  const text = await exposition(
    agentFamilies(
      () => ({ logs: 12, unread: 4096 }),
      () => ({ messages: 7, bytes: 1000, failures }),
    ),
  )();
  await judged(text);
  assert.match(text, /^slipway_agent_unread_bytes 4096$/m);
  assert.match(text, /^slipway_agent_send_failures_total\{reason="unreachable"\} 4$/m);
});

test("slipway serve tells what waits and what it has been through", async () => {
  const text = await exposition(serveFamilies(async () => 3, new Map([["failed", 2]])))();
  await judged(text);
  assert.match(text, /^slipway_outbox_waiting_messages 3$/m);
  assert.match(text, /^slipway_serve_events_total\{event="failed"\} 2$/m);
  assert.match(text, /^slipway_serve_events_total\{event="press"\} 0$/m);
});
