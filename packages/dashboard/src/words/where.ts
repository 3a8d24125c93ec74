/** What is said of a cluster of a release: before there is a verdict, the step that it is at says more. */
export function isUnderWay({ verdict, step }: { readonly verdict: string; readonly step: string }): boolean {
  // Done and not started: the release ended before it came to this cluster.
  return verdict === "not-started" && step !== "pending" && step !== "done";
}
