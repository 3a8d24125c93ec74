/**
 * The dashboard's server: who watches the clusters, asks the warehouses and answers the pages. Everything that it shows may
 * be missing (no cluster answers, nothing is collected, the disk is full); then it shows the rest and says what is missing.
 */
import { once } from "node:events";
import { type AddressInfo, isIP } from "node:net";
import { SlipwayError } from "@slipway/base";
import type { Node } from "@slipway/kube";
import { VIEWS } from "../../observe/warehouse/duckdb/schema.ts";
import type { QueryLimits } from "../../observe/warehouse/warehouse.ts";
import type { Seen } from "../../release/judge/judge.ts";
import type { ReleaseContext, ReleaseRecord, Target } from "../../release/model.ts";
import type {
  AlertsAnswer,
  CompareAnswer,
  DeedAnswer,
  NowAnswer,
  QueriesAnswer,
  QueryAnswerView,
  ReleaseAnswer,
  ServerEvent,
} from "../../server/api.ts";
import { compareAnswer } from "./answers/compare.ts";
import { releaseDiff } from "./answers/diff.ts";
import { countsByRelease, countsByRoute, countsByService, countsByTime } from "./answers/figures.ts";
import { findLogs, logsWish, newestLines } from "./answers/logs.ts";
import { NOW_MS, nowAnswer } from "./answers/now.ts";
import { beforeOf, lookAtRelease } from "./answers/release.ts";
import { type Known, releasesAnswer, summariesOf, wayBackOf } from "./answers/releases.ts";
import { seriesAnswer, seriesWish } from "./answers/series.ts";
import { createTail } from "./answers/tail.ts";
import { atMost } from "./at-most.ts";
import { muteAlert, parseBody, rollbackRequest, runQuery, saveQuery } from "./bodies.ts";
import { cellsOf } from "./clusters/cells.ts";
import { createPodChanges } from "./clusters/changes.ts";
import { useIn } from "./clusters/use.ts";
import { clusterNow, clusterView, type Use } from "./clusters/view.ts";
import { type ClusterWatch, type Sight, watchCluster } from "./clusters/watch.ts";
import { readAssets } from "./http/assets.ts";
import { badRequest, type Call, type Route } from "./http/route.ts";
import { createPagesServer } from "./http/serve.ts";
import { createSessions } from "./http/sessions.ts";
import { createHub, type Stream } from "./http/streams.ts";
import type { AlertsPort, QueriesPort, RollBack } from "./ports.ts";
import { createPulse } from "./pulse.ts";
import { createRecords } from "./records.ts";
import { askEach, linesOfAll, type Rows, sentenceOf } from "./rows.ts";
import { signInLink } from "./token.ts";

export interface PagesOptions {
  /** Its clients live as long as the pages. */
  readonly release: ReleaseContext;
  readonly place: "world" | "clusters";
  /** The warehouses that answer at the moment, and why those of the other clusters do not; empty when all do. */
  readonly rows: () => { readonly sources: readonly Rows[]; readonly nothing: string };
  /** Calls back after each commit, where that can be known. */
  readonly onCommit?: ((listener: (committed: number) => void) => void) | undefined;
  readonly alerts?: AlertsPort | undefined;
  readonly queries?: QueriesPort | undefined;
  readonly rollBack?: RollBack | undefined;
  /** What pods use. Default: the cluster's metrics.k8s.io. */
  readonly use?: ((target: Target, namespaces: readonly string[]) => Promise<Use>) | undefined;
  readonly token: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Names under which it is reached, beside localhost and addresses. */
  readonly names?: readonly string[] | undefined;
  /** Folder of the built pages. Everything else is served before it is known. */
  readonly assets: string | Promise<string>;
  readonly log: (line: string) => void;
}

export interface Pages {
  /** `http://127.0.0.1:7070` */
  readonly url: string;
  /** Signs in who opens it. */
  readonly link: string;
  readonly port: number;
  close(): Promise<void>;
}

