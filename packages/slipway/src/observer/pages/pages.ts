/**
 * The dashboard's server: who watches the clusters, asks the warehouses and answers the pages. Everything that it shows may
 * be missing (no cluster answers, nothing is collected, the disk is full); then it shows the rest and says what is missing.
 */
import { once } from "node:events";
import { type AddressInfo, isIP } from "node:net";
import { SlipwayError } from "@slipway/base";
import type { Node } from "@slipway/kube";
import type { ReleaseContext, Target } from "../../release/model.ts";
import type { AlertsAnswer, ServerEvent } from "../../server/api.ts";
import { releasesAnswer } from "./answers/releases.ts";
import { atMost } from "./at-most.ts";
import { muteAlert, parseBody, saveQuery } from "./bodies.ts";
import { createPodChanges } from "./clusters/changes.ts";
import { useIn } from "./clusters/use.ts";
import { clusterView, type Use } from "./clusters/view.ts";
import { type ClusterWatch, watchCluster } from "./clusters/watch.ts";
import { createCurrent } from "./current.ts";
import { readAssets } from "./http/assets.ts";
import { type Call, missing, type Route, releaseNumber } from "./http/route.ts";
import { createPagesServer } from "./http/serve.ts";
import { createSessions } from "./http/sessions.ts";
import { createHub } from "./http/streams.ts";
import { tellLive } from "./live.ts";
import type { AlertsPort, QueriesPort, RollBack } from "./ports.ts";
import { createPulse } from "./pulse.ts";
import { createQuestions } from "./questions.ts";
import { createRecords } from "./records.ts";
import { createRollback } from "./rollback.ts";
import { type RowsNow, sentenceOf } from "./rows.ts";
import { signInLink } from "./token.ts";

export interface PagesOptions {
  /** Its clients live as long as the pages. */
  readonly release: ReleaseContext;
  readonly place: "world" | "clusters";
  readonly rows: () => RowsNow;
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

/** What a page asks of a cluster itself. */
const CLUSTER_MS = 2000;

export async function startPages(options: PagesOptions): Promise<Pages> {
  const { release, token, log } = options;
  const { clock } = release;
  const closing = new AbortController();
  const { signal } = closing;
  const namespaces = [release.namespace];
  const watches = release.targets.map((target) => watchCluster(target, namespaces, clock));
  const records = createRecords(release, clock);
  const changes = createPodChanges();
  const hub = createHub<ServerEvent>(clock);
  const commits = createPulse(clock);
  const use = options.use ?? useIn;
  const tellProblem = (text: string): void => hub.publish({ kind: "problem", text });
  const alerts = async (): Promise<AlertsAnswer> =>
    (await options.alerts?.list()) ?? { open: [], muted: [], history: [], rules: [] };
  const current = createCurrent({
    ...{ release, rows: options.rows, records, changes, alerts, signal },
    sights: () => watches.map((watch) => watch.sight()),
  });
  const questions = createQuestions({
    ...{ rows: options.rows, records, named: options.queries, clock },
    closing: signal,
  });
  const rollBack = createRollback({
    ...{ rollBack: options.rollBack, release, records, signal, log },
    onEnd(problem) {
      if (problem !== undefined) tellProblem(problem);
      commits.beat();
    },
  });

  const routes: readonly Route[] = [
    { path: "/api/now", kind: "read", answer: current.now },
    { path: "/api/series", kind: "read", answer: questions.series },
    { path: "/api/releases", kind: "read", answer: async () => releasesAnswer(await records.current()) },
    {
      path: "/api/releases/:number",
      kind: "read",
      answer: async ({ part }) => current.release(await records.current(), releaseNumber("release", part)),
    },
    { path: "/api/compare", kind: "read", answer: questions.compare },
    { path: "/api/logs", kind: "read", answer: questions.logs },
    {
      path: "/api/logs/tail",
      kind: "stream",
      open: (call, stream) =>
        void questions.tail(call, stream).catch((error: unknown) => tellProblem(sentenceOf(error))),
    },
    { path: "/api/alerts", kind: "read", answer: alerts },
    { path: "/api/alerts/mute", kind: "change", answer: mute },
    {
      path: "/api/clusters",
      kind: "read",
      answer: async () => ({ clusters: await Promise.all(watches.map(clusterInFull)) }),
    },
    { path: "/api/queries", kind: "read", answer: questions.queries },
    { path: "/api/queries/run", kind: "ask", answer: questions.run },
    { path: "/api/queries/save", kind: "change", answer: save },
    { path: "/api/rollback", kind: "change", answer: rollBack },
    {
      path: "/api/events",
      kind: "stream",
      open(_call, stream) {
        hub.add(stream);
        commits.beat(); // whoever comes sees what is now, at once
      },
    },
  ];

  async function mute({ body }: Call): Promise<object> {
    const wish = parseBody(muteAlert, body);
    if (options.alerts === undefined) throw missing("alerts", "there are none here");
    await options.alerts.mute(wish, release.who);
    return {};
  }

  async function save({ body }: Call): Promise<{ readonly file: string }> {
    const { chart, schedule, ...wish } = parseBody(saveQuery, body);
    if (options.queries === undefined) throw missing("queries", "nothing can be saved here");
    return options.queries.save({ ...wish, chart, schedule });
  }

  async function clusterInFull(watch: ClusterWatch): Promise<ReturnType<typeof clusterView>> {
    const sight = watch.sight();
    if (sight.away !== undefined) return clusterView(sight, [], { source: sight.away, pods: new Map() });
    const late = `no answer within ${CLUSTER_MS / 1000} s`;
    const [nodes, used] = await Promise.all([
      atMost(clock, CLUSTER_MS, nodesOf(sight.target), () => []),
      atMost(clock, CLUSTER_MS, use(sight.target, namespaces), () => ({ source: late, pods: new Map() })),
    ]);
    return clusterView(sight, nodes, used);
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
  const telling = tellLive({ current, records, watches, changes, commits, hub, clock, signal });

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
      await telling;
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
