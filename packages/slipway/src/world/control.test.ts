import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
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

test("an error says for itself what the command ends with; one that does not is the world's", async (t) => {
  const refuse = (exitCode: number | undefined) => async (): Promise<never> => {
    throw new SlipwayError({ code: "ALERT_UNKNOWN", where: "alerts/x", message: "is neither", exitCode });
  };
  const control = await serveControl({ wish: refuse(2), work: refuse(undefined) }, "token");
  t.after(() => control.close());
  const call = (name: string) => callWorld({ control: { url: control.url, token: "token" } }, name);
  await assert.rejects(call("wish"), { code: "ALERT_UNKNOWN", where: "alerts/x", exitCode: 2 });
  await assert.rejects(call("work"), { code: "ALERT_UNKNOWN", exitCode: 3 });
});
