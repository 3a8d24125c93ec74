/** A Compose project, resolved: no variables, no files, no inheritance left. The same whoever resolved it. */
import type { ServiceSpec } from "../engines/engine.ts";
import type { Place } from "./tree.ts";

export interface ComposeProject {
  readonly name: string;
  /** Those of the chosen profiles, in the order of the file. */
  readonly services: readonly ComposeService[];
  /** Services of profiles that were not chosen, with those profiles. */
  readonly inactive: ReadonlyMap<string, readonly string[]>;
}

export interface ComposeService extends Omit<ServiceSpec, "image"> {
  readonly build: ComposeBuild | undefined;
  /** A reference; with `build`, the name that the result gets. */
  readonly image: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly place: Place;
  /** Where each of its keys was written. */
  readonly keys: ReadonlyMap<string, Place>;
}

export interface ComposeBuild {
  /** Absolute. */
  readonly context: string;
  /** Absolute. */
  readonly dockerfile: string;
  readonly args: Readonly<Record<string, string>>;
  readonly target: string | undefined;
}
