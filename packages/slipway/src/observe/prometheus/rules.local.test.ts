/** The rules as Prometheus' own promtool reads them and runs them on tables of samples; golden text for people. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { exec } from "@slipway/base";
import { parse, stringify } from "yaml";
import { type ObserveConfig, observeOf } from "../../config/observe.ts";
import { operatorFile, RULES_FILE, rulesFile, scrapeFile } from "./files.ts";
import { ruleGroups } from "./rules.ts";

const folder = await mkdtemp(join(tmpdir(), "slipway-rules-"));
after(() => rm(folder, { recursive: true, force: true }));

const configOf = (written: Parameters<typeof observeOf>[0]): ObserveConfig =>
  observeOf(written) as ObserveConfig;

const cluster = { service: "shop", namespace: "shop-production" };

async function promtool(...args: readonly string[]): Promise<void> {
  const { exitCode, stdout, stderr } = await exec(["promtool", ...args], { cwd: folder });
  assert.equal(exitCode, 0, `${stdout}${stderr}`);
}

/** One series by the minute: `[minutes, per minute]` one after the other, as a counter. */
function counter(...parts: readonly (readonly [number, number])[]): string {
  let value = 0;
  const text = [];
  for (const [minutes, each] of parts) {
    text.push(`${value}+${each}x${minutes - 1}`);
    value += each * minutes;
  }
  return text.join(" ");
}

interface Story {
  readonly name: string;
  readonly config?: Parameters<typeof observeOf>[0];
  readonly series: Readonly<Record<string, string>>;
  /** `[alert, minute, who fires]`: severity, and the window where it has one. */
  readonly expected: readonly (readonly [string, number, readonly string[]])[];
}

const requests = (kind: string, service = "web", cluster = "tokyo"): string =>
  `slipway_http_requests_total{service="${service}", release="7", cluster="${cluster}", class="${kind}"}`;
const times = (le: string): string =>
  `slipway_http_request_duration_seconds_bucket{service="web", release="7", cluster="tokyo", class="2xx", le="${le}"}`;
const timed =
  'slipway_http_request_duration_seconds_count{service="web", release="7", cluster="tokyo", class="2xx"}';

async function run({ name, config, series, expected }: Story): Promise<void> {
  const rules = `${name.replaceAll(/\W+/g, "-")}.yml`;
  await writeFile(join(folder, rules), rulesFile(ruleGroups(configOf(config ?? {}))));
  // Every alert that fires is asked for by its labels alone: texts are in the golden file.
  const asked = expected.map(([alert, minute, who]) => ({
    expr: `sort(count by (severity, window) (ALERTS{alertname="${alert}", alertstate="firing"}))`,
    eval_time: `${minute}m`,
    exp_samples: who.map((one) => {
      const [severity, window] = one.split(" ");
      const labels = [`severity="${severity}"`, ...(window === undefined ? [] : [`window="${window}"`])];
      return { labels: `{${labels.join(", ")}}`, value: 1 };
    }),
  }));
  const story = {
    rule_files: [rules],
    evaluation_interval: "1m",
    tests: [
      {
        interval: "1m",
        input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
        promql_expr_test: asked,
      },
    ],
  };
  await writeFile(join(folder, `test-${rules}`), stringify(story, { lineWidth: 0 }));
  await promtool("test", "rules", `test-${rules}`);
}

