/** What pods use, asked of the real Prometheus: of samples as kubelets and kube-state-metrics have them. */
import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { type RunningPrometheus, startPrometheus } from "../../../observe/prometheus/testing.ts";
import { prometheusUse } from "./prometheus-use.ts";

const NOW_S = Math.floor(Date.now() / 1000);
const EVERY_S = 30;
const MINUTES = 70;
/** However long it takes until it is asked: a rate is exact as long as its samples go on. */
const AHEAD_MINUTES = 30;

/** A series from 70 minutes ago until half an hour from now: the value at each number of seconds since its begin. */
function series(
  name: string,
  labels: Readonly<Record<string, string>>,
  valueAt: (seconds: number) => number,
): string {
  const text = Object.entries(labels)
    .map(([key, value]) => `${key}="${value}"`)
    .join(",");
  const lines = [];
  for (let at = 0; at <= (MINUTES + AHEAD_MINUTES) * 60; at += EVERY_S)
    lines.push(`${name}{${text}} ${valueAt(at)} ${NOW_S - MINUTES * 60 + at}`);
  return lines.join("\n");
}

function family(type: "counter" | "gauge", name: string, ...all: readonly string[]): string {
  return `# TYPE ${type === "counter" ? name.replace(/_total$/, "") : name} ${type}\n${all.join("\n")}\n`;
}

const web = { namespace: "shop", pod: "web-1", container: "web", image: "web:1" };
const side = { namespace: "shop", pod: "web-1", container: "side", image: "side:1" };
const sums = { namespace: "shop", pod: "web-1", container: "", image: "" };
const other = { namespace: "other", pod: "web-1", container: "web", image: "web:1" };

function samples(cluster: Readonly<Record<string, string>>): string {
  const cpu = "container_cpu_usage_seconds_total";
  const memory = "container_memory_working_set_bytes";
  const periods = "container_cpu_cfs_periods_total";
  const held = "container_cpu_cfs_throttled_periods_total";
  const restarts = "kube_pod_container_status_restarts_total";
  const reason = "kube_pod_container_status_last_terminated_reason";
  const at = MINUTES * 60 - 600;
  return [
    family(
      "counter",
      cpu,
      series(cpu, { ...cluster, ...web }, (s) => 0.25 * s),
      series(cpu, { ...cluster, ...side }, (s) => 0.05 * s),
      series(cpu, { ...cluster, ...sums }, (s) => 0.3 * s),
      series(cpu, { ...cluster, ...other }, (s) => 7 * s),
    ),
    family(
      "gauge",
      memory,
      series(memory, { ...cluster, ...web }, () => 100_000_000),
      series(memory, { ...cluster, ...side }, () => 20_000_000),
      series(memory, { ...cluster, ...sums }, () => 120_000_000),
    ),
    family(
      "counter",
      periods,
      series(periods, { ...cluster, ...web }, (s) => 10 * s),
    ),
    family(
      "counter",
      held,
      series(held, { ...cluster, ...web }, (s) => 2 * s),
    ),
    family(
      "counter",
      restarts,
      series(restarts, { ...cluster, ...web }, (s) => (s < at ? 0 : 3)),
      series(restarts, { ...cluster, ...side }, () => 9),
    ),
    family(
      "gauge",
      reason,
      series(reason, { ...cluster, ...web, reason: "OOMKilled" }, () => 1),
      series(reason, { ...cluster, ...side, pod: "calm-1", reason: "OOMKilled" }, () => 1),
    ),
    "# EOF\n",
  ].join("");
}

const running: RunningPrometheus[] = [];
let alone: RunningPrometheus;
let many: RunningPrometheus;
before(async () => {
  alone = await startPrometheus({ samples: samples({}) });
  running.push(alone);
  many = await startPrometheus({ samples: samples({ cluster: "tokyo" }) });
  running.push(many);
});
after(async () => {
  for (const one of running) await one.close();
});

test("cores and memory are those of the containers, held back by its limit, restarts of the last hour", async () => {
  const { source, pods } = await prometheusUse({ url: alone.url, token: undefined })({ name: "tokyo" }, [
    "shop",
  ]);
  assert.equal(source, "prometheus");
  assert.deepEqual([...pods.keys()], ["shop/web-1"]);
  const use = pods.get("shop/web-1");
  assert.ok(Math.abs((use?.cpu ?? 0) - 0.3) < 0.001, String(use?.cpu));
  assert.equal(use?.memory, 120_000_000);
  assert.ok(Math.abs((use?.throttled ?? 0) - 0.2) < 0.001, String(use?.throttled));
  assert.deepEqual([use?.restarts, use?.outOfMemory], [3, true]);
});

test("of many clusters one counts, and one that it does not know is said so", async () => {
  const use = prometheusUse({ url: `${many.url}/`, token: undefined });
  assert.equal((await use({ name: "tokyo" }, ["shop"])).pods.size, 1);
  assert.deepEqual(await use({ name: "osaka" }, ["shop"]), {
    source: "Prometheus knows no cluster named osaka, only tokyo",
    pods: new Map(),
  });
});

test("names are no patterns, and pods without figures are no error", async () => {
  const use = prometheusUse({ url: alone.url, token: undefined });
  assert.equal((await use({ name: "tokyo" }, ["sh.p"])).source, "Prometheus has no figures of these pods");
});

test("the token is sent; a server that refuses, is none or does not answer is named", async () => {
  // Prometheus itself checks no bearer tokens: what stands in front of it does.
  const front = createServer((asked, answer) => {
    if (asked.headers.authorization !== "Bearer secret") return answer.writeHead(401).end();
    if (asked.url?.startsWith("/page") === true) return answer.end("<html>");
    request(`${alone.url}${asked.url}`, (real) => {
      answer.writeHead(real.statusCode ?? 500);
      real.pipe(answer);
    }).end();
  }).listen(0, "127.0.0.1");
  const url = await new Promise<string>((resolve) =>
    front.once("listening", () => resolve(`http://127.0.0.1:${(front.address() as AddressInfo).port}`)),
  );
  const ask = async (server: { url: string; token: string | undefined }): Promise<string> =>
    (await prometheusUse(server)({ name: "tokyo" }, ["shop"])).source;
  assert.equal(await ask({ url, token: "secret" }), "prometheus");
  assert.match(await ask({ url, token: undefined }), /^Prometheus: .*refuses us \(401\)/s);
  assert.match(await ask({ url: `${url}/page`, token: "secret" }), /not as Prometheus does/);
  front.closeAllConnections();
  front.close();
  // A port that the system gives to nobody who asks for any.
  assert.match(await ask({ url: "http://127.0.0.1:2", token: "secret" }), /^Prometheus: does not answer: /);
});
