/**
 * Where a line came from. Everything about a request that is the same for all lines of one container (or of one pod
 * behind the edge) is said once here and is a row of the table `sources`; a request only carries the id. So a release
 * that becomes known late is right for all requests of its pods, the earlier ones too.
 */
export interface SourceLabels {
  /**
   * `pod`: standard output of a container · `edge`: the load balancer's own access log, a source for each pod behind
   * it · `import`: files given by hand. A request through the edge to a pod that logs requests is there twice, once of
   * each; see `preferredOrigin`.
   */
  readonly origin: "pod" | "edge" | "import";
  readonly cluster: string;
  readonly namespace: string;
  readonly node: string;
  readonly pod: string;
  readonly container: string;
  /** What people call the service: the name of the Deployment (StatefulSet, DaemonSet, Job), or the edge's route. */
  readonly service: string;
  /** Number of the release that made the pod; 0 while unknown. */
  readonly release: number;
  /** Commit of that release, or the tag of the pod's image; empty when unknown. */
  readonly commit: string;
}

/** One stream of bytes that is read from a position on: `cluster/node/podUid/container/attempt/inode`. */
export interface StreamKey {
  readonly key: string;
  readonly labels: SourceLabels;
  /** stdout and stderr are told apart by the prefix of each line in CRI files; other files are `plain`. */
  readonly framing: "cri" | "plain";
}
