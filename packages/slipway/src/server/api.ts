/**
 * What the dashboard and the observer say to each other, as JSON over HTTP. Types only: the browser imports them.
 * Served by `observer/` (for the local world, in a cluster as the collector, and by `slipway dashboard`).
 *
 *   POST /api/session { token }              SessionAnswer, and the cookie
 *   GET  /api/session                        SessionAnswer    of the session that the cookie names: after a reload
 *   POST /api/session/end                    {}               forgets the cookie
 *   GET  /api/now                            NowAnswer
 *   GET  /api/series?service&from&to&step    SeriesAnswer     times in ms; step in s; service "" is all
 *   GET  /api/releases                       ReleasesAnswer
 *   GET  /api/releases/NUMBER                ReleaseAnswer
 *   GET  /api/compare?service&a&b            CompareAnswer
 *   GET  /api/logs?…LogsQuery                LogsAnswer
 *   GET  /api/alerts                         AlertsAnswer
 *   GET  /api/clusters                       ClustersAnswer
 *   GET  /api/queries                        QueriesAnswer
 *   POST /api/queries/run                    RunQuery → QueryAnswer
 *   POST /api/queries/save                   SaveQuery → { file }
 *   POST /api/alerts/mute                    MuteAlert → {}
 *   POST /api/rollback                       RollbackRequest → DeedAnswer     starts it; progress comes as events
 *   GET  /api/events                         server-sent events: ServerEvent as `data`, at most one of a kind each second
 *   GET  /api/logs/tail?…LogsQuery           server-sent events: LogEntry as `data`
 *
 * A link that signs in carries the token behind `#token=`: a fragment is not sent to any server, so it enters no log.
 * GET needs the session's cookie, made from the token by POST /api/session. POST needs the cookie, the header
 * `x-slipway-csrf` with the value that /api/session answered, and, to change something (a rollback, a mute, a saved
 * file), the token again as `confirm` in its body. Errors: { error: { code, where?, message, hint? } } with a status of
 * 4xx or 5xx; 401 SESSION_MISSING asks for the token again, 403 CONFIRM_WRONG says that only `confirm` was wrong, 429 that
 * too many wrong tokens came.
 */
export type Cell = string | number | boolean | null;

export interface SessionAnswer {
  readonly csrf: string;
  readonly service: string;
  readonly environment: string;
  /** `slipway dashboard` for real clusters asks several warehouses; the world has one. */
  readonly place: "world" | "clusters";
}

export interface Traffic {
  readonly requests: number;
  readonly perSecond: number;
  /** 5xx, not 499. */
  readonly errors: number;
  readonly errorRatio: number;
  /** ms; undefined without requests. From merged histograms: at most 9 % above the exact value. */
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly p99: number | undefined;
}

export interface NowAnswer {
  readonly at: number;
  /** Over the last 5 minutes. */
  readonly services: readonly ServiceNow[];
  readonly clusters: readonly ClusterNow[];
  /** The newest release; undefined before the first. */
  readonly release: ReleaseSummary | undefined;
  readonly alerts: readonly Incident[];
  /** Lines in = requests + logs + quarantine. */
  readonly lines: LineFigures;
}

export interface LineFigures {
  readonly read: number;
  readonly requests: number;
  readonly logs: number;
  readonly quarantine: number;
  /** Bytes that were lost before they could be read. */
  readonly gaps: number;
  /** Newest stored line behind the newest written one, ms. */
  readonly lagMs: number;
  /** Health checks among the requests, which no figure counts. */
  readonly probes: number;
  readonly problem: string | undefined;
}

export interface ServiceNow {
  readonly service: string;
  readonly traffic: Traffic;
  readonly byRelease: readonly {
    readonly release: number;
    readonly commit: string;
    readonly traffic: Traffic;
  }[];
  readonly byCluster: readonly { readonly cluster: string; readonly traffic: Traffic }[];
}

export interface ClusterNow {
  readonly name: string;
  readonly reachable: boolean;
  readonly reason: string | undefined;
  /** The release whose objects are there. */
  readonly release: number | undefined;
  readonly pods: { readonly ready: number; readonly wanted: number };
}

export interface SeriesAnswer {
  readonly service: string;
  readonly stepMs: number;
  /** Begin of each step, ms. */
  readonly times: readonly number[];
  readonly requests: readonly number[];
  readonly errors: readonly number[];
  readonly p50: readonly (number | null)[];
  readonly p95: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
  /** Requests by status class, in the order of `times`: 2xx, 3xx, 4xx, 499, 5xx. */
  readonly classes: Readonly<Record<string, readonly number[]>>;
  readonly markers: readonly DeployMarker[];
}

