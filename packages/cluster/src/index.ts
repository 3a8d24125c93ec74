export type { Cluster, ClusterOptions } from "./cluster.ts";
export type { Command, Controller, Decision, Key, Snapshot } from "./controllers/controller.ts";
export { deploymentController } from "./controllers/deployment/decide.ts";
export { replicaSetController, slowStartBatches } from "./controllers/replicaset/decide.ts";
export type * from "./runtimes/runtime.ts";
export { ContainerStartError } from "./runtimes/runtime.ts";
