export type { Cluster, ClusterOptions } from "./cluster.ts";
export type { Command, Controller, Decision, Key, Snapshot } from "./controllers/controller.ts";
export { deploymentController } from "./controllers/deployment/decide.ts";
export { replicaSetController, slowStartBatches } from "./controllers/replicaset/decide.ts";
export type * from "./runtimes/runtime.ts";
export { ContainerStartError } from "./runtimes/runtime.ts";
export { removeSandboxLeftovers } from "./runtimes/sandbox/leftovers.ts";
export { probeSandbox, type SandboxProbe } from "./runtimes/sandbox/probe.ts";
export { createSandboxRuntime, type SandboxOptions, type SandboxRuntime } from "./runtimes/sandbox/sandbox.ts";
