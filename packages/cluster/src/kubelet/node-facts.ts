/** What a kubelet is told about its node; nothing of it is measured. */
import type { Quantity } from "@slipway/kube";

export interface NodeFacts {
  readonly name: string;
  /** InternalIP, and every pod's hostIP. */
  readonly address: string;
  readonly capacity: Readonly<Record<string, Quantity>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly podCIDR: string;
  readonly nodeInfo: Readonly<Record<string, string>>;
}
