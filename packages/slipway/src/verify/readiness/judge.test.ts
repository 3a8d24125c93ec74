import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ContainerState, InsideResponse } from "../engines/engine.ts";
import { aState } from "../engines/testing.ts";
import { ready } from "../spec/ready.ts";
import type { Readiness } from "./forms.ts";
import {
  judgeAnswer,
  judgeCmd,
  judgeExit,
  judgeHealth,
  judgeLog,
  judgePorts,
  judgeReadiness,
  judgeUnseen,
  type LeafSight,
  type ReadinessSight,
} from "./judge.ts";
import { leavesOf } from "./readiness.ts";

const exited = (exitCode: number, over: Partial<ContainerState> = {}): ContainerState =>
  aState({ status: "exited", exitCode, ...over });
const HELD: LeafSight = { is: "held" };
const pending = (soFar?: string): LeafSight => ({ is: "pending", soFar });

describe("whether a service is ready, as its spec file says it", () => {
  interface Seen {
    /** In the order of the leaves; what is missing was not looked at yet. */
    readonly sights?: readonly LeafSight[];
    readonly waitedMs?: number;
    readonly isLast?: boolean;
    readonly state?: ContainerState;
    readonly restart?: "no" | "on-failure" | "always";
    readonly isToEnd?: boolean;
  }
  function said(readiness: Readiness, seen: Seen): string {
    const { sights = [], waitedMs = 0, isLast = false, restart = "no", isToEnd = false } = seen;
    const leaves = leavesOf(readiness);
    const sight: ReadinessSight = {
      leaves: new Map(sights.map((one, index) => [leaves[index] as (typeof leaves)[number], one])),
      waitedMs,
      isLast,
    };
    const judgement = judgeReadiness(readiness, sight, { state: seen.state ?? aState(), restart, isToEnd });
    if (judgement.kind === "ready") return "ready";
    if (judgement.kind === "waiting") return `waiting for ${judgement.for}`;
    return `${judgement.failure}: ${judgement.message}`;
  }

  const log = ready.log(/up/, 2);
  const web = ready.http("/", { port: 80 });
  const both = ready.all([log, web], { deadline: "10s" });
  const nested = ready.all([ready.all([log], { deadline: "5s" }), web]);
  const cases: readonly (readonly [string, Readiness, Seen, string])[] = [
    ["nobody has looked", log, {}, "waiting for /up/ in its log, 2 times"],
    ["it is so", log, { sights: [HELD] }, "ready"],
    ["not yet", log, { sights: [pending("1 so far")] }, "waiting for /up/ in its log, 2 times (1 so far)"],
    [
      "one of two",
      both,
      { sights: [HELD, pending("no answer")] },
      "waiting for a status below 400 from GET http://127.0.0.1:80/ (no answer)",
    ],
    ["both", both, { sights: [HELD, HELD], waitedMs: 11_000 }, "ready"],
    [
      "its deadline is over",
      both,
      { sights: [pending("1 so far"), HELD], waitedMs: 10_001 },
      "late: is not ready after 10.0 s: waiting for /up/ in its log, 2 times (1 so far)",
    ],
    [
      "its deadline is not over",
      both,
      { sights: [pending(), HELD], waitedMs: 10_000 },
      "waiting for /up/ in its log, 2 times",
    ],
    [
      "a part's deadline counts for that part",
      nested,
      { sights: [HELD, pending()], waitedMs: 6_000 },
      "waiting for a status below 400 from GET http://127.0.0.1:80/",
    ],
    [
      "a part is late",
      nested,
      { sights: [pending(), pending()], waitedMs: 6_000 },
      "late: is not ready after 5.0 s: waiting for /up/ in its log, 2 times",
    ],
    [
      "time does not mend it",
      both,
      { sights: [pending(), { is: "lost", kind: "unseen", message: "cannot be seen" }] },
      "unseen: cannot be seen",
    ],
    [
      "it has ended",
      both,
      { sights: [HELD, pending("no answer")], state: exited(1) },
      "exited: exited with 1, while waiting for a status below 400 from GET http://127.0.0.1:80/",
    ],
    ["it was ready and has ended", log, { sights: [HELD], state: exited(0) }, "exited: exited with 0"],
    [
      "it was killed for its memory",
      log,
      { state: exited(137, { isOomKilled: true }) },
      "exited: exited with 137, killed for its memory, while waiting for /up/ in its log, 2 times",
    ],
    [
      "it will be started again",
      log,
      { state: exited(1), restart: "on-failure" },
      "waiting for a restart after exit code 1",
    ],
    ["its end is wanted", ready.exit(), { sights: [HELD], state: exited(0) }, "ready"],
    ["its end is wanted, and it runs", ready.exit(), { sights: [pending()] }, "waiting for it to end with 0"],
    [
      "its end is not seen by the look yet",
      ready.exit(),
      { sights: [pending()], state: exited(0) },
      "waiting for it to end with 0",
    ],
    [
      "another end is wanted",
      ready.exit(),
      { sights: [pending()], state: exited(2) },
      "exited: exited with 2, while waiting for it to end with 0",
    ],
    ["a failure may be wanted", ready.exit(4), { sights: [HELD], state: exited(4) }, "ready"],
    [
      "a failure may be wanted, and it would be started again",
      ready.exit(4),
      { sights: [HELD], state: exited(4), restart: "always" },
      "ready",
    ],
    [
      "it has ended as wanted, and its log was read before that",
      ready.all([ready.exit(), log]),
      { sights: [HELD, pending("1 so far")], state: exited(0) },
      "waiting for /up/ in its log, 2 times (1 so far)",
    ],
    [
      "it has ended as wanted, and its whole log lacks something",
      ready.all([ready.exit(), log]),
      { sights: [HELD, pending("1 so far")], state: exited(0), isLast: true },
      "exited: exited with 0 without /up/ in its log, 2 times (1 so far)",
    ],
    ["others wait for its end", log, { sights: [HELD], state: exited(0), isToEnd: true }, "ready"],
    [
      "others wait for its end, and it fails",
      log,
      { sights: [HELD], state: exited(1), isToEnd: true },
      "exited: exited with 1",
    ],
  ];
  for (const [what, readiness, seen, expected] of cases)
    test(what, () => assert.equal(said(readiness, seen), expected));
});

