import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { Secret } from "@slipway/kube";
import type { ReleaseRecord } from "../model.ts";
import { apiClient, recordOf } from "../testing.ts";
import { deleteRecord, mergeRecords, readRecords, withoutSecrets, writeRecord } from "./records.ts";

const place = { service: "shop", namespace: "default" };

const record = (number: number, changes: Partial<ReleaseRecord> = {}): ReleaseRecord =>
  recordOf(number, { content: `content-${number}`, ...changes });

test("a record comes back as it was written, newest release first", async () => {
  const client = apiClient();
  await writeRecord(client, record(1));
  await writeRecord(client, record(2));
  await writeRecord(client, record(2, { revision: 2, outcome: "failed" }));
  const records = await readRecords(client, place);
  assert.deepEqual(
    records,
    JSON.parse(JSON.stringify([record(2, { revision: 2, outcome: "failed" }), record(1)])),
  );
});

test("a record beyond the size of one Secret is split, read back, replaced and deleted whole", async () => {
  const client = apiClient();
  const noise = randomBytes(1_500_000).toString("base64");
  const large = (revision: number): ReleaseRecord => record(1, { revision, who: `${revision}${noise}` });
  await writeRecord(client, large(1));
  await writeRecord(client, large(2));
  const secrets = await client.list<Secret>({ apiVersion: "v1", kind: "Secret" }, { namespace: "default" });
  assert.deepEqual(
    secrets.items.map((secret) => secret.metadata.name),
    ["slipway.shop.1", "slipway.shop.1.2.1", "slipway.shop.1.2.2"],
  );
  for (const secret of secrets.items) assert.ok((secret.data?.["release"]?.length ?? 0) <= 900_000);
  assert.equal((await readRecords(client, place))[0]?.who, `2${noise}`);
  await deleteRecord(client, place, 1);
  const left = await client.list({ apiVersion: "v1", kind: "Secret" }, { namespace: "default" });
  assert.equal(left.items.length, 0);
});

test("a writer that dies between the parts leaves the copy before it whole", async () => {
  const client = apiClient();
  const noise = randomBytes(1_500_000).toString("base64");
  await writeRecord(client, record(1, { who: `1${noise}` }));
  let writes = 0;
  const dies: typeof client = {
    ...client,
    apply: (object, options) => {
      writes += 1;
      if (writes > 1) throw new Error("killed");
      return client.apply(object, options);
    },
  };
  await assert.rejects(writeRecord(dies, record(1, { revision: 2, who: `2${noise}` })));
  assert.equal((await readRecords(client, place))[0]?.who, `1${noise}`);
});

test("a writer that lost its lock cannot overwrite what the next holder wrote", async () => {
  const client = apiClient();
  await writeRecord(client, record(1, { outcome: "in-progress" }));
  await writeRecord(client, record(1, { outcome: "interrupted", fence: 2 }));
  await assert.rejects(writeRecord(client, record(1, { outcome: "in-progress", revision: 9 })), {
    code: "RECORD_FENCED",
  });
  assert.equal((await readRecords(client, place))[0]?.outcome, "interrupted");
});

test("two writers at the same moment do not mix: the second one is refused", async () => {
  const client = apiClient();
  await writeRecord(client, record(1, { outcome: "in-progress" }));
  let isFirst = true;
  const overtaken: typeof client = {
    ...client,
    apply: async (object, options) => {
      if (isFirst) {
        isFirst = false;
        await writeRecord(client, record(1, { outcome: "interrupted", fence: 2 }));
      }
      return client.apply(object, options);
    },
  };
  await assert.rejects(writeRecord(overtaken, record(1, { revision: 2 })), { code: "KUBE_CONFLICT" });
  assert.equal((await readRecords(client, place))[0]?.outcome, "interrupted");
});

test("a damaged record is named", async () => {
  const client = apiClient();
  await writeRecord(client, record(1));
  await client.patch(
    { apiVersion: "v1", kind: "Secret", namespace: "default", name: "slipway.shop.1" },
    "merge",
    { data: { release: "AAAA" } },
  );
  await assert.rejects(readRecords(client, place), {
    code: "RECORD_DAMAGED",
    where: "tokyo/secrets/slipway.shop.1",
  });
});

test("a damaged record does not hide the others", async () => {
  const client = apiClient();
  for (const number of [1, 2, 3]) await writeRecord(client, record(number));
  await client.patch(
    { apiVersion: "v1", kind: "Secret", namespace: "default", name: "slipway.shop.3" },
    "merge",
    { data: { release: "AAAA" } },
  );
  const damaged: number[] = [];
  const records = await readRecords(client, place, (_error, number) => damaged.push(number));
  assert.deepEqual([records.map((one) => one.number), damaged], [[2, 1], [3]]);
});

test("of the copies in several clusters the one that was written last counts", () => {
  const merged = mergeRecords([
    [record(1, { revision: 3, outcome: "healthy" })],
    [record(2), record(1, { revision: 2, outcome: "in-progress" })],
  ]);
  assert.deepEqual(
    merged.map((one) => [one.number, one.outcome]),
    [
      [2, "healthy"],
      [1, "healthy"],
    ],
  );
});

test("a record that is shown has the keys of Secrets and not their values", () => {
  const objects = [
    { apiVersion: "v1", kind: "Secret", metadata: { name: "db" }, stringData: { password: "hunter2" } },
  ];
  const shown = JSON.stringify(withoutSecrets(record(1, { objects })));
  assert.match(shown, /password/);
  assert.doesNotMatch(shown, /hunter2/);
});
