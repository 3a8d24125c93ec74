/** Each kind of bad input gets one clear error with its place and what to do, and changes nothing. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { exec, startTicksOf, systemCode, until } from "@slipway/base";
import { bin, type Project, smallShop } from "./testing.ts";

let project: Project;
before(async () => {
  project = await smallShop();
});
after(() => project.remove());

/** Commits a change, expects this of a command, and takes the change back. */
async function spoiled(
  [path, from, to]: readonly [path: string, from: string | RegExp, to: string],
  run: () => Promise<void>,
): Promise<void> {
  await project.edit(path, from, to);
  try {
    await run();
  } finally {
    await project.git("checkout", "-q", "--", ".");
  }
}

/** By us, or by somebody else who was sooner. */
async function take(port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => (systemCode(error) === "EADDRINUSE" ? resolve() : reject(error)));
    server.listen(port, "127.0.0.1", resolve);
  });
  return server;
}

describe("before there is a world", () => {
  const cases: readonly {
    readonly name: string;
    readonly change: readonly [path: string, from: string | RegExp, to: string];
    readonly says: readonly RegExp[];
    readonly code?: number;
  }[] = [
    {
      name: "an unknown key in the configuration",
      change: ["slipway.config.ts", "manifests:", "manifest: [], manifests:"],
      says: [/^slipway: slipway\.config\.ts: unknown key "manifest"/, /Did you mean "manifests"\?/],
    },
    {
      name: "a wrong type in the configuration",
      change: ["slipway.config.ts", 'manifests: ["k8s/"]', 'manifests: "k8s/"'],
      says: [/^slipway: slipway\.config\.ts\/manifests: .*list/],
    },
    {
      name: "a manifest that names a missing image",
      change: ["k8s/web.yaml", "image: web", "image: wbe"],
      says: [/^slipway: k8s\/web\.yaml:\d+.*wbe/, /Did you mean "web"\?/],
    },
    {
      name: "YAML that does not parse",
      change: ["k8s/web.yaml", "replicas: 3", "replicas: [3"],
      says: [/^slipway: k8s\/web\.yaml:\d+:\d+: /],
    },
    {
      name: "a service that the edge cannot find",
      change: ["slipway.config.ts", 'service("web"', 'service("wbe"'],
      says: [/^slipway: slipway\.config\.ts\/edge\/routes\/\/\*: no Service "wbe"/, /Services there: web\./],
    },
    {
      name: "a port that the Service does not have",
      change: ["slipway.config.ts", 'service("web", 80', 'service("web", 8080'],
      says: [/Service "web" has no port 8080/, /Its ports: 80 \(http\)/],
    },
    {
      name: "a port's number as a text, which is a name",
      change: ["slipway.config.ts", 'service("web", 80', 'service("web", "80"'],
      says: [/Service "web" has no port named "80"/, /Its ports: 80 \(http\)/],
    },
    {
      name: "a base image that cannot be reached",
      change: ["web/Dockerfile", "FROM slipway/node", "FROM 127.0.0.1:1/base:1"],
      says: [/^slipway: web\/Dockerfile:1: 127\.0\.0\.1:1\/base: the registry cannot be reached/, /archive/],
      code: 3,
    },
    {
      name: "unsupported Dockerfile instructions, all of them with their lines",
      change: [
        "web/Dockerfile",
        "USER node",
        "ADD https://example.com/x /x\nUSER node\nHEALTHCHECK NONE\nONBUILD RUN true",
      ],
      says: [/web\/Dockerfile:5.*ADD/, /web\/Dockerfile:8.*ONBUILD/],
    },
  ];
  for (const { name, change, says, code = 2 } of cases) {
    test(name, () =>
      spoiled(change, async () => {
        const { stdout, stderr } = await project.fails(code, "ship");
        for (const expected of says) assert.match(stderr, expected);
        assert.doesNotMatch(stderr, /\n +at /, "no stack trace");
        assert.doesNotMatch(stdout, /push/);
        assert.ok(!existsSync(join(project.folder, ".slipway/world.json")), "no world was started");
      }),
    );
  }

  test("an edge port that is taken", async () => {
    const server = await take(0);
    const { port } = server.address() as { port: number };
    try {
      await spoiled(["slipway.config.ts", "port: 0", `port: ${port}`], async () => {
        const { stderr } = await project.fails(3, "local", "up");
        assert.match(stderr, new RegExp(`^slipway: .*edge.*${port}`));
        assert.match(stderr, /port/);
        assert.ok(!existsSync(join(project.folder, ".slipway/world.json")));
      });
    } finally {
      server.close();
    }
  });

  test("namespaces that the kernel refuses", async () => {
    const { exitCode, stderr } = await exec(["setpriv", "--bounding-set", "-sys_admin", bin, "local", "up"], {
      cwd: project.folder,
    });
    assert.equal(exitCode, 3, stderr);
    assert.match(stderr, /^slipway: .*this system refuses to create namespaces: unshare/);
    assert.match(stderr, /CAP_SYS_ADMIN/);
    assert.ok(!existsSync(join(project.folder, ".slipway/world.json")));
  });
});

