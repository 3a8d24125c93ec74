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

/** Where `slipway observe install` puts the collector and the agents of a service. */
export interface ClusterPlace {
  readonly service: string;
  readonly namespace: string;
}

export const RULES_FILE = "slipway-rules.yml";

/** As `slipway observe install` makes them. The agents have no certificate: their figures go in the clear. */
const PARTS = {
  collector: { port: "https", scheme: "https" },
  agent: { port: "metrics", scheme: "http" },
} as const;
type Part = keyof typeof PARTS;
const SERVICE_LABEL = "slipway.dev/observe";
const PART_LABEL = "app.kubernetes.io/component";
/** Of the collector's Secret: a token that opens nothing but /metrics, and who signed the certificate. */
const TOKEN_KEY = "metrics-token";
const CA_KEY = "ca.crt";
/** The certificate is the same wherever it runs, and says so. */
const SERVER_NAME = "localhost";
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
      : [clusterJob("collector", cluster), clusterJob("agent", cluster)];
  return `${header("a configuration of Prometheus", undefined)}${yaml({
    global: { scrape_interval: EVERY, evaluation_interval: EVERY },
    rule_files: [RULES_FILE],
    scrape_configs: jobs,
  })}`;
}

/** For a Prometheus inside the cluster, with the collector's Secret mounted. */
function clusterJob(part: Part, { service, namespace }: ClusterPlace): unknown {
  const { port, scheme } = PARTS[part];
  const mounted = `/etc/prometheus/secrets/${secretOf(service)}`;
  const meta = "__meta_kubernetes_pod_";
  return {
    job_name: `slipway-${part}`,
    scheme,
    authorization: { credentials_file: `${mounted}/${TOKEN_KEY}` },
    ...(scheme === "http"
      ? {}
      : { tls_config: { ca_file: `${mounted}/${CA_KEY}`, server_name: SERVER_NAME } }),
    kubernetes_sd_configs: [{ role: "pod", namespaces: { names: [namespace] } }],
    relabel_configs: [
      { source_labels: [`${meta}label_slipway_dev_observe`], regex: service, action: "keep" },
      { source_labels: [`${meta}label_app_kubernetes_io_component`], regex: part, action: "keep" },
      { source_labels: [`${meta}container_port_name`], regex: port, action: "keep" },
      { source_labels: [`${meta}name`], target_label: "pod" },
      { source_labels: [`${meta}node_name`], target_label: "node" },
    ],
  };
}

/** ServiceMonitor, PodMonitor and PrometheusRule of the Prometheus operator. */
export function operatorFile(groups: readonly RuleGroup[], { service, namespace }: ClusterPlace): string {
  const object = (kind: string, name: string, spec: unknown): unknown => ({
    apiVersion: "monitoring.coreos.com/v1",
    kind,
    metadata: { name, namespace, labels: { "app.kubernetes.io/managed-by": "slipway" } },
    spec,
  });
  const selector = (part: Part): unknown => ({
    matchLabels: { [SERVICE_LABEL]: service, ...(part === "agent" ? { [PART_LABEL]: part } : {}) },
  });
  const endpoint = (part: Part): unknown => ({
    port: PARTS[part].port,
    path: "/metrics",
    scheme: PARTS[part].scheme,
    interval: EVERY,
    // `service` and `cluster` are what our figures are about; the target's own would take the names.
    honorLabels: true,
    authorization: { credentials: { name: secretOf(service), key: TOKEN_KEY } },
    ...(part === "agent"
      ? {}
      : {
          tlsConfig: {
            ca: { secret: { name: secretOf(service), key: CA_KEY } },
            serverName: SERVER_NAME,
          },
        }),
  });
  const documents = [
    object("ServiceMonitor", `slipway-${service}-collector`, {
      selector: selector("collector"),
      endpoints: [endpoint("collector")],
    }),
    object("PodMonitor", `slipway-${service}-agent`, {
      selector: selector("agent"),
      podMetricsEndpoints: [endpoint("agent")],
    }),
    object("PrometheusRule", `slipway-${service}`, { groups }),
  ];
  return `${header("ServiceMonitor, PodMonitor and PrometheusRule", undefined)}${documents.map(yaml).join("---\n")}`;
}

function secretOf(service: string): string {
  return `slipway-${service}-collector`;
}

function header(what: string, where: string | undefined): string {
  const into = where === undefined ? "" : `; Prometheus reads it by ${where}`;
  return `# Written by \`slipway observe prometheus\`: ${what}${into}.\n# Write it again when slipway.config.ts changes.\n`;
}

function yaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
