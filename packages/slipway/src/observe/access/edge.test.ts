import assert from "node:assert/strict";
import { test } from "node:test";
import { type AccessRecord, formatAccess } from "../../edge/load-balancer/access-log.ts";
import { isProbe, PROBE_AGENTS } from "./probe.ts";
import { readLines } from "./testing.ts";

const record: AccessRecord = {
  endMs: Date.UTC(2026, 0, 5, 13, 55, 36, 250),
  durationMs: 12,
  method: "GET",
  url: "/recipes/7?token=abc",
  requestSize: 431,
  status: 200,
  responseSize: 512,
  userAgent: 'a "quoted"\nagent',
  remoteIp: "192.0.2.7",
  referer: "",
  protocol: "HTTP/1.1",
  upstreamMs: [3, 8],
  upstreamStatus: [0, 200],
  upstreamAddr: ["10.0.0.1:80", "10.0.0.2:80"],
  requestId: "4f1f",
  cluster: "berlin",
  pod: "web-1",
  service: "web",
  release: "c0ffee",
};

test("the edge's lines become requests, each with a source for the pod behind it", () => {
  const pods = ["web-1", "web-2", "web-1"];
  const text = pods.map((pod) => formatAccess({ ...record, pod })).join("");
  const { rows, sources } = readLines(text, {
    labels: { origin: "edge", cluster: "", pod: "", service: "edge", container: "" },
  });
  assert.deepEqual(
    rows.map(({ source }) => sources[source - 1]?.pod),
    pods,
  );
  const [, first] = sources;
  assert.deepEqual(
    [first?.origin, first?.cluster, first?.service, first?.commit],
    ["edge", "berlin", "web", "c0ffee"],
  );
  assert.deepEqual(rows[0], {
    ts: "2026-01-05T13:55:36.250Z",
    source: 2,
    ip: "192.0.2.7",
    method: "GET",
    path: "/recipes/7?token=REDACTED",
    route: "/recipes/:id",
    protocol: "HTTP/1.1",
    status: 200,
    bytes: 512,
    referer: "-",
    userAgent: 'a "quoted"\nagent',
    ms: 12,
    upstreamMs: 11,
    attempts: 2,
  });
});

test("a pod cannot say that it is another one: only the edge names sources", () => {
  const { rows, sources } = readLines(formatAccess({ ...record, pod: "web-9" }));
  assert.equal(rows[0]?.source, 1);
  assert.equal(sources.length, 1);
});

test("health checks are told by their user agent", () => {
  for (const agent of PROBE_AGENTS) assert.ok(isProbe(`${agent}1.30`));
  assert.ok(!isProbe("curl/8 kube-probe/1.30"));
});
