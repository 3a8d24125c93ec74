/**
 * The real kubectl against a cluster of ours, in the oldest supported and the newest version that is installed beside it. What matters is what
 * people see: the exit code and the lines.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, globSync, realpathSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { until } from "@slipway/base";
import type { Pod } from "@slipway/kube";
import { type Cluster, startCluster } from "../cluster.ts";
import { kubeconfig } from "./kubeconfig.ts";
import { openTestServer, type TestServer } from "./testing.ts";

/** `kubectl` on the PATH, and its siblings named after their version (as the packages of Google Cloud have them). */
function installedKubectls(): readonly string[] {
  const found = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "kubectl"))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
  if (found === undefined) return [];
  const siblings = globSync(join(dirname(realpathSync(found)), "kubectl.1.*"));
  const supported = siblings.filter((path) => Number(/\.1\.(\d+)$/.exec(path)?.[1]) >= 29).sort();
  // The oldest and the newest stand for those between them; each takes several seconds.
  const [oldest, newest] = [supported.at(0), supported.at(-1)];
  if (oldest === undefined || newest === undefined) return [found];
  return [...new Set([oldest, newest])];
}

const kubectls = installedKubectls();
const skip = kubectls.length === 0 ? "kubectl is not installed (no `kubectl` on the PATH)" : false;

