import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { amongThree, neighbourOf, withNeighbours } from "./beside.ts";
import { type CorpusCase, loadCases } from "./case.ts";
import { loadObjects } from "./objects.ts";
import { readRecording } from "./recording.ts";
import { type CaseResult, runCase } from "./run-case.ts";

const cases = await loadCases(join(import.meta.dirname, "../../../../corpus"));
const named = (id: string): CorpusCase => {
  const found = cases.find((one) => one.id === id);
  assert.ok(found, id);
  return found;
};
const recordingOf = (one: CorpusCase) => readRecording(join(one.directory, "recording.jsonl.gz"));

test("every failure of one cluster is played in one of three, each place is taken, a hook's is the first", () => {
  const failures = cases.filter(({ kind }) => kind === "failures");
  const places = new Map<string, number>();
  for (const one of failures) {
    const three = amongThree(one);
    assert.equal(three === undefined, one.clusters.length > 1, one.id);
    if (three?.expect.verdict !== "failed" && three?.expect.verdict !== "unknown") continue;
    const { cluster } = three.expect;
    assert.ok(three.clusters.includes(cluster));
    assert.ok(three.faults.every((fault) => fault.cluster === cluster));
    if (one.hook !== undefined) assert.equal(cluster, three.clusters[0]);
    places.set(cluster, (places.get(cluster) ?? 0) + 1);
  }
  assert.ok([...places.values()].every((count) => count > 15) && places.size === 3, `${[...places]}`);
  assert.equal(amongThree(named("plain-rollout")), undefined);
});

async function played(one: CorpusCase, neighbours: string): Promise<CaseResult> {
  const three = amongThree(one);
  assert.ok(three);
  const [recording, plain] = await Promise.all([recordingOf(one), recordingOf(named(neighbours))]);
  const { after } = await loadObjects(one);
  return withNeighbours(
    three,
    await runCase({
      case: three,
      objects: after,
      recording,
      plain: neighbourOf(after, plain),
      random: undefined,
    }),
  );
}

test("a failure beside two healthy clusters is right", async () => {
  const result = await played(named("crash-at-once"), "plain-rollout");
  assert.equal(result.problem, undefined);
});

test("a neighbour has the other workloads of the case too, and they are well", async () => {
  for (const id of ["second-deployment-crashes", "stateful-set-crashes", "daemon-set-image-missing"]) {
    const result = await played(named(id), "plain-rollout");
    assert.equal(result.problem, undefined, id);
  }
});

test("what fails in a neighbour too is not right, whatever its cause", async () => {
  const result = await played(named("crash-at-once"), "crash-at-once");
  assert.match(`${result.problem}`, /is failed/);
  assert.equal(result.isRight, false);
});

test("after a hook that failed the others must be as they were", async () => {
  const result = await played(named("hook-hangs"), "plain-rollout");
  assert.equal(result.problem, undefined);
  const three = amongThree(named("hook-hangs")) as CorpusCase;
  const [, other = ""] = three.clusters;
  const changed = withNeighbours(three, { ...result, verdicts: { ...result.verdicts, [other]: "healthy" } });
  assert.equal(changed.problem, `${other} is healthy, not not-started`);
});
