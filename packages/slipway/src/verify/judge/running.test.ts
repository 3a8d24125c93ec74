/** What was seen, what was expected, and the verdict: tables for everything that runs. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type {
  CommandExpectation,
  ContainerExpectation,
  HttpExpectation,
  Judgement,
  LogExpectation,
  ProcessExpectation,
  Verdict,
} from "../check.ts";
import type {
  ContainerProcess,
  ContainerState,
  ExecResult,
  InsideResponse,
  ReachResult,
} from "../engines/engine.ts";
import { aState } from "../engines/testing.ts";
import type { TextMatch } from "../text-match.ts";
import { judgeCertificate } from "./certificate.ts";
import {
  judgeCommand,
  judgeHttp,
  judgeLog,
  judgePort,
  judgeProcess,
  judgeReach,
  judgeState,
  judgeStop,
} from "./running.ts";

const is = (judgement: Judgement, verdict: Verdict, what: unknown): void =>
  assert.equal(judgement.verdict, verdict, `${JSON.stringify(what)}: ${judgement.evidence}`);

const certificate = readFileSync(join(import.meta.dirname, "../mutations/testdata/shop.pem"), "utf8");
const NOW = Date.UTC(2030, 0, 1);

const answer = (over: Partial<Extract<InsideResponse, { status: number }>>): InsideResponse => ({
  status: 200,
  headers: { "Content-Type": "text/html" },
  body: "the page\n",
  certificate: undefined,
  tookMs: 1,
  ...over,
});

test("answers", () => {
  const refused: InsideResponse = { error: "ECONNREFUSED", message: "connect", tookMs: 1 };
  const page = { is: "exactly", text: "the page" } as const;
  const table: readonly [HttpExpectation, InsideResponse, Verdict][] = [
    [{ matcher: "status", status: 200 }, answer({}), "pass"],
    [{ matcher: "status", status: 200 }, refused, "fail"],
    [{ matcher: "body", match: page, isWanted: true }, answer({}), "pass"],
    [{ matcher: "body", match: page, isWanted: false }, refused, "fail"],
    [
      { matcher: "header", name: "content-type", match: { is: "exactly", text: "text/html" } },
      answer({}),
      "pass",
    ],
    [{ matcher: "header", name: "x-none", match: page }, answer({}), "fail"],
    [
      { matcher: "json", document: { path: "a", value: 1, match: undefined } },
      answer({ body: '{"a":1}' }),
      "pass",
    ],
    [{ matcher: "json", document: { path: "a", value: 1, match: undefined } }, answer({}), "fail"],
    [{ matcher: "redirects", match: page }, answer({}), "fail"],
    [
      { matcher: "redirects", match: page },
      answer({ status: 302, headers: { Location: "the page" } }),
      "pass",
    ],
    [{ matcher: "tls", days: 30 }, answer({}), "fail"],
    [{ matcher: "tls", days: 30 }, answer({ certificate }), "pass"],
    [{ matcher: "tls", days: 400_000 }, answer({ certificate }), "fail"],
  ];
  for (const [expectation, response, verdict] of table)
    is(judgeHttp({ resource: { isStatusStated: true }, expectation }, response, NOW), verdict, expectation);
});

test("what a body lacks is believed of an error page only when that status is expected", () => {
  const match = { is: "containing", text: "stack trace" } as const;
  const table: readonly [status: number, isStatusStated: boolean, Verdict][] = [
    [200, false, "pass"],
    [302, false, "pass"],
    [404, false, "fail"],
    [500, false, "fail"],
    [500, true, "pass"],
  ];
  for (const [status, isStatusStated, verdict] of table) {
    const check = {
      resource: { isStatusStated },
      expectation: { matcher: "body", match, isWanted: false },
    } as const;
    is(judgeHttp(check, answer({ status, body: "oops" }), NOW), verdict, [status, isStatusStated]);
  }
});

test("what a command does not say counts when it ends as it should", () => {
  const ran = (exitCode: number, stdout: string): ExecResult => ({
    exitCode,
    stdout,
    stderr: "",
    tookMs: 1,
    hasTimedOut: false,
  });
  const text = (match: TextMatch, isWanted: boolean): CommandExpectation => ({
    matcher: "text",
    stream: "stdout",
    match,
    isWanted,
  });
  const lacks = text({ is: "containing", text: "root" }, false);
  const says = text({ is: "containing", text: "root" }, true);
  const empty = text({ is: "empty" }, true);
  // [what is expected, what it should exit with, what it did, the verdict]
  const table: readonly (readonly [CommandExpectation, number, ExecResult, Verdict])[] = [
    [lacks, 0, ran(0, "app"), "pass"],
    [lacks, 0, ran(0, "root"), "fail"],
    [lacks, 0, ran(127, ""), "fail"],
    [lacks, 3, ran(3, ""), "pass"],
    [lacks, 3, ran(0, ""), "fail"],
    [says, 0, ran(2, "root"), "pass"],
    [says, 0, ran(2, "app"), "fail"],
    [empty, 0, ran(0, ""), "pass"],
    [empty, 0, ran(126, ""), "fail"],
    [empty, 1, ran(1, ""), "pass"],
  ];
  for (const [expectation, exitCode, result, verdict] of table) {
    is(judgeCommand({ resource: { timeoutMs: 1, exitCode }, expectation }, result), verdict, [
      expectation,
      result,
    ]);
  }
});

test("only an answer of the network proves that nothing is open", () => {
  const closed = (error: string): ReachResult => ({ isOpen: false, error, tookMs: 1 });
  const unresolved = (error: string): ReachResult => ({
    isOpen: false,
    isUnresolved: true,
    error,
    tookMs: 1,
  });
  const table: readonly [ReachResult, Verdict][] = [
    [{ isOpen: true, tookMs: 1 }, "fail"],
    [closed("ECONNREFUSED"), "pass"],
    [closed("ETIMEDOUT"), "pass"],
    [closed("EHOSTUNREACH"), "pass"],
    [closed("ENOTFOUND"), "unknown"],
    [closed("EAI_AGAIN"), "unknown"],
    [unresolved("ENOTFOUND"), "unknown"],
    // Of the name server, not of what is behind the name.
    [unresolved("ECONNREFUSED"), "unknown"],
    [unresolved("ETIMEOUT"), "unknown"],
    [unresolved("EREFUSED"), "unknown"],
  ];
  for (const [result, verdict] of table)
    is(judgeReach({ expectation: { matcher: "closed" } }, result), verdict, result);
});

test("what no name server could say is unknown to all that ask for the name, and no failure of the service", () => {
  // [the error, whether it is of the lookup, the verdict]
  const table: readonly (readonly [string, true | undefined, Verdict])[] = [
    ["ECONNREFUSED", undefined, "fail"],
    ["ETIMEDOUT", undefined, "fail"],
    ["ENOTFOUND", undefined, "fail"],
    ["ETIMEOUT", true, "unknown"],
    ["ETIMEDOUT", true, "unknown"],
    ["ECONNREFUSED", true, "unknown"],
  ];
  for (const [error, isUnresolved, verdict] of table) {
    const failed = { error, tookMs: 1, ...(isUnresolved === undefined ? {} : { isUnresolved }) };
    const response = { ...failed, message: "queryA web" };
    const http = judgeHttp(
      { resource: { isStatusStated: true }, expectation: { matcher: "status", status: 200 } },
      response,
      NOW,
    );
    const reach = judgeReach({ expectation: { matcher: "open" } }, { ...failed, isOpen: false });
    for (const judgement of [http, reach]) {
      is(judgement, verdict, failed);
      assert.equal(judgement.isFinal, verdict === "unknown" ? false : undefined);
    }
  }
  const noName: ReachResult = { isOpen: false, isUnresolved: true, error: "ENOTFOUND", tookMs: 1 };
  is(judgeReach({ expectation: { matcher: "open" } }, noName), "fail", noName);
});

const process = (pid: number, uid: number, comm: string, ...argv: readonly string[]): ContainerProcess => ({
  pid,
  parent: 0,
  uid,
  comm,
  argv,
  program: comm,
});

test("a process that has another title is known by the file that it runs; where that cannot be read, nothing is sure", () => {
  const titled = { ...process(1, 33, "my shop", "my shop"), program: "node" };
  const python = { ...process(2, 0, "worker", "worker"), program: "python3.11" };
  const hidden = { ...process(3, 0, "other", "other"), program: undefined };
  // What the kernel called it, or what stands behind its name, is no title's.
  const worker = { ...process(4, 33, "nginx", "nginx: worker process"), program: undefined };
  const daemon = { ...process(5, 0, "cron", "cron", "-f"), program: undefined };
  const long = { ...process(6, 0, "a shop with a l", "a shop with a long title"), program: undefined };
  const padded = { ...process(7, 0, "my shop", "my shop", "", ""), program: undefined };
  const table: readonly [readonly ContainerProcess[], string | number, ProcessExpectation, Verdict][] = [
    [[titled], "node", { matcher: "notRunning" }, "fail"],
    [[titled], "node", { matcher: "running" }, "pass"],
    [[titled], "my shop", { matcher: "running" }, "pass"],
    [[titled], "nod", { matcher: "notRunning" }, "pass"],
    [[titled, hidden], "node", { matcher: "notRunning" }, "fail"],
    [[python], "python3", { matcher: "notRunning" }, "fail"],
    [[python], "python", { matcher: "notRunning" }, "pass"],
    [[hidden], "node", { matcher: "notRunning" }, "unknown"],
    [[hidden], "other", { matcher: "notRunning" }, "fail"],
    [[hidden], "other", { matcher: "count", count: 1 }, "pass"],
    [[hidden], "node", { matcher: "running" }, "unknown"],
    [[hidden], 1, { matcher: "notRunning" }, "pass"],
    [[long], "node", { matcher: "notRunning" }, "unknown"],
    [[padded], "node", { matcher: "notRunning" }, "unknown"],
    [[hidden, worker, daemon], "worker", { matcher: "notRunning" }, "unknown"],
    [[worker, daemon], "node", { matcher: "notRunning" }, "pass"],
    [[worker, daemon], "nginx", { matcher: "count", count: 1 }, "pass"],
    [[worker, daemon], "cron", { matcher: "user", user: "0" }, "pass"],
    [[titled, hidden], "node", { matcher: "count", count: 0 }, "fail"],
    [[titled, hidden], "node", { matcher: "count", count: 1 }, "unknown"],
    [[titled, hidden], "node", { matcher: "count", count: 2 }, "unknown"],
    [[titled, hidden], "node", { matcher: "count", count: 3 }, "fail"],
    [[titled, hidden], "node", { matcher: "user", user: "33" }, "unknown"],
    [[titled, hidden], "node", { matcher: "user", user: "34" }, "fail"],
    [[hidden], "node", { matcher: "user", user: "33" }, "unknown"],
    [[titled, hidden], "node", { matcher: "args", match: { is: "containing", text: "shop" } }, "pass"],
    [[titled, hidden], "node", { matcher: "args", match: { is: "containing", text: "x" } }, "unknown"],
  ];
  for (const [all, name, expectation, verdict] of table)
    is(judgeProcess({ resource: { name }, expectation }, all, undefined), verdict, [all, name, expectation]);
  const shown = judgeProcess(
    { resource: { name: "node" }, expectation: { matcher: "notRunning" } },
    [{ ...padded, pid: 1, program: "node" }],
    undefined,
  );
  assert.equal(shown.evidence, "1 my shop (runs node)");
});

test("processes are known by the kernel's name and by their first word", () => {
  const all = [
    process(1, 0, "nginx", "nginx: master process nginx -g daemon off;"),
    process(7, 33, "nginx", "nginx: worker process"),
    process(9, 33, "MainThread", "/usr/bin/node", "server.js"),
    process(11, 33, "a-very-long-nam", "/opt/a-very-long-name-indeed"),
  ];
  const accounts = {
    users: [{ name: "www", uid: 33, gid: 33, home: "/", shell: "", line: "" }],
    groups: [],
    hasPasswd: true,
    hasGroup: true,
  };
  const table: readonly [string | number, ProcessExpectation, Verdict][] = [
    ["nginx", { matcher: "count", count: 2 }, "pass"],
    ["node", { matcher: "running" }, "pass"],
    ["node", { matcher: "notRunning" }, "fail"],
    ["nod", { matcher: "notRunning" }, "pass"],
    ["a-very-long-name-indeed", { matcher: "running" }, "pass"],
    ["nginx", { matcher: "user", user: "www" }, "fail"],
    ["node", { matcher: "user", user: "www" }, "pass"],
    ["node", { matcher: "user", user: "33" }, "pass"],
    ["node", { matcher: "user", user: "stranger" }, "unknown"],
    [1, { matcher: "args", match: { is: "containing", text: "daemon off" } }, "pass"],
    [1, { matcher: "user", user: "root" }, "pass"],
    [2, { matcher: "running" }, "fail"],
    ["redis", { matcher: "args", match: { is: "containing", text: "x" } }, "fail"],
  ];
  for (const [name, expectation, verdict] of table) {
    is(judgeProcess({ resource: { name }, expectation }, all, accounts), verdict, [name, expectation]);
  }
  is(
    judgeProcess({ resource: { name: "x" }, expectation: { matcher: "notRunning" } }, [], accounts),
    "unknown",
    "an empty table",
  );
});

test("sockets, by port, protocol and address", () => {
  const sockets = [
    { protocol: "tcp", address: "0.0.0.0", port: 80 },
    { protocol: "tcp", address: "::", port: 80 },
    { protocol: "udp", address: "127.0.0.1", port: 53 },
  ] as const;
  const table = [
    [80, "tcp", { matcher: "listening", address: undefined }, "pass"],
    [80, "tcp", { matcher: "listening", address: "::" }, "pass"],
    [80, "tcp", { matcher: "listening", address: "127.0.0.1" }, "fail"],
    [80, "udp", { matcher: "listening", address: undefined }, "fail"],
    [53, "udp", { matcher: "notListening" }, "fail"],
    [53, "tcp", { matcher: "notListening" }, "pass"],
    [undefined, "tcp", { matcher: "only", ports: ["80/tcp", "53/udp"] }, "pass"],
    [undefined, "tcp", { matcher: "only", ports: ["80/tcp"] }, "fail"],
    [undefined, "tcp", { matcher: "only", ports: ["80/tcp", "53/udp", "22/tcp"] }, "fail"],
  ] as const;
  for (const [port, protocol, expectation, verdict] of table) {
    is(judgePort({ resource: { port, protocol }, expectation }, sockets), verdict, [port, expectation]);
  }
});

const RUNNING = aState();

test("states, and how a container stops", () => {
  const table: readonly [ContainerExpectation, Partial<ContainerState>, Verdict][] = [
    [{ matcher: "running" }, {}, "pass"],
    [{ matcher: "running" }, { status: "exited", exitCode: 0 }, "fail"],
    [{ matcher: "healthy" }, {}, "unknown"],
    [{ matcher: "healthy" }, { health: "healthy" }, "pass"],
    [{ matcher: "healthy" }, { health: "starting" }, "fail"],
    [{ matcher: "exitCode", code: 3 }, { status: "exited", exitCode: 3 }, "pass"],
    [{ matcher: "exitCode", code: 0 }, {}, "fail"],
    [{ matcher: "restarts", count: 0 }, { restarts: 2 }, "fail"],
    [{ matcher: "notOomKilled" }, { isOomKilled: true }, "fail"],
  ];
  for (const [expectation, over, verdict] of table)
    is(judgeState({ expectation }, { ...RUNNING, ...over }), verdict, expectation);
  is(judgeStop(2000, { tookMs: 30, wasKilled: false }, "SIGTERM"), "pass", "it stops");
  is(judgeStop(2000, { tookMs: 3000, wasKilled: false }, "SIGTERM"), "fail", "it takes long");
  is(judgeStop(2000, { tookMs: 2000, wasKilled: true }, "SIGTERM"), "fail", "it is killed");
});

test("logs, with the nearest line", () => {
  const logs = { stdout: "one\nlistening on 8080\n", stderr: "warn: slow\n" };
  const text = (value: string) => ({ is: "containing", text: value }) as const;
  const near = judgeLog(
    {
      resource: { stream: "stdout" },
      expectation: { matcher: "contains", match: text("listening at 8080") },
    },
    logs,
  );
  assert.equal(near.closest, "listening on 8080  (stdout line 2 of 2)");
  is(
    judgeLog(
      { resource: { stream: "stderr" }, expectation: { matcher: "lacks", match: text("warn") } },
      logs,
    ),
    "fail",
    "lacks",
  );
  is(
    judgeLog(
      { resource: { stream: undefined }, expectation: { matcher: "count", match: text("n"), count: 6 } },
      logs,
    ),
    "fail",
    "count",
  );
});

test("what has happened is not waited for any more; what may still come is", () => {
  const match = { is: "containing", text: "n" } as const;
  const logs = { stdout: "n n n\n", stderr: "" };
  const ofLog = (expectation: LogExpectation) =>
    judgeLog({ resource: { stream: undefined }, expectation }, logs);
  const ofState = (expectation: ContainerExpectation) =>
    judgeState({ expectation }, { ...RUNNING, restarts: 2, isOomKilled: true });
  const rows: readonly (readonly [string, Judgement, boolean])[] = [
    ["a line that it should lack", ofLog({ matcher: "lacks", match }), true],
    ["a line too often", ofLog({ matcher: "count", match, count: 2 }), true],
    ["a line not often enough yet", ofLog({ matcher: "count", match, count: 4 }), false],
    ["a line that it should have", ofLog({ matcher: "contains", match: { ...match, text: "x" } }), false],
    ["too many restarts", ofState({ matcher: "restarts", count: 1 }), true],
    ["not enough restarts yet", ofState({ matcher: "restarts", count: 3 }), false],
    ["killed for its memory", ofState({ matcher: "notOomKilled" }), true],
    ["not ended yet", ofState({ matcher: "exitCode", code: 0 }), false],
  ];
  for (const [what, { verdict, isFinal = false }, expected] of rows)
    assert.deepEqual([verdict, isFinal], ["fail", expected], what);
});

test("a certificate in time: not yet, now, and not any more", async () => {
  const files = {
    lookup: () => Promise.resolve({ kind: "found", path: "/c", file: { kind: "file" } }),
    read: () => Promise.resolve(Buffer.from(certificate)),
  } as unknown as Parameters<typeof judgeCertificate>[1];
  const check = { resource: { path: "/c" }, expectation: { matcher: "validFor", days: 1 } } as const;
  is(await judgeCertificate(check, files, Date.UTC(2020, 0, 1)), "fail", "before");
  is(await judgeCertificate(check, files, NOW), "pass", "now");
  is(await judgeCertificate(check, files, Date.UTC(2300, 0, 1)), "fail", "after");
});