const manifest = (image: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
        - name: web
          image: ${image}
          ports: [{ containerPort: 80 }]
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
`;

for (const kubectl of kubectls.length === 0 ? ["kubectl"] : kubectls) {
  describe(`${basename(kubectl)} against our API server`, { skip, timeout: 480_000 }, () => {
    let cluster: Cluster;
    let home: string;

    before(async () => {
      home = await mkdtemp(join(tmpdir(), "slipway-kubectl-"));
      await writeFile(join(home, "v1.yaml"), manifest("talk:1"));
      await writeFile(join(home, "v2.yaml"), manifest("talk:2"));
      cluster = await startCluster({
        name: "tokyo",
        behaviours: [{ image: "talk*", behaviour: { log: ["hello", "from the pod"] } }],
      });
      await writeFile(join(home, "kubeconfig"), cluster.kubeconfig());
    });
    after(async () => {
      await cluster?.stop();
      await rm(home, { recursive: true, force: true });
    });

    const environment = () => ({
      PATH: process.env["PATH"],
      HOME: home,
      KUBECONFIG: join(home, "kubeconfig"),
      KUBECACHEDIR: join(home, "cache"),
    });

    /** What a command prints and how it ends; a command that runs for 90 s fails the test. */
    async function run(
      ...args: readonly string[]
    ): Promise<{ code: number; stdout: string; stderr: string }> {
      return new Promise((resolve) => {
        execFile(
          kubectl,
          args,
          { env: environment(), cwd: home, timeout: 90_000 },
          (error, stdout, stderr) => {
            const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
            resolve({ code, stdout, stderr });
          },
        );
      });
    }

    async function ok(...args: readonly string[]): Promise<string> {
      const { code, stdout, stderr } = await run(...args);
      assert.equal(code, 0, `kubectl ${args.join(" ")}: ${stderr}`);
      return stdout;
    }

    it("finds what is served", async () => {
      const resources = await ok("api-resources");
      assert.match(resources, /^deployments +deploy +apps\/v1 +true +Deployment$/m);
      assert.match(resources, /^poddisruptionbudgets +pdb +policy\/v1 /m);
      assert.match(await ok("version"), /Server Version: v1\.33/);
      assert.equal(await ok("auth", "can-i", "delete", "pods"), "yes\n");
    });

    it("applies manifests, follows the rollout and prints Kubernetes' columns", async () => {
      assert.match(await ok("apply", "-f", "v1.yaml"), /deployment\.apps\/web created\nservice\/web created/);
      assert.match(await ok("rollout", "status", "deploy/web", "--timeout=60s"), /successfully rolled out/);
      assert.match(
        await ok("get", "deploy", "web", "-o", "wide"),
        /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR\nweb +3\/3 +3 +3 +\d+s +web +talk:1 +app=web\n$/,
      );
      const pods = await ok("get", "pods", "-o", "wide");
      assert.match(
        pods,
        /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n(web-\S+ +1\/1 +Running +0 +\d+s +10\.244\.\S+ +tokyo-1 +<none> +<none>\n){3}$/,
      );
      assert.match(await ok("get", "svc", "web"), /web +ClusterIP +10\.96\.\S+ +<none> +80\/TCP/);
      assert.match(await ok("get", "deploy", "web", "-o", "yaml"), /^ {2}generation: 1$/m);
      assert.match(
        await ok("get", "all"),
        /pod\/web-[\s\S]*deployment\.apps\/web[\s\S]*replicaset\.apps\/web-/,
      );
      assert.match(await ok("apply", "-f", "v1.yaml"), /web unchanged\nservice\/web unchanged/);
    });

    it("describes with events", async () => {
      const described = await ok("describe", "deploy", "web");
      assert.match(described, /Replicas: +3 desired \| 3 updated \| 3 total \| 3 available \| 0 unavailable/);
      assert.match(described, /NewReplicaSet: +web-\S+ \(3\/3 replicas created\)/);
      assert.match(described, /ScalingReplicaSet .*Scaled up replica set web-\S+ /);
      assert.match(await ok("describe", "pods"), /Started container web/);
      assert.match(await ok("get", "events"), /ScalingReplicaSet +deployment\/web/);
    });

    it("shows a diff, updates, and takes the update back", async () => {
      const diff = await run("diff", "-f", "v2.yaml");
      assert.equal(diff.code, 1, diff.stderr);
      assert.match(diff.stdout, /^-\s+- image: talk:1$/m);
      assert.match(diff.stdout, /^\+\s+- image: talk:2$/m);
      assert.match(await ok("apply", "-f", "v2.yaml"), /web configured\nservice\/web unchanged/);
      await ok("rollout", "status", "deploy/web", "--timeout=60s");
      assert.match(await ok("rollout", "history", "deploy/web"), /1 +<none>\n2 +<none>/);
      assert.match(await ok("rollout", "history", "deploy/web", "--revision=2"), /Image:\s+talk:2/);
      assert.match(await ok("rollout", "undo", "deploy/web"), /rolled back/);
      await ok("rollout", "status", "deploy/web", "--timeout=60s");
      assert.match(await ok("get", "deploy", "web", "-o", "wide"), / talk:1 /);
      assert.match(await ok("rollout", "history", "deploy/web"), /2 +<none>\n3 +<none>/);
      assert.match(await ok("rollout", "restart", "deploy/web"), /restarted/);
      await ok("rollout", "status", "deploy/web", "--timeout=60s");
    });

    it("applies on the server, and names the other manager of a field", async () => {
      assert.match(await ok("scale", "deploy/web", "--replicas=2"), /scaled/);
      const refused = await run("apply", "--server-side", "-f", "v1.yaml");
      assert.equal(refused.code, 1);
      assert.match(
        refused.stderr,
        /Apply failed with 1 conflict: conflict with "kubectl.*: \.spec\.replicas/,
      );
      const applied = await ok("apply", "--server-side", "--force-conflicts", "-f", "v1.yaml");
      assert.match(applied, /deployment\.apps\/web serverside-applied/);
      await ok("rollout", "status", "deploy/web", "--timeout=60s");
      assert.match(await ok("get", "deploy", "web"), /3\/3/);
    });

    it("changes single fields", async () => {
      await ok("label", "deploy", "web", "tier=front");
      await ok("annotate", "deploy", "web", "note=x");
      await ok("patch", "deploy", "web", "-p", '{"spec":{"minReadySeconds":0,"revisionHistoryLimit":3}}');
      await ok("set", "image", "deploy/web", "web=talk:3");
      await ok("rollout", "status", "deploy/web", "--timeout=60s");
      assert.match(await ok("get", "deploy", "-l", "tier=front", "-o", "wide"), / talk:3 /);
      assert.match(await ok("get", "pods", "--field-selector=status.phase=Running"), /web-/);
    });

    it("shows logs, follows them, and runs commands", async () => {
      // A pod of the ReplicaSet before is chosen as well as any other, and may be gone when its log is asked for.
      await until("the old pods' end", () => cluster.store.list("Pod", "default").length === 3);
      assert.match(await ok("logs", "deploy/web"), /hello\nfrom the pod\n/);
      assert.equal(await ok("logs", "deploy/web", "--tail=1"), "from the pod\n");
      const following = spawn(kubectl, ["logs", "-f", "deploy/web"], { env: environment(), cwd: home });
      let seen = "";
      following.stdout.on("data", (chunk) => {
        seen += String(chunk);
      });
      await until("the followed log", () => seen.includes("from the pod"));
      following.kill();
      const [pod] = (await ok("get", "pods", "-o", "name")).trim().split("\n");
      await ok("exec", pod ?? "", "--", "true");
    });

    it("forwards a port", async () => {
      const forwarding = spawn(kubectl, ["port-forward", "deploy/web", ":80"], {
        env: environment(),
        cwd: home,
      });
      let seen = "";
      for (const stream of [forwarding.stdout, forwarding.stderr]) {
        stream.on("data", (chunk) => {
          seen += String(chunk);
        });
      }
      const describe = () => seen;
      await until("the forwarded port", () => /127\.0\.0\.1:\d+ -> 80/.test(seen), { describe });
      const port = /127\.0\.0\.1:(\d+)/.exec(seen)?.[1];
      const answers = await Promise.all([1, 2, 3].map(() => fetch(`http://127.0.0.1:${port}/`)));
      assert.deepEqual(
        answers.map((answer) => answer.status),
        [200, 200, 200],
        seen,
      );
      forwarding.kill();
    });

    it("watches", async () => {
      const watching = spawn(kubectl, ["get", "deploy", "-w"], { env: environment(), cwd: home });
      let seen = "";
      watching.stdout.on("data", (chunk) => {
        seen += String(chunk);
      });
      await until("the first line of the watch", () => /web +3\/3/.test(seen));
      await ok("scale", "deploy/web", "--replicas=1");
      await until("the line of the change", () => /web +1\/1/.test(seen), { describe: () => seen });
      assert.equal(seen.match(/NAME/g)?.length, 1, "the columns are named once");
      watching.kill();
    });

    it("creates typed objects (protobuf from 1.32 on), waits and deletes", async () => {
      assert.equal(await ok("create", "namespace", "extra"), "namespace/extra created\n");
      await ok("-n", "extra", "create", "deployment", "api", "--image=talk:9", "--replicas=2", "--port=80");
      await ok("-n", "extra", "wait", "--for=condition=Available", "deploy/api", "--timeout=60s");
      assert.match(await ok("-n", "extra", "get", "deploy"), /api +2\/2/);
      assert.match(await ok("delete", "namespace", "extra", "--timeout=60s"), /deleted/);
      assert.match(await ok("delete", "-f", "v1.yaml", "--timeout=60s"), /"web" deleted/);
      await until("no pods", async () => (await ok("get", "pods", "-o", "name")) === "");
    });

    it("ends a wait for what does not happen at its own timeout", async () => {
      await ok("run", "slow", "--image=simulated/unready");
      const { code, stderr } = await run("wait", "--for=delete", "pod/slow", "--timeout=1s");
      assert.equal(code, 1);
      assert.match(stderr, /timed out/);
    });

    it("refuses what is wrong, in Kubernetes' words", async () => {
      assert.match((await run("get", "deploy", "nope")).stderr, /deployments\.apps "nope" not found/);
      assert.match((await run("get", "nopes")).stderr, /the server doesn't have a resource type "nopes"/);
      await writeFile(join(home, "typo.yaml"), manifest("talk:1").replace("replicas", "replicsa"));
      const { code, stderr } = await run("apply", "-f", "typo.yaml");
      assert.equal(code, 1);
      assert.match(stderr, /unknown field "spec\.replicsa"/);
      const selector = manifest("talk:1").replace("matchLabels: { app: web }", "matchLabels: { app: other }");
      await writeFile(join(home, "selector.yaml"), selector);
      assert.match(
        (await run("create", "-f", "selector.yaml")).stderr,
        /`selector` does not match template `labels`/,
      );
      await writeFile(
        join(home, "set.yaml"),
        manifest("talk:1").replace("kind: Deployment", "kind: StatefulSet"),
      );
      assert.match(
        (await run("apply", "-f", "set.yaml")).stderr,
        /no matches for kind "StatefulSet" in version "apps\/v1"/,
      );
      assert.match(await ok("explain", "deployment.spec.replicas"), /FIELD: replicas <integer>/);
    });
  });

  describe(`${basename(kubectl)} and its streams`, { skip, timeout: 240_000 }, () => {
    let on: TestServer;
    let echo: Server;
    let home: string;

    before(async () => {
      echo = createServer((socket) => void socket.pipe(socket));
      await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
      const echoPort = (echo.address() as AddressInfo).port;
      on = await openTestServer({
        pods: {
          async exec(_pod, { stdin, stdout, stderr }) {
            let length = 0;
            for await (const chunk of stdin ?? []) length += (chunk as Buffer).length;
            stdout?.(Buffer.from(`read ${length}`));
            stderr?.(Buffer.from("a warning"));
            return { exitCode: 7 };
          },
          dial: async (_ip, port) => {
            const socket = connect(port === 80 ? echoPort : 1, "127.0.0.1");
            await once(socket, "connect");
            return socket;
          },
        },
      });
      home = await mkdtemp(join(tmpdir(), "slipway-kubectl-"));
      const { url, ca } = on.server;
      await writeFile(join(home, "kubeconfig"), kubeconfig({ name: "test", url, ca, token: on.token }));
      await on.client.create<Pod>({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "web", namespace: "default" },
        spec: { nodeName: "n1", containers: [{ name: "web", image: "x" }] },
      });
      const container = { ready: true, restartCount: 0, image: "x", imageID: "x", state: { running: {} } };
      const status = {
        phase: "Running",
        podIP: "10.0.0.1",
        containerStatuses: [{ name: "web", ...container }],
      };
      const ref = { apiVersion: "v1", kind: "Pod", name: "web", namespace: "default" };
      await on.client.patch(ref, "merge", { status }, { subresource: "status" });
    });
    after(async () => {
      await on.close();
      echo.close();
      await rm(home, { recursive: true, force: true });
    });
    const start = (...args: readonly string[]) => {
      const env = { PATH: process.env["PATH"], HOME: home, KUBECONFIG: join(home, "kubeconfig") };
      const child = spawn(kubectl, args, { env, cwd: home });
      const output = { stdout: "", stderr: "" };
      child.stdout.on("data", (chunk) => {
        output.stdout += String(chunk);
      });
      child.stderr.on("data", (chunk) => {
        output.stderr += String(chunk);
      });
      return { child, output };
    };

    it("hands standard input to the end to a command, and its outputs and exit code back", async () => {
      const { child, output } = start("exec", "-i", "web", "--", "wc", "-c");
      child.stdin.end(Buffer.alloc(300_000, "x"));
      const [code] = await once(child, "close");
      assert.equal(output.stdout, "read 300000");
      assert.match(output.stderr, /^a warning/);
      assert.equal(code, 7);
    });

    it("forwards a large transfer in both directions, and says when a port is refused", async () => {
      const { child, output } = start("port-forward", "pod/web", ":80", ":81");
      // Asked for now: some versions end by themselves after a refused connection.
      const closed = once(child, "close");
      const describe_ = () => JSON.stringify(output);
      await until("both ports", () => output.stdout.match(/127\.0\.0\.1:\d+ -> 8[01]/g)?.length === 2, {
        describe: describe_,
      });
      const portOf = (target: number): number =>
        Number(new RegExp(`127\\.0\\.0\\.1:(\\d+) -> ${target}`).exec(output.stdout)?.[1]);
      const sent = Buffer.alloc(2_000_000, "0123456789");
      const socket = connect(portOf(80), "127.0.0.1");
      socket.end(sent);
      const received: Buffer[] = [];
      for await (const chunk of socket as AsyncIterable<Buffer>) received.push(chunk);
      assert.ok(Buffer.concat(received).equals(sent), "what was sent came back");

      const refused = connect(portOf(81), "127.0.0.1");
      refused.on("error", () => {});
      refused.resume();
      await until(
        "the refusal",
        () => /error forwarding port 81 to pod: .*ECONNREFUSED/.test(output.stderr),
        {
          describe: describe_,
        },
      );
      refused.destroy();
      child.kill();
      await closed;
    });
  });
}
