/** The release meets the cluster: an object of it beside what is there and what would be there. */
import type { AnyObject } from "@slipway/kube";

/** One object of the release as the dry run saw it. */
export interface SeenObject {
  /** As it will be applied. */
  readonly object: AnyObject;
  readonly live: AnyObject | undefined;
  /** With defaults and what the cluster adds; undefined when it could not be tried. */
  readonly after: AnyObject | undefined;
}
