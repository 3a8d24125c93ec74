/** The sandbox by itself, for who runs containers and no cluster: without the API server and the controllers. */
export {
  type ContainerMount,
  ContainerStartError,
  type ImageSource,
  type ResolvedImage,
} from "./runtimes/runtime.ts";
export { removeSandboxLeftovers } from "./runtimes/sandbox/leftovers.ts";
export { probeSandbox, type SandboxProbe } from "./runtimes/sandbox/probe.ts";
export {
  createSandboxRuntime,
  type SandboxOptions,
  type SandboxRuntime,
} from "./runtimes/sandbox/sandbox.ts";
export { findIds, findTool } from "./runtimes/sandbox/system.ts";
