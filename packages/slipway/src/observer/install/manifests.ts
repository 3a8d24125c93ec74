/**
 * The objects of a collector and its agents in one namespace. Pure. What each of them may do, and why, stands in
 * docs/guide/rights.md.
 */
import type { AnyObject } from "@slipway/kube";
import { AGENT_METRICS_PORT, type CollectorInput, MOUNTED, PODS_LOGS, PORT } from "../collector/input.ts";

export interface InstallInput {
  readonly collector: CollectorInput;
  /** With its digest. */
  readonly image: string;
  /** Of a volume that outlives the pod; undefined: the lines go with the pod. */
  readonly storage: string | undefined;
  /** Default class of the cluster when undefined. */
  readonly storageClass?: string | undefined;
  /** Texts of the Secret. */
  readonly secrets: Secrets;
  /** Of what the programs are given; pods start anew when it changes. */
  readonly checksum: string;
}

export const SECRET_KEYS = [
  "agent-token",
  "read-token",
  "metrics-token",
  "alertmanager-token",
  "ca.crt",
  "tls.crt",
  "tls.key",
] as const;
export type SecretKey = (typeof SECRET_KEYS)[number];
/** Those that are given and not made: what incidents are told with. */
export const SLACK_KEYS = ["slack-bot-token", "slack-webhook-url"] as const;
export type SlackKey = (typeof SLACK_KEYS)[number];
export type Secrets = Readonly<Record<SecretKey, string> & Partial<Record<SlackKey, string>>>;

export interface Names {
  readonly agent: string;
  readonly collector: string;
}

const OBSERVE_LABEL = "slipway.dev/observe";
const UID = 65532;

export function namesOf(service: string): Names {
  return { agent: `slipway-${service}-agent`, collector: `slipway-${service}-collector` };
}

/** In the order in which they are applied: the agents find the Service by the variables that kubelet makes of it. */
export function installObjects(input: InstallInput): readonly AnyObject[] {
  const { collector, secrets, storage } = input;
  const { service } = collector;
  const { agent, collector: name } = namesOf(service);
  const object = (apiVersion: string, kind: string, rest: object, named = name): AnyObject =>
    ({
      apiVersion,
      kind,
      metadata: { name: named, namespace: collector.namespace, labels: labelsOf(service) },
      ...rest,
    }) as AnyObject;
  return [
    object("v1", "ServiceAccount", { automountServiceAccountToken: false }),
    object("v1", "ServiceAccount", { automountServiceAccountToken: false }, agent),
    object("rbac.authorization.k8s.io/v1", "Role", { rules: rulesOf(collector.readsReleases) }),
    object("rbac.authorization.k8s.io/v1", "RoleBinding", {
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name, namespace: collector.namespace }],
    }),
    object("v1", "Secret", {
      type: "Opaque",
      data: Object.fromEntries(Object.entries(secrets).map(([key, text]) => [key, base64(text)])),
    }),
    object("v1", "ConfigMap", { data: { "collector.json": JSON.stringify(collector) } }),
    ...(storage === undefined
      ? []
      : [
          object("v1", "PersistentVolumeClaim", {
            spec: {
              accessModes: ["ReadWriteOnce"],
              resources: { requests: { storage } },
              ...(input.storageClass === undefined ? {} : { storageClassName: input.storageClass }),
            },
          }),
        ]),
    object("v1", "Service", {
      spec: {
        selector: selectorOf(service, "collector"),
        ports: [{ name: "https", port: PORT, targetPort: PORT, protocol: "TCP" }],
      },
    }),
    object("apps/v1", "Deployment", { spec: collectorSpec(input, name) }),
    object("apps/v1", "DaemonSet", { spec: agentSpec(input, name, agent) }, agent),
  ];
}

/** Release records are Secrets, and RBAC knows no rights by label: with them come all Secrets of the namespace. */
function rulesOf(readsReleases: boolean): readonly object[] {
  const read = (resources: readonly string[]): object => ({
    apiGroups: [""],
    resources,
    verbs: ["get", "list", "watch"],
  });
  return [read(["pods"]), ...(readsReleases ? [read(["secrets"])] : [])];
}

function labelsOf(service: string): Readonly<Record<string, string>> {
  return {
    "app.kubernetes.io/managed-by": "slipway",
    "app.kubernetes.io/name": "slipway-observe",
    [OBSERVE_LABEL]: service,
  };
}

