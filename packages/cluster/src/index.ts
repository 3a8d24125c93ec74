export type { Cluster, ClusterOptions } from "./cluster.ts";
export type { Command, Controller, Decision, Key, Snapshot } from "./controllers/controller.ts";
export type * from "./runtimes/runtime.ts";
export { ContainerStartError } from "./runtimes/runtime.ts";
