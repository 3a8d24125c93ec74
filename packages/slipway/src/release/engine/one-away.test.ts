/**
 * One of two clusters misbehaves in each of the ways that servers do, over real HTTP: the other one is planned,
 * released to and shown all the same, and what is wrong with the one is said.
 */
import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { type Clock, SlipwayError, systemClock } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import { createHttpClient, type HttpClientOptions } from "@slipway/kube";
import { unlock } from "../lock/freeze.ts";
import type { ReleaseContext, RenderedRelease } from "../model.ts";
import { deploy, history, hold, planRelease, planRollback, rollback, status, unhold } from "../release.ts";
import { behaviours, contextOf, rendered, targetsOf } from "../testing.ts";

let cluster: Cluster;
let count = 0;
const closers: (() => void)[] = [];
before(async () => {
  cluster = await startCluster({ name: "tokyo", behaviours });
});
after(async () => {
  for (const close of closers) close();
  await cluster.stop();
});

const answering =
  (code: number, text: string): RequestListener =>
  (_request, response) =>
    void response.writeHead(code).end(text);

/** As Kubernetes says it when a role binding is missing. */
const forbidding: RequestListener = (_request, response) => {
  response.writeHead(403, { "content-type": "application/json" }).end(
    JSON.stringify({
      ...{
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Failure",
        reason: "Forbidden",
        code: 403,
      },
      message: 'secrets is forbidden: User "ci" cannot list resource "secrets" in the namespace "default"',
    }),
  );
};

/** What a server does with every request, and what is said of it. */
const ways: readonly [
  how: string,
  listener: RequestListener,
  said: RegExp,
  options?: Partial<HttpClientOptions>,
][] = [
  ["never answers", () => undefined, /no answer from .* within 300 ms/, { timeoutMs: 300 }],
  [
    "stops in the middle of an answer",
    (_request, response) => void response.writeHead(200).write('{"items":['),
    /no answer from .* within 300 ms/,
    { timeoutMs: 300 },
  ],
  [
    "resets every connection",
    ({ socket }) => void socket.resetAndDestroy(),
    /cannot reach .*(hang up|ECONNRESET)/,
  ],
  ["is overloaded", answering(429, "too many requests"), /too many requests/],
  ["is in trouble", answering(500, "etcdserver: no leader"), /no leader/],
  ["is behind a sad proxy", answering(503, "no healthy upstream"), /no healthy upstream/],
  ["does not know us", answering(401, "Unauthorized"), /Unauthorized/],
  [
    "forbids everything",
    forbidding,
    /^it answers, but forbids: secrets is forbidden: User "ci" .*\n {2}Give whoever runs this .*slipway rights/,
  ],
  ["is behind a proxy that knows no such place", answering(404, "404 page not found"), /page not found/],
  ["takes us for another protocol", answering(400, "HTTP request to an HTTPS server"), /HTTPS server/],
  [
    "is not in the kubeconfig",
    answering(200, "{}"),
    /^no context "gke_osaka" in kubeconfig\n {2}Known: gke_tokyo\./,
    {
      credentials: {
        current: () =>
          Promise.reject(
            new SlipwayError({
              code: "KUBECONFIG_NO_CONTEXT",
              message: 'no context "gke_osaka" in kubeconfig',
              hint: "Known: gke_tokyo.",
              exitCode: 3,
            }),
          ),
        refused: async () => false,
      },
    },
  ],
  ["answers in another language", answering(200, "<html>log in</html>"), /is not JSON/],
  [
    "gives us no credentials",
    answering(200, "{}"),
    /plugin is not installed\n {2}Install it\./,
    {
      credentials: {
        current: () =>
          Promise.reject(
            new SlipwayError({
              code: "CREDENTIALS_PLUGIN",
              message: "plugin is not installed",
              hint: "Install it.",
              exitCode: 3,
            }),
          ),
        refused: async () => false,
      },
    },
  ],
];

/** Long patience is longer: on a busy machine what a server says may come late, and is still what is told. */
const patient: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms >= 3_000 ? 20 * ms : ms, signal),
};

async function withOneAway(
  listener: RequestListener,
  options: Partial<HttpClientOptions> | undefined,
): Promise<ReleaseContext> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const retries = { attempts: 2, firstMs: 1, maxMs: 1 };
  const client = createHttpClient({ name: "osaka", url, retries, ...options });
  closers.push(() => {
    void client.close();
    server.closeAllConnections();
    server.close();
  });
  count += 1;
  return contextOf([...targetsOf([cluster]), { name: "osaka", client, place: `context osaka at ${url}` }], {
    service: `shop${count}`,
    clock: patient,
  });
}

/** Each service has objects of its own names: they all share one namespace. */
const releaseOf = (tag: string, service: string): RenderedRelease =>
  rendered(tag, { service, name: service, setting: service });

