/**
 * What a notification says, free of any vendor: one message that follows a release, with details beside it.
 * `slack/blocks.ts` turns it into Block Kit, `printed.ts` into text.
 */
export interface ReleaseMessage {
  readonly state: "running" | "healthy" | "failed" | "rolled-back" | "unknown" | "interrupted";
  /** `shop: release 3 failed and was rolled back`. */
  readonly title: string;
  /** The cause sentence and its cluster, on top when there is one. */
  readonly cause: string | undefined;
  /** Label and value: commit, author, environment, duration. */
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  /** One line per cluster, in the order of the waves. */
  readonly clusters: readonly { readonly name: string; readonly mark: ClusterMark; readonly text: string }[];
}

export type ClusterMark = "waiting" | "running" | "healthy" | "failed" | "unknown" | "rolled-back";

/** Details that belong under the message: evidence, what to do. */
export interface DetailMessage {
  readonly title: string;
  readonly text: string;
  /** Shown as code. */
  readonly code: string | undefined;
}