const NOW_EVERY_MS = 1000;
const NOW_FRESH_MS = 300;
const LOOK_EVERY_MS = 2000;
/** Pods change in bursts; what is shorter than this is no step of theirs. */
const STEP_MS = 100;
/** What a page asks of a cluster itself. */
const CLUSTER_MS = 2000;
const TAIL_EVERY_MS = 1000;
const TAIL_LINES = 500;

export async function startPages(options: PagesOptions): Promise<Pages> {
  const { release, token, log } = options;
  const { clock } = release;
  const closing = new AbortController();
  const namespaces = [release.namespace];
  const watches = release.targets.map((target) => watchCluster(target, namespaces, clock));
  const records = createRecords(release, clock);
  const changes = createPodChanges();
  const hub = createHub<ServerEvent>(clock);
  const commits = createPulse(clock);
  const memory = new Map<number, ReadonlyMap<string, Seen>>();
  const use = options.use ?? useIn;
  const sights = (): readonly Sight[] => watches.map((watch) => watch.sight());
  let rollingBack = false;
  let diff: { readonly key: string; readonly text: string } | undefined;
  let lastNow: { readonly at: number; readonly answer: Promise<NowAnswer> } | undefined;

  const limitsOf = (signal: AbortSignal, timeoutMs = 15_000): QueryLimits => ({ signal, timeoutMs });
  const alertsNow = async (): Promise<AlertsAnswer> =>
    (await options.alerts?.list()) ?? { open: [], muted: [], history: [], rules: [] };

  /** Of a release that is looked at each second only its state changes. */
  const diffOf = (known: Known, record: ReleaseRecord): string => {
    const before = beforeOf(known.records, record);
    const key = `${before?.number} ${record.number} ${record.content}`;
    if (diff?.key !== key) diff = { key, text: releaseDiff(before, record) };
    return diff.text;
  };

  /** One answer for all who ask at the same time. */
  const now = (): Promise<NowAnswer> => {
    if (lastNow !== undefined && clock.monotonic() - lastNow.at < NOW_FRESH_MS) return lastNow.answer;
    const answer = answerNow();
    const own = { at: clock.monotonic(), answer };
    lastNow = own;
    answer.catch(() => {
      if (lastNow === own) lastNow = undefined;
    });
    return answer;
  };
  const answerNow = async (): Promise<NowAnswer> => {
    const { signal } = closing;
    const { sources, nothing } = options.rows();
    const at = clock.now();
    const [counted, known, alerts, lines] = await Promise.all([
      countsByService(sources, { fromMs: at - NOW_MS, toMs: at + 60_000 }, limitsOf(signal, 5000)),
      records.current(),
      alertsNow(),
      linesOfAll(sources, nothing),
    ]);
    return nowAnswer({
      at,
      counts: counted.counts,
      clusters: sights().map((sight) => clusterNow(sight, release.service, known)),
      release: summariesOf(known)[0],
      alerts: alerts.open,
      lines,
      // Of some clusters there may be nothing, while there are numbers of others.
      problems: [...counted.problems, ...(sources.length === 0 || nothing === "" ? [] : [nothing])],
    });
  };

  const releaseNow = (known: Known, number: number): ReleaseAnswer => {
    const index = known.records.findIndex((one) => one.number === number);
    const record = known.records[index];
    const summary = summariesOf(known)[index];
    if (record === undefined || summary === undefined) {
      throw new SlipwayError({
        code: "RELEASE_UNKNOWN",
        where: `release ${number}`,
        message: "no cluster remembers it",
        hint: "The history keeps the newest releases; see slipway history.",
      });
    }
    const { answer, memory: next } = lookAtRelease({
      record,
      summary,
      diff: diffOf(known, record),
      sights: sights(),
      changes: changes.of(number),
      kubectl: release.kubectl ?? ((cluster) => `kubectl --context ${cluster}`),
      memory: memory.get(number) ?? new Map(),
      now: clock.now(),
    });
    // Of the one that runs: to look at another meanwhile must not make its waiting begin anew.
    if (summary.outcome === "in-progress") {
      memory.clear();
      memory.set(number, next);
    }
    return answer;
  };

  const routes: readonly Route[] = [
    { path: "/api/now", kind: "read", answer: now },
    {
      path: "/api/series",
      kind: "read",
      async answer({ query, signal }) {
        const wish = seriesWish(query, clock.now());
        const { sources } = options.rows();
        const [{ counts, problems }, known] = await Promise.all([
          countsByTime(sources, wish, limitsOf(signal)),
          records.current(),
        ]);
        refuseNothing(sources, problems);
        return seriesAnswer(wish, counts, summariesOf(known));
      },
    },
    { path: "/api/releases", kind: "read", answer: async () => releasesAnswer(await records.current()) },
    {
      path: "/api/releases/:number",
      kind: "read",
      answer: async ({ part }) => releaseNow(await records.current(), wholeNumber("release", part)),
    },
    { path: "/api/compare", kind: "read", answer: compare },
    {
      path: "/api/logs",
      kind: "read",
      async answer({ query, signal }) {
        const { sources, nothing } = options.rows();
        const wish = logsWish(query, clock.now());
        if (sources.length === 0) throw nothingCollected(nothing);
        const { problems, ...answer } = await findLogs(sources, wish, limitsOf(signal));
        refuseNothing(sources, problems);
        return answer;
      },
    },
    { path: "/api/logs/tail", kind: "stream", open: (call, stream) => void tail(call, stream) },
    { path: "/api/alerts", kind: "read", answer: alertsNow },
    { path: "/api/alerts/mute", kind: "change", answer: mute },
    {
      path: "/api/clusters",
      kind: "read",
      answer: async () => ({ clusters: await Promise.all(watches.map(clusterNowInFull)) }),
    },
    { path: "/api/queries", kind: "read", answer: queries },
    { path: "/api/queries/run", kind: "ask", answer: run },
    { path: "/api/queries/save", kind: "change", answer: save },
    { path: "/api/rollback", kind: "change", answer: roll },
    {
      path: "/api/events",
      kind: "stream",
      open(_call, stream) {
        hub.add(stream);
        commits.beat(); // whoever comes sees what is now, at once
      },
    },
  ];

  async function compare({ query, signal }: Call): Promise<CompareAnswer> {
    const wish = { a: wholeNumber("a", query.get("a")), b: wholeNumber("b", query.get("b")) };
    const asked = { service: query.get("service") ?? "", releases: [wish.a, wish.b] as const };
    const { sources, nothing } = options.rows();
    if (sources.length === 0) throw nothingCollected(nothing);
    const [counted, routed] = await Promise.all([
      countsByRelease(sources, asked, limitsOf(signal)),
      countsByRoute(sources, asked, limitsOf(signal)),
    ]);
    refuseNothing(sources, [...new Set([...counted.problems, ...routed.problems])]);
    return compareAnswer(wish, counted.counts, routed.counts);
  }

  async function tail({ query, signal }: Call, stream: Stream): Promise<void> {
    const lines = createTail(clock.now());
    const wish = new URLSearchParams(query);
    wish.set("limit", String(TAIL_LINES));
    wish.delete("to");
    const ending = AbortSignal.any([signal, stream.closed, closing.signal]);
    while (!ending.aborted) {
      try {
        wish.set("from", String(Math.floor(lines.fromMs())));
        const { sources } = options.rows();
        const found = await newestLines(sources, logsWish(wish, clock.now()), limitsOf(ending, 5000));
        for (const entry of lines.take(found.entries)) if (!stream.send(entry)) return;
      } catch (error) {
        if (!ending.aborted) hub.publish({ kind: "problem", text: sentenceOf(error) });
        return stream.close();
      }
      await clock.sleep(TAIL_EVERY_MS, ending).catch(() => undefined);
    }
    stream.close();
  }

  async function mute({ body }: Call): Promise<object> {
    const wish = parseBody(muteAlert, body);
    if (options.alerts === undefined) throw missing("alerts", "there are none here");
    await options.alerts.mute(wish, release.who);
    return {};
  }

  async function clusterNowInFull(watch: ClusterWatch): Promise<ReturnType<typeof clusterView>> {
    const sight = watch.sight();
    if (sight.away !== undefined) return clusterView(sight, [], { source: sight.away, pods: new Map() });
    const late = `no answer within ${CLUSTER_MS / 1000} s`;
    const [nodes, used] = await Promise.all([
      atMost(clock, CLUSTER_MS, nodesOf(sight.target), () => []),
      atMost(clock, CLUSTER_MS, use(sight.target, namespaces), () => ({ source: late, pods: new Map() })),
    ]);
    return clusterView(sight, nodes, used);
  }

  async function queries(): Promise<QueriesAnswer> {
    const listed = (await options.queries?.list()) ?? { queries: [], dashboards: [], problems: [] };
    return { ...listed, tables: await tablesOf(options.rows().sources) };
  }

  async function run({ body, signal }: Call): Promise<QueryAnswerView> {
    const wish = parseBody(runQuery, body);
    if ("name" in wish) {
      if (options.queries === undefined) throw missing("queries", "there are no named queries here");
      return options.queries.run(wish, limitsOf(signal, 30_000));
    }
    const { sources, nothing } = options.rows();
    if (sources.length === 0) throw nothingCollected(nothing);
    return askEach(sources, wish.sql, {}, limitsOf(signal, 30_000));
  }

  async function save({ body }: Call): Promise<{ readonly file: string }> {
    const { chart, schedule, ...wish } = parseBody(saveQuery, body);
    if (options.queries === undefined) throw missing("queries", "nothing can be saved here");
    return options.queries.save({ ...wish, chart, schedule });
  }

  async function roll({ body }: Call): Promise<DeedAnswer> {
    const { release: leaves, to } = parseBody(rollbackRequest, body);
    if (options.rollBack === undefined) throw missing("rollback", "nothing can be changed from here");
    if (rollingBack) return { started: false, text: "a rollback is going on already" };
    records.expire();
    const way = wayBackOf(await records.current());
    if (way instanceof SlipwayError) return { started: false, text: way.message };
    if (way.leaves !== leaves || way.to !== to) {
      const text = `what would be done now is to go from release ${way.leaves} back to release ${way.to}; look again`;
      return { started: false, text };
    }
    rollingBack = true;
    log(`rolling back release ${leaves} to release ${to}`);
    void options
      .rollBack({ leaves, to }, release.who, closing.signal)
      .then(
        (text) => log(text),
        (error: unknown) => {
          log(sentenceOf(error));
          hub.publish({ kind: "problem", text: `rollback of release ${leaves}: ${sentenceOf(error)}` });
        },
      )
      .finally(() => {
        rollingBack = false;
        records.expire();
        commits.beat();
      });
    return { started: true, text: `release ${leaves} goes back to release ${to}` };
  }

  const server = createPagesServer({
    routes,
    assets: Promise.resolve(options.assets).then(readAssets),
    sessions: createSessions(token, release.random),
    about: { service: release.service, environment: release.environment, place: options.place },
    names: options.names ?? [],
    clock,
    log,
  });
  server.listen(options.port, options.host);
  try {
    await once(server, "listening");
  } catch (error) {
    for (const watch of watches) watch.close();
    records.close();
    throw cannotListen(options, error);
  }
  const { port } = server.address() as AddressInfo;

  options.onCommit?.((committed) => {
    hub.publish({ kind: "committed", committed });
    commits.beat();
  });
  options.alerts?.onChange((incident) => hub.publish({ kind: "incident", incident }, incident.id));
  const loops = [tellNow(), ...watches.map(follow), tellRelease()];

  /** While somebody looks: after each commit, at most each second; without commits every few. */
  async function tellNow(): Promise<void> {
    while (!closing.signal.aborted) {
      await commits.next(LOOK_EVERY_MS, closing.signal);
      if (hub.size === 0 || closing.signal.aborted) continue;
      await now().then(
        (answer) => hub.publish({ kind: "now", now: answer }),
        (error: unknown) => hub.publish({ kind: "problem", text: sentenceOf(error) }),
      );
      await clock.sleep(NOW_EVERY_MS, closing.signal).catch(() => undefined);
    }
  }

  /** What pods go through is kept whether somebody looks or not: a release is looked at when it is over, too. */
  async function follow(watch: ClusterWatch): Promise<void> {
    while (!closing.signal.aborted) {
      const version = watch.version();
      const sight = watch.sight();
      if (sight.away === undefined) {
        const [newest] = await records.current().then(
          (known) => known.records,
          () => [],
        );
        if (newest !== undefined) {
          const at = clock.now();
          changes.look(newest.number, watch.name, cellsOf(watch.name, newest, sight.seen, at), at);
        }
      }
      await clock.sleep(STEP_MS, closing.signal).catch(() => undefined);
      await watch.changed(version, LOOK_EVERY_MS, closing.signal);
    }
  }

  /** The newest release, whenever its page would look different. */
  async function tellRelease(): Promise<void> {
    let told = "";
    while (!closing.signal.aborted) {
      await clock.sleep(NOW_EVERY_MS, closing.signal).catch(() => undefined);
      if (hub.size === 0 || closing.signal.aborted) continue;
      try {
        const known = await records.current();
        const newest = known.records[0];
        if (newest === undefined) continue;
        const answer = releaseNow(known, newest.number);
        const text = JSON.stringify(answer);
        if (text === told) continue;
        told = text;
        hub.publish({ kind: "release", number: newest.number, release: answer });
      } catch (error) {
        hub.publish({ kind: "problem", text: sentenceOf(error) });
      }
    }
  }

  const url = `http://${isIP(options.host) === 6 ? `[${options.host}]` : options.host}:${port}`;
  return {
    url,
    link: signInLink(url, token),
    port,
    async close() {
      closing.abort(new SlipwayError({ code: "INTERRUPTED", message: "the pages ended", exitCode: 130 }));
      hub.close();
      for (const watch of watches) watch.close();
      records.close();
      server.close();
      server.closeAllConnections();
      await Promise.allSettled(loops);
    },
  };
}

