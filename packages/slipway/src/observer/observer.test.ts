import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { seededRandom, systemClock, until } from "@slipway/base";
import { bootstrapCluster, createApi, createMemoryClient, createStore, type Pod } from "@slipway/kube";
import { observeOf } from "../config/observe.ts";
import { newLineBatch } from "../observe/access/parser.ts";
import { openWarehouse } from "../observe/warehouse/duckdb/open.ts";
import { writeRecord } from "../release/history/records.ts";
import { recordOf } from "../release/testing.ts";
import { startObserver } from "./observer.ts";
import { readersOf } from "./readers.ts";

const digest = `sha256:${"a".repeat(64)}`;
const config = observeOf(undefined) as NonNullable<ReturnType<typeof observeOf>>;

test("lines that an earlier process stored without a release get it from the records", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-observer-"));
  const before = await openWarehouse({ folder });
  const source = before.sourceOf({
    ...{ origin: "pod", cluster: "osaka", namespace: "default", node: "n", pod: "web-1", container: "web" },
    ...{ service: "web", release: 0, commit: "" },
  });
  const lines = newLineBatch(1000);
  lines.logs.push({ ts: Date.now(), source, stream: "stdout", severity: "", text: "early" });
  await before.commit({ lines, offsets: [{ stream: "s", position: 1 }] });
  await before.close();

  const api = createApi({ store: createStore(), now: systemClock.now, random: seededRandom(1) });
  bootstrapCluster(api);
  const client = createMemoryClient({ name: "osaka", api, sleep: systemClock.sleep });
  await client.create({
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name: "web-1", namespace: "default" } },
    spec: { containers: [{ name: "web", image: `r/web@${digest}` }] },
  } as Pod);
  const record = recordOf(7, {
    ...{
      namespace: "default",
      startedAt: 1,
      images: [{ name: "web", digest, reference: `r/web@${digest}` }],
    },
    clusters: { osaka: { verdict: "healthy", step: "done" } },
  });
  await writeRecord(client, record);

  const warehouse = await openWarehouse({ folder });
  const observer = startObserver({
    ...{ service: record.service, namespace: "default", config, warehouse, clock: systemClock },
    targets: [{ name: "osaka", client }],
    places: [],
    readers: (sources) => readersOf(config, warehouse, sources, () => systemClock.now()),
    log: (line) => assert.fail(line),
  });
  t.after(async () => {
    await observer.close();
    await rm(folder, { recursive: true, force: true });
  });
  await until("the release of the earlier line", async () => {
    const { rows } = await warehouse.query("SELECT release FROM logs");
    return rows[0]?.[0] === 7;
  });
  // A change of its own, before that one or after it: as the sources of before or the records were read first.
  const releases = await until("the release itself", async () => {
    const { rows } = await warehouse.query("SELECT number FROM releases");
    return rows.length > 0 ? rows : undefined;
  });
  assert.deepEqual(releases, [[7]]);
});