export interface DeployMarker {
  readonly at: number;
  readonly release: number;
  readonly kind: "deploy" | "rollback";
  readonly outcome: string;
}

export interface ReleaseSummary {
  readonly number: number;
  readonly kind: "deploy" | "rollback";
  readonly outcome: string;
  readonly commit: string;
  readonly message: string;
  readonly who: string;
  readonly from: string;
  readonly startedAt: number;
  readonly finishedAt: number | undefined;
  readonly clusters: readonly { readonly name: string; readonly verdict: string; readonly step: string }[];
  /** One sentence, when it failed. */
  readonly cause: string | undefined;
  readonly held: boolean;
}

export interface ReleasesAnswer {
  readonly releases: readonly ReleaseSummary[];
  /** Which one a rollback would go to; undefined with the reason why none. */
  readonly rollbackTo: number | undefined;
  readonly noRollback: string | undefined;
}

/** One pod on the page of a release: a cell whose colour follows its state. */
export interface PodCell {
  readonly cluster: string;
  readonly name: string;
  readonly workload: string;
  readonly revision: "new" | "old";
  readonly state: "pending" | "starting" | "running" | "ready" | "failing" | "terminating" | "gone";
  /** What it waits for, in one line; empty when nothing. */
  readonly why: string;
  readonly restarts: number;
  readonly since: number;
}

/** One step of a pod's life. Together with the live cells they draw the release over time. */
export interface PodChange {
  readonly at: number;
  readonly cluster: string;
  readonly name: string;
  readonly revision: PodCell["revision"];
  readonly state: PodCell["state"];
}

export interface CauseView {
  readonly cluster: string;
  readonly code: string;
  readonly sentence: string;
  readonly advice: string;
  readonly command: string | undefined;
  readonly evidence: readonly { readonly title: string; readonly text: string }[];
}

export interface ReleaseAnswer {
  readonly release: ReleaseSummary;
  readonly waves: readonly (readonly string[])[];
  readonly pods: readonly PodCell[];
  /** Oldest first; as far as somebody watched while the release ran, so it may be empty. At most 5,000. */
  readonly changes: readonly PodChange[];
  readonly waiting: readonly {
    readonly cluster: string;
    readonly text: string;
    readonly untilMs: number | undefined;
  }[];
  readonly causes: readonly CauseView[];
  readonly gates: readonly {
    readonly wave: number;
    readonly name: string;
    readonly outcome: string;
    readonly said: string;
    readonly values: Readonly<Record<string, number | string>>;
  }[];
  /** To the release before, as `slipway plan` writes it; secrets masked. */
  readonly diff: string;
}

/** Histograms have 8 buckets for each doubling, from 1 ms on: bucket i holds times up to 2^(i/8) ms. */
export interface CompareSide {
  readonly release: number;
  readonly commit: string;
  readonly traffic: Traffic;
  readonly histogram: readonly number[];
  readonly classes: Readonly<Record<string, number>>;
}

export interface CompareAnswer {
  readonly a: CompareSide;
  readonly b: CompareSide;
  /** Routes with at least 100 requests on both sides, the slowest-grown first. */
  readonly routes: readonly {
    readonly route: string;
    readonly requests: readonly [number, number];
    readonly p95: readonly [number, number];
    readonly errorRatio: readonly [number, number];
  }[];
  /** What can be said, in one sentence, and when nothing can: too little traffic. */
  readonly verdict: string;
}

export interface LogsQuery {
  readonly service?: string;
  readonly cluster?: string;
  readonly pod?: string;
  readonly release?: string;
  /** `requests`, `logs`, or both when absent. */
  readonly kind?: string;
  /** `2xx`, `4xx`, `5xx` … of requests. */
  readonly class?: string;
  /** Text that a line must contain. */
  readonly grep?: string;
  readonly from?: string;
  readonly to?: string;
  /** Default 500, at most 5,000; the newest. */
  readonly limit?: string;
}

export interface LogEntry {
  readonly ts: number;
  readonly cluster: string;
  readonly service: string;
  readonly pod: string;
  readonly container: string;
  readonly release: number;
  readonly stream: "stdout" | "stderr" | "request";
  readonly severity: string;
  readonly text: string;
  readonly status: number | undefined;
}

export interface LogsAnswer {
  readonly entries: readonly LogEntry[];
  readonly isTruncated: boolean;
  readonly facets: Readonly<Record<string, readonly { readonly value: string; readonly count: number }[]>>;
}

