import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterPlace, ComposePlace } from "./check.ts";
import { collect } from "./collect.ts";
import { planChecks, sourceOf, withoutImplied } from "./plan.ts";
import {
  describeCluster,
  describeCompose,
  describeImage,
  describeService,
  ready,
  type StackTarget,
  stack,
} from "./verify.ts";

async function planOf(body: () => void) {
  const checks = withoutImplied(await collect(body));
  return { checks, plan: planChecks(checks) };
}

test("the cheapest source that can decide is taken", async () => {
  const { checks } = await planOf(() => {
    describeImage("web", (t) => {
      t.image.user("app").runsAsNonRoot();
      t.file("/a").exists();
      t.package("x").installed();
      t.port(80).listening();
      t.process("x").running();
      t.log.contains("x");
      t.http("http://127.0.0.1/").status(200);
      t.container.running();
      t.command(["x"]);
    });
    describeCompose(".", (t) => t.in("web").file("/a").exists());
  });
  assert.deepEqual(checks.map(sourceOf), [
    "config",
    "layers",
    "layers",
    "layers",
    "sockets",
    "processes",
    "log",
    "http",
    "state",
    "exec",
    "files",
  ]);
});

test("an image gets a container only for what needs one, and one for each way of starting it", async () => {
  const { plan } = await planOf(() => {
    describeImage("still", (t) => t.file("/a").exists());
    describeImage("web", (t) => {
      t.port(80).listening();
      t.command(["a"]).stdout("x").stderr("y");
      t.command(["b"]).isolated();
      t.container.stopsWithin("1s");
    });
    describeImage("web", (t) => t.process("x").running());
    describeImage("web", { command: ["other"] }, (t) => t.process("y").running());
  });
  assert.deepEqual(
    plan.images.map(({ image, still, containers }) => [
      image,
      still.length,
      containers.map(({ run, plan: one, isolated }) => [
        run.command?.join(" "),
        one.conditions.length,
        one.commands.map(({ resource, checks }) => `${resource.argv.join(" ")} ${checks.length}`),
        one.stops.length,
        isolated.length,
      ]),
    ]),
    [
      ["still", 1, []],
      [
        "web",
        0,
        [
          [undefined, 2, ["a 3"], 1, 1],
          ["other", 1, [], 0, 0],
        ],
      ],
    ],
  );
});

test("requests to a Service are made once for all that is expected, stacks are started once for each file", async () => {
  const { plan } = await planOf(() => {
    describeService("web", (t) => t.http("/").status(200).body("x"));
    describeService("web", { cluster: "osaka" }, (t) => t.http("/").status(200));
    describeCompose("a.yaml", (t) => t.in("web").port(80).listening());
    describeCompose("a.yaml", (t) => t.in("db").port(81).listening());
    describeCompose(["a.yaml", "b.yaml"], (t) => t.in("web").port(80).listening());
  });
  assert.deepEqual(
    plan.requests.map(({ target, checks }) => [target.cluster, checks.length]),
    [
      [undefined, 2],
      ["osaka", 1],
    ],
  );
  assert.deepEqual(
    plan.composes.map(({ services }) => services.map(({ service }) => service)),
    [["web", "db"], ["web"]],
  );
});

test("a command should exit with 0 unless the spec says otherwise", async () => {
  const { checks } = await planOf(() => {
    describeImage("web", (t) => {
      t.command(["a"]);
      t.command(["b"]).stdout("x").exits(3);
    });
  });
  assert.deepEqual(
    checks.map(({ subject, says }) => `${subject} ${says}`),
    ["a exits 0", 'b stdout is "x"', "b exits 3"],
  );
});

test("a Compose file with other options is started for itself, and its options reach whoever starts it", async () => {
  const check = (t: StackTarget): void => void t.in("web").port(80).listening();
  const { plan } = await planOf(() => {
    describeCompose("/shop", check);
    describeCompose("/shop", { ready: "2m", profiles: ["db"] }, check, stack("again", check));
  });
  assert.deepEqual(
    plan.composes.map(({ place, services }) => [place, services[0]?.plan.conditions.length]),
    [
      [{ paths: ["/shop"], profiles: [], readyMs: 60_000 }, 1],
      [{ paths: ["/shop"], profiles: ["db"], readyMs: 120_000 }, 2],
    ],
  );
});

test("when services are ready goes with the stack to every place, and the line that says it makes no second one", async () => {
  const shop = () =>
    stack("shop", { readyWhen: { db: ready.log(/accepts/, 2) } }, (t) => t.in("db").port(5432).listening());
  const { plan } = await planOf(() => {
    describeCompose("/shop", shop());
    describeCompose("/shop", { readyWhen: { web: ready.ports(80) } }, shop());
    describeCompose("/shop", shop());
    describeCluster({ readyWhen: { web: ready.all([ready.ports()], { deadline: "5m" }) } }, shop());
  });
  const saidBy = ({ place }: { readonly place: ComposePlace | ClusterPlace }) => [
    Object.entries(place.readyWhen ?? {}).map(([name, { form }]) => `${name} ${form}`),
    place.readyMs,
  ];
  assert.deepEqual(plan.composes.map(saidBy), [
    [["db log"], 60_000],
    [["db log", "web ports"], 60_000],
  ]);
  assert.equal(plan.composes[0]?.services[0]?.plan.conditions.length, 2);
  assert.deepEqual(plan.clusters.map(saidBy), [[["db log", "web all"], 300_000]]);
});

test("a service may be called as what a form says of itself", async () => {
  const { plan } = await planOf(() => {
    for (const port of [80, 81])
      describeCompose("/shop", { readyWhen: { place: ready.ports(port) } }, (t) =>
        t.in("place").port(port).listening(),
      );
  });
  assert.equal(plan.composes.length, 2);
});
