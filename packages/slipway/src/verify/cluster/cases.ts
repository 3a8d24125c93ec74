/** What checks in a cluster must see, on the embedded one and on a real Kubernetes alike. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { systemClock, systemRandom, until } from "@slipway/base";
import type { AnyObject, Deployment, KubeClient, Pod } from "@slipway/kube";
import type { BuiltImage } from "../../images/image.ts";
import { type Container, type InsideResponse, isUnseen, type Project } from "../engines/engine.ts";
import type { ReadyWhen } from "../readiness/forms.ts";
import { ready } from "../spec/ready.ts";
import { openNamespace, type RunNamespace } from "./namespace.ts";
import { type ClusterProjectOptions, openClusterProject } from "./project.ts";
import { askService } from "./service.ts";

export interface OpenCluster {
  readonly client: KubeClient;
  /** What pods call the image of `cases-image.ts`. */
  readonly image: string;
  readonly digest: BuiltImage["digest"];
  readonly looks?: ClusterProjectOptions["looks"];
  close(): Promise<void>;
}

const get = (url: string) => ({
  url,
  method: "GET",
  headers: {},
  body: undefined,
  timeoutMs: 30_000,
  isInsecure: false,
});

export function clusterCases(name: string, open: () => Promise<OpenCluster>): void {
  describe(name, () => {
    let cluster: OpenCluster;
    let namespace: RunNamespace;
    let project: Project;
    let front: Container;

    const deployment = (workload: string, script: string, more: object = {}): Deployment => ({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: workload, namespace: namespace.name },
      spec: {
        selector: { matchLabels: { app: workload } },
        template: {
          metadata: { labels: { app: workload } },
          spec: {
            terminationGracePeriodSeconds: 1,
            containers: [
              {
                name: "main",
                image: cluster.image,
                imagePullPolicy: "IfNotPresent",
                command: ["sh", "-c", script],
                env: [{ name: "COLOUR", value: "red" }],
                ports: [{ containerPort: 8080 }],
                ...more,
              },
            ],
          },
        },
      },
    });
    const project_ = (
      services: readonly string[],
      readyMs: number,
      readyWhen?: ReadyWhen,
    ): Promise<Project> =>
      openClusterProject({
        client: cluster.client,
        clock: systemClock,
        namespace: namespace.name,
        services,
        readyMs,
        readyWhen,
        ...(cluster.looks === undefined ? {} : { looks: cluster.looks }),
      });

    before(async () => {
      cluster = await open();
      namespace = await openNamespace({
        client: cluster.client,
        name: `verify-${systemRandom().name(6)}`,
        ttlMs: 600_000,
        clock: systemClock,
      });
      // Where nobody listens it never holds: without it a pod is ready for the moments in which it runs.
      const readinessProbe = { httpGet: { path: "/", port: 8080 }, periodSeconds: 1, timeoutSeconds: 10 };
      const script = "echo out; echo err >&2; exec httpd -f -p 8080 -h /www";
      await cluster.client.create(deployment("front", script, { readinessProbe }));
      await cluster.client.create(deployment("crash", "echo cannot start; exit 3", { readinessProbe }));
      project = await project_(["front"], 90_000);
      front = project.container("front");
    });
    after(async () => {
      // A real namespace controller takes a minute when pods have to end first, and its queue may be long.
      const isGone = await namespace?.remove(240_000);
      await cluster?.close();
      assert.ok(isGone, "the namespace is gone");
    });

    test("a service is a pod of its workload, with the image's digest", async () => {
      const state = await front.state();
      assert.deepEqual([state.status, state.restarts, state.health], ["running", 0, "healthy"]);
      assert.equal(front.service.image.digest, cluster.digest);
      assert.deepEqual(front.service.exposed, [{ port: 8080, protocol: "tcp" }]);
    });

    test("both streams are in one log, and it says so", async () => {
      const logs = await front.logs();
      assert.equal(logs.isMerged, true);
      assert.deepEqual(logs.stdout.split("\n").slice(0, 2).toSorted(), ["err", "out"]);
    });

    test("a request is answered from inside, and a refused one says so", async () => {
      const answer = (await front.http(get("http://127.0.0.1:8080/"))) as InsideResponse;
      assert.ok("status" in answer, JSON.stringify(answer));
      assert.deepEqual([answer.status, answer.body], [200, "the page\n"]);
      const none = (await front.http(get("http://127.0.0.1:8080/none"))) as InsideResponse;
      assert.equal("status" in none ? none.status : none.error, 404);
      const refused = (await front.http(get("http://127.0.0.1:81/"))) as InsideResponse;
      assert.ok("error" in refused, JSON.stringify(refused));
    });

    test("a Service is asked at a ready pod that it selects", async () => {
      const asked = { cluster: "a", namespace: namespace.name, name: "front", port: undefined };
      await assert.rejects(askService(cluster.client, asked, get("/"), systemClock), {
        code: "SERVICE_MISSING",
      });
      const service = (name: string, app: string, targetPort: number | string): Promise<unknown> =>
        cluster.client.create({
          ...{ apiVersion: "v1", kind: "Service", metadata: { name, namespace: namespace.name } },
          spec: { selector: { app }, ports: [{ name: "web", port: 80, targetPort }] },
        } as AnyObject);
      await service("front", "front", 8080);
      for (const port of [undefined, 80, "web"]) {
        const answer = await askService(cluster.client, { ...asked, port }, get("/"), systemClock);
        assert.ok("status" in answer, JSON.stringify(answer));
        assert.deepEqual([answer.status, answer.body], [200, "the page\n"]);
      }
      await assert.rejects(askService(cluster.client, { ...asked, port: 81 }, get("/"), systemClock), {
        code: "SERVICE_NO_PORT",
      });
      await service("by-name", "front", "no-such-name");
      await service("crash", "crash", 8080);
      for (const [name, code] of [
        ["by-name", "SERVICE_NO_PORT"],
        ["crash", "SERVICE_NO_ENDPOINT"],
      ] as const) {
        await assert.rejects(askService(cluster.client, { ...asked, name }, get("/"), systemClock), { code });
      }
    });

    test("a command has its environment, its folder, its input and its exit code", async () => {
      const ran = await front.exec(["sh", "-c", 'echo "$COLOUR $SHAPE $(pwd)"; echo no >&2; exit 4'], {
        environment: { SHAPE: "round" },
        workingDir: "/www",
      });
      assert.deepEqual([ran.exitCode, ran.stdout, ran.stderr], [4, "red round /www\n", "no\n"]);
      const script = await front.exec(["/bin/sh"], { stdin: "echo from a script\n" });
      assert.deepEqual([script.exitCode, script.stdout], [0, "from a script\n"]);
      assert.equal((await front.exec(["no-such-program"])).exitCode, 127);
      const late = await front.exec(["sleep", "60"], { timeoutMs: 500 });
      assert.equal(late.hasTimedOut, true);
      await assert.rejects(() => front.exec(["id"], { user: "app" }), /own user only/);
    });

    test("how it stops cannot be tried", async () => {
      await assert.rejects(() => front.stop(1000), /its controller makes another/);
    });

    test("what cannot be seen is unseen, never guessed", async () => {
      if (cluster.looks !== undefined) return;
      assert.ok(isUnseen(await front.sockets()));
      assert.ok(isUnseen(await front.processes()));
      assert.ok(isUnseen(await front.reach("127.0.0.1", 8080, 1000)));
      assert.ok(isUnseen(await front.http(get("http://elsewhere/"))));
      assert.ok(isUnseen(await front.resolve("elsewhere", 1000)), "the image has no getent");
    });

    /** It is started again after 10 s, then after 20 s, 40 s …: true when that is not to come soon. */
    const waitsToBeStarted = async (app: string): Promise<boolean> => {
      const pods = await cluster.client.list<Pod>(
        { apiVersion: "v1", kind: "Pod" },
        { namespace: namespace.name },
      );
      const pod = pods.items.find(({ metadata }) => metadata.labels?.["app"] === app);
      const { state, lastState, restartCount = 0 } = pod?.status?.containerStatuses?.[0] ?? {};
      if (state?.waiting?.reason !== "CrashLoopBackOff") return false;
      const endedAt = Date.parse(lastState?.terminated?.finishedAt ?? "");
      return systemClock.now() + 6_000 < endedAt + 10_000 * 2 ** (restartCount - 1);
    };

    test("a workload without a ready pod says what its newest pods wait for", async () => {
      await until("the crashed one to wait", () => waitsToBeStarted("crash"), { timeoutMs: 120_000 });
      await assert.rejects(
        () => project_(["crash"], 1_000),
        (error: { code?: string; message: string }) => {
          assert.equal(error.code, "VERIFY_WORKLOAD_NOT_READY");
          assert.match(
            error.message,
            /0 of 1 pods are available\): crash-\S+ main: (?:CrashLoopBackOff|exited 3)/,
          );
          return true;
        },
      );
      await assert.rejects(
        () => project_(["none"], 0),
        (error: { code?: string }) => error.code === "VERIFY_WORKLOAD_MISSING",
      );
    });

    test("what a spec file waits for besides is waited for in the ready pod, and told when it does not come", async () => {
      const page = ready.http("/", { port: 8080, body: "the page" });
      const there = ready.cmd(["test", "-f", "/www/index.html"]);
      const all = ready.all([ready.log(/^out$/), page, there, ready.ports(), ready.health()]);
      const again = await project_(["front"], 30_000, { front: all });
      assert.equal(again.container("front").service.hostname, front.service.hostname);
      await assert.rejects(
        () => project_(["front"], 1_000, { front: ready.log("never") }),
        (error: { code?: string; message: string }) => {
          assert.equal(error.code, "VERIFY_WORKLOAD_NOT_READY");
          assert.match(
            error.message,
            /by its probes, but not as readyWhen.*: front-\S+ waiting for "never" in/,
          );
          return true;
        },
      );
    });

    test("after a rollout it is a pod of the new revision", async () => {
      const { client } = cluster;
      const old = (
        await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace: namespace.name })
      ).items
        .filter(({ metadata }) => metadata.labels?.["app"] === "front")
        .map(({ metadata }) => metadata.name);
      const ref = { apiVersion: "apps/v1", kind: "Deployment", name: "front", namespace: namespace.name };
      const containers = [{ name: "main", env: [{ name: "COLOUR", value: "blue" }] }];
      await client.patch(ref, "strategic", { spec: { template: { spec: { containers } } } });
      // The old pod is ready all the time: only the revision tells them apart.
      const again = await project_(["front"], 90_000);
      const { stdout } = await again.container("front").exec(["sh", "-c", "echo $COLOUR"]);
      assert.equal(stdout, "blue\n");
      assert.ok(!old.includes(again.container("front").service.hostname as string));
    });
  });
}