describe("what was seen of one form", () => {
  const logs = (stdout: string, stderr = "") => ({ stdout, stderr });
  const answer = (status: number, body = ""): InsideResponse => ({
    status,
    headers: {},
    body,
    certificate: undefined,
    tookMs: 1,
  });
  const refused = { error: "ECONNREFUSED", message: "refused", tookMs: 1 };
  const ran = (exitCode: number, stderr = "", hasTimedOut = false) => ({
    exitCode,
    stdout: "",
    stderr,
    tookMs: 1500,
    hasTimedOut,
  });
  const tcp = (port: number) => ({ protocol: "tcp" as const, address: "0.0.0.0", port });
  const lost = (kind: "unhealthy" | "no-healthcheck" | "unseen", message: string): LeafSight => ({
    is: "lost",
    kind,
    message,
  });
  const remote = { unseen: "the engine is elsewhere", remedy: "Run it there." };
  const unseen =
    "waits for port 80 to listen, and that cannot be seen: the engine is elsewhere\n  Run it there.";
  const cases: readonly (readonly [string, LeafSight, LeafSight])[] = [
    ["a log has it", judgeLog(ready.log("up"), logs("", "it is up\n")), HELD],
    ["in both streams together", judgeLog(ready.log("up", 2), logs("up\n", "up\n")), HELD],
    ["once is not twice", judgeLog(ready.log("up", 2), logs("up\n")), pending("1 so far")],
    ["an empty log", judgeLog(ready.log("up"), logs("")), pending("its log is empty")],
    [
      "the nearest line",
      judgeLog(ready.log(/ready to accept connections/), logs("starting\nready to accept\n")),
      pending("nearest: ready to accept, line 2 of 2"),
    ],
    ["no line is near", judgeLog(ready.log(/accept/), logs("xyz\n")), pending("not in its 1 lines")],
    ["an answer below 400", judgeAnswer(ready.http("/"), answer(302)), HELD],
    ["an answer of 400", judgeAnswer(ready.http("/"), answer(400)), pending('status 400, body ""')],
    ["that status", judgeAnswer(ready.http("/", { status: 401 }), answer(401)), HELD],
    [
      "none of those",
      judgeAnswer(ready.http("/", { status: [200, 204] }), answer(201, "made")),
      pending('status 201, body "made"'),
    ],
    ["that body", judgeAnswer(ready.http("/", { body: /ok/ }), answer(200, "all ok\n")), HELD],
    [
      "another body",
      judgeAnswer(ready.http("/", { body: "ok" }), answer(200, "all ok\n")),
      pending('status 200, body "all ok"'),
    ],
    ["no answer", judgeAnswer(ready.http("/"), refused), pending("no answer: ECONNREFUSED: refused")],
    ["its ports", judgePorts(ready.ports(80, 81), [tcp(80), tcp(81), tcp(82)]), HELD],
    ["one of them", judgePorts(ready.ports(80, 81), [tcp(81)]), pending("listening: 81")],
    [
      "UDP is not TCP",
      judgePorts(ready.ports(53), [{ ...tcp(53), protocol: "udp" }]),
      pending("listening: none"),
    ],
    ["a command", judgeCmd(ran(0)), HELD],
    ["a command fails", judgeCmd(ran(2, "a\nno server\n")), pending("it exits with 2: no server")],
    ["a command hangs", judgeCmd(ran(137, "", true)), pending("killed after 1.5 s")],
    ["its end", judgeExit(ready.exit(3), exited(3)), HELD],
    ["another end", judgeExit(ready.exit(3), exited(0)), pending()],
    ["healthy", judgeHealth(aState({ health: "healthy" })), HELD],
    [
      "not healthy yet",
      judgeHealth(aState({ health: "starting", healthOutput: "no answer\n" })),
      pending('"no answer"'),
    ],
    [
      "unhealthy",
      judgeHealth(aState({ health: "unhealthy", healthOutput: "no\n" })),
      lost("unhealthy", "is unhealthy: no"),
    ],
    [
      "without a healthcheck",
      judgeHealth(aState()),
      lost("no-healthcheck", "should be healthy, and has no healthcheck"),
    ],
    [
      "not seen, and it may only be starting",
      judgeUnseen(ready.ports(80), remote, 2),
      pending("the engine is elsewhere"),
    ],
    ["not seen again and again", judgeUnseen(ready.ports(80), remote, 3), lost("unseen", unseen)],
  ];
  for (const [what, seen, expected] of cases) test(what, () => assert.deepEqual(seen, expected));
});