export interface Incident {
  readonly id: string;
  readonly rule: string;
  readonly state: "firing" | "resolved" | "muted";
  readonly severity: "page" | "ticket" | "info";
  readonly service: string;
  readonly cluster: string;
  readonly release: number | undefined;
  readonly title: string;
  /** Numbers, top route, redacted sample lines. */
  readonly facts: readonly { readonly name: string; readonly value: string }[];
  readonly openedAt: number;
  readonly changedAt: number;
  readonly resolvedAt: number | undefined;
  readonly mutedUntil: number | undefined;
  /** The release that its rollback would go back to. */
  readonly rollbackTo: number | undefined;
}

export interface AlertsAnswer {
  readonly open: readonly Incident[];
  readonly muted: readonly Incident[];
  readonly history: readonly Incident[];
  readonly rules: readonly { readonly name: string; readonly text: string; readonly state: string }[];
}

export interface MuteAlert {
  /** Incident or name of a rule. */
  readonly id: string;
  /** 0 takes the mute away. */
  readonly forMs: number;
  readonly reason: string;
  readonly confirm: string;
}

export interface ClustersAnswer {
  readonly clusters: readonly {
    readonly name: string;
    readonly reachable: boolean;
    readonly nodes: readonly { readonly name: string; readonly ready: boolean; readonly version: string }[];
    readonly pods: readonly {
      readonly name: string;
      readonly namespace: string;
      readonly node: string;
      readonly phase: string;
      readonly ready: boolean;
      readonly restarts: number;
      readonly startedAt: number | undefined;
      /** Cores and bytes; undefined where nobody measures. */
      readonly cpu: number | undefined;
      readonly memory: number | undefined;
      readonly memoryLimit: number | undefined;
      readonly throttled: number | undefined;
      /** Where Prometheus is asked: restarts, and whether one of them was for want of memory. */
      readonly lastHour?: { readonly restarts: number; readonly outOfMemory: boolean } | undefined;
    }[];
    readonly events: readonly {
      readonly at: number;
      readonly type: string;
      readonly reason: string;
      readonly object: string;
      readonly message: string;
      readonly count: number;
    }[];
    /** Where cpu and memory come from: `sandbox`, `prometheus`, `metrics.k8s.io`, or why there are none. */
    readonly resources: string;
  }[];
}

export interface NamedQueryView {
  readonly name: string;
  readonly title: string;
  readonly sql: string;
  readonly parameters: readonly { readonly name: string; readonly type: string; readonly default: Cell }[];
  readonly chart: ChartView | undefined;
  readonly schedule: string | undefined;
  readonly lastRun:
    | { readonly at: number; readonly ok: boolean; readonly problem: string | undefined }
    | undefined;
}

export interface ChartView {
  readonly kind: "line" | "bar" | "table";
  readonly x: string;
  readonly y: readonly string[];
}

export interface DashboardView {
  readonly name: string;
  readonly title: string;
  readonly panels: readonly {
    readonly query: string;
    readonly title: string;
    readonly parameters: Readonly<Record<string, Cell>>;
  }[];
}

export interface QueriesAnswer {
  readonly queries: readonly NamedQueryView[];
  readonly dashboards: readonly DashboardView[];
  /** Files of either that cannot be read, and why. */
  readonly problems: readonly { readonly where: string; readonly message: string }[];
  /** Tables and columns, for completion. */
  readonly tables: readonly { readonly name: string; readonly columns: readonly string[] }[];
}

export type RunQuery =
  | { readonly name: string; readonly parameters: Readonly<Record<string, Cell>> }
  | { readonly sql: string };

export interface SaveQuery {
  readonly name: string;
  readonly title: string;
  readonly sql: string;
  readonly chart: ChartView | undefined;
  readonly schedule: string | undefined;
  readonly confirm: string;
}

export interface QueryAnswerView {
  readonly columns: readonly {
    readonly name: string;
    readonly type: "number" | "text" | "time" | "boolean";
  }[];
  readonly rows: readonly (readonly Cell[])[];
  readonly isTruncated: boolean;
  readonly elapsedMs: number;
  readonly committed: number;
}

export interface RollbackRequest {
  /** Release that is left, and the one to go to, as the page showed them: refused when either has changed since. */
  readonly release: number;
  readonly to: number;
  readonly confirm: string;
}

export interface DeedAnswer {
  readonly started: boolean;
  readonly text: string;
}

export type ServerEvent =
  | { readonly kind: "committed"; readonly committed: number }
  | { readonly kind: "now"; readonly now: NowAnswer }
  | { readonly kind: "release"; readonly number: number; readonly release: ReleaseAnswer }
  | { readonly kind: "incident"; readonly incident: Incident }
  | { readonly kind: "problem"; readonly text: string };
