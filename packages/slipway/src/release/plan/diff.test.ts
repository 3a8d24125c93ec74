import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaOf } from "@slipway/kube";
import { type DiffOptions, describeChanges, type FieldChange } from "./diff.ts";

const deployment = schemaOf("apps/v1", "Deployment");
const pods = (spec: object): object => ({ spec: { template: { spec } } });
const inPods = "spec.template.spec";

function text(change: FieldChange): string {
  const { mark, path, before, after, lines } = change;
  if (lines !== undefined)
    return [`${mark} ${path}`, ...lines.map((line) => `${line.mark}${line.text}`)].join("|");
  return `${mark} ${path}: ${[before, after].filter((value) => value !== undefined).join(" -> ")}`;
}

const cases: readonly {
  readonly name: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly options?: DiffOptions;
  readonly expected: readonly string[];
}[] = [
  { name: "nothing", before: { a: 1 }, after: { a: 1 }, expected: [] },
  {
    name: "a field",
    before: { spec: { replicas: 2 } },
    after: { spec: { replicas: 5 } },
    expected: ["~ spec.replicas: 2 -> 5"],
  },
  {
    name: "absent, empty map and empty list are the same",
    before: { a: {}, b: [] },
    after: { a: undefined },
    expected: [],
  },
  {
    name: "containers by name, not by place",
    before: pods({ containers: [{ name: "web", image: "web:1" }] }),
    after: pods({
      containers: [
        { name: "log", image: "log:1" },
        { name: "web", image: "web:1" },
      ],
    }),
    options: { schema: deployment },
    expected: [`+ ${inPods}.containers[log].name: log`, `+ ${inPods}.containers[log].image: log:1`],
  },
  {
    name: "env by name",
    before: pods({
      containers: [
        {
          name: "web",
          env: [
            { name: "A", value: "1" },
            { name: "B", value: "2" },
          ],
        },
      ],
    }),
    after: pods({
      containers: [
        {
          name: "web",
          env: [
            { name: "B", value: "3" },
            { name: "A", value: "1" },
          ],
        },
      ],
    }),
    options: { schema: deployment },
    expected: [`~ ${inPods}.containers[web].env[B].value: 2 -> 3`],
  },
  {
    name: "an env name used twice falls back to what is common",
    before: {
      env: [
        { name: "A", value: "1" },
        { name: "A", value: "2" },
      ],
    },
    after: {
      env: [
        { name: "A", value: "1" },
        { name: "A", value: "3" },
      ],
    },
    expected: ["~ env[1].value: 2 -> 3"],
  },
  {
    name: "ports by number and protocol",
    before: pods({ containers: [{ name: "web", ports: [{ containerPort: 80, protocol: "TCP" }] }] }),
    after: pods({
      containers: [
        {
          name: "web",
          ports: [
            { containerPort: 81, protocol: "TCP" },
            { containerPort: 80, name: "http", protocol: "TCP" },
          ],
        },
      ],
    }),
    options: { schema: deployment },
    expected: [
      `+ ${inPods}.containers[web].ports[80/TCP].name: http`,
      `+ ${inPods}.containers[web].ports[81/TCP].containerPort: 81`,
      `+ ${inPods}.containers[web].ports[81/TCP].protocol: TCP`,
    ],
  },
  {
    name: "defaults beside something new are left out",
    before: pods({ containers: [] }),
    after: pods({
      containers: [{ name: "log", image: "log:1", terminationMessagePath: "/dev/termination-log" }],
    }),
    options: { schema: deployment, sent: pods({ containers: [{ name: "log", image: "log:1" }] }) },
    expected: [`+ ${inPods}.containers[log].name: log`, `+ ${inPods}.containers[log].image: log:1`],
  },
  {
    name: "what goes is one line",
    before: pods({
      containers: [{ name: "web" }, { name: "log", image: "log:1", env: [{ name: "A", value: "1" }] }],
    }),
    after: pods({ containers: [{ name: "web" }] }),
    options: { schema: deployment },
    expected: [`- ${inPods}.containers[log]: `],
  },
  {
    name: "short plain lists whole, long ones by their elements",
    before: { args: ["-a", "-b"], names: ["a".repeat(50), "b".repeat(50), "c".repeat(70)] },
    after: { args: ["-a", "-c"], names: ["a".repeat(50), "c".repeat(70)] },
    expected: ['~ args: ["-a","-b"] -> ["-a","-c"]', `- names[1]: ${"b".repeat(50)}`],
  },
  {
    name: "values of Secrets are never shown, only that they differ",
    before: { data: { password: "czNjcjN0", gone: "Zm9v" }, type: "Opaque" },
    after: { data: { password: "aHVudGVyMg==", added: "YmFy" }, type: "Opaque" },
    options: { masked: true },
    expected: ["~ data.password: (secret, changed)", "- data.gone: (secret)", "+ data.added: (secret)"],
  },
  {
    name: "a text of several lines by its lines",
    before: { data: { "app.conf": "a\nb\nc\nd\ne\n" } },
    after: { data: { "app.conf": "a\nb\nC\nd\ne\n" } },
    expected: ["~ data[app.conf]| b|-c|+C| d| …"],
  },
  {
    name: "a long text around the place where it differs",
    before: { a: `${"x".repeat(200)}1${"y".repeat(200)}` },
    after: { a: `${"x".repeat(200)}2${"y".repeat(200)}` },
    expected: [`~ a: …${"x".repeat(20)}1${"y".repeat(57)}… -> …${"x".repeat(20)}2${"y".repeat(57)}…`],
  },
  {
    name: "a name with another content hash is a change of content, told once",
    before: {
      envFrom: [{ configMapRef: { name: "s-bbbbbbbbbb" } }],
      v: { configMap: { name: "s-bbbbbbbbbb" } },
    },
    after: {
      envFrom: [{ configMapRef: { name: "s-cccccccccc" } }],
      v: { configMap: { name: "s-cccccccccc" } },
    },
    options: {
      plainNames: new Map([
        ["s-bbbbbbbbbb", "ConfigMap s"],
        ["s-cccccccccc", "ConfigMap s"],
      ]),
    },
    expected: ["~ : new content of ConfigMap s"],
  },
];

for (const { name, before, after, options, expected } of cases) {
  test(`difference: ${name}`, () => {
    assert.deepEqual(describeChanges(before, after, options).map(text), expected);
  });
}
