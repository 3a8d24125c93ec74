/**
 * Agents and collector on a real Kubernetes: a pod writes through several rotations of its log by kubelet, while the
 * agent and the collector are killed; every line is stored once. Then people ask, upgrade, and take it away.
 *
 * SLIPWAY_REAL_KUBERNETES names the program that starts the cluster (see stories/real-place.ts); cluster `a` is a full
 * node whose containerd pulls from a registry on localhost:5000.
 */
import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { exec, systemClock, systemRandom, until } from "@slipway/base";
import type { AnyObject, KubeClient, Pod, ReplicaSet, Secret } from "@slipway/kube";
import { emptyProject, jsonLines, type Project } from "../../../../../stories/testing.ts";
import { openContext } from "../../clusters/context.ts";
import { dataOrFile, findContext, readKubeconfig } from "../../clusters/kubeconfig.ts";
import { makeAccount, openAs } from "../../clusters/testing.ts";
import { type Registry, startRegistry } from "../../images/registry/registry.ts";
import { bucketOf } from "../../observe/counts/histogram.ts";
import { rightsFor } from "../../release/rights/rights.ts";
import type { AlertsAnswer, ClustersAnswer, LogsAnswer, NowAnswer } from "../../server/api.ts";
import { signIn } from "../pages/testing.ts";
import { type CollectorClient, reachCollector } from "../reach-collector.ts";
import { type CountingCluster, countServed } from "../served.ts";

const program = process.env["SLIPWAY_REAL_KUBERNETES"];
const skip = program === undefined ? "SLIPWAY_REAL_KUBERNETES is not set: there is no real cluster" : false;
const service = `observed-${process.pid}`;
const collectorName = `slipway-${service}-collector`;
const cleanups: (() => Promise<unknown>)[] = [];
let client: KubeClient;
let project: Project;
let image = "";

/** About 150 bytes each on the node: 24 MB, which kubelet rotates twice at 10 MiB. */
const LINES = 160_000;
const WRITER = `let n = 0; const timer = setInterval(() => { let text = ""; for (let i = 0; i < 200 && n < ${LINES}; i += 1) { n += 1;
text += "line " + n + " " + "x".repeat(90) + "\\n"; } process.stdout.write(text); if (n >= ${LINES}) { clearInterval(timer); setInterval(() => {}, 1e6); } }, 50);`;

/** Takes an incoming webhook's messages, and writes them down. */
const SLACK = `require("node:http").createServer((request, response) => { let body = ""; request.on("data", (piece) => { body += piece; });
request.on("end", () => { console.log("told " + body); response.end("ok"); }); }).listen(8080);`;

/** As nginx writes them: all well, or one of ten fails. */
const answering = (
  status: string,
): string => `let n = 0; setInterval(() => { const [, day, month, year, time] = new Date().toUTCString().split(" ");
console.log("192.0.2.7 - - [" + day + "/" + month + "/" + year + ":" + time + " +0000] \\"GET /pay?token=secret HTTP/1.1\\" " +
(${status}) + " 12 \\"-\\" \\"curl/8.5.0\\" 0.031 0.030"); }, 100);`;
const FAILING = answering("n++ % 10 === 5 ? 502 : 200");

