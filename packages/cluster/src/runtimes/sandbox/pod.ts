/** What the agent knows of a pod and its containers. */
import type { PodNetwork } from "./pod-networks.ts";
import type { StartContainer } from "./protocol.ts";
import type { Identity } from "./users.ts";

export interface Pod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
  readonly network: PodNetwork;
  readonly directory: string;
  readonly containers: Map<string, Container>;
  readonly starting: Set<Promise<unknown>>;
  stopping: boolean;
}

export interface Container {
  readonly spec: StartContainer;
  readonly identity: Identity;
  readonly environment: readonly string[];
  /** Of the container's process 1, as the agent sees it. */
  readonly pid: number;
  readonly startedAtMs: number;
  readonly exited: Promise<void>;
  running: boolean;
}
