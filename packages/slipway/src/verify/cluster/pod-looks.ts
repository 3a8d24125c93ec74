/** Pods of an embedded cluster are processes of this machine: they are looked into as the sandbox engine's containers are. */
import type { SandboxRuntime } from "@slipway/cluster/sandbox";
import { Looks } from "../engines/sandbox/looks.ts";
import type { ClusterProjectOptions } from "./project.ts";

export function podLooks(runtime: SandboxRuntime): NonNullable<ClusterProjectOptions["looks"]> {
  return (pod, container) => {
    const [first = "10", second = "244"] = (pod.status?.podIP ?? "").split(".");
    return new Looks({ runtime, podUid: pod.metadata.uid ?? "", container, prefix: `${first}.${second}.` });
  };
}
