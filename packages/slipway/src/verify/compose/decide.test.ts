import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ContainerState, ListeningSocket, ServiceSpec } from "../engines/engine.ts";
import { aService } from "../engines/testing.ts";
import type { ReadyWhen } from "../readiness/forms.ts";
import { leavesOf } from "../readiness/readiness.ts";
import { ready } from "../spec/ready.ts";
import { decide, type ServiceView } from "./decide.ts";

const NOW = 100_000;

function view(state: Partial<ContainerState> = {}, over: Partial<ServiceView> = {}): ServiceView {
  return {
    isAsked: (state.status ?? "created") !== "created",
    startError: undefined,
    sockets: undefined,
    ...over,
    state: {
      status: "created",
      exitCode: undefined,
      signal: undefined,
      isOomKilled: false,
      restarts: 0,
      startedAtMs: NOW - 1000,
      finishedAtMs: undefined,
      health: undefined,
      healthOutput: undefined,
      ...state,
    },
  };
}
const running = (over: Partial<ContainerState> = {}, more: Partial<ServiceView> = {}): ServiceView =>
  view({ status: "running", ...over }, more);
const exited = (exitCode: number, finishedAtMs = NOW): ServiceView =>
  view({ status: "exited", exitCode, finishedAtMs });
const listening = (...ports: readonly number[]): readonly ListeningSocket[] =>
  ports.map((port) => ({ protocol: "tcp", address: "127.0.0.1", port }));
const needs = (
  service: string,
  condition: ServiceSpec["dependsOn"][number]["condition"] = "started",
): ServiceSpec["dependsOn"][number] => ({ service, condition, isRequired: true });
const exposes = (...ports: readonly number[]) => ports.map((port) => ({ port, protocol: "tcp" as const }));

/** In one line: what is started, what is waited for, and the failure. */
function said(
  services: readonly ServiceSpec[],
  views: Readonly<Record<string, ServiceView>>,
  readyWhen: ReadyWhen = {},
): string {
  const { start, waiting, failure, isReady } = decide(
    services,
    new Map(Object.entries(views)),
    NOW,
    readyWhen,
  );
  if (failure !== undefined) return `${failure.kind}: ${failure.service} ${failure.message}`;
  if (isReady) return "ready";
  return [
    ...start.map((name) => `start ${name}`),
    ...waiting.map((one) => `${one.service} waits for ${one.for}`),
  ].join("; ");
}

describe("when a service may start", () => {
  const [db, web] = [aService("db"), aService("web", { dependsOn: [needs("db")] })];
  const healthy = aService("web", { dependsOn: [needs("db", "healthy")] });
  const completed = aService("web", { dependsOn: [needs("db", "completed")] });
  const cases: readonly (readonly [
    string,
    readonly ServiceSpec[],
    Readonly<Record<string, ServiceView>>,
    string,
  ])[] = [
    [
      "what nothing is waited for",
      [db, web],
      { db: view(), web: view() },
      "start db; db waits for its start; web waits for db to start",
    ],
    [
      "started is enough",
      [db, web],
      { db: running({ startedAtMs: NOW }), web: view() },
      "start web; db waits for it to run for 300 ms; web waits for its start",
    ],
    [
      "healthy is waited for",
      [db, healthy],
      { db: running({ health: "starting" }), web: view() },
      "db waits for its healthcheck; web waits for db to be healthy",
    ],
    [
      "healthy is reached",
      [db, healthy],
      { db: running({ health: "healthy" }), web: view() },
      "start web; web waits for its start",
    ],
    [
      "healthy of one without a healthcheck",
      [db, healthy],
      { db: running(), web: view() },
      "no-healthcheck: web waits for db to be healthy, and db has no healthcheck",
    ],
    [
      "completion is waited for",
      [db, completed],
      { db: running(), web: view() },
      "db waits for it to complete; web waits for db to complete",
    ],
    [
      "completion is reached",
      [db, completed],
      { db: exited(0), web: view() },
      "start web; web waits for its start",
    ],
    ["completion fails", [db, completed], { db: exited(2), web: view() }, "exited: db exited with 2"],
    ["one that was left out is not waited for", [web], { web: view() }, "start web; web waits for its start"],
  ];
  for (const [what, services, views, expected] of cases)
    test(what, () => assert.equal(said(services, views), expected));
});