before(async () => {
  if (program === undefined) return;
  const status = await exec([program, "status"]);
  const wasUp = /^a kube-apiserver running$/m.test(status.stdout);
  const up = await exec([program, "up", "a"]);
  if (!wasUp) cleanups.push(() => exec([program, "down", "a"]));
  assert.equal(up.exitCode, 0, up.stdout + up.stderr);
  const kubeconfig = up.stdout.trim().split("\n").at(-1) as string;
  const file = readKubeconfig({ KUBECONFIG: kubeconfig });
  const context = file.contexts[0]?.name ?? "";
  const options = { env: {}, clock: systemClock, random: systemRandom(), isTerminal: false };
  client = (await openContext("tokyo", context, file, options)).client;
  cleanups.push(() => client.close());
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: service } });
  cleanups.push(() => client.delete({ apiVersion: "v1", kind: "Namespace", name: service }));
  const images = await mkdtemp(join(tmpdir(), "slipway-registry-"));
  cleanups.push(() => rm(images, { recursive: true, force: true }));
  const registry: Registry = await startRegistry({ directory: images, port: 5000 });
  cleanups.push(() => registry.close());
  project = await emptyProject();
  cleanups.push(() => project.remove());
  project.env["KUBECONFIG"] = kubeconfig;
  await project.write(
    "slipway.config.ts",
    `import { context, defineConfig } from "slipway";
export default defineConfig({
  name: "${service}",
  manifests: ["k8s/"],
  environments: {
    real: {
      clusters: { tokyo: context("${context}") },
      namespace: "${service}",
      registry: "localhost:5000/observed",
      allowHostBases: ["slipway/node"],
    },
  },
});
`,
  );
  await project.write("k8s/settings.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\n");
});

after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const slipway = (...args: readonly string[]) => project.ok(...args, "--env", "real");
const podsOf = async (part: string): Promise<readonly Pod[]> =>
  (
    await client.list<Pod>(
      { apiVersion: "v1", kind: "Pod" },
      { namespace: service, labelSelector: `app.kubernetes.io/component=${part}` },
    )
  ).items;
const collector = async (): Promise<CollectorClient> =>
  (await reachCollector("tokyo", client, { namespace: service, service })) as CollectorClient;
const count = async (sql: string): Promise<number> =>
  Number((await (await collector()).query(sql)).rows[0]?.[0]);

const open = async () => (await (await collector()).ask<AlertsAnswer>("alerts")).open;
/** What the stand-in of Slack was sent. */
const told = async (): Promise<string> =>
  text(await client.logs({ namespace: service, name: "slack" }, { container: "slack" }));

/**
 * This cluster's controller manager was started without --root-ca-file: tokens of its ServiceAccounts come without the
 * authority of the API server, which every other cluster puts beside them.
 */
async function trustApiServer(): Promise<void> {
  const file = readKubeconfig({ KUBECONFIG: project.env["KUBECONFIG"] });
  const { cluster } = findContext(file, file.contexts[0]?.name ?? "", "test");
  const ca = dataOrFile(cluster, cluster["certificate-authority-data"], cluster["certificate-authority"]);
  await client.create({
    ...{ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: collectorName, namespace: service } },
  });
  const token = await until("the account's token", async () => {
    const { items } = await client.list<Secret>({ apiVersion: "v1", kind: "Secret" }, { namespace: service });
    return items.find(({ metadata }) => metadata.name.startsWith(`${collectorName}-token-`));
  });
  const { name } = token.metadata;
  const data = { "ca.crt": Buffer.from(ca ?? "").toString("base64") };
  await client.patch({ apiVersion: "v1", kind: "Secret", namespace: service, name }, "merge", { data });
}

/** A volume that outlives its pod, on a cluster that makes none by itself. */
async function makeVolume(): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), "slipway-volume-"));
  cleanups.push(() => rm(path, { recursive: true, force: true }));
  await chmod(path, 0o777);
  const name = service;
  await client.create({
    ...{ apiVersion: "v1", kind: "PersistentVolume", metadata: { name } },
    spec: {
      ...{ capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], storageClassName: service },
      hostPath: { path },
    },
  } as AnyObject);
  cleanups.push(() => client.delete({ apiVersion: "v1", kind: "PersistentVolume", name }));
}

