import assert from "node:assert/strict";
import { test } from "node:test";
import { collectNow } from "../collect.ts";
import {
  type ClusterTarget,
  contains,
  describeCluster,
  describeCompose,
  describeImage,
  describeService,
  type ImageTarget,
  ready,
  type ServiceTarget,
} from "../verify.ts";

/** Spec files are run without their types: as such a file would have it. */
const anything = (value: unknown): never => value as never;
const unset = anything(undefined);

test("a word that is given the wrong kind of thing is a mistake, and not a check that holds of nothing", () => {
  const image: readonly (readonly [(t: ImageTarget) => unknown, RegExp])[] = [
    [(t) => t.user(unset).absent(), /^user expects a name, got nothing$/],
    [(t) => t.user(anything(1000)).absent(), /^user expects a name, got 1000$/],
    [(t) => t.user("").absent(), /^user expects a name, got ""$/],
    [(t) => t.user("web").home(unset), /^home expects a text, got nothing$/],
    [(t) => t.user("web").primaryGroup(unset), /^primaryGroup expects a name/],
    [(t) => t.group(anything([])).absent(), /^group expects a name, got \[\]$/],
    [(t) => t.package(anything(/nginx/)).absent(), /^package expects a name, got \/nginx\/$/],
    [(t) => t.certificate(unset).validFor(1), /^a certificate is named by its full path, got nothing$/],
    [(t) => t.certificate("/a").matchesKey("key.pem"), /^a key is named by its full path, got "key.pem"$/],
    [(t) => t.file(unset).absent(), /^a file is named by its full path, got nothing$/],
    [(t) => t.file("etc/passwd").absent(), /^a file is named by its full path, got "etc\/passwd"$/],
    [(t) => t.file("/a").linkedTo(unset), /^linkedTo expects a name/],
    [(t) => t.file("/a").readableBy(anything(/web/)), /^readableBy expects a name, got \/web\/$/],
    [(t) => t.process(unset).notRunning(), /^process expects a name, got nothing$/],
    [(t) => t.process(anything(/node/)).notRunning(), /^process expects a name, got \/node\/$/],
    [(t) => t.process(0).notRunning(), /^process expects a whole number from 1, got 0$/],
    [(t) => t.process(1).user(unset), /^user expects a name, got nothing$/],
    [(t) => t.port(1).listening(anything(8080)), /^listening expects a name, got 8080$/],
    [(t) => t.dns(unset).resolvesNot(), /^dns expects a name, got nothing$/],
    [(t) => t.dns("a").resolves(anything(1)), /^resolves expects a name, got 1$/],
    [(t) => t.reach(unset, 80).closed(), /^reach expects a name, got nothing$/],
    [(t) => t.image.envUnset(unset), /^envUnset expects a name, got nothing$/],
    [(t) => t.image.envUnset(anything(/TOKEN/)), /^envUnset expects a name, got \/TOKEN\/$/],
    [(t) => t.image.env(unset), /^env expects a name/],
    [(t) => t.image.label(unset), /^label expects a name/],
    [(t) => t.image.labelUnset(unset), /^labelUnset expects a name/],
    [(t) => t.image.volume(unset), /^volume expects a name/],
    [(t) => t.image.volumeUnset(unset), /^volumeUnset expects a name/],
    [(t) => t.image.user(unset), /^user expects a text/],
    [(t) => t.image.workdir(unset), /^workdir expects a text/],
    [(t) => t.image.stopSignal(anything(15)), /^stopSignal expects a text, got 15$/],
    [(t) => t.image.arch(unset), /^arch expects a text/],
    [(t) => t.image.os(unset), /^os expects a text/],
    [(t) => t.image.author(unset), /^author expects a text/],
    [(t) => t.http("http://a/", { method: anything(1) }).status(200), /^method expects a name, got 1$/],
    [(t) => t.http("http://a/", { body: anything({}) }).status(200), /^body expects a text, got \{\}$/],
    [(t) => t.http("http://a/", { headers: anything("x") }).status(200), /^headers expects names with/],
    [(t) => t.http("http://a/", { headers: { a: unset } }).status(200), /^headers: a expects a text/],
    [(t) => t.http("http://a/", { insecure: anything("no") }).status(200), /^insecure is true or false/],
    [(t) => t.http("http://a/").header(unset, "x"), /^header expects a name/],
    [(t) => t.command("a", { env: { TOKEN: unset } }), /^env: TOKEN expects a text, got nothing$/],
    [(t) => t.command("a", { user: anything({}) }), /^user expects a name/],
    [(t) => t.command("a", { workdir: anything(1) }), /^workdir expects a text/],
    [(t) => t.command("a", { stdin: anything(1) }), /^stdin expects a text/],
    [(t) => t.command("a", { isolated: anything("yes") }), /^isolated is true or false, got "yes"$/],
  ];
  const cluster: readonly (readonly [(t: ClusterTarget) => unknown, RegExp])[] = [
    [(t) => t.workload(unset).available(), /^workload expects a name/],
    [(t) => t.workload("").available(), /^workload expects a name/],
    [(t) => t.object("v1/Pod", unset).absent(), /^object expects a name, got nothing$/],
    [(t) => t.object(unset, "a").absent(), /^"undefined" is not a kind with its version$/],
    [(t) => t.objects("v1/Pod", { app: unset }).none(), /^labels: app expects a text, got nothing$/],
    [(t) => t.objects("v1/Pod", anything(/web/)).none(), /^labels expects names with .*, got \/web\/$/],
    [(t) => t.objects("v1/Pod", anything(["web"])).none(), /^labels expects names with/],
    [
      (t) => t.object("v1/Pod", "a").matches({ spec: contains() }),
      /^spec: contains\(\) of nothing says nothing$/,
    ],
  ];
  const service: readonly (readonly [(t: ServiceTarget) => unknown, RegExp])[] = [
    [(t) => t.http(unset).status(200), /^a path begins with a slash, got undefined$/],
    [(t) => t.http("/", { deadlineMs: Number.NaN }).status(200), /^"NaN" is not a duration/],
    [(t) => t.http("/", { body: anything(1) }).status(200), /^body expects a text, got 1$/],
  ];
  const places: readonly (readonly [() => void, RegExp])[] = [
    [() => describeImage(unset, (t) => t.user("a").exists()), /^describeImage expects a name/],
    [() => describeImage("a", { user: anything(1.5) }, () => {}), /^user expects a name, got 1.5$/],
    [() => describeImage("a", { env: anything([]) }, () => {}), /^env expects names with/],
    [() => describeCompose(unset, () => {}), /^describeCompose needs a Compose file or its folder$/],
    [() => describeCompose(anything([1]), () => {}), /^describeCompose expects a name, got 1$/],
    [() => describeCompose(".", (t) => t.in(unset)), /^in expects the name of a service$/],
    [() => describeCluster({ context: anything(null) }, () => {}), /^context expects a name, got null$/],
    [() => describeService(unset, () => {}), /^describeService expects a name/],
    [() => describeService("a", { cluster: anything(1) }, () => {}), /^cluster expects a name, got 1$/],
    [() => describeService("a", { port: anything({}) }, () => {}), /^port expects a name, got \{\}$/],
    [() => void ready.cmd("a", { env: { A: unset } }), /^env: A expects a text/],
    [() => void ready.http("/", { headers: anything("x") }), /^headers expects names with/],
  ];
  const all: readonly (readonly [() => void, RegExp])[] = [
    ...image.map(([body, says]) => [() => describeImage("web", body), says] as const),
    ...cluster.map(([body, says]) => [() => describeCluster(body), says] as const),
    ...service.map(([body, says]) => [() => describeService("web", body), says] as const),
    ...places,
  ];
  for (const [body, message] of all) {
    assert.throws(
      () => collectNow(body),
      { code: "VERIFY_SPEC_INVALID", message, exitCode: 2 },
      String(message),
    );
  }
});

test("a command knows what it should exit with, whichever of its checks are asked", () => {
  const checks = collectNow(() => {
    describeImage("web", (t) => {
      t.command("a").stdoutLacks("x");
      t.command("b").stdoutLacks("x").exits(3);
    });
  });
  const codes = checks.map(({ kind, resource }) => kind === "command" && resource.exitCode);
  assert.deepEqual(codes, [0, 0, 3, 3, 3]);
});

test("ids of users, and numbers as values of variables and labels, are what they are written as", () => {
  const checks = collectNow(() => {
    describeImage("web", { env: { PORT: anything(8080) }, user: anything(1000) }, (t) => {
      t.process(1).user(anything(1000));
      t.image.user("").author("");
    });
    describeCluster((t) => t.objects("v1/Pod", { tier: anything(1) }).none());
  });
  const [first] = checks;
  assert.deepEqual(first?.target.kind === "image" && first.target.run, {
    environment: { PORT: "8080" },
    user: "1000",
  });
  assert.deepEqual(
    checks.map(({ subject, says }) => `${subject} ${says}`),
    ["process 1 runs as 1000", "image user ", "image author ", "v1/Pod (tier=1) none"],
  );
});