/** Without rights to nodes, which are not a namespace's, there are none to show. */
async function nodesOf({ client }: Target): Promise<readonly Node[]> {
  return client.list<Node>({ apiVersion: "v1", kind: "Node" }).then(
    ({ items }) => items,
    () => [],
  );
}

/** What a query may name, for completion: the catalogue itself is not for queries, but each table tells its columns. */
async function tablesOf(sources: readonly Rows[]): Promise<QueriesAnswer["tables"]> {
  const tables = await Promise.all(
    VIEWS.map(async (name) => {
      const answer = await sources[0]
        ?.query(`SELECT * FROM ${name} LIMIT 0`, {}, { timeoutMs: 2000 })
        .catch(() => undefined);
      return { name, columns: (answer?.columns ?? []).map((column) => column.name) };
    }),
  );
  return tables.filter(({ columns }) => columns.length > 0);
}

function wholeNumber(where: string, text: string | null): number {
  const number = Number(text === null || text === "" ? Number.NaN : text);
  if (!Number.isSafeInteger(number) || number < 0)
    throw badRequest(where, "should be the number of a release");
  return number;
}

/** When none of them answered, an empty chart would be a lie. */
function refuseNothing(sources: readonly Rows[], problems: readonly string[]): void {
  if (sources.length === 0 || problems.length < sources.length) return;
  throw new SlipwayError({ code: "OBSERVE_NOTHING", where: "warehouse", message: problems.join("; ") });
}

function nothingCollected(message: string): SlipwayError {
  return new SlipwayError({ code: "OBSERVE_NOTHING", where: "warehouse", message });
}

function missing(where: string, message: string): SlipwayError {
  return new SlipwayError({ code: "PAGES_MISSING", where, message });
}

function cannotListen({ host, port }: PagesOptions, error: unknown): SlipwayError {
  return new SlipwayError({
    code: "PAGES_CANNOT_LISTEN",
    where: `${host}:${port}`,
    message: sentenceOf(error),
    hint: "Choose another port with --port, or 0 for a free one.",
    cause: error,
    exitCode: 3,
  });
}
