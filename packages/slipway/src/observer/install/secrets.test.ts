import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyObject, KubeClient } from "@slipway/kube";
import { completeSecrets, newSecrets, secretsFor } from "./secrets.ts";

const [old, made] = await Promise.all([newSecrets(Date.now()), newSecrets(Date.now())]);

test("what is there is kept, and what a newer version needs is added", () => {
  assert.deepEqual(completeSecrets(old, made), old);
  const { "metrics-token": _, ...without } = old;
  assert.deepEqual(completeSecrets(without, made), { ...old, "metrics-token": made["metrics-token"] });
  assert.deepEqual(completeSecrets({}, made), made);
});

test("a certificate is not kept without its key", () => {
  const { "tls.key": _, ...without } = old;
  const completed = completeSecrets(without, made);
  assert.equal(completed["tls.crt"], made["tls.crt"]);
  assert.equal(completed["ca.crt"], made["ca.crt"]);
  assert.equal(completed["agent-token"], old["agent-token"]);
});

test("tokens are long, different, and readable in a file", () => {
  const tokens = ["agent-token", "read-token", "metrics-token"].map((key) => made[key as "read-token"]);
  assert.equal(new Set(tokens).size, 3);
  for (const token of tokens) assert.match(token, /^[\w-]{43}$/);
});

const of = { namespace: "web", service: "shop" };
const slack = { channel: "#deploys", mentions: {}, apiUrl: null };

/** A cluster in which this was installed. */
function installed(secrets: Readonly<Record<string, string>>): KubeClient {
  const data = Object.fromEntries(
    Object.entries(secrets).map(([key, text]) => [key, Buffer.from(text).toString("base64")]),
  );
  const objects: Readonly<Record<string, unknown>> = {
    Secret: { data },
    ConfigMap: { data: { "collector.json": JSON.stringify({ slack }) } },
  };
  return { get: async ({ kind }: AnyObject) => objects[kind] } as unknown as KubeClient;
}

test("an upgrade without Slack's variables keeps token and channel; with them all of the old ones go", async () => {
  const client = installed({ ...old, "slack-bot-token": "xoxb-1" });
  assert.deepEqual(await secretsFor(client, of, undefined, Date.now()), {
    secrets: { ...old, "slack-bot-token": "xoxb-1" },
    slack,
    isKept: true,
  });
  const given = {
    place: { ...slack, channel: "#other" },
    secrets: { "slack-webhook-url": "https://hooks.test/1" },
  };
  assert.deepEqual(await secretsFor(client, of, given, Date.now()), {
    secrets: { ...old, ...given.secrets },
    slack: given.place,
    isKept: false,
  });
});

test("where nothing was given, nothing is kept", async () => {
  assert.deepEqual(await secretsFor(installed(old), of, undefined, Date.now()), {
    secrets: old,
    slack: null,
    isKept: false,
  });
});
