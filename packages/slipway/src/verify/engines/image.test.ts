import assert from "node:assert/strict";
import { test } from "node:test";
import { configOf, healthcheckOf, stopSignalOf } from "./image.ts";
import { aService } from "./testing.ts";

const image = {
  Entrypoint: ["/entry"],
  Cmd: ["serve"],
  User: "app",
  WorkingDir: "/app",
  StopSignal: "SIGQUIT",
};
const check = { test: ["x"], intervalMs: 1, timeoutMs: 2, startPeriodMs: 3, retries: 4 };

test("what the service does not say is the image's", () => {
  assert.deepEqual(configOf(image, aService("web")), image);
});

test("a command replaces CMD, an entrypoint both", () => {
  assert.deepEqual(configOf(image, aService("web", { command: ["other"] })).Cmd, ["other"]);
  const { Entrypoint, Cmd } = configOf(image, aService("web", { entrypoint: ["/mine"] }));
  assert.deepEqual([Entrypoint, Cmd], [["/mine"], undefined]);
  assert.deepEqual(configOf(image, aService("web", { entrypoint: [] })).Entrypoint, []);
});

test("user and folder may be the service's", () => {
  const { User, WorkingDir } = configOf(image, aService("web", { user: "0", workingDir: "/" }));
  assert.deepEqual([User, WorkingDir], ["0", "/"]);
});

test("healthchecks are the service's, the image's, or none", () => {
  const Healthcheck = { Test: ["CMD-SHELL", "wget -q localhost"], Interval: 2e9, Timeout: 0, Retries: 5 };
  const own = { ...image, Healthcheck };
  assert.deepEqual(healthcheckOf(own, aService("web")), {
    test: ["/bin/sh", "-c", "wget -q localhost"],
    intervalMs: 2000,
    timeoutMs: 30_000,
    startPeriodMs: 0,
    retries: 5,
  });
  const bash = { ...own, Shell: ["/bin/bash", "-ec"] };
  assert.deepEqual(healthcheckOf(bash, aService("web"))?.test.slice(0, 2), ["/bin/bash", "-ec"]);
  assert.equal(healthcheckOf(own, aService("web", { healthcheck: "none" })), undefined);
  assert.deepEqual(healthcheckOf(own, aService("web", { healthcheck: check })), check);
  assert.equal(healthcheckOf({ Healthcheck: { Test: ["NONE"] } }, aService("web")), undefined);
});

const signals: readonly (readonly [string | undefined, string | undefined, string | undefined])[] = [
  [undefined, undefined, "SIGTERM"],
  [undefined, "SIGQUIT", "SIGQUIT"],
  ["usr1", "SIGQUIT", "SIGUSR1"],
  ["15", undefined, "SIGTERM"],
  ["SIGNOPE", undefined, undefined],
];
for (const [own, ofImage, expected] of signals) {
  test(`stop signal ${own} over ${ofImage} is ${expected}`, () => {
    const config = ofImage === undefined ? {} : { StopSignal: ofImage };
    assert.equal(stopSignalOf(config, aService("web", { stopSignal: own })), expected);
  });
}