/** What a gate asks for, with nothing but the rights that `slipway rights` prints for a deploy with such a gate. */
async function countedByReplicaSet(): Promise<void> {
  const subjects = [{ kind: "ServiceAccount", name: "deployer", namespace: service }] as const;
  const { manifests } = rightsFor({
    ...{ service, namespace: service, rendered: { objects: [] }, purpose: "deploy", subjects },
    forwardsPorts: true,
  });
  const account = await makeAccount(client, { namespace: service, name: "deployer", rights: manifests });
  cleanups.push(() => account.remove());
  const deployer = await openAs("deployer", project.env["KUBECONFIG"] as string, account);
  cleanups.push(() => deployer.close());
  const cluster: CountingCluster = {
    name: "tokyo",
    reach: () => reachCollector("tokyo", deployer, { namespace: service, service }),
  };
  const { items } = await client.list<ReplicaSet>(
    { apiVersion: "apps/v1", kind: "ReplicaSet" },
    { namespace: service, labelSelector: "app=pay" },
  );
  const question = { startedAt: systemClock.now(), signal: new AbortController().signal };
  const { counts, before = [], missing } = await countServed([cluster], systemClock, question);
  assert.deepEqual(missing, []);
  assert.deepEqual(
    counts.map(({ service: of, replicaSet }) => [of, replicaSet]),
    items.map(({ metadata }) => ["pay", metadata.name]),
  );
  const [{ requests = 0, errors = 0, times = [] } = {}] = before;
  assert.ok(errors > 0 && requests > errors, `${errors} of ${requests}`);
  assert.deepEqual([times.length - 1, times.at(-1)], [bucketOf(31), requests]);
}

test("install brings up the collector and an agent on the node, and says what it did", { skip }, async () => {
  await makeVolume();
  await trustApiServer();
  const planned = await slipway("observe", "install", "--dry-run");
  assert.match(planned.stdout, /kind: DaemonSet/);
  assert.deepEqual(await podsOf("collector"), [], "a dry run applies nothing");
  const { stdout } = await slipway("observe", "install", "--storage", "1Gi", "--storage-class", service);
  assert.match(stdout, /tokyo: collector ready, agents on 1 of 1 nodes/);
  image = /pushed (\S+@sha256:\w+)/.exec(stdout)?.[1] ?? "";
  assert.match(
    (await slipway("observe", "status")).stdout,
    /^tokyo {2}collector ready, agents on 1 of 1 nodes/,
  );
});

test("every line of a pod is stored once, through rotations and deaths of agent and collector", {
  skip,
}, async () => {
  await client.create({
    ...{ apiVersion: "apps/v1", kind: "Deployment" },
    metadata: { name: "web", namespace: service, labels: { "slipway.dev/service": service } },
    spec: {
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: { containers: [{ name: "web", image, command: ["node", "-e", WRITER] }] },
      },
    },
  } as AnyObject);
  const follow = project.start("logs", "web", "-f", "--tail", "200000", "--env", "real");
  const stored = (): Promise<number> =>
    count("SELECT count(*) FROM logs WHERE service = 'web'").catch(() => 0);
  await until("the first lines", async () => (await stored()) > 1000, { timeoutMs: 60_000, everyMs: 500 });
  for (const part of ["agent", "collector", "agent"]) {
    const [pod] = await podsOf(part);
    await client.delete(
      { apiVersion: "v1", kind: "Pod", namespace: service, name: pod?.metadata.name as string },
      { gracePeriodSeconds: 0 },
    );
    const before = await stored();
    await until(`lines after the death of the ${part}`, async () => (await stored()) > before, {
      ...{ timeoutMs: 120_000, everyMs: 500 },
    });
  }
  await until("all lines", async () => (await stored()) >= LINES, {
    ...{ timeoutMs: 240_000, everyMs: 1000 },
    describe: () => follow.text().slice(-200),
  });
  assert.equal(await stored(), LINES);
  assert.equal(await count("SELECT count(DISTINCT text) FROM logs WHERE service = 'web'"), LINES);
  assert.equal(await count("SELECT count(*) FROM gaps"), 0);
  assert.equal(await count("SELECT count(DISTINCT node) FROM logs WHERE service = 'web' AND node != ''"), 1);

  await until("the follower to have seen the last line", () => follow.text().includes(`line ${LINES} `), {
    timeoutMs: 60_000,
  });
  follow.child.kill("SIGINT");
  await follow.ended;
  const told = follow.text().match(/ {2}line \d+ /g) ?? [];
  assert.equal(new Set(told).size, told.length, "nothing is told twice");
});

