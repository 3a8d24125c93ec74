import assert from "node:assert/strict";
import { test } from "node:test";
import { attemptsIn, filesOf, podFolder } from "./log-folder.ts";

test("a pod's folder", () => {
  assert.deepEqual(podFolder("slipway", "4c1f"), { namespace: "", pod: "", podUid: "4c1f" });
  assert.deepEqual(podFolder("kubelet", "shop_web-5d9-x2_4c1f"), {
    namespace: "shop",
    pod: "web-5d9-x2",
    podUid: "4c1f",
  });
  for (const name of ["lost+found", "a_b", "a_b_c_d"]) assert.equal(podFolder("kubelet", name), undefined);
});

const orders: readonly [what: string, names: readonly string[], order: readonly string[]][] = [
  ["one", ["0.log"], ["0.log"]],
  ["numbers", ["0.log", "0.log.1", "0.log.10", "0.log.2"], ["0.log.10", "0.log.2", "0.log.1", "0.log"]],
  [
    "times",
    ["0.log", "0.log.20260102-030405.gz", "0.log.20260103-000000"],
    ["0.log.20260102-030405.gz", "0.log.20260103-000000", "0.log"],
  ],
  [
    "a file beside its compressed copy, and a copy in progress",
    ["0.log.20260102-030405.gz", "0.log.20260102-030405", "0.log.20260102-030405.tmp", "0.log"],
    ["0.log.20260102-030405", "0.log"],
  ],
  ["what is no log", [".nfs0", "0.log.bak", "core", "0.log~", "0.log"], ["0.log"]],
];

for (const [what, names, order] of orders) {
  test(`files of one log, the oldest first: ${what}`, () => {
    for (const given of [names, names.toReversed()])
      assert.deepEqual(
        attemptsIn(given)
          .get(0)
          ?.map(({ name }) => name),
        order,
      );
  });
}

test("attempts are told apart, the first one first", () => {
  assert.deepEqual([...attemptsIn(["10.log", "2.log", "2.log.1"]).keys()], [2, 10]);
});

test("a single file has what was rotated away from it", () => {
  assert.deepEqual(
    filesOf("access.log", ["access.log.2.gz", "access.log", "other.log", "access.log.1", "access.log.old"]),
    [
      { name: "access.log.2.gz", isCompressed: true },
      { name: "access.log.1", isCompressed: false },
      { name: "access.log", isCompressed: false },
    ],
  );
});
