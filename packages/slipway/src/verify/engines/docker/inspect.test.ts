import assert from "node:assert/strict";
import { test } from "node:test";
import type Docker from "dockerode";
import { inspect } from "./inspect.ts";

const ended = { State: { Status: "exited" } } as Docker.ContainerInspectInfo;
/** As dockerode makes them of Podman 4.3's answers. */
const failure = (statusCode: number, message: string): Error =>
  Object.assign(new Error(`(HTTP code ${statusCode}) server error - ${message} `), { statusCode });
const race = failure(500, "read /proc/7655/cgroup: no such process");

/** Answers with those failures, one after the other, and then with the container. */
function answering(failures: readonly Error[]): {
  inspect(): Promise<Docker.ContainerInspectInfo>;
  asked: number;
} {
  return {
    asked: 0,
    inspect() {
      const failed = failures[this.asked++];
      return failed === undefined ? Promise.resolve(ended) : Promise.reject(failed);
    },
  };
}

test("a container that ended while it was looked at is asked for again", async () => {
  assert.equal(await inspect(answering([race, race])), ended);
});

test("what fails every time is told", async () => {
  const container = answering(Array.from({ length: 100 }, () => race));
  await assert.rejects(inspect(container), race);
  assert.equal(container.asked, 5);
});

for (const other of [
  failure(500, "read /proc/7655/cgroup: permission denied"),
  failure(404, "no such container"),
  new Error("read ECONNRESET"),
])
  test(`asked once: ${other.message}`, async () => {
    const container = answering([other]);
    await assert.rejects(inspect(container), other);
    assert.equal(container.asked, 1);
  });