test("stored lines are found when their pod is gone", { skip }, async () => {
  await client.delete({ apiVersion: "apps/v1", kind: "Deployment", namespace: service, name: "web" });
  const { stdout } = await slipway("logs", "web", "--since", "1h", "--grep", `line ${LINES} `);
  assert.match(stdout, new RegExp(`^tokyo web-\\S+ {2}line ${LINES} x+$`, "m"));
});

test("the dashboard of this machine shows what the collector has", { skip }, async () => {
  const running = project.start("dashboard", "--env", "real", "--json");
  await running.sees('"link"');
  const { link } = jsonLines({ code: 0, stdout: running.text(), stderr: "", text: "" }).find(
    (line) => line["link"] !== undefined,
  ) as { link: string };
  const { hash, port } = new URL(link);
  const reader = await signIn(Number(port), decodeURIComponent(hash.replace("#token=", "")));
  const { lines } = await until("the cluster", async () => {
    const now = await reader.get<NowAnswer>("/api/now");
    return now.clusters.length === 1 && now.clusters[0]?.reachable ? now : undefined;
  });
  assert.equal(lines.problem, undefined);
  assert.ok(lines.logs >= LINES);
  const grep = encodeURIComponent(`line ${LINES} `);
  const { entries } = await reader.get<LogsAnswer>(`/api/logs?kind=logs&service=web&grep=${grep}`);
  assert.deepEqual(
    entries.map(({ cluster, stream }) => [cluster, stream]),
    [["tokyo", "stdout"]],
  );
  await until("its node", async () => {
    const shown = await reader.get<ClustersAnswer>("/api/clusters");
    return (shown.clusters[0]?.nodes.length ?? 0) > 0;
  });
  running.child.kill("SIGINT");
  await running.ended;
});

test("failed requests of a pod are an incident here and a message there, until somebody mutes it", {
  skip,
}, async () => {
  await client.create({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "slack", namespace: service } },
    spec: { containers: [{ name: "slack", image, command: ["node", "-e", SLACK] }] },
  } as AnyObject);
  const slack = { apiVersion: "v1", kind: "Pod", namespace: service, name: "slack" };
  const address = await until(
    "the stand-in's address",
    async () => (await client.get<Pod>(slack)).status?.podIP,
    { timeoutMs: 60_000 },
  );
  project.env["SLACK_WEBHOOK_URL"] = `http://${address}:8080/very-secret`;
  const planned = await slipway("observe", "install", "--dry-run");
  assert.doesNotMatch(planned.stdout, /very-secret/);
  await slipway("observe", "install", "--storage", "1Gi", "--storage-class", service);
  delete project.env["SLACK_WEBHOOK_URL"];
  assert.match((await slipway("alerts")).stdout, /nothing is wrong/);

  await client.create({
    ...{ apiVersion: "apps/v1", kind: "Deployment" },
    metadata: { name: "pay", namespace: service },
    spec: {
      selector: { matchLabels: { app: "pay" } },
      template: {
        metadata: { labels: { app: "pay" } },
        spec: { containers: [{ name: "pay", image, command: ["node", "-e", FAILING] }] },
      },
    },
  } as AnyObject);
  await until("the incident", async () => (await open()).length > 0, { timeoutMs: 60_000, everyMs: 500 });
  await countedByReplicaSet();
  const { stdout } = await project.fails(1, "alerts", "--env", "real");
  const id = /5xx.*\((tokyo\/\w+), for/.exec(stdout)?.[1];
  assert.ok(id !== undefined, stdout);
  assert.match(stdout, /GET \/pay\?token=REDACTED → 502/);
  await until("the message", async () => /^told .*pay.*5xx/m.test(await told()), {
    ...{ timeoutMs: 60_000, everyMs: 500 },
    describe: () => stdout,
  });
  assert.doesNotMatch(await told(), /token=secret/);
  await client.delete({ apiVersion: "apps/v1", kind: "Deployment", namespace: service, name: "pay" });
  await slipway("alerts", "mute", id, "--for", "1h", "--reason", "a test");
  assert.match((await slipway("alerts")).stdout, /muted:\n.*tokyo\/\w+/);
});

