/** The real kubectl on a local cluster with a shipped service: what people do by hand, and what Slipway then says. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { exec, until } from "@slipway/base";
import { commitRelease, type Project, smallShop } from "./testing.ts";

const version = await exec(["kubectl", "version", "--client", "-o", "json"]).catch(() => undefined);

describe("kubectl", { skip: version?.exitCode === 0 ? false : "kubectl is not installed" }, () => {
  let project: Project;
  let kubeconfig: string;
  const env = (): NodeJS.ProcessEnv => ({ ...process.env, KUBECONFIG: kubeconfig });

  async function kubectl(command: string, input?: string): Promise<string> {
    const result = await exec(["kubectl", "--context", "tokyo", ...command.split(" ")], {
      env: env(),
      cwd: project.folder,
      ...(input === undefined ? {} : { input }),
    });
    assert.equal(result.exitCode, 0, `kubectl ${command}: ${result.stderr}`);
    return result.stdout;
  }

  before(async () => {
    project = await smallShop();
    await project.ok("ship");
    await commitRelease(project, "v2");
    await project.ok("ship");
    kubeconfig = (await project.ok("local", "kubeconfig")).stdout.trim();
  });
  after(() => project.remove());

  test("get and describe show what was shipped, in every cluster", async () => {
    assert.match(await kubectl("get deployments"), /^web +1\/1 +1 +1 /m);
    assert.match(await kubectl("get nodes"), /^tokyo-1 +Ready /m);
    assert.match(await kubectl("--context osaka get pods -o wide"), /^web-\S+ +1\/1 +Running .* osaka-1 /m);
    const described = await kubectl("describe deployment web");
    assert.match(described, /RollingUpdateStrategy: +0 max unavailable, 10% max surge/);
    assert.match(described, /ScalingReplicaSet/);
  });

  test("rollout undo, restart and status change what runs, and slipway status shows it", async () => {
    await kubectl("rollout undo deployment/web");
    assert.match(await kubectl("rollout status deployment/web --timeout=30s"), /successfully rolled out/);
    const { edge } = await project.world();
    await until("tokyo to answer with v1 again", async () =>
      /"v1".*tokyo/.test(await (await fetch(`${edge}/`)).text()),
    );
    const status = (await project.ok("status")).stdout.split("\n");
    const image = (cluster: string): string | undefined =>
      status
        .find((line) => line.startsWith(`${cluster} `))
        ?.trim()
        .split(/\s+/)
        .at(-1);
    assert.notEqual(image("tokyo"), image("osaka"), "status shows what runs, not what was shipped");

    await kubectl("rollout restart deployment/web");
    await kubectl("rollout status deployment/web --timeout=30s");
    assert.match(await kubectl("rollout history deployment/web"), /REVISION/);
  });

  test("scale and wait", async () => {
    // A pod that is told to go gets never ready again, and kubectl waits for all that it has seen.
    await until("those of before to be gone", async () =>
      /^\S+$/.test((await kubectl("get pods -l app=web -o name")).trim()),
    );
    await kubectl("scale deployment/web --replicas=2");
    await kubectl("wait --for=condition=Ready pod -l app=web --timeout=30s");
    await until("two pods to be ready", async () => /^web +2\/2 /m.test(await kubectl("get deployment web")));
  });

  test("logs -f follows a pod", async () => {
    const child = spawn("kubectl", ["--context", "tokyo", "logs", "-f", "deployment/web"], { env: env() });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    try {
      const { edge } = await project.world();
      await until("a request in the followed log", async () => {
        await fetch(`${edge}/followed`);
        return text.includes("GET /followed");
      });
    } finally {
      child.kill("SIGKILL");
    }
  });

  const map = (value: string): string =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "by-hand" },
      data: { key: value },
    });

  test("apply from the client and from the server, then delete", async () => {
    assert.match(await kubectl("apply -f -", map("one")), /configmap\/by-hand created/);
    assert.match(await kubectl("apply -f -", map("one")), /unchanged/);
    assert.match(await kubectl("apply -f -", map("two")), /configured/);
    assert.match(
      await kubectl("apply --server-side --force-conflicts -f -", map("three")),
      /serverside-applied/,
    );
    assert.equal(await kubectl("get configmap by-hand -o jsonpath={.data.key}"), "three");
    assert.match(await kubectl("delete configmap by-hand"), /deleted/);
    assert.equal((await kubectl("get configmap by-hand --ignore-not-found")).trim(), "");
  });

  test("a deleted pod comes back, and the next ship takes over what was changed by hand", async () => {
    const name = (await kubectl("get pods -l app=web -o name")).trim().split("\n")[0] as string;
    await kubectl(`delete ${name}`);
    await kubectl("rollout status deployment/web --timeout=30s");
    await project.ok("ship");
    await until("one pod", async () => /^web +1\/1 /m.test(await kubectl("get deployment web")));
    assert.match((await project.ok("status")).stdout, /^tokyo +3 +web +1\/1/m);
  });

  test("as contexts of the kubeconfig the same clusters are shipped to, and asked through their API servers", async () => {
    const { registry } = await project.world();
    await project.edit(
      "slipway.config.ts",
      "    production: {",
      `    remote: {
      clusters: { tokyo: context("tokyo"), osaka: context("osaka") },
      namespace: "remote",
      registry: "${registry}/remote",
      allowHostBases: ["slipway/node"],
      patches: ["k8s/local/"],
      release: { bake: "0s" },
    },
    production: {`,
    );
    await project.edit("slipway.config.ts", "  notify:", '  verify: ["spec/remote.ts"],\n  notify:');
    const spec = (osaka: string): Promise<void> =>
      project.write(
        "spec/remote.ts",
        `import { describeService } from "slipway/verify";
describeService("web", { cluster: "tokyo" }, (t) => t.http("/").status(200).body(/"service":"web"/));
describeService("web", { cluster: "osaka", port: 80 }, (t) => t.http("/", { deadlineMs: 5000 }).status(${osaka}));
`,
      );
    await spec("200");
    await project.commit("remote");
    for (const cluster of ["tokyo", "osaka"]) await kubectl(`--context ${cluster} create namespace remote`);
    project.env["KUBECONFIG"] = kubeconfig;
    assert.match((await project.ok("rights", "--env", "remote")).stdout, /pods\/portforward/);
    const shipped = await project.ok("ship", "--env", "remote", "--skip-cluster");
    assert.match(shipped.stdout.slice(shipped.stdout.indexOf("healthy everywhere")), /3 passed/);

    await spec("418");
    await project.commit("wrong");
    const wrong = await project.fails(1, "ship", "--env", "remote", "--skip-cluster");
    assert.match(wrong.stdout, /osaka GET \/.*status 418/);
    assert.match(wrong.stdout, /200/);
    delete project.env["KUBECONFIG"];
  });
});
