import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServiceRoute } from "../runtimes/runtime.ts";
import { parseQuery, renderName, renderResponse, TYPE } from "./dns-message.ts";
import { Zone } from "./zone.ts";

const services: readonly ServiceRoute[] = [
  {
    namespace: "default",
    name: "web",
    clusterIP: "10.96.0.20",
    ports: [{ name: "http", port: 80, protocol: "TCP", endpoints: [{ ip: "10.244.0.2", port: 8080 }] }],
  },
  {
    namespace: "data",
    name: "db",
    clusterIP: "None",
    ports: [
      {
        name: "sql",
        port: 5432,
        protocol: "TCP",
        endpoints: [
          { ip: "10.244.0.3", port: 5432 },
          { ip: "10.244.0.4", port: 5432 },
        ],
      },
    ],
    hostnames: [{ ip: "10.244.0.4", hostname: "db-1" }],
  },
  { namespace: "data", name: "empty", clusterIP: "None", ports: [] },
];
const zone = new Zone(services);

function look(name: string, type: number = TYPE.A): string {
  const { code, answers, outside } = zone.resolve({ name, type });
  const shown = answers.map((answer) =>
    answer.type === "A" ? answer.ip : `${answer.target}:${answer.port}`,
  );
  return `${code}${outside ? " outside" : ""} ${shown.join()}`.trim();
}

test("names of a cluster resolve as the specification says", () => {
  const table: readonly [string, number, string][] = [
    ["web.default.svc.cluster.local", TYPE.A, "0 10.96.0.20"],
    ["web.default.svc.cluster.local", TYPE.AAAA, "0"],
    ["web.other.svc.cluster.local", TYPE.A, "3"],
    ["db.data.svc.cluster.local", TYPE.A, "0 10.244.0.3,10.244.0.4"],
    ["db-1.db.data.svc.cluster.local", TYPE.A, "0 10.244.0.4"],
    ["db-9.db.data.svc.cluster.local", TYPE.A, "3"],
    ["empty.data.svc.cluster.local", TYPE.A, "3"],
    ["_http._tcp.web.default.svc.cluster.local", TYPE.SRV, "0 web.default.svc.cluster.local:80"],
    ["_http._udp.web.default.svc.cluster.local", TYPE.SRV, "3"],
    ["10-244-0-7.default.pod.cluster.local", TYPE.A, "0 10.244.0.7"],
    ["nonsense.default.pod.cluster.local", TYPE.A, "3"],
    ["cluster.local", TYPE.A, "3"],
    ["example.com", TYPE.A, "3 outside"],
    ["web", TYPE.A, "3 outside"],
    ["1.0.244.10.in-addr.arpa", TYPE.PTR, "3"],
    ["localhost", TYPE.A, "0 127.0.0.1"],
  ];
  assert.deepEqual(
    table.map(([name, type]) => look(name, type)),
    table.map(([, , expected]) => expected),
  );
});

test("within a namespace the whole name is a service's, dots or not, and nothing else is", () => {
  const within = new Zone([...services, { ...(services[1] as ServiceRoute), name: "db.example.com" }]);
  const table: readonly [string, string, number, string][] = [
    ["data", "db", TYPE.A, "0 10.244.0.3,10.244.0.4"],
    ["data", "db.example.com", TYPE.A, "0 10.244.0.3,10.244.0.4"],
    ["data", "db", TYPE.AAAA, "0 "],
    ["data", "web", TYPE.A, "3 "],
    ["data", "db.data.svc.cluster.local", TYPE.A, "3 "],
    ["data", "example.com", TYPE.A, "3 "],
    ["default", "localhost", TYPE.A, "0 127.0.0.1"],
  ];
  for (const [namespace, name, type, expected] of table) {
    const { code, answers } = within.resolveWithin(namespace, { name, type });
    const shown = answers.map((answer) => (answer.type === "A" ? answer.ip : answer.target));
    assert.equal(`${code} ${shown.join()}`, expected, `${name} in ${namespace}`);
  }
});

function query(name: string, type: number, flags = 0x0100): Buffer {
  const header = Buffer.from([0xab, 0xcd, flags >> 8, flags & 255, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, renderName(name), Buffer.from([0, type, 0, 1])]);
}

test("a query is read case-insensitively and echoed as it came", () => {
  const question = parseQuery(query("WeB.Default", TYPE.A));
  assert.ok(question);
  assert.equal(question.name, "web.default");
  const response = renderResponse(question, 0, [{ type: "A", ip: "10.96.0.20" }], 5);
  assert.equal(response.readUInt16BE(0), 0xabcd);
  assert.equal(response.readUInt16BE(2), 0x8580, "response, authoritative, recursion desired and available");
  assert.equal(response.readUInt16BE(6), 1);
  assert.ok(response.includes("WeB"));
  assert.deepEqual([...response.subarray(-4)], [10, 96, 0, 20]);
});

test("what is no query with one question is not answered as one", () => {
  const good = query("web", TYPE.A);
  const twoQuestions = Buffer.from(good);
  twoQuestions.writeUInt16BE(2, 4);
  const bad = [
    Buffer.alloc(0),
    good.subarray(0, 14),
    query("web", TYPE.A, 0x8180),
    twoQuestions,
    Buffer.concat([good.subarray(0, 12), Buffer.from([0xc0, 0x0c, 0, 1, 0, 1])]),
  ];
  assert.deepEqual(
    bad.map((message) => parseQuery(message)),
    bad.map(() => undefined),
  );
});

test("an answer that does not fit is cut and says so", () => {
  const question = parseQuery(query("db", TYPE.A));
  assert.ok(question);
  const answers = Array.from({ length: 100 }, (_, index) => ({
    type: "A" as const,
    ip: `10.244.1.${index}`,
  }));
  const response = renderResponse(question, 0, answers, 5, 512);
  assert.ok(response.length <= 512);
  assert.equal(response.readUInt16BE(2) & 0x0200, 0x0200);
  assert.equal(response.readUInt16BE(6), Math.floor((512 - 12 - question.raw.length) / 16));
});
