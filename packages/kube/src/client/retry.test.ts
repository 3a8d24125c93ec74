import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seededRandom } from "@slipway/base";
import { type Failure, RETRIES, type Repeatable, retryAfterMs } from "./retry.ts";

const status = (code: number, message = "", retryAfter?: number): Failure => ({
  kind: "status",
  code,
  message,
  retryAfterMs: retryAfter,
});

describe("what is sent again", () => {
  const table: readonly [Failure, idempotent: boolean, once: boolean][] = [
    [{ kind: "not-delivered" }, true, true],
    [{ kind: "lost" }, true, false],
    [{ kind: "stale" }, true, false],
    [{ kind: "lasting" }, false, false],
    [status(429), true, true],
    [status(500, "etcdserver: request timed out"), true, false],
    [status(500, "failed to create typed patch object: .spec.x: field not declared in schema"), false, false],
    [status(502), true, false],
    [status(503), true, false],
    [status(504), true, false],
    [status(400), false, false],
    [status(401), false, false],
    [status(403), false, false],
    [status(404), false, false],
    [status(409), false, false],
    [status(410), false, false],
    [status(422), false, false],
  ];
  for (const [failure, idempotent, once] of table) {
    it(JSON.stringify(failure), () => {
      const isRepeated = (repeatable: Repeatable): boolean =>
        retryAfterMs(failure, repeatable, 1, RETRIES, seededRandom(1)) !== undefined;
      assert.deepEqual([isRepeated("idempotent"), isRepeated("once")], [idempotent, once]);
    });
  }
});

describe("when it is sent again", () => {
  it("waits between half of a doubling pause and all of it, and gives up", () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const random = seededRandom(seed);
      const pauses = [1, 2, 3, 4].map((attempt) =>
        retryAfterMs({ kind: "lost" }, "idempotent", attempt, RETRIES, random),
      );
      for (const [index, most] of [100, 200, 400].entries()) {
        const pause = pauses[index] ?? -1;
        assert.ok(pause >= most / 2 && pause <= most, `${pause} of ${most}`);
      }
      assert.equal(pauses[3], undefined);
    }
  });

  it("waits as long as the server asks for", () => {
    assert.equal(retryAfterMs(status(429, "", 7_000), "once", 1, RETRIES, seededRandom(1)), 7_000);
  });

  it("does not wait after a connection that was merely old", () => {
    assert.equal(retryAfterMs({ kind: "stale" }, "idempotent", 1, RETRIES, seededRandom(1)), 0);
  });
});
