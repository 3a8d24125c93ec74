/** The files that `slipway observe prometheus` writes. */
import { stringify } from "yaml";
import type { RuleGroup } from "./rules.ts";

/** How Prometheus reaches what runs: processes of this machine, or the collector and the agents of a cluster. */
export type ScrapePlace =
  | {
      readonly kind: "local";
      /** `127.0.0.1:PORT` by the name of the process. */
      readonly addresses: Readonly<Record<string, string>>;
      readonly tokenFile: string;
    }
  | { readonly kind: "cluster" };

/** What `slipway observe install` makes, as far as Prometheus must know it. */
export interface ClusterPlace {
  readonly namespace: string;
  readonly collector: string;
  readonly agent: string;
  /** Name of the port of both that answers `/metrics`. */
  readonly port: string;
  readonly secret: { readonly name: string; readonly tokenKey: string; readonly caKey: string };
}

export const RULES_FILE = "slipway-rules.yml";

const NAME_LABEL = "app.kubernetes.io/name";
const EVERY = "15s";

export function rulesFile(groups: readonly RuleGroup[]): string {
  return `${header("rules for what observe.slo and observe.alerts promise", "rule_files")}${yaml({ groups })}`;
}

export function scrapeFile(place: ScrapePlace, cluster: ClusterPlace): string {
  const jobs =
    place.kind === "local"
      ? Object.entries(place.addresses).map(([name, address]) => ({
          job_name: `slipway-${name}`,
          authorization: { credentials_file: place.tokenFile },
          static_configs: [{ targets: [address] }],
        }))
      : [clusterJob("collector", cluster.collector, cluster), clusterJob("agent", cluster.agent, cluster)];
  return `${header("a configuration of Prometheus", undefined)}${yaml({
    global: { scrape_interval: EVERY, evaluation_interval: EVERY },
    rule_files: [RULES_FILE],
    scrape_configs: jobs,
  })}`;
}

/** For a Prometheus inside the cluster. */
function clusterJob(job: string, app: string, { namespace, port, secret }: ClusterPlace): unknown {
  const mounted = `/etc/prometheus/secrets/${secret.name}`;
  const meta = "__meta_kubernetes_pod_";
  return {
    job_name: `slipway-${job}`,
    scheme: "https",
    authorization: { credentials_file: `${mounted}/${secret.tokenKey}` },
    // The certificate is the same wherever it runs, and says so.
    tls_config: { ca_file: `${mounted}/${secret.caKey}`, server_name: "localhost" },
    kubernetes_sd_configs: [{ role: "pod", namespaces: { names: [namespace] } }],
    relabel_configs: [
      { source_labels: [`${meta}label_app_kubernetes_io_name`], regex: app, action: "keep" },
      { source_labels: [`${meta}container_port_name`], regex: port, action: "keep" },
      { source_labels: [`${meta}name`], target_label: "pod" },
      { source_labels: [`${meta}node_name`], target_label: "node" },
    ],
  };
}

/** ServiceMonitor, PodMonitor and PrometheusRule of the Prometheus operator. */
export function operatorFile(groups: readonly RuleGroup[], cluster: ClusterPlace): string {
  const { namespace, collector, agent, port, secret } = cluster;
  const metadata = (name: string): unknown => ({ name, namespace, labels: { [NAME_LABEL]: "slipway" } });
  const endpoint = {
    port,
    path: "/metrics",
    scheme: "https",
    interval: EVERY,
    authorization: { credentials: { name: secret.name, key: secret.tokenKey } },
    tlsConfig: {
      ca: { secret: { name: secret.name, key: secret.caKey } },
      serverName: "localhost",
    },
  };
  // `service` and `cluster` are what our figures are about; the operator would give the target's own the name.
  const documents = [
    {
      apiVersion: "monitoring.coreos.com/v1",
      kind: "ServiceMonitor",
      metadata: metadata("slipway-collector"),
      spec: {
        selector: { matchLabels: { [NAME_LABEL]: collector } },
        endpoints: [{ ...endpoint, honorLabels: true }],
      },
    },
    {
      apiVersion: "monitoring.coreos.com/v1",
      kind: "PodMonitor",
      metadata: metadata("slipway-agent"),
      spec: {
        selector: { matchLabels: { [NAME_LABEL]: agent } },
        podMetricsEndpoints: [{ ...endpoint, honorLabels: true }],
      },
    },
    {
      apiVersion: "monitoring.coreos.com/v1",
      kind: "PrometheusRule",
      metadata: metadata("slipway"),
      spec: { groups },
    },
  ];
  return `${header("ServiceMonitor, PodMonitor and PrometheusRule", undefined)}${documents.map(yaml).join("---\n")}`;
}

function header(what: string, where: string | undefined): string {
  const into = where === undefined ? "" : `; Prometheus reads it by ${where}`;
  return `# Written by \`slipway observe prometheus\`: ${what}${into}.\n# Write it again when slipway.config.ts changes.\n`;
}

function yaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
