/** Where the collector of a cluster is: what `slipway observe install` makes and the dashboard looks for. */
export const COLLECTOR = {
  namespace: "slipway-observe",
  /** On its Pod, of which there is one. */
  labels: { "app.kubernetes.io/name": "slipway-collector" },
  /** Where it answers (`answers.ts`), inside the pod alone: who may forward to it is a matter of the cluster's rights. */
  port: 9417,
  /** Its token, in a Secret of the namespace. */
  secret: { name: "slipway-collector", key: "token" },
} as const;
