import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import type { KubeClient, Secret } from "@slipway/kube";
import type { Target } from "../model.ts";
import { apiClient, recordOf as record } from "../testing.ts";
import { readRecords, readShelf, type Shelf, writeRecord } from "./records.ts";
import { repairHistory, repairsOf } from "./repair.ts";

const place = { service: "shop", namespace: "default" };

const shelf = (changes: Partial<Shelf> = {}): Shelf => ({
  records: [],
  damaged: [],
  orphans: [],
  ...changes,
});
const needs = (osaka: Shelf, tokyo: Shelf): readonly unknown[] =>
  repairsOf(
    new Map([
      ["osaka", osaka],
      ["tokyo", tokyo],
    ]),
  ).map(({ cluster, write, forget, remove }) => [
    cluster,
    write.map((one) => `${one.record.number}.${one.record.revision}${one.isDamaged ? " damaged" : ""}`),
    forget,
    remove,
  ]);

const whole = shelf({ records: [record(2), record(1)] });
const cases: readonly [what: string, osaka: Shelf, tokyo: Shelf, expected: readonly unknown[]][] = [
  ["nothing when all agree", whole, whole, []],
  ["what a cluster missed", whole, shelf({ records: [record(1)] }), [["tokyo", ["2.1"], [], []]]],
  [
    "what is older in one of them, whichever it is",
    shelf({ records: [record(2, { revision: 3 }), record(1)] }),
    shelf({ records: [record(2), record(1, { fence: 2 })] }),
    [
      ["osaka", ["1.1"], [], []],
      ["tokyo", ["2.3"], [], []],
    ],
  ],
  [
    "what is damaged",
    shelf({ records: [record(1)], damaged: [2] }),
    whole,
    [["osaka", ["2.1 damaged"], [], []]],
  ],
  ["parts of no record", shelf({ ...whole, orphans: ["x"] }), whole, [["osaka", [], [], ["x"]]]],
  [
    "nothing of what is damaged everywhere and still young",
    shelf({ records: [record(1)], damaged: [2] }),
    shelf({ records: [record(1)], damaged: [2] }),
    [],
  ],
  [
    "what is damaged everywhere and older than what is kept: it goes",
    shelf({ records: [record(3)], damaged: [2] }),
    shelf({ records: [record(3)] }),
    [["osaka", [], [2], []]],
  ],
];
for (const [what, osaka, tokyo, expected] of cases) {
  test(`a repair brings ${what}`, () => assert.deepEqual(needs(osaka, tokyo), expected));
}

function clients(): { osaka: KubeClient; tokyo: KubeClient; targets: readonly Target[] } {
  const [osaka, tokyo] = [apiClient("osaka"), apiClient("tokyo")];
  const targets = [
    { name: "osaka", client: osaka },
    { name: "tokyo", client: tokyo },
  ];
  return { osaka, tokyo, targets };
}

const secret = (name: string): { apiVersion: string; kind: string; namespace: string; name: string } => ({
  apiVersion: "v1",
  kind: "Secret",
  namespace: "default",
  name,
});
const numbers = async (client: KubeClient): Promise<readonly string[]> =>
  (await readRecords(client, place)).map((one) => `${one.number}.${one.revision}`);

test("a cluster that was away has all of the history again, and one that does not answer is left alone", async () => {
  const { osaka, tokyo, targets } = clients();
  for (const number of [1, 2, 3]) await writeRecord(osaka, record(number, { revision: 2 }));
  await writeRecord(tokyo, record(1));
  const away: Target = {
    name: "kyoto",
    client: { ...apiClient("kyoto"), list: async () => Promise.reject(new Error("connection refused")) },
  };
  const told = await repairHistory([...targets, away], place);
  assert.deepEqual(told, ["tokyo: the history has been completed (release 3, 2, 1)"]);
  assert.deepEqual(await numbers(tokyo), ["3.2", "2.2", "1.2"]);
  assert.deepEqual(await repairHistory(targets, place), []);
});

const damages: readonly [what: string, change: object][] = [
  ["cut short", { data: { release: "H4sI" } }],
  ["emptied", { data: null }],
  [
    "given another fence",
    { data: { release: "AAAA" }, metadata: { annotations: { "slipway.dev/fence": "999" } } },
  ],
  ["left without what tells its parts", { metadata: { annotations: null } }],
];
for (const [what, change] of damages) {
  test(`a record that was ${what} is written again from the other cluster's copy`, async () => {
    const { osaka, tokyo, targets } = clients();
    for (const client of [osaka, tokyo]) await writeRecord(client, record(1));
    await tokyo.patch(secret("slipway.shop.1"), "merge", change);
    assert.deepEqual((await readShelf(tokyo, place)).damaged, [1]);
    await repairHistory(targets, place);
    assert.deepEqual(await numbers(tokyo), ["1.1"]);
  });
}

test("what a writer that died left behind goes, and the parts of a whole record stay", async () => {
  const { osaka, targets } = clients();
  const large = record(1, { who: randomBytes(1_500_000).toString("base64") });
  await writeRecord(osaka, large);
  // It died between the parts of the next copy.
  const part = await osaka.get<Secret>(secret("slipway.shop.1.1.1"));
  const { resourceVersion: _, uid: __, ...metadata } = part.metadata;
  await osaka.create({ ...part, metadata: { ...metadata, name: "slipway.shop.1.2.1" } });
  assert.deepEqual((await readShelf(osaka, place)).orphans, ["slipway.shop.1.2.1"]);
  await repairHistory(targets.slice(0, 1), place);
  const { items } = await osaka.list<Secret>({ apiVersion: "v1", kind: "Secret" }, { namespace: "default" });
  assert.deepEqual(
    items.map((one) => one.metadata.name),
    ["slipway.shop.1", "slipway.shop.1.1.1", "slipway.shop.1.1.2"],
  );
  assert.equal((await readRecords(osaka, place))[0]?.who, large.who);
});