describe("with a world and a release", () => {
  before(async () => {
    await project.ok("ship");
  });

  test("a Deployment whose selector changed", () =>
    spoiled(["k8s/web.yaml", /app: web/g, "app: front"], async () => {
      const { stderr } = await project.fails(2, "ship");
      assert.match(stderr, /Deployment.*web.*selector/);
      const history = JSON.parse((await project.ok("history", "--json")).stdout) as unknown[];
      assert.equal(history.length, 1);
    }));

  test("a field that Kubernetes does not know", () =>
    spoiled(["k8s/web.yaml", "replicas: 3", "replicsa: 3"], async () => {
      const { stderr } = await project.fails(2, "ship");
      assert.match(stderr, /Deployment web.*\.spec\.replicsa: field not declared in schema/);
      assert.match(stderr, /Correct the manifest; nothing was changed/);
    }));

  test("a world that is already running", async () => {
    const { stderr } = await project.fails(2, "local", "up");
    assert.match(stderr, /local world: is running already \(process \d+, clusters tokyo, osaka\)/);
    assert.match(stderr, /slipway local down/);
    assert.equal((await project.get("/")).status, 200);
  });

  test("a cluster that the running world does not have", () =>
    spoiled(
      [
        "slipway.config.ts",
        /osaka: local\(\)(.*)waves: [^"]*"tokyo"/s,
        'osaka: local(), nagoya: local()$1waves: [["tokyo", "nagoya"',
      ],
      async () => {
        const { stderr } = await project.fails(3, "ship");
        assert.match(stderr, /nagoya: is in the configuration but not in the running world/);
        assert.match(stderr, /slipway local down/);
      },
    ));

  test("a world that died, whose ports are taken when it comes back", async () => {
    const state = await project.world();
    process.kill(state.pid, "SIGKILL");
    await until("the world to be gone", () => startTicksOf(state.pid) !== state.startTicks);
    const { stderr } = await project.fails(3, "status");
    assert.match(stderr, new RegExp(`local world: process ${state.pid} is gone`));
    assert.match(stderr, /slipway local up/);

    const ports = [state.registry, ...state.clusters.map(({ url }) => url), state.edge as string].map(
      (address) => Number(address.replace(/\/$/, "").split(":").at(-1)),
    );
    const servers = await Promise.all(ports.map(take));
    try {
      await project.ok("local", "up");
      const after = await project.world();
      assert.notEqual(after.registry, state.registry);
      assert.notEqual(after.edge, state.edge);
      assert.notDeepEqual(
        after.clusters.map(({ url }) => url),
        state.clusters.map(({ url }) => url),
      );
      // The image of release 1 names the registry's old port and is still found: its pod runs again.
      assert.equal((await project.get("/")).status, 200);
    } finally {
      for (const server of servers) server.close();
    }
  });
});
