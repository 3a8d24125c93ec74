/** The sandbox by itself, for who runs containers and no cluster: without the API server and the controllers. */
export {
  type ContainerMount,
  ContainerStartError,
  type ImageSource,
  type ResolvedImage,
} from "./runtimes/runtime.ts";
// Its parts, for a builder's single commands.
export { becomeCommand } from "./runtimes/sandbox/become.ts";
export { commandFault } from "./runtimes/sandbox/command.ts";
export { LayerStore, removeUnpacked } from "./runtimes/sandbox/layers.ts";
export { removeSandboxLeftovers } from "./runtimes/sandbox/leftovers.ts";
export { type InsideOptions, type InsideResult, runInside } from "./runtimes/sandbox/own-namespaces.ts";
export { probeSandbox, type SandboxProbe } from "./runtimes/sandbox/probe.ts";
export type { IdMode, Tools } from "./runtimes/sandbox/protocol.ts";
export { type Found, RootView } from "./runtimes/sandbox/root-view.ts";
export {
  createSandboxRuntime,
  type SandboxOptions,
  type SandboxRuntime,
} from "./runtimes/sandbox/sandbox.ts";
export { findIds, findTool, findTools, type Ids } from "./runtimes/sandbox/system.ts";
export { type FlattenJob, type UnpackJob, unpackCommand } from "./runtimes/sandbox/unpack-command.ts";
export { type Identity, resolveIdentity } from "./runtimes/sandbox/users.ts";
