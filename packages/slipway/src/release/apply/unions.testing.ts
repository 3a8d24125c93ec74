/** Deployments of which one part changes its kind, for the tests on the embedded API and on a real one. */
import type { AnyObject } from "@slipway/kube";

export interface Parts {
  readonly container?: object;
  readonly pod?: object;
  readonly spec?: object;
}

export function deploymentWith(name: string, namespace: string, parts: Parts): AnyObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      ...parts.spec,
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: "web", image: "web:1", ...parts.container }], ...parts.pod },
      },
    },
  };
}

export interface ChoiceCase {
  readonly name: string;
  readonly before: Parts;
  readonly after: Parts;
  /**
   * Server-side apply alone is refused, whoever put the old choice there: everywhere, or by Kubernetes 1.20 only, which
   * does not yet take a reference to a field or a key for one value.
   */
  readonly refusedPlain?: "everywhere" | "1.20";
  /** Nothing comes in its place, so what another manager put there stays its own. */
  readonly isDropped?: true;
}

const http = { httpGet: { path: "/", port: 80 } };
const command = { exec: { command: ["true"] } };
const volume = (source: object): Parts => ({ pod: { volumes: [{ name: "v", ...source }] } });
const env = (source: object): Parts => ({ container: { env: [{ name: "A", ...source }] } });
const field = { valueFrom: { fieldRef: { fieldPath: "metadata.name" } } };

export const choiceCases: readonly ChoiceCase[] = [
  {
    name: "a readiness probe from httpGet to exec",
    before: { container: { readinessProbe: http } },
    after: { container: { readinessProbe: command } },
    refusedPlain: "everywhere",
  },
  {
    name: "a liveness probe from httpGet to tcpSocket",
    before: { container: { livenessProbe: http } },
    after: { container: { livenessProbe: { tcpSocket: { port: 80 } } } },
    refusedPlain: "everywhere",
  },
  {
    name: "a startup probe from tcpSocket to httpGet",
    before: { container: { startupProbe: { tcpSocket: { port: 80 } } } },
    after: { container: { startupProbe: http } },
  },
  {
    name: "a preStop hook from httpGet to exec",
    before: { container: { lifecycle: { preStop: http } } },
    after: { container: { lifecycle: { preStop: command } } },
    refusedPlain: "everywhere",
  },
  {
    name: "a probe and a hook that are dropped",
    before: { container: { readinessProbe: http, lifecycle: { preStop: http, postStart: command } } },
    after: { container: { lifecycle: { postStart: command } } },
    isDropped: true,
  },
  {
    name: "two probes at once, and the image",
    before: { container: { readinessProbe: http, livenessProbe: http } },
    after: { container: { readinessProbe: command, livenessProbe: command, image: "web:2" } },
    refusedPlain: "everywhere",
  },
  {
    name: "a strategy from RollingUpdate to Recreate",
    before: {},
    after: { spec: { strategy: { type: "Recreate" } } },
    refusedPlain: "everywhere",
  },
  {
    name: "a volume from emptyDir to configMap",
    before: volume({ emptyDir: {} }),
    after: volume({ configMap: { name: "c", optional: true } }),
    refusedPlain: "everywhere",
  },
  {
    name: "a volume from emptyDir with a limit to secret",
    before: volume({ emptyDir: { sizeLimit: "1Gi" } }),
    after: volume({ secret: { secretName: "s", optional: true } }),
  },
  {
    name: "a volume from configMap to secret",
    before: volume({ configMap: { name: "c", optional: true } }),
    after: volume({ secret: { secretName: "s", optional: true } }),
    refusedPlain: "everywhere",
  },
  {
    name: "a volume from configMap to emptyDir",
    before: volume({ configMap: { name: "c", optional: true, items: [{ key: "k", path: "p" }] } }),
    after: volume({ emptyDir: {} }),
    refusedPlain: "everywhere",
  },
  { name: "a variable from a value to a field", before: env({ value: "x" }), after: env(field) },
  {
    name: "a variable from a field to a value",
    before: env(field),
    after: env({ value: "x" }),
    refusedPlain: "1.20",
  },
  {
    name: "a variable from a field to a Secret",
    before: env(field),
    after: env({ valueFrom: { secretKeyRef: { name: "s", key: "k", optional: true } } }),
    refusedPlain: "1.20",
  },
];
