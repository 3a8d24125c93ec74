import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@slipway/base";
import type { Event } from "@slipway/kube";
import { NOTHING_OBSERVED } from "../engine/observe.ts";
import { makeCause } from "../judge/causes.ts";
import { apiClient } from "../testing.ts";
import { countsOf, takeEvidence } from "./evidence.ts";

function event(uid: string, count: number, about: { kind: string; name: string; namespace?: string }): Event {
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: uid, namespace: "default", uid },
    involvedObject: { namespace: "default", ...about },
    reason: "ScalingReplicaSet",
    message: uid,
    type: "Normal",
    count,
  } as Event;
}

const web = { kind: "Deployment", name: "web" };

async function eventsOf(now: readonly Event[], before: readonly Event[]): Promise<readonly string[]> {
  const cause = makeCause("Unschedulable", {
    cluster: "tokyo",
    kubectl: "kubectl",
    object: { namespace: "default", deployment: "web", replicaSet: "web-2" },
    why: "no node takes the pod",
  });
  const evidence = await takeEvidence({
    client: apiClient(),
    clock: systemClock,
    observation: { ...NOTHING_OBSERVED, events: now },
    cause,
    pod: undefined,
    before: countsOf(before),
  });
  return evidence.events.map((one) => `${one.message} x${one.count}`);
}

test("events from before the release are no evidence, and of those that go on only the new ones count", async () => {
  const before = [event("old", 3, web), event("goes on", 2, web)];
  const now = [event("old", 3, web), event("goes on", 5, web), event("new", 1, web)];
  assert.deepEqual(await eventsOf(now, before), ["goes on x3", "new x1"]);
});

test("events are those of the Deployment and ReplicaSet of the cause, in their namespace", async () => {
  const now = [
    event("deployment", 1, web),
    event("replica set", 1, { kind: "ReplicaSet", name: "web-2" }),
    event("replica set before", 1, { kind: "ReplicaSet", name: "web-1" }),
    event("same name elsewhere", 1, { ...web, namespace: "other" }),
  ];
  assert.deepEqual(await eventsOf(now, []), ["deployment x1", "replica set x1"]);
});
