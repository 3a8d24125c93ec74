export { type Cluster, type ClusterOptions, startCluster } from "./cluster.ts";
export { allControllers } from "./controllers/all.ts";
export type { Command, Controller, Decision, Key, Snapshot } from "./controllers/controller.ts";
export { deploymentController } from "./controllers/deployment/decide.ts";
export { type Limits, limitsOf } from "./controllers/deployment/strategy.ts";
export { disruptionController } from "./controllers/disruption/disruption.ts";
export { endpointsController } from "./controllers/endpoints/endpoints.ts";
export { endpointSliceController } from "./controllers/endpointslice/endpointslice.ts";
export { eventTtlController } from "./controllers/garbage/events.ts";
export { garbageController } from "./controllers/garbage/garbage.ts";
export { namespaceContentsController } from "./controllers/namespace/contents.ts";
export { namespaceController } from "./controllers/namespace/namespace.ts";
export { createNodeLifecycleController } from "./controllers/nodelifecycle/nodelifecycle.ts";
export { replicaSetController } from "./controllers/replicaset/decide.ts";
export { schedulerController } from "./controllers/scheduler/scheduler.ts";
export { createDriver, type Driver, type DriverOptions } from "./drive/driver.ts";
export { EGRESS_ANNOTATION, serviceRoutes } from "./routes.ts";
export type * from "./runtimes/runtime.ts";
export { ContainerStartError } from "./runtimes/runtime.ts";
export { removeSandboxLeftovers } from "./runtimes/sandbox/leftovers.ts";
export { probeSandbox, type SandboxProbe } from "./runtimes/sandbox/probe.ts";
export {
  createSandboxRuntime,
  type SandboxOptions,
  type SandboxRuntime,
} from "./runtimes/sandbox/sandbox.ts";
export type { Behaviour, Behaviours } from "./runtimes/simulated/behaviour.ts";
export { createSimulatedRuntime, type SimulatedRuntime } from "./runtimes/simulated/runtime.ts";
export { type Certificates, ensureCertificates, issueClientCertificate } from "./server/certificate.ts";
export { type KubeconfigFacts, kubeconfig } from "./server/kubeconfig.ts";
export type { PodExecOptions, PodStreams } from "./server/pods.ts";
export { type ApiServer, type ApiServerOptions, createApiServer } from "./server/server.ts";
export { type Actor, type CheckedWorld, type Checker, Violation } from "./world/checkers/checker.ts";
export { FAULTS, type Fault, FaultCounts, type Faults, MANY_FAULTS, NO_FAULTS } from "./world/faults.ts";
export { ORDINARY_POD, type PodBehaviour } from "./world/pods.ts";
export { Transcript } from "./world/transcript.ts";
export { createWorld, type World, type WorldOptions } from "./world/world.ts";
