/** Seeded faults with the words that real programs use for them: the cause that is told must name what was broken. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@slipway/base";
import { fail } from "../check.ts";
import { collect } from "../collect.ts";
import type { ContainerState } from "../engines/engine.ts";
import { aService, aState } from "../engines/testing.ts";
import { describeCompose } from "../verify.ts";
import type { Outcome, Outcomes } from "./outcome.ts";
import { testingEngine } from "./testing-engine.ts";
import { type ContainerFacts, explain, explainContainers } from "./why.ts";

const RUNNING = aState();

interface Fault {
  readonly log?: string;
  readonly stdout?: string;
  readonly state?: Partial<ContainerState>;
  readonly ports?: readonly number[];
}

function facts(service: string, { log = "", stdout = "", state = {}, ports = [] }: Fault): ContainerFacts {
  const status =
    state.exitCode !== undefined || state.signal !== undefined ? ("exited" as const) : ("running" as const);
  return {
    service,
    state: { ...RUNNING, status, ...state },
    logs: { stdout, stderr: log },
    addresses: service === "backend1" ? ["10.0.0.3"] : ["10.0.0.2"],
    sockets: ports.map((port) => ({ protocol: "tcp", address: "0.0.0.0", port })),
  };
}

const NGINX =
  '2026/01/01 00:00:00 [error] 7#7: *1 connect() failed (111: Connection refused) while connecting to upstream, upstream: "http://backend1:8081/"';

const TABLE: readonly [string, Fault, Fault, string, RegExp][] = [
  ["nginx, wrong port", { log: NGINX }, { ports: [8080] }, "status 502", /backend1 listens on 8080 only/],
  ["nginx, nothing listens", { log: NGINX }, {}, "status 502", /backend1 listens on nothing/],
  [
    "nginx, by address",
    { log: NGINX.replaceAll("backend1", "10.0.0.3") },
    { ports: [8080] },
    "status 502",
    /10\.0\.0\.3:8081[\s\S]*backend1 listens on 8080 only/,
  ],
  [
    "nginx, a timeout",
    { log: 'upstream timed out (110: Operation timed out), upstream: "http://backend1:8080/"' },
    { ports: [8080] },
    "status 504",
    /upstream timed out/,
  ],
  [
    "nginx, no live upstreams",
    { log: "[error] no live upstreams while connecting to upstream" },
    {},
    "status 502",
    /no live upstreams/,
  ],
  [
    "node, refused",
    { stdout: "Error: connect ECONNREFUSED backend1:5432\n" },
    { ports: [3306] },
    "status 500 502",
    /backend1 listens on 3306 only/,
  ],
  ["node, name", { log: "Error: getaddrinfo ENOTFOUND backend9" }, {}, "status 502", /ENOTFOUND backend9/],
  [
    "go, refused",
    { log: "dial tcp backend1:8081: connect: connection refused" },
    { ports: [8080] },
    "status 502",
    /backend1 listens on 8080 only/,
  ],
  [
    "the backend ended",
    { log: NGINX },
    { state: { exitCode: 1 }, log: "panic: no DATABASE_URL" },
    "status 502",
    /backend1 exited 1; its last lines: panic: no DATABASE_URL/,
  ],
  [
    "the backend ran out of memory",
    {},
    { state: { signal: 9, isOomKilled: true } },
    "status 502",
    /backend1 ended by signal 9, killed because it used too much memory/,
  ],
  [
    "the front ended",
    { state: { exitCode: 1 }, log: '[emerg] host not found in upstream "backend9"' },
    {},
    "no answer",
    /front exited 1; its last lines: \[emerg\] host not found in upstream "backend9"/,
  ],
  [
    "the port is taken",
    { log: "Error: listen EADDRINUSE: address already in use :::8080" },
    {},
    "listening: nothing",
    /EADDRINUSE/,
  ],
  ["no right to bind", { log: "bind: permission denied (EACCES)" }, {}, "listening: nothing", /EACCES/],
  [
    "a file is missing",
    { log: "fatal: cannot open /etc/app.conf" },
    {},
    "listening: nothing",
    /cannot open \/etc\/app\.conf/,
  ],
  [
    "unhealthy",
    { state: { health: "unhealthy", healthOutput: "curl: (7) refused" } },
    {},
    "unhealthy",
    /front is unhealthy: curl: \(7\) refused/,
  ],
  [
    "unhealthy and silent",
    { state: { health: "unhealthy" } },
    {},
    "unhealthy",
    /its healthcheck wrote nothing/,
  ],
  [
    "an exception",
    { stdout: "java.lang.IllegalStateException: exception in boot\n" },
    {},
    "listening: nothing",
    /IllegalStateException/,
  ],
  [
    "a bad password",
    { log: "FATAL: password authentication failed for user" },
    {},
    "status 500",
    /password authentication failed/,
  ],
  ["ended by a signal", { state: { signal: 11 } }, {}, "listening: nothing", /front ended by signal 11/],
  [
    "exit 127",
    { state: { exitCode: 127 }, log: "sh: nodee: not found" },
    {},
    "listening: nothing",
    /nodee: not found/,
  ],
];

for (const [name, front, back, seen, expected] of TABLE) {
  test(`why: ${name}`, () => {
    const why = explain("front", seen, [facts("front", front), facts("backend1", back)]);
    assert.match(why.join("\n"), expected);
  });
}

test("nothing is made up where nothing points to a cause", () => {
  assert.deepEqual(
    explain("front", "status 404", [facts("front", { stdout: "started\n" }), facts("backend1", {})]),
    [],
  );
});

test("a service that ended well is not the cause", () => {
  assert.deepEqual(
    explain("front", "status 404", [facts("front", {}), facts("migrate", { state: { exitCode: 0 } })]),
    [],
  );
});

test("an end explains what needed the container, not what a file is like", async () => {
  const late = aService("late", { entrypoint: ["sh", "-c", "echo broken >&2; exit 4"] });
  const project = await testingEngine(systemClock).createProject({ name: "why", services: [late] });
  try {
    const container = project.container("late");
    await container.start();
    await container.exited(AbortSignal.timeout(20_000));
    const checks = await collect(() =>
      describeCompose(".", (t) => {
        t.in("late").file("/nope").exists();
        t.in("late").port(80).listening();
      }),
    );
    const failed: Outcome = { judgement: fail("no"), from: "files", attempts: 1, durationMs: 0 };
    const outcomes: Outcomes = new Map(checks.map((check) => [check, failed]));
    await explainContainers([container], checks, outcomes);
    assert.deepEqual(
      checks.map((check) => outcomes.get(check)?.why),
      [undefined, ["late exited 4; its last lines: broken"]],
    );
  } finally {
    await project.remove();
  }
});
