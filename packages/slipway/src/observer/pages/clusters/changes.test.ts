import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodCell } from "../../../server/api.ts";
import { createPodChanges, MOST_CHANGES } from "./changes.ts";

const cell = (name: string, state: PodCell["state"], revision: PodCell["revision"] = "new"): PodCell => ({
  cluster: "tokyo",
  name,
  workload: "Deployment web",
  revision,
  state,
  why: "",
  restarts: 0,
  since: 0,
});

test("the steps of each pod: it comes, changes, and is gone", () => {
  const changes = createPodChanges();
  changes.look(2, "tokyo", [cell("old", "ready", "old")], 1);
  changes.look(2, "tokyo", [cell("old", "ready", "old"), cell("new", "starting")], 2);
  changes.look(2, "tokyo", [cell("old", "terminating", "old"), cell("new", "ready")], 3);
  changes.look(2, "tokyo", [cell("new", "ready")], 4);
  changes.look(2, "tokyo", [cell("new", "ready")], 5);
  assert.deepEqual(
    changes.of(2).map(({ at, name, state }) => [at, name, state]),
    [
      [1, "old", "ready"],
      [2, "new", "starting"],
      [3, "old", "terminating"],
      [3, "new", "ready"],
      [4, "old", "gone"],
    ],
  );
});

test("a pod of another cluster is another pod", () => {
  const changes = createPodChanges();
  changes.look(1, "tokyo", [cell("web", "ready")], 1);
  changes.look(1, "osaka", [{ ...cell("web", "ready"), cluster: "osaka" }], 2);
  assert.deepEqual(
    changes.of(1).map(({ cluster }) => cluster),
    ["tokyo", "osaka"],
  );
});

test("pods that flap for ever do not fill the memory", () => {
  const changes = createPodChanges();
  for (let at = 0; at < 20_000; at += 1)
    changes.look(1, "tokyo", [cell("web", at % 2 === 0 ? "ready" : "failing")], at);
  assert.equal(changes.of(1).length, MOST_CHANGES);
  for (let release = 2; release < 100; release += 1)
    changes.look(release, "tokyo", [cell("web", "ready")], release);
  assert.deepEqual([changes.of(1).length, changes.of(99).length], [0, 1]);
});