export function selectorOf(service: string, part: "agent" | "collector"): Readonly<Record<string, string>> {
  return { [OBSERVE_LABEL]: service, "app.kubernetes.io/component": part };
}

/** One at a time: two would open the same warehouse. */
function collectorSpec(input: InstallInput, name: string): object {
  const { service } = input.collector;
  const data =
    input.storage === undefined ? { emptyDir: {} } : { persistentVolumeClaim: { claimName: name } };
  return {
    replicas: 1,
    strategy: { type: "Recreate" },
    selector: { matchLabels: selectorOf(service, "collector") },
    template: {
      metadata: templateMetadata(input, "collector"),
      spec: {
        serviceAccountName: name,
        automountServiceAccountToken: true,
        terminationGracePeriodSeconds: 30,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: UID,
          runAsGroup: UID,
          fsGroup: UID,
          seccompProfile: { type: "RuntimeDefault" },
        },
        containers: [
          {
            name: "collector",
            image: input.image,
            command: ["node", "/app/collector.js"],
            env: [{ name: "UV_THREADPOOL_SIZE", value: "16" }],
            ports: [{ name: "https", containerPort: PORT, protocol: "TCP" }],
            readinessProbe: { httpGet: { path: "/healthz", port: PORT, scheme: "HTTPS" }, periodSeconds: 5 },
            livenessProbe: {
              httpGet: { path: "/healthz", port: PORT, scheme: "HTTPS" },
              initialDelaySeconds: 60,
              periodSeconds: 30,
              timeoutSeconds: 10,
            },
            resources: { requests: { cpu: "50m", memory: "256Mi" }, limits: { memory: "1Gi" } },
            securityContext: LOCKED,
            volumeMounts: [
              { name: "data", mountPath: "/data" },
              { name: "tmp", mountPath: "/tmp" },
              { name: "given", mountPath: MOUNTED, readOnly: true },
            ],
          },
        ],
        volumes: [
          { name: "data", ...data },
          { name: "tmp", emptyDir: {} },
          {
            name: "given",
            projected: {
              sources: [
                { configMap: { name } },
                {
                  secret: {
                    name,
                    items: Object.keys(input.secrets)
                      .filter((key) => key !== "ca.crt")
                      .map((key) => ({ key, path: key })),
                  },
                },
              ],
            },
          },
        ],
      },
    },
  };
}

/**
 * On every node, tainted ones too. It runs as root, because kubelet's log files belong to root and are closed to others;
 * of what makes root dangerous it has nothing: no capability, no token, a file system that it cannot write.
 */
function agentSpec(input: InstallInput, collector: string, name: string): object {
  const { service, namespace, cluster } = input.collector;
  const host = `${collector.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}_SERVICE_HOST`;
  return {
    selector: { matchLabels: selectorOf(service, "agent") },
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%" } },
    template: {
      metadata: templateMetadata(input, "agent"),
      spec: {
        serviceAccountName: name,
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 10,
        tolerations: [{ operator: "Exists" }],
        securityContext: { runAsUser: 0, runAsGroup: 0, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "agent",
            image: input.image,
            command: ["node", "--max-old-space-size=96", "/app/agent.js"],
            env: [
              { name: "SLIPWAY_COLLECTOR", value: `$(${host})` },
              { name: "SLIPWAY_NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
              { name: "SLIPWAY_NAMESPACE", value: namespace },
              { name: "SLIPWAY_CLUSTER", value: cluster },
            ],
            ports: [{ name: "metrics", containerPort: AGENT_METRICS_PORT, protocol: "TCP" }],
            resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "192Mi" } },
            securityContext: LOCKED,
            volumeMounts: [
              { name: "logs", mountPath: PODS_LOGS, readOnly: true },
              { name: "given", mountPath: MOUNTED, readOnly: true },
            ],
          },
        ],
        volumes: [
          { name: "logs", hostPath: { path: PODS_LOGS, type: "DirectoryOrCreate" } },
          {
            name: "given",
            secret: {
              secretName: collector,
              items: ["agent-token", "metrics-token", "ca.crt"].map((key) => ({ key, path: key })),
            },
          },
        ],
      },
    },
  };
}

const LOCKED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
} as const;

function templateMetadata({ collector, checksum }: InstallInput, part: "agent" | "collector"): object {
  return {
    labels: { ...labelsOf(collector.service), ...selectorOf(collector.service, part) },
    annotations: { "slipway.dev/given": checksum },
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
