/** What a runtime needs to know to start one attempt of a container. Pure; refusals are ContainerStartErrors. */

import type { Pod } from "@slipway/kube";
import type { ContainerSpec, PodSandboxSpec } from "../runtimes/runtime.ts";
import { type EnvContext, environmentOf, expand } from "./env.ts";
import { mountsOf } from "./volumes.ts";

/** Throws what cannot be given to any pod here. */
export function sandboxSpecOf(pod: Pod): PodSandboxSpec {
  if (pod.spec.hostNetwork === true) {
    throw new Error("local clusters have no host network. Set hostNetwork: false in a local patch.");
  }
  const { uid = "", namespace = "", name } = pod.metadata;
  return {
    uid,
    namespace,
    name,
    // A host name has 63 characters at most; a trailing dash or dot left by the cut would not be one.
    hostname: pod.spec.hostname ?? name.slice(0, 63).replace(/[-.]+$/, ""),
    hostAliases: (pod.spec.hostAliases ?? []).map(({ ip, hostnames = [] }) => ({ ip, hostnames })),
  };
}

export function containerSpecOf(context: EnvContext, attempt: number): ContainerSpec {
  const { pod, container } = context;
  const env = environmentOf(context);
  const expanded = (words: readonly string[] | undefined): readonly string[] | undefined =>
    words?.map((word) => expand(word, (name) => env.get(name)));
  const own = container.securityContext;
  const shared = pod.spec.securityContext;
  return {
    podUid: pod.metadata.uid ?? "",
    name: container.name,
    attempt,
    image: container.image ?? "",
    imagePullPolicy: container.imagePullPolicy ?? "IfNotPresent",
    command: expanded(container.command),
    args: expanded(container.args),
    workingDir: container.workingDir,
    env: [...env].map(([name, value]) => ({ name, value })),
    user: own?.runAsUser ?? shared?.runAsUser,
    group: own?.runAsGroup ?? shared?.runAsGroup,
    runAsNonRoot: own?.runAsNonRoot ?? shared?.runAsNonRoot ?? false,
    readOnlyRootFilesystem: own?.readOnlyRootFilesystem ?? false,
    mounts: mountsOf(context),
    terminationMessagePath: container.terminationMessagePath ?? "/dev/termination-log",
  };
}