describe("when a service is ready", () => {
  const ports = aService("web", { exposed: [...exposes(80, 81), { port: 53, protocol: "udp" }] });
  const plain = aService("web");
  const restarting = aService("web", { restart: "on-failure" });
  const cases: readonly (readonly [string, ServiceSpec, ServiceView, string])[] = [
    ["its healthcheck says so", ports, running({ health: "healthy" }), "ready"],
    [
      "its healthcheck says no",
      plain,
      running({ health: "unhealthy", healthOutput: "no luck\n" }),
      "unhealthy: web is unhealthy: no luck",
    ],
    ["its ports listen, wherever", ports, running({}, { sockets: listening(80, 81) }), "ready"],
    [
      "one port does not",
      ports,
      running({}, { sockets: listening(80) }),
      "web waits for port 81 to listen (listening: 80)",
    ],
    ["nobody has looked yet", ports, running(), "web waits for port 80, 81 to listen"],
    ["ports cannot be seen, but it lives", ports, running({}, { sockets: { unseen: "why" } }), "ready"],
    [
      "it has ended, and nobody has told how",
      plain,
      running({}, { sockets: { unseen: "why", isOver: true } }),
      "web waits for how it ended",
    ],
    [
      "the same, with ports",
      ports,
      running({}, { sockets: { unseen: "why", isOver: true } }),
      "web waits for how it ended",
    ],
    ["it has run for a moment", plain, running({ startedAtMs: NOW - 300 }), "ready"],
    ["it has only begun", plain, running({ startedAtMs: NOW - 299 }), "web waits for it to run for 300 ms"],
    ["it has exited", plain, exited(1), "exited: web exited with 1"],
    ["it has exited with 0, and nobody wanted that", plain, exited(0), "exited: web exited with 0"],
    ["it will be started again", restarting, exited(1), "web waits for a restart after exit code 1"],
    ["it will not be started again after 0", restarting, exited(0), "exited: web exited with 0"],
    [
      "it could not be started",
      plain,
      view({}, { isAsked: true, startError: "no such file" }),
      "not-started: web could not be started: no such file",
    ],
  ];
  for (const [what, service, seen, expected] of cases)
    test(what, () => assert.equal(said([service], { web: seen }), expected));
});

describe("when a service is ready that has its own rule", () => {
  const log = ready.log("up");
  const web = aService("web", { exposed: exposes(80) });
  const seen = (is: "held" | "pending"): Partial<ServiceView> => ({
    sight: {
      leaves: new Map(leavesOf(log).map((leaf) => [leaf, is === "held" ? { is } : { is, soFar: undefined }])),
      waitedMs: 0,
      isLast: false,
    },
  });
  const cases: readonly (readonly [string, ServiceView, string])[] = [
    ["nobody has looked yet", running(), 'web waits for "up" in its log'],
    ["its ports do not count", running({}, { sockets: listening(80) }), 'web waits for "up" in its log'],
    ["its healthcheck does not count", running({ health: "unhealthy" }, seen("held")), "ready"],
    ["it is not so", running({ health: "healthy" }, seen("pending")), 'web waits for "up" in its log'],
    ["it has ended", exited(2), 'exited: web exited with 2, while waiting for "up" in its log'],
    [
      "it could not be started",
      view({}, { isAsked: true, startError: "no such file" }),
      "not-started: web could not be started: no such file",
    ],
  ];
  for (const [what, one, expected] of cases)
    test(what, () => assert.equal(said([web], { web: one }, { web: log }), expected));
});

test("of several that ended, the first is the cause", () => {
  const services = [aService("web"), aService("db")];
  assert.equal(said(services, { web: exited(1, NOW), db: exited(2, NOW - 5) }), "exited: db exited with 2");
});