const stories: readonly Story[] = [
  {
    name: "100 % errors page within two minutes and end six minutes after",
    series: {
      [requests("2xx")]: counter([60, 600], [10, 0], [60, 600]),
      [requests("5xx")]: counter([60, 0], [10, 600], [60, 0]),
    },
    expected: [
      ["SlipwayErrorBudgetBurn", 59, []],
      ["SlipwayErrorBudgetBurn", 62, ["page 1h", "page 6h"]],
      ["SlipwayErrorBudgetBurn", 77, []],
    ],
  },
  {
    name: "1 error in 50 requests does not page",
    series: {
      [requests("2xx")]: counter([60, 10], [1, 9], [30, 10]),
      [requests("5xx")]: counter([60, 0], [1, 1], [30, 0]),
    },
    expected: [
      ["SlipwayErrorBudgetBurn", 61, []],
      ["SlipwayErrorBudgetBurn", 62, []],
      ["SlipwayLowTrafficErrors", 62, []],
    ],
  },
  {
    name: "few requests that fail page by their number",
    series: {
      [requests("2xx")]: `${counter([30, 1], [330, 0])}`,
      [requests("5xx")]: "0x40 1x40 2x40 3x40 4x40 6x100",
    },
    expected: [
      ["SlipwayLowTrafficErrors", 150, []],
      ["SlipwayLowTrafficErrors", 240, ["page"]],
      // Of the 29 requests in six hours too many: somebody should look, but nobody is called for it.
      ["SlipwayErrorBudgetBurn", 240, ["ticket 3d"]],
    ],
  },
  {
    name: "clients that go away and bad requests are nobody's errors",
    series: {
      [requests("2xx")]: counter([90, 10]),
      [requests("499")]: counter([90, 100]),
      [requests("4xx")]: counter([90, 100]),
      [requests("5xx")]: "0x90",
    },
    expected: [
      ["SlipwayErrorBudgetBurn", 80, []],
      ["SlipwayLowTrafficErrors", 80, []],
    ],
  },
  {
    name: "a slow burn is a ticket after an hour",
    config: { slo: { availability: 99.9 } },
    series: {
      // 0.4 %: over 3 × 0.1 %, below 6 ×.
      [requests("2xx")]: counter([400, 249]),
      [requests("5xx")]: counter([400, 1]),
    },
    expected: [
      ["SlipwayErrorBudgetBurn", 20, []],
      ["SlipwayErrorBudgetBurn", 390, ["ticket 1d", "ticket 3d"]],
    ],
  },
  {
    name: "the share of slow requests pages, whatever the percentiles",
    config: { slo: { availability: 99.9, latency: { target: "300ms", ratio: 99 } } },
    series: {
      [requests("2xx")]: counter([90, 60]),
      [requests("5xx")]: "0x90",
      [timed]: counter([90, 60]),
      [times("0.3")]: counter([60, 60], [30, 40]),
      [times("+Inf")]: counter([90, 60]),
    },
    expected: [
      ["SlipwayLatencyBudgetBurn", 59, []],
      ["SlipwayLatencyBudgetBurn", 89, ["page 1h", "page 6h"]],
      ["SlipwayErrorBudgetBurn", 89, []],
    ],
  },
  {
    name: "a target of whole seconds is found as Prometheus 2 and 3 write it",
    config: { slo: { latency: { target: "1s", ratio: 99 } } },
    series: {
      [requests("2xx")]: counter([90, 60]),
      [timed]: counter([90, 60]),
      [times("1.0")]: counter([60, 60], [30, 20]),
    },
    expected: [
      ["SlipwayLatencyBudgetBurn", 59, []],
      ["SlipwayLatencyBudgetBurn", 89, ["page 1h", "page 6h"]],
    ],
  },
  {
    name: "each service is held to its own promise",
    config: { slo: { "a.b": { availability: 95 } } },
    series: {
      // 2 % fail in both: of 95 % promised that is nothing, of 99.9 % it is 20 times too much.
      [requests("2xx", "a.b")]: counter([90, 98]),
      [requests("5xx", "a.b")]: counter([90, 2]),
      [requests("2xx", "axb")]: counter([90, 98]),
      [requests("5xx", "axb")]: counter([90, 2]),
    },
    expected: [["SlipwayErrorBudgetBurn", 80, ["page 1h", "page 6h"]]],
  },
  {
    name: "rules of each cluster",
    config: {
      alerts: [
        { name: "many", errors: { above: 10, within: "5m" }, each: "cluster" },
        { name: "slow", p95: { above: "800ms", within: "5m" }, each: "cluster" },
      ],
    },
    series: {
      // Together they are over ten in five minutes, later one is by itself.
      [requests("5xx", "web", "tokyo")]: counter([20, 1.5], [20, 3]),
      [requests("5xx", "web", "osaka")]: counter([40, 1.5]),
      [timed]: counter([40, 1000]),
      [times("0.5")]: counter([40, 1000]),
      [times("+Inf")]: counter([40, 1000]),
      [timed.replace("tokyo", "osaka")]: counter([40, 20]),
      [times("0.5").replace("tokyo", "osaka")]: counter([40, 1]),
      [times("1").replace("tokyo", "osaka")]: counter([40, 20]),
      [times("+Inf").replace("tokyo", "osaka")]: counter([40, 20]),
    },
    expected: [
      ["SlipwayTooManyErrors", 18, []],
      ["SlipwayTooManyErrors", 38, ["page"]],
      ["SlipwaySlow", 18, ["page"]],
    ],
  },
  {
    name: "rules of the configuration",
    config: {
      alerts: [
        { name: "many", errors: { above: 10, within: "5m" } },
        { name: "slow", p95: { above: "800ms", within: "5m" } },
        { name: "silence", noData: { for: "10m" } },
      ],
    },
    series: {
      [requests("2xx")]: counter([30, 100], [30, 0]),
      [requests("5xx")]: counter([20, 0], [10, 5], [30, 0]),
      [timed]: counter([30, 100], [30, 0]),
      [times("0.5")]: counter([20, 100], [10, 10], [30, 0]),
      [times("1")]: counter([20, 100], [10, 10], [30, 0]),
      [times("2.5")]: counter([30, 100], [30, 0]),
      [times("+Inf")]: counter([30, 100], [30, 0]),
    },
    expected: [
      ["SlipwayTooManyErrors", 19, []],
      ["SlipwayTooManyErrors", 28, ["page"]],
      ["SlipwaySlow", 19, []],
      ["SlipwaySlow", 28, ["page"]],
      ["SlipwayNoRequests", 38, []],
      ["SlipwayNoRequests", 45, ["page"]],
    ],
  },
  {
    name: "what watches the watching",
    series: {
      'slipway_ingest_lines_total{kind="access", instance="a"}': counter([30, 100], [60, 0]),
      'slipway_ingest_lines_total{kind="quarantine", instance="a"}': counter([20, 0], [10, 5], [60, 0]),
      'slipway_ingest_gaps_total{instance="a"}': "0x20 1x70",
      'slipway_ingest_lag_seconds{instance="a"}': "0x20 600x70",
      'slipway_agent_send_failures_total{instance="n", reason="busy"}': counter([20, 1], [70, 4]),
      'slipway_agent_sent_messages_total{instance="n"}': counter([30, 60], [60, 0]),
      'slipway_outbox_waiting_messages{instance="s"}': "0x20 2x70",
      'slipway_warehouse_writable{instance="a"}': "1x20 0x70",
    },
    expected: [
      ["SlipwayNoData", 85, []],
      ["SlipwayQuarantine", 19, []],
      ["SlipwayQuarantine", 30, ["ticket"]],
      ["SlipwayLinesLost", 19, []],
      ["SlipwayLinesLost", 25, ["ticket"]],
      ["SlipwayAgentNotSending", 29, []],
      ["SlipwayAgentNotSending", 55, ["ticket"]],
      ["SlipwayMessagesNotSent", 45, []],
      ["SlipwayMessagesNotSent", 55, ["ticket"]],
      ["SlipwayIngestBehind", 25, []],
      ["SlipwayIngestBehind", 40, ["ticket"]],
      ["SlipwayWarehouseNotWritable", 30, ["page"]],
      ["SlipwayNothingStored", 50, []],
      ["SlipwayNothingStored", 75, ["ticket"]],
    ],
  },
  {
    name: "nobody delivers figures",
    series: { "up{}": "0x60" },
    expected: [
      ["SlipwayNoData", 5, []],
      ["SlipwayNoData", 15, ["page"]],
    ],
  },
];

