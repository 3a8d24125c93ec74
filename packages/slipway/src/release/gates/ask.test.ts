/** A gate that breaks, over a release as a whole: what the record, the events and the outcome say of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GateConfig } from "../../config/types.ts";
import { deploy, history } from "../release.ts";
import { apiClient, contextOf, recordEvents, rendered } from "../testing.ts";

const settings = (color: string): string => `
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { color: ${color} }
`;

test("a gate that throws concludes nothing: its record ends with what it threw, and the release goes back", async () => {
  const context = contextOf([{ name: "tokyo", client: apiClient() }]);
  await deploy(context, rendered("v1", { manifest: settings("blue") }));
  const gate: GateConfig = {
    kind: "prometheus",
    name: "errors",
    timeoutMs: 60_000,
    url: "http://prometheus.test",
    query: "up",
    expect: { operator: "==", value: 1 },
    noData: "fail",
    tokenFrom: "TOKEN",
  };
  const never = (): Promise<never> => Promise.reject(new Error("nobody is asked"));
  const broken = {
    ...context,
    release: { ...context.release, gates: [gate] },
    gates: {
      get: never,
      run: never,
      variable: (name: string): never => {
        throw new Error(`${name} cannot be read`);
      },
    },
  };
  const seen = recordEvents();
  const { exitCode } = await deploy(broken, rendered("v2", { manifest: settings("red") }), seen);
  const [record] = await history(context);
  assert.deepEqual([exitCode, record?.outcome], [1, "rolled-back"]);
  const [asked, ...others] = record?.gates ?? [];
  assert.deepEqual(others, []);
  assert.deepEqual([asked?.outcome, asked?.said], ["undecided", "TOKEN cannot be read"]);
  assert.ok(asked?.finishedAt !== undefined);
  assert.deepEqual(
    seen.events.flatMap((event) =>
      event.type === "gate-finished" ? [`${event.outcome}: ${event.said}`] : [],
    ),
    ["undecided: TOKEN cannot be read"],
  );
  const cause = record?.clusters["tokyo"]?.cause;
  assert.equal(cause?.code, "GateFailed");
  assert.match(cause?.why ?? "", /did not let the release through: TOKEN cannot be read$/);
  assert.match(JSON.stringify(record?.evidence), /gate errors: undecided: TOKEN cannot be read/);
  assert.deepEqual(record?.held, [], "it says nothing against the release");
});
