/** The texts are golden: `testdata/` holds what people and programs read. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Check } from "../check.ts";
import type { Outcome } from "../observe/outcome.ts";
import { renderGithub, renderJunit, renderTap } from "./formats.ts";
import { resultOf, summarize } from "./result.ts";
import { renderResults } from "./text.ts";

const VERIFY = ["slipway", "verify"];
const digest = `sha256:${"5".repeat(64)}`;
const shop = { paths: ["/shop"], profiles: [], readyMs: 60_000 };
const compose = { kind: "compose", compose: shop, service: "frontend" } as const;
const image = { kind: "image", image: "web", run: {} } as const;

const command = {
  argv: ["/bin/sh", "-c", "curl http://127.0.0.1/be1/ -v"],
  environment: {},
  isExpanded: false,
  user: undefined,
  workingDir: undefined,
  stdin: undefined,
  timeoutMs: 30_000,
  exitCode: 0,
  isIsolated: false,
  hasEntrypoint: false,
  setup: [],
  teardown: [],
};

const CASES: readonly (readonly [Check, Outcome])[] = [
  [
    {
      kind: "image",
      target: image,
      resource: {},
      expectation: { matcher: "user", value: "app" },
      subject: "image",
      says: "user app",
      place: "/shop/spec/web.ts:3:11",
      deadlineMs: 0,
    },
    { judgement: { verdict: "pass", evidence: "" }, from: "config", attempts: 1, durationMs: 1, digest },
  ],
  [
    {
      kind: "file",
      target: image,
      resource: { path: "/etc/nginx.conf" },
      expectation: { matcher: "exists" },
      subject: "file /etc/nginx.conf",
      says: 'contains "proxy_pass"',
      place: "/shop/spec/web.ts:4:30",
      deadlineMs: 0,
    },
    {
      judgement: {
        verdict: "fail",
        evidence: "not in its 3 lines",
        closest: "proxy-pass http://b;  (line 2 of 3)",
      },
      from: "layers",
      where: "the image's layers",
      attempts: 1,
      durationMs: 2,
      digest,
    },
  ],
  [
    {
      kind: "command",
      target: compose,
      resource: command,
      expectation: { matcher: "exits", code: 0, isImplied: true },
      subject: "curl http://127.0.0.1/be1/ -v",
      says: "stderr matches /HTTP\\/1\\.1 200 OK/",
      place: "/shop/spec/web.ts:14:21",
      deadlineMs: 10_000,
    },
    {
      judgement: {
        verdict: "fail",
        evidence: "stderr has 22 lines",
        closest: "< HTTP/1.1 502 Bad Gateway  (stderr line 9 of 22)",
      },
      from: "exec",
      where: "exec in frontend",
      cost: "exit 0 · 38 ms",
      attempts: 22,
      durationMs: 10_000,
      digest,
      why: [
        'frontend\'s log: connect() failed (111: Connection refused), upstream: "http://backend1:8081/"',
        "backend1 listens on 8080 only",
      ],
    },
  ],
  [
    {
      kind: "port",
      target: compose,
      resource: { port: 8080, protocol: "tcp" },
      expectation: { matcher: "notListening" },
      subject: "port 8080",
      says: "not listening",
      place: "/shop/spec/web.ts:15:21",
      deadlineMs: 10_000,
    },
    {
      judgement: {
        verdict: "unknown",
        evidence: "nothing runs with --engine none",
        remedy: "Run it with --engine sandbox (Linux) or --engine docker.",
      },
      from: "nothing",
      attempts: 0,
      durationMs: 0,
    },
  ],
];

const results = CASES.map(([check, outcome]) =>
  resultOf(check, outcome, { root: "/shop", secrets: [], command: VERIFY }),
);
const report = summarize(results, { durationMs: 10_040, allowUnknown: false });

const golden = (name: string): string => readFileSync(join(import.meta.dirname, "testdata", name), "utf8");

for (const [name, text] of [
  ["report.txt", `${renderResults(report)}\n`],
  ["verbose.txt", `${renderResults(report, { isVerbose: true })}\n`],
  ["junit.xml", renderJunit(report)],
  ["github.txt", `${renderGithub(report)}\n`],
  ["tap.txt", renderTap(report)],
] as const) {
  test(`the report as ${name}`, () => assert.equal(text, golden(name)));
}

test("no checks are told as such, and secrets are in no form of the report", () => {
  assert.match(renderResults({ ...report, results: [] }), /no checks were collected/);
  const [check, outcome] = CASES[1] as (typeof CASES)[number];
  const leaky = {
    ...outcome,
    judgement: { verdict: "fail" as const, evidence: "it is s3cr3t & more" },
    why: ["s3cr3t"],
  };
  const one = summarize([resultOf(check, leaky, { root: "/", secrets: ["s3cr3t"], command: VERIFY })], {
    durationMs: 1,
    allowUnknown: false,
  });
  for (const text of [
    renderResults(one),
    renderJunit(one),
    renderGithub(one),
    renderTap(one),
    JSON.stringify(one),
  ]) {
    assert.doesNotMatch(text, /s3cr3t/);
    assert.match(text, /•••/);
  }
});

test("evidence is cut at 4 KB", () => {
  const [check, outcome] = CASES[1] as (typeof CASES)[number];
  const long = { ...outcome, judgement: { verdict: "fail" as const, evidence: "ü".repeat(5000) } };
  const { evidence } = resultOf(check, long, { root: "/", secrets: [], command: VERIFY });
  assert.ok(Buffer.byteLength(evidence) <= 4096);
  assert.match(evidence, /ü…$/);
});

test("a line to run a check again never has a replaced secret in it, which would match nothing", () => {
  const [check, outcome] = CASES[1] as (typeof CASES)[number];
  const rerun = (subject: string, says: string, command: readonly string[] | null = VERIFY) =>
    resultOf({ ...check, subject, says }, outcome, { root: "/shop", secrets: ["hunter22"], command }).rerun;
  assert.equal(rerun("file /x", "exists"), 'slipway verify -t "file /x › exists"');
  assert.equal(rerun("file /x", "contains hunter22"), 'slipway verify -t "file /x"');
  assert.equal(rerun("file /hunter22", "exists"), "slipway verify --image web");
  assert.equal(rerun("file /x", "exists", null), undefined);
  const words = ["slipway", "verify", "--env", "my shop", "--structure-test", "st.yaml"];
  assert.equal(
    rerun("file /x", "exists", words),
    `slipway verify --env 'my shop' --structure-test st.yaml -t "file /x › exists"`,
  );
});

test("what a container wrote is shown without its colours, and cannot move the cursor", () => {
  const [check, outcome] = CASES[1] as (typeof CASES)[number];
  const closest = "\u001b[31mred\u001b[0m\u0007 bell\ttab \u001b[2Jcleared\r";
  const loud = { ...outcome, judgement: { verdict: "fail" as const, evidence: "two\nlines", closest } };
  const result = resultOf({ ...check, subject: "file /a\nb" }, loud, {
    root: "/",
    secrets: [],
    command: null,
  });
  const text = renderResults(summarize([result], { durationMs: 1, allowUnknown: false }));
  assert.match(text, /closest {3}red\\u0007 bell\ttab cleared\\u000d$/m);
  assert.match(text, /✗ file \/a\\nb › /);
  assert.match(text, /found {5}two\n {16}lines\n/);
});