describe("a cluster that", () => {
  for (const [how, listener, said, options] of ways) {
    it(`${how} does not keep a release from the other one`, async () => {
      const context = await withOneAway(listener, options);
      const { service } = context;
      const refused = await planRelease(context, releaseOf("v1", service));
      assert.deepEqual(
        refused.refusals.map(({ code, where }) => `${code} ${where}`),
        ["CLUSTER_UNREACHABLE clusters/osaka"],
      );
      assert.match(refused.refusals[0]?.message ?? "", said);
      const result = await deploy(context, releaseOf("v1", service), { skipUnreachable: true });
      assert.deepEqual(
        result.clusters.map(({ name, verdict }) => [name, verdict]),
        [
          ["tokyo", "healthy"],
          ["osaka", "unknown"],
        ],
      );
      assert.equal(result.record.outcome, "unknown");
      const report = await status(context);
      const [tokyo, osaka] = report.clusters;
      assert.deepEqual([tokyo?.reachable, osaka?.reachable], [true, false]);
      assert.match(osaka?.reason ?? "", said);
    });

    it(`${how} does not keep the other one from going back, nor its history, locks and holds from being seen`, async () => {
      const context = await withOneAway(listener, options);
      const alone = { ...context, targets: context.targets.slice(0, 1) };
      for (const tag of ["v1", "v2"]) {
        const { exitCode } = await deploy(alone, releaseOf(tag, context.service));
        assert.equal(exitCode, 0);
      }
      assert.deepEqual(
        (await history(context)).map(({ number }) => number),
        [2, 1],
      );
      await hold(context, 2);
      assert.deepEqual((await unhold(context, 2)).missing, ["osaka"]);
      const [tokyo, osaka] = await unlock(context);
      assert.deepEqual([tokyo?.failed, osaka?.did], [undefined, undefined]);
      assert.match(osaka?.failed ?? "", said);
      assert.match((await planRollback(context, { to: 1 })).unreachable.get("osaka") ?? "", said);
      const back = await rollback(context, { to: 1 });
      assert.deepEqual(
        back.clusters.map(({ name, verdict, reason }) => [name, verdict, said.test(reason ?? "")]),
        [
          ["tokyo", "healthy", false],
          ["osaka", "unknown", true],
        ],
      );
      assert.equal(back.exitCode, 1);
      const wish = { clusters: ["tokyo"], to: 2 };
      const { warnings } = await planRollback(context, wish);
      assert.match(warnings.join("\n"), /^osaka cannot be asked and gets no record of this/m);
      const named = await rollback(context, wish);
      assert.deepEqual([named.exitCode, named.clusters.map(({ name }) => name)], [0, ["tokyo"]]);
    });
  }
});

/** A clock whose seconds are short, so that patience ends soon; long enough for the cluster that is well. */
const hurried: Clock = { ...systemClock, sleep: (ms, signal) => systemClock.sleep(ms / 8, signal) };

describe("a cluster that hangs", () => {
  /** Each test has a server of its own: what one has sent, and another would hear late, is not that one's. */
  const hanging = (): { readonly asked: string[]; readonly listener: RequestListener } => {
    const asked: string[] = [];
    return { asked, listener: ({ url }) => void asked.push((url ?? "").split("?")[0] as string) };
  };
  const commands: readonly [name: string, run: (context: ReleaseContext) => Promise<unknown>][] = [
    ["status", (context) => status(context)],
    ["history", (context) => history(context)],
    ["unlock", (context) => unlock(context)],
    ["release hold", (context) => hold(context, 2)],
    ["rollback", (context) => rollback(context, { to: 1 })],
    [
      "deploy --skip-unreachable",
      (context) => deploy(context, releaseOf("v3", context.service), { skipUnreachable: true }),
    ],
  ];
  for (const [name, run] of commands) {
    it(`is asked once by ${name}, and not waited for as long as a request may take`, async () => {
      const isDeploy = name.startsWith("deploy");
      const { asked, listener } = hanging();
      const base = await withOneAway(listener, { timeoutMs: isDeploy ? 200 : 60_000 });
      const context = { ...base, clock: hurried };
      const alone = { ...base, targets: base.targets.slice(0, 1) };
      for (const tag of ["v1", "v2"]) await deploy(alone, releaseOf(tag, context.service));
      await run(context);
      const once = ["/api/v1/namespaces/default/secrets", ...(isDeploy ? [] : ["/version"])];
      // One that is given up before it was heard was not asked twice either.
      const isAskedOnce = asked.every((path, index) => once.includes(path) && asked.indexOf(path) === index);
      assert.ok(isAskedOnce, `asked for ${asked.join(", ")}`);
    });
  }

  it("is not asked again by a command that knows it already", async () => {
    const { asked, listener } = hanging();
    const context = { ...(await withOneAway(listener, { timeoutMs: 60_000 })), clock: hurried };
    const { service } = context;
    const knownAway = new Map([["osaka", "no sign of life"]]);
    await deploy(context, releaseOf("v1", service), { skipUnreachable: true, knownAway });
    await deploy(context, releaseOf("v2", service), { skipUnreachable: true, knownAway });
    await rollback(context, { to: 1, knownAway });
    assert.deepEqual(asked, []);
  });

  it("is told to whoever waits for the status, and is then shown as away", async () => {
    const context = { ...(await withOneAway(hanging().listener, { timeoutMs: 60_000 })), clock: hurried };
    const slow: string[] = [];
    const report = await status(context, { onSlow: (cluster) => slow.push(cluster) });
    assert.deepEqual(slow, ["osaka"]);
    assert.deepEqual(
      report.clusters.map(({ name, reachable, reason }) => [name, reachable, reason]),
      [
        ["tokyo", true, undefined],
        ["osaka", false, "no sign of life for 10 s"],
      ],
    );
  });
});
