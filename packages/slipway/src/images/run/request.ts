/** One RUN instruction, ready to be run: nothing in it has to be looked up in a Dockerfile any more. */
import type { Descriptor } from "../oci.ts";

export interface RunRequest {
  /** The file system that the command sees and changes, the lowest layer first. */
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly string[];
  readonly argv: readonly string[];
  /** `NAME=value`; PATH and HOME are added where they are missing. */
  readonly env: readonly string[];
  /** As USER says it. */
  readonly user: string;
  readonly workingDir: string;
  readonly network: "host" | "none";
  readonly mounts: readonly RunMount[];
  readonly onOutput?: (text: string) => void;
}

/** What `RUN --mount` shows to the command and leaves out of the layer. */
export type RunMount =
  | {
      readonly kind: "cache";
      /** Two commands with the same id share the folder. */
      readonly id: string;
      readonly target: string;
      readonly isReadOnly: boolean;
      /** Whether others wait until this command is done. */
      readonly isLocked: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly kind: "secret";
      readonly id: string;
      readonly target: string;
      readonly content: Uint8Array;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly kind: "bind";
      readonly target: string;
      /** A layer with the files, and the path in it that is shown. */
      readonly layer: Descriptor;
      readonly diffId: string;
      readonly path: string;
    }
  | { readonly kind: "tmpfs"; readonly target: string; readonly sizeBytes: number | undefined };

/** What a command left: an archive of what it changed, or its failure. */
export type RunOutcome =
  | {
      readonly kind: "done";
      /** Tar of overlay's upper folder; gone after `dispose`. */
      readonly archive: string;
      dispose(): Promise<void>;
    }
  | { readonly kind: "failed"; readonly exitCode: number; readonly lastLines: readonly string[] };
