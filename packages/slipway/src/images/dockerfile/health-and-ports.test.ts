import assert from "node:assert/strict";
import { test } from "node:test";
import { exposedPorts, healthcheckOf } from "./health-and-ports.ts";

const fail = (message: string): Error => new Error(message);

test("ports: one, a protocol in any case, a range; what is none is refused", () => {
  assert.deepEqual(exposedPorts(["8080", "53/UDP", "8000-8002"], fail), [
    "8080/tcp",
    "53/udp",
    "8000/tcp",
    "8001/tcp",
    "8002/tcp",
  ]);
  for (const word of ["", "0", "65536", "9-8", "http", "80/icmp"])
    assert.throws(() => exposedPorts([word], fail), {
      message: `"${word}" is not a port, like 8080 or 53/udp`,
    });
});

test("a health check is argv or a line for the shell, with durations in nanoseconds", () => {
  const flags: Readonly<Record<string, string>> = { interval: "1m30s", timeout: "500ms", retries: "3" };
  assert.deepEqual(
    healthcheckOf('CMD ["/ping"]', (name) => flags[name], fail),
    { Test: ["CMD", "/ping"], Interval: 90e9, Timeout: 0.5e9, Retries: 3 },
  );
  assert.deepEqual(
    healthcheckOf("cmd curl -f localhost", () => undefined, fail),
    { Test: ["CMD-SHELL", "curl -f localhost"] },
  );
  assert.deepEqual(
    healthcheckOf("None", () => undefined, fail),
    { Test: ["NONE"] },
  );
});

test("a health check that is neither, or waits for what is no duration, is refused", () => {
  assert.throws(() => healthcheckOf("curl", () => undefined, fail), {
    message: "HEALTHCHECK is followed by CMD or NONE",
  });
  for (const duration of ["soon", "5", "5sx", "1m 30s", ""]) {
    const flag = (name: string) => (name === "interval" ? duration : undefined);
    assert.throws(() => healthcheckOf("CMD true", flag, fail), {
      message: `--interval must be a duration like 30s, got "${duration}"`,
    });
  }
  for (const retries of ["two", "1.5", "-1", ""]) {
    const flag = (name: string) => (name === "retries" ? retries : undefined);
    assert.throws(() => healthcheckOf("CMD true", flag, fail), {
      message: `--retries must be a whole number, got "${retries}"`,
    });
  }
});