test("a release asks the collector how its pods answer: a good one passes, a bad one goes back with the numbers", {
  skip,
}, async () => {
  const file = "slipway.config.ts";
  const config = await readFile(join(project.folder, file), "utf8");
  const gate =
    'release: { gates: [{ errorRatio: { minRequests: 50, maxIncrease: 0.05 }, timeout: "2m" }], bake: "2s" },';
  await project.write(file, config.replace("environments:", `${gate}\n  environments:`));
  const ship = (status: string): Promise<void> =>
    project.write(
      "k8s/shop.yaml",
      JSON.stringify({
        ...{ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "shop" } },
        spec: {
          selector: { matchLabels: { app: "shop" } },
          template: {
            metadata: { labels: { app: "shop" } },
            spec: { containers: [{ name: "shop", image, command: ["node", "-e", answering(status)] }] },
          },
        },
      }),
    );
  await ship("200");
  const good = await slipway("deploy", "--allow-dirty");
  assert.match(good.stdout, /passed.*new release 0 of \d+ requests failed.*counted by the collectors/);
  await ship("n++ % 10 === 5 ? 502 : 200");
  const { stdout } = await project.fails(1, "deploy", "--allow-dirty", "--env", "real");
  assert.match(stdout, /failed.*new release (?!0 )\d+ of \d+ requests failed.*counted by the collectors/);
  const { spec } = await client.get<AnyObject & { readonly spec: unknown }>({
    ...{ apiVersion: "apps/v1", kind: "Deployment", namespace: service, name: "shop" },
  });
  assert.doesNotMatch(JSON.stringify(spec), /502/, "the first release's pods are back");
  await project.write(file, config);
});

test("a scheduled query runs there: its rows are an incident, its answer is a message", {
  skip,
}, async () => {
  await project.write(
    "queries/failing.sql",
    `-- title: Failing paths
-- schedule: { cron: "* * * * *", report: true }
-- threshold: { rows: 0 }
SELECT path, count(*) AS failed FROM requests WHERE status >= 500 GROUP BY path
`,
  );
  await slipway("observe", "install", "--storage", "1Gi", "--storage-class", service);
  const patience = { timeoutMs: 120_000, everyMs: 1000 };
  await until(
    "the incident of its row",
    async () => (await open()).some(({ rule }) => rule === "query failing"),
    patience,
  );
  await until("the report", async () => /^told .*Failing paths.*REDACTED/m.test(await told()), patience);
});

test("an upgrade keeps the lines, the tokens, and Slack's, which it was not given again", {
  skip,
}, async () => {
  const [before] = await podsOf("collector");
  const { stdout } = await slipway("observe", "install", "--storage", "1Gi", "--storage-class", service);
  assert.match(stdout, /tokyo: keeps what it tells Slack with/);
  const [after] = await podsOf("collector");
  assert.equal(after?.metadata.uid, before?.metadata.uid, "nothing changed, so nothing starts anew");
  assert.equal(await count("SELECT count(*) FROM logs WHERE service = 'web'"), LINES);
});

test("uninstall keeps the volume until it is told to delete it", { skip }, async () => {
  assert.match((await slipway("observe", "uninstall")).stdout, /the volume is kept/);
  const claim = { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace: service, name: collectorName };
  await client.get(claim);
  await until("the pods to be gone", async () => (await podsOf("collector")).length === 0, {
    timeoutMs: 90_000,
  });
  await slipway("observe", "uninstall", "--delete-data");
  await until("the volume's claim to be gone", async () => {
    const { items } = await client.list(
      { apiVersion: "v1", kind: "PersistentVolumeClaim" },
      { namespace: service },
    );
    return items.length === 0;
  });
  assert.match(
    (await project.fails(1, "observe", "status", "--env", "real")).stdout,
    /tokyo {2}not installed/,
  );
});