for (const story of stories) test(story.name, () => run(story));

test("promtool accepts the rules and the scrape configurations", async () => {
  await writeFile(join(folder, RULES_FILE), rulesFile(ruleGroups(everything)));
  await promtool("check", "rules", "--lint=all", "--lint-fatal", RULES_FILE);
  await writeFile(join(folder, "token"), "secret");
  const addresses = { world: "127.0.0.1:9001", observer: "127.0.0.1:9002" };
  const local = scrapeFile({ kind: "local", addresses, tokenFile: join(folder, "token") }, cluster);
  await writeFile(join(folder, "local.yml"), local);
  await promtool("check", "config", "local.yml");
  // Debian's Prometheus is built without the discovery of Kubernetes, so that this part is not judged here. The files of
  // the secrets are in the pod of Prometheus.
  const inCluster = parse(scrapeFile({ kind: "cluster" }, cluster));
  for (const job of inCluster.scrape_configs) delete job.kubernetes_sd_configs;
  await writeFile(join(folder, "cluster.yml"), stringify(inCluster));
  await promtool("check", "config", "--syntax-only", "cluster.yml");
});

const everything = configOf({
  slo: {
    web: { availability: 99.9, latency: { target: "300ms", ratio: 99 } },
    'odd"name\\': { availability: 99.5, latency: { target: "2s", ratio: 95 } },
  },
  alerts: [{ name: "many-5xx", service: "web", errors: { above: 50, within: "5m" } }],
});

test("the files are these", async () => {
  const groups = ruleGroups(everything);
  const addresses = { world: "127.0.0.1:9001" };
  const written: Readonly<Record<string, string>> = {
    "slipway-rules.yml": rulesFile(groups),
    "local.yml": scrapeFile(
      { kind: "local", addresses, tokenFile: "/srv/shop/.slipway/metrics/token" },
      cluster,
    ),
    "cluster.yml": scrapeFile({ kind: "cluster" }, cluster),
    "operator.yml": operatorFile(groups.slice(2), cluster),
  };
  for (const [name, text] of Object.entries(written)) {
    const path = join(import.meta.dirname, "testdata", name);
    if (process.env["UPDATE_GOLDEN"] !== undefined) await writeFile(path, text);
    assert.equal(text, await readFile(path, "utf8"), name);
  }
});

test("alerts that are turned off here are written there", () => {
  const names = ruleGroups(configOf({ alerts: false })).flatMap(({ rules }) =>
    rules.flatMap((rule) => ("alert" in rule ? [rule.alert] : [])),
  );
  assert.ok(names.includes("SlipwayErrorBudgetBurn"));
});
