import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodCell, PodChange } from "../live/api.ts";
import { lives, mostChanges, since, withCells } from "./life.ts";

const cell = (name: string, state: PodCell["state"], since: number): PodCell => ({
  cluster: "tokyo",
  name,
  workload: "web",
  revision: name.startsWith("new") ? "new" : "old",
  state,
  why: "",
  restarts: 0,
  since,
});

test("each new state of a pod is one step, and a pod that is not there any more is gone", () => {
  let changes: readonly PodChange[] = [];
  changes = withCells(changes, [cell("old-1", "ready", 0), cell("new-1", "pending", 5)], 5);
  changes = withCells(changes, [cell("old-1", "ready", 0), cell("new-1", "ready", 9)], 9);
  const same = withCells(changes, [cell("old-1", "ready", 0), cell("new-1", "ready", 9)], 10);
  assert.equal(same, changes, "nothing new, nothing made");
  changes = withCells(changes, [cell("new-1", "ready", 9)], 12);
  assert.deepEqual(
    changes.map(({ at, name, state }) => `${at} ${name} ${state}`),
    ["0 old-1 ready", "5 new-1 pending", "9 new-1 ready", "12 old-1 gone"],
  );
  assert.deepEqual(lives(changes), [
    {
      cluster: "tokyo",
      name: "new-1",
      revision: "new",
      spans: [
        { state: "pending", from: 5, to: 9 },
        { state: "ready", from: 9, to: undefined },
      ],
    },
    { cluster: "tokyo", name: "old-1", revision: "old", spans: [{ state: "ready", from: 0, to: 12 }] },
  ]);
});

test("of what was before the release, only the state at its begin is kept", () => {
  const change = (at: number, name: string, state: PodCell["state"]): PodChange => ({
    at,
    cluster: "tokyo",
    name,
    revision: "old",
    state,
  });
  const all = [
    change(1, "a", "pending"),
    change(2, "a", "ready"),
    change(3, "b", "ready"),
    change(4, "b", "gone"),
    change(9, "a", "terminating"),
  ];
  assert.deepEqual(since(all, 5), [change(2, "a", "ready"), change(9, "a", "terminating")]);
  assert.equal(since(all, 0), all);
});

test("a crash loop of a day is bounded", () => {
  let changes: readonly PodChange[] = [];
  for (let at = 0; at < mostChanges + 50; at += 1) {
    changes = withCells(changes, [cell("new-1", at % 2 === 0 ? "failing" : "starting", at)], at);
  }
  assert.equal(changes.length, mostChanges);
});
