import assert from "node:assert/strict";
import { test } from "node:test";
import { callWorld, serveControl } from "./control.ts";

test("who is interrupted does not wait for the answer, and who answers hears of it", async (t) => {
  const begun = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const control = await serveControl(
    {
      async query(_body, signal) {
        signal.addEventListener("abort", () => left.resolve());
        begun.resolve();
        await left.promise;
      },
    },
    "token",
  );
  t.after(() => control.close());
  const interrupt = new AbortController();
  const asked = callWorld(
    { control: { url: control.url, token: "token" } },
    "query",
    {},
    60_000,
    interrupt.signal,
  );
  await begun.promise;
  interrupt.abort();
  await assert.rejects(asked, { code: "INTERRUPTED", exitCode: 130 });
  await left.promise;
});
